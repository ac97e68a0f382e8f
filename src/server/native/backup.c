/* Snapshots, backups and restores by HTTP; what changes something needs http.admin. */
#include "server/native/native_int.h"

#include "backup/backup.h"
#include "model/time.h"

#include <stdio.h>

static bool allowed(struct slx_native *n, struct slx_http_exchange *x)
{
	if (slx_core_config(n->core)->http.admin)
		return true;
	slx_http_reply_problem(x, 403, "Forbidden", "set http.admin to allow this (serve --enable-admin)");
	return false;
}

static void put_ms(struct slx_buf *b, int64_t ms)
{
	char text[SLX_TIME_TEXT_SIZE];
	slx_time_format(ms * 1000000, text);
	slx_json_text(b, slx_str(text));
}

static unsigned long long ull(uint64_t n) { return n; }

/* --- snapshots ------------------------------------------------------------------------------------------------------------------- */

enum { NAME, SKIP_HEAD };
static const struct slx_native_field snapshot_fields[] = { [NAME] = { "name", SLX_ARG_TEXT }, [SKIP_HEAD] = { "skip_head", SLX_ARG_BOOL } };

void slx_native_snapshot(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct slx_native_args a;
	struct slx_buf b;
	silex_snapshot_info info;
	silex_error err;
	char name[SLX_SNAPSHOT_NAME_SIZE];
	bool skip_head = false;
	if (!allowed(n, x) || !slx_native_args(n, x, snapshot_fields, 2, &a) || !slx_arg_bool(&a, SKIP_HEAD, &skip_head))
		return;
	struct slx_str wanted = slx_arg_text(&a, NAME);
	if (slx_snapshots_create(n->core, wanted.p ? slx_native_zstr(x, wanted) : NULL, skip_head, name, &info, &err) != SILEX_OK) {
		slx_native_fail_of(x, "name", &err);
		return;
	}
	slx_buf_init(&b, n->core->mem, SLX_MEM_OTHER, 1 << 16);
	slx_native_put(&b, "{\"name\":\"%s\",\"path\":", name);
	char path[4096];
	snprintf(path, sizeof path, "%s/snapshots/%s", slx_core_config(n->core)->data, name);
	slx_json_text(&b, slx_str(path));
	slx_native_put(&b, ",\"blocks\":%llu,\"points\":%llu,\"bytes\":%llu,\"linked\":%llu}\n", ull(info.blocks), ull(info.points), ull(info.bytes),
		ull(info.linked));
	slx_http_reply(x, 200, "application/json", &b);
}

struct sending {
	struct slx_http_exchange *x;
	bool begun;
};

/* Headers go out with the first bytes, when the snapshot is there: an error before is a proper answer. */
static silex_status send_piece(void *arg, const void *p, size_t n, silex_error *err)
{
	struct sending *s = arg;
	if (!s->begun && !slx_http_stream_begin(s->x, 200, "application/octet-stream"))
		return slx_err(err, SILEX_CANCELED, "the client is gone");
	s->begun = true;
	return slx_http_stream_write(s->x, p, n) ? SILEX_OK : slx_err(err, SILEX_CANCELED, "the client is gone");
}

/* One that fails on the way lacks its end record, which every reader asks for. */
void slx_native_snapshot_file(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct slx_native_args a;
	struct sending s = { .x = x };
	silex_error err;
	bool skip_head = false;
	if (!allowed(n, x) || !slx_native_args(n, x, snapshot_fields, 2, &a) || !slx_arg_bool(&a, SKIP_HEAD, &skip_head))
		return;
	silex_status st = slx_backup_stream(slx_native_engine(n), skip_head, send_piece, &s, &err);
	if (s.begun)
		slx_http_stream_end(x);
	else if (st != SILEX_OK)
		slx_native_fail(x, &err);
}

/* --- backups ---------------------------------------------------------------------------------------------------------------------- */

static bool put_backup(void *arg, const silex_backup_info *i)
{
	struct slx_buf *b = arg;
	if (b->n && b->p[b->n - 1] == '}')
		slx_native_put_text(b, ",");
	slx_native_put(b, "{\"id\":\"%s\",\"time\":", i->id);
	put_ms(b, i->time_ms);
	slx_native_put(b, ",\"full\":%s,\"host\":", i->full ? "true" : "false");
	slx_json_text(b, slx_str(i->host));
	slx_native_put(b, ",\"blocks\":%llu,\"points\":%llu,\"bytes\":%llu,\"new_blocks\":%llu,\"new_bytes\":%llu,\"took_ms\":%lld}", ull(i->blocks),
		ull(i->points), ull(i->bytes), ull(i->new_blocks), ull(i->new_bytes), (long long)i->took_ms);
	return true;
}

void slx_native_backup(void *ctx, struct slx_http_exchange *x)
{
	static const struct slx_native_field fields[] = { { "full", SLX_ARG_BOOL } };
	struct slx_native *n = ctx;
	struct slx_native_args a;
	struct slx_buf b;
	silex_backup_info info;
	silex_error err;
	bool full = false;
	if (!allowed(n, x) || !slx_native_args(n, x, fields, 1, &a) || !slx_arg_bool(&a, 0, &full))
		return;
	if (slx_backups_create(atomic_load(&n->backups), full, &info, &err) != SILEX_OK) {
		slx_native_fail(x, &err);
		return;
	}
	slx_buf_init(&b, n->core->mem, SLX_MEM_OTHER, 1 << 16);
	put_backup(&b, &info);
	slx_native_put_text(&b, "\n");
	slx_http_reply(x, 200, "application/json", &b);
}

void slx_native_backups(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct slx_buf b;
	silex_error err;
	const silex_options *db = NULL;
	const char *target = NULL;
	silex_status st = slx_backups_target(atomic_load(&n->backups), &target, &db, &err);
	slx_buf_init(&b, n->core->mem, SLX_MEM_OTHER, 64 << 20);
	slx_native_put_text(&b, "{\"backups\":[");
	if (st == SILEX_OK)
		st = silex_backup_list(target, db, put_backup, &b, &err);
	if (st == SILEX_NOT_FOUND)
		st = SILEX_OK; /* nothing was put there yet */
	slx_native_put_text(&b, "]}\n");
	if (st == SILEX_OK)
		slx_http_reply(x, 200, "application/json", &b);
	else
		slx_native_fail(x, &err);
	slx_buf_free(&b);
}

/* --- restore: one tenant of a backup beside what is there ---------------------------------------------------------------------------- */

enum { BACKUP, TENANT_FROM, UNTIL, UNIT };
static const struct slx_native_field restore_fields[] = {
	[BACKUP] = { "backup", SLX_ARG_TEXT },
	[TENANT_FROM] = { "tenant_from", SLX_ARG_TEXT },
	[UNTIL] = { "until", SLX_ARG_TIME },
	[UNIT] = { "unit", SLX_ARG_TEXT },
};

static silex_status restore(struct slx_native *n, silex_restore_options *o, silex_restore_info *ret, silex_error *err)
{
	const char *target = NULL;
	SLX_TRY(slx_backups_target(atomic_load(&n->backups), &target, &o->db, err));
	return silex_restore_into(target, slx_core_db(n->core), o, ret, err);
}

void slx_native_restore(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct slx_native_args a;
	struct slx_buf b;
	silex_restore_options o;
	silex_restore_info info;
	silex_error err;
	silex_restore_options_init(&o);
	if (!allowed(n, x) || !slx_native_args(n, x, restore_fields, 4, &a) || !slx_arg_time(&a, UNTIL, UNIT, &o.until_ns))
		return;
	struct slx_str id = slx_arg_text(&a, BACKUP), from = slx_arg_text(&a, TENANT_FROM);
	o.id = id.p ? slx_native_zstr(x, id) : NULL;
	o.tenant_to = slx_native_zstr(x, slx_http_tenant(x));
	o.tenant_from = from.p ? slx_native_zstr(x, from) : o.tenant_to;
	if (restore(n, &o, &info, &err) != SILEX_OK) {
		slx_native_fail(x, &err);
		return;
	}
	slx_buf_init(&b, n->core->mem, SLX_MEM_OTHER, 1 << 16);
	slx_native_put(&b, "{\"backup\":\"%s\",\"points\":%llu,\"log_frames\":%llu}\n", info.id, ull(info.points), ull(info.frames));
	slx_http_reply(x, 200, "application/json", &b);
}
