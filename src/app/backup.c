/* snapshot, restore, backup: copies of a database, and back. digest: are two the same? */
#include "app/backup.h"
#include "app/commands.h"
#include "app/store.h"
#include "app/table.h"

#include <stdlib.h>
#include <string.h>

#ifdef SILEX_WITH_SERVER
#define REMOTE(call) (call)
#else
#define REMOTE(call) app_usage("this silex was built without the server, and knows no --url")
#endif

static bool machine(const struct app *a) { return a->common.format != APP_DEFAULT && a->common.format != APP_TABLE; }

/* one: a single row, which is one object in JSON. */
static void print_table(struct app *a, struct app_table *t, bool one)
{
	enum app_format f = a->common.format == APP_DEFAULT ? APP_TABLE : (enum app_format)a->common.format;
	app_table_print(t, a->out, one && f == APP_JSON ? APP_JSONL : f, a->utf8);
}

static void add_number(struct app_table *t, uint64_t n) { app_table_addf(t, "%llu", (unsigned long long)n); }

static void add_ms(struct app_table *t, int64_t ms)
{
	char text[APP_TEXT_SIZE];
	app_table_add(t, ms ? app_time_text(ms * 1000000, text) : NULL);
}

/* --- snapshot ------------------------------------------------------------------------------------------------------------------------ */

struct snapshot_options {
	bool one_file, skip_head;
};

static void say_snapshot(struct app *a, const char *path, const silex_snapshot_info *i)
{
	char n[APP_TEXT_SIZE], b[APP_TEXT_SIZE];
	fprintf(a->out, "%s: %s points in %llu blocks of %s", path, app_count_text(i->points, n), (unsigned long long)i->blocks, app_bytes_text(i->bytes, b));
	fputs(i->blocks && i->linked == i->blocks ? ", as hard links\n" : "\n", a->out);
}

static int snapshot_run(struct app *a, void *options, int argc, char **argv)
{
	const struct snapshot_options *own = options;
	struct app_progress p;
	silex_snapshot_options o;
	silex_snapshot_info info;
	silex_error err;
	silex_db *db;
	if (a->common.url)
		return REMOTE(app_remote_snapshot(a, argv[0], own->one_file, own->skip_head));
	int st = app_open(a, APP_WRITE_EXISTING, &db);
	if (st != APP_OK)
		return st;
	silex_snapshot_options_init(&o);
	o.one_file = own->one_file;
	o.skip_head = own->skip_head;
	o.progress = app_progress_stage;
	o.progress_arg = &p;
	app_progress_begin(&p, a, "snapshot");
	silex_status status = silex_snapshot(db, argv[0], &o, &info, &err);
	app_progress_end(&p);
	if (status != SILEX_OK)
		st = app_fail(NULL, &err);
	else
		say_snapshot(a, argv[0], &info);
	return app_close(a, db, APP_WRITE_EXISTING, st);
}

static const struct app_opt snapshot_opts[] = {
	APP_OPT(snapshot_options, one_file, "one-file", '1', APP_FLAG, NULL, NULL, "one portable file with checksums, for a USB stick, instead of a directory"),
	APP_OPT(snapshot_options, skip_head, "skip-head", 0, APP_FLAG, NULL, NULL, "only what is in blocks already, without a flush"),
	APP_OPT_END,
};

const struct app_command app_snapshot = {
	.name = "snapshot",
	.args = "PATH",
	.summary = "make a consistent copy of a database",
	.text = "PATH is a new directory that opens as a database: blocks become hard links where the file system allows (a matter of "
			"milliseconds), else copies. With --one-file it is a single file that `silex restore` reads.\n\n"
			"With --url the server makes it below its data directory (snapshots/PATH; PATH is a name), or with --one-file sends it.",
	.examples = "silex snapshot -d /var/lib/ward /var/lib/ward-monday\n"
				"silex snapshot --one-file /media/usb/ward.silex\n"
				"silex snapshot --url http://localhost:9470 --one-file ward.silex\n",

	.options = snapshot_opts,
	.options_size = sizeof(struct snapshot_options),
	.args_min = 1,
	.args_max = 1,
	.uses = APP_USES_DATA | APP_USES_URL,
	.run = snapshot_run,
};

/* --- restore ------------------------------------------------------------------------------------------------------------------------- */

struct restore_options {
	bool force, dry_run, full;
	const char *id, *until, *tenant_from, *tenant_to;
	uint64_t keep;
};

static int restore_options_of(struct app *a, const struct restore_options *own, struct app_progress *p, silex_restore_options *ret)
{
	silex_error err;
	silex_restore_options_init(ret);
	ret->force = own->force;
	ret->id = own->id;
	ret->tenant_from = own->tenant_from;
	ret->tenant_to = own->tenant_to;
	ret->progress = app_progress_stage;
	ret->progress_arg = p;
	if (own->until && strcmp(own->until, "end") == 0)
		ret->until_ns = SILEX_TIME_MAX;
	else if (own->until && app_parse_time(own->until, a->now, &ret->until_ns, &err) != SILEX_OK)
		return app_usage("--until %s: %s", own->until, err.message);
	return APP_OK;
}

static void say_restored(struct app *a, const char *where, const silex_restore_info *i)
{
	char n[APP_TEXT_SIZE], t[APP_TEXT_SIZE];
	fprintf(a->out, "%s: %s points", where, app_count_text(i->points, n));
	if (i->id[0])
		fprintf(a->out, " of backup %s", i->id);
	if (i->frames)
		fprintf(a->out, " and %s log frames after it", app_count_text(i->frames, n));
	if (i->until_ms)
		fprintf(a->out, "; the newest write is of %s", app_time_text(i->until_ms * 1000000, t));
	fputs("; verified\n", a->out);
}

static int restore_tenant(struct app *a, const char *from, const silex_restore_options *o, silex_restore_info *info)
{
	silex_error err;
	silex_db *db;
	int st = app_open(a, APP_WRITE, &db);
	if (st != APP_OK)
		return st;
	if (silex_restore_into(from, db, o, info, &err) != SILEX_OK)
		st = app_fail(NULL, &err);
	return app_close(a, db, APP_WRITE, st);
}

static int restore_from(struct app *a, const struct restore_options *own, const char *from)
{
	struct app_progress p;
	silex_restore_options o;
	silex_restore_info info = { .id = "" };
	silex_options db;
	silex_error err;
	int st = restore_options_of(a, own, &p, &o);
	if (st == APP_OK)
		st = app_db_options(a, &db);
	if (st != APP_OK)
		return st;
	o.db = &db;
	app_progress_begin(&p, a, "restore");
	if (own->tenant_from || own->tenant_to)
		st = restore_tenant(a, from, &o, &info);
	else if (silex_restore(from, app_data(a), &o, &info, &err) != SILEX_OK)
		st = app_fail(NULL, &err);
	app_progress_end(&p);
	if (st == APP_OK)
		say_restored(a, app_data(a), &info);
	return st;
}

static int restore_run(struct app *a, void *options, int argc, char **argv) { return restore_from(a, options, argv[0]); }

#define RESTORE_OPTS                                                                                                                         \
	APP_OPT(restore_options, force, "force", 0, APP_FLAG, NULL, NULL, "replace the database that is in --data; it stays until the new one is verified"), \
		APP_OPT(restore_options, id, "backup", 'b', APP_TEXT, "ID", NULL, "which backup [the newest, or the newest before --until]"), \
		APP_OPT(restore_options, until, "until", 0, APP_TEXT, "TIME", NULL,                                                               \
			"go on with the archived log up to this moment, included, or to its `end`"),                                              \
		APP_OPT(restore_options, tenant_from, "tenant-from", 0, APP_TEXT, "NAME", NULL, "only this tenant, beside what --data holds"),    \
		APP_OPT(restore_options, tenant_to, "tenant-to", 0, APP_TEXT, "NAME", NULL, "under this name [the same]")

static const struct app_opt restore_opts[] = { RESTORE_OPTS, APP_OPT_END };

const struct app_command app_restore = {
	.name = "restore",
	.args = "FROM",
	.summary = "make a database of a snapshot or a backup",
	.text = "FROM is a snapshot (directory or file) or a backup target; --data says where the database shall be: a directory that is empty "
			"or not there, or with --force a database that no program has open. Everything is verified before it takes its place.\n\n"
			"With --tenant-from or --tenant-to one tenant's samples go into the database at --data, beside what is there.",
	.examples = "silex restore /media/usb/ward.silex -d /var/lib/ward\n"
				"silex restore /mnt/backup -d /var/lib/ward --until 2026-11-21T12:00:00Z\tto a second\n"
				"silex restore /mnt/backup -d /var/lib/ward --tenant-from icu --tenant-to icu-before\n",
	.options = restore_opts,
	.options_size = sizeof(struct restore_options),
	.args_min = 1,
	.args_max = 1,
	.uses = APP_USES_DATA | APP_ARGS_FILES | APP_NOT_IN_SHELL,
	.run = restore_run,
};

/* --- backup -------------------------------------------------------------------------------------------------------------------------- */

void app_backup_table(struct app_table *t)
{
	static const char *const left[] = { "id", "time", "kind", "host" }, *const right[] = { "blocks", "points", "bytes", "new_blocks", "new_bytes", "took_ms" };
	app_table_init(t);
	for (size_t i = 0; i < sizeof left / sizeof *left; i++)
		app_table_column(t, left[i], APP_LEFT, true);
	for (size_t i = 0; i < sizeof right / sizeof *right; i++)
		app_table_column(t, right[i], APP_RIGHT, false);
}

bool app_backup_row(void *table, const silex_backup_info *i)
{
	struct app_table *t = table;
	app_table_add(t, i->id);
	add_ms(t, i->time_ms);
	app_table_add(t, i->full ? "full" : "incremental");
	app_table_add(t, i->host);
	const uint64_t numbers[] = { i->blocks, i->points, i->bytes, i->new_blocks, i->new_bytes, (uint64_t)i->took_ms };
	for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
		add_number(t, numbers[k]);
	return true;
}

void app_say_backup(struct app *a, const silex_backup_info *i)
{
	char x[APP_TEXT_SIZE], y[APP_TEXT_SIZE];
	struct app_table t;
	if (!machine(a)) {
		fprintf(a->out, "backup %s: %llu blocks of %s, sent %llu of %s\n", i->id, (unsigned long long)i->blocks, app_bytes_text(i->bytes, x),
			(unsigned long long)i->new_blocks, app_bytes_text(i->new_bytes, y));
		return;
	}
	app_backup_table(&t);
	app_backup_row(&t, i);
	print_table(a, &t, true);
	app_table_free(&t);
}

static int backup_create(struct app *a, const struct restore_options *own, const char *target)
{
	struct app_progress p;
	silex_backup_options o;
	silex_backup_info info;
	silex_error err;
	silex_db *db;
	int st = app_open(a, APP_WRITE_EXISTING, &db);
	if (st != APP_OK)
		return st;
	silex_backup_options_init(&o);
	o.full = own->full;
	o.progress = app_progress_stage;
	o.progress_arg = &p;
	app_progress_begin(&p, a, "backup");
	silex_status status = silex_backup_create(db, target, &o, &info, &err);
	app_progress_end(&p);
	if (status != SILEX_OK)
		st = app_fail(NULL, &err);
	else
		app_say_backup(a, &info);
	return app_close(a, db, APP_WRITE_EXISTING, st);
}

static int backup_list(struct app *a, const struct restore_options *own, const char *target)
{
	struct app_table t;
	silex_options db;
	silex_error err;
	if (app_db_options(a, &db) != APP_OK)
		return APP_USAGE;
	app_backup_table(&t);
	silex_status st = silex_backup_list(target, &db, app_backup_row, &t, &err);
	print_table(a, &t, false);
	app_table_free(&t);
	return st == SILEX_OK ? APP_OK : app_fail(NULL, &err);
}

struct checking {
	struct app *a;
	struct app_progress progress;
};

static bool put_fault(void *arg, const char *text)
{
	struct checking *c = arg;
	app_progress_end(&c->progress);
	if (!machine(c->a))
		fprintf(c->a->out, "%s\n", text);
	else
		app_say("%s", text);
	return true;
}

static bool check_stage(void *arg, const char *stage, uint64_t done, uint64_t total)
{
	return app_progress_stage(&((struct checking *)arg)->progress, stage, done, total);
}

static void put_report(struct app *a, const silex_backup_report *r)
{
	char b[APP_TEXT_SIZE];
	struct app_table t;
	if (!machine(a)) {
		fprintf(a->out, "%llu backups, %llu objects of %s, %llu log frames in %llu segments: ", (unsigned long long)r->backups,
			(unsigned long long)r->objects, app_bytes_text(r->bytes, b), (unsigned long long)r->log_frames, (unsigned long long)r->log_segments);
		fprintf(a->out, r->faults ? "%llu faults\n" : "no faults\n", (unsigned long long)r->faults);
		return;
	}
	static const char *const names[] = { "backups", "objects", "bytes", "log_segments", "log_frames", "faults" };
	const uint64_t numbers[] = { r->backups, r->objects, r->bytes, r->log_segments, r->log_frames, r->faults };
	app_table_init(&t);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		app_table_column(&t, names[i], APP_RIGHT, false);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		add_number(&t, numbers[i]);
	print_table(a, &t, true);
	app_table_free(&t);
}

static int backup_verify(struct app *a, const struct restore_options *own, const char *target)
{
	struct checking c = { .a = a };
	silex_backup_report r = { 0 };
	silex_options db;
	silex_error err;
	if (app_db_options(a, &db) != APP_OK)
		return APP_USAGE;
	app_progress_begin(&c.progress, a, "verify");
	silex_status st = silex_backup_verify(target, &db, own->id, check_stage, put_fault, &c, &r, &err);
	app_progress_end(&c.progress);
	if (st != SILEX_OK && st != SILEX_CORRUPT)
		return app_fail(NULL, &err);
	put_report(a, &r);
	return st == SILEX_OK ? APP_OK : APP_FAILED;
}

static int backup_prune(struct app *a, const struct restore_options *own, const char *target)
{
	silex_prune_report r = { 0 };
	silex_options db;
	silex_error err;
	char b[APP_TEXT_SIZE];
	if (!own->keep || own->keep > 1000000)
		return app_usage("prune needs --keep N: how many of the newest backups stay");
	if (app_db_options(a, &db) != APP_OK)
		return APP_USAGE;
	if (silex_backup_prune(target, &db, (unsigned)own->keep, own->dry_run, &r, &err) != SILEX_OK)
		return app_fail(NULL, &err);
	fprintf(a->out, "%s %llu backups, %llu blocks and %llu log segments, %s; %llu backups stay\n", own->dry_run ? "would remove" : "removed",
		(unsigned long long)r.backups, (unsigned long long)r.blocks, (unsigned long long)r.log_segments, app_bytes_text(r.bytes, b),
		(unsigned long long)r.kept);
	return APP_OK;
}

static const struct verb {
	const char *name;
	int (*run)(struct app *a, const struct restore_options *o, const char *target);
} verbs[] = {
	{ "create", backup_create },
	{ "list", backup_list },
	{ "verify", backup_verify },
	{ "restore", restore_from },
	{ "prune", backup_prune },
};

static int backup_run(struct app *a, void *options, int argc, char **argv)
{
	static const char *const names[] = { "create", "list", "verify", "restore", "prune", NULL };
	const struct verb *v = NULL;
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(argv[0], verbs[i].name) == 0)
			v = &verbs[i];
	if (!v) {
		const char *nearest = app_nearest(argv[0], names);
		return app_usage("backup %s: expected create, list, verify, restore or prune%s%s%s", argv[0], nearest ? "; did you mean " : "",
			nearest ? nearest : "", nearest ? "?" : "");
	}
	if (a->common.url)
		return REMOTE(app_remote_backup(a, v->name, ((struct restore_options *)options)->full, argc > 1 ? argv[1] : NULL));
	if (argc < 2)
		return app_usage("backup %s needs a target: a directory, or the url of a store", v->name);
	return v->run(a, options, argv[1]);
}

static const struct app_opt backup_opts[] = {
	APP_OPT(restore_options, full, "full", 0, APP_FLAG, NULL, NULL,
		"create: trust nothing at the target, read back every block that is there and send damaged ones again"),
	APP_OPT(restore_options, keep, "keep", 'k', APP_COUNT, "N", NULL, "prune: how many of the newest stay"),
	APP_OPT(restore_options, dry_run, "dry-run", 'n', APP_FLAG, NULL, NULL, "prune: say what would go"),
	RESTORE_OPTS,
	APP_OPT_END,
};

const struct app_command app_backup = {
	.name = "backup",
	.args = "create|list|verify|restore|prune TARGET",
	.summary = "keep backups of a database at a target",
	.text = "TARGET is a directory (/mnt/backup) or the url of an object store. Each backup is whole: any may be restored or removed by "
			"itself. A block that is at the target is not sent again, so all but the first are small.\n\n"
			"create: a backup of the database at --data. list: what is there. verify: reads every object and names damaged ones (status 1). "
			"restore: as `silex restore`. prune: removes all but the newest --keep.\n\n"
			"With --url `create` and `list` are done by the server, with the target of its configuration.",
	.examples = "silex backup create /mnt/backup -d /var/lib/ward\n"
				"silex backup list /mnt/backup\n"
				"silex backup verify /mnt/backup\n"
				"silex backup restore /mnt/backup -d /var/lib/ward --until 2026-11-21T12:00:00Z\n"
				"silex backup prune /mnt/backup --keep 14\n"
				"silex backup create --url http://localhost:9470\tnow, beside the schedule\n",
	.options = backup_opts,
	.options_size = sizeof(struct restore_options),
	.args_min = 1,
	.args_max = 2,
	.uses = APP_USES_DATA | APP_USES_URL | APP_USES_FORMAT | APP_USES_OUTPUT | APP_NOT_IN_SHELL,
	.run = backup_run,
};
