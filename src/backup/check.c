/* Listing and verifying what a target has. Nothing is changed, so no lease is taken: a prune meanwhile shows as missing objects. */
#include "backup/logs.h"
#include "backup/record.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- list ------------------------------------------------------------------------------------------------------------------------ */

static silex_status show(struct slx_place *p, struct slx_store *s, const struct slx_names *names, silex_backup_fn each, void *arg, silex_error *err)
{
	silex_error first = { 0 }, own;
	bool more = true;
	for (size_t i = 0; i < names->n && more; i++) {
		struct slx_backup_record r;
		silex_status st = slx_backup_record_get(p, s, names->v[i], &r, &own);
		if (st == SILEX_OK) {
			more = each(arg, &r.info);
			slx_backup_record_free(&r);
		} else if (!first.code)
			first = own;
	}
	return first.code ? slx_err(err, first.code, "%s", first.message) : SILEX_OK;
}

silex_status slx_backup_list(const char *target, const silex_options *db, silex_backup_fn each, void *arg, silex_error *err)
{
	struct slx_mem mem;
	struct slx_place p;
	struct slx_store *s;
	struct slx_names names;
	slx_place_init(&p, &mem, db);
	SLX_TRY(slx_target_open(&p, target, false, &s, err));
	silex_status st = slx_target_names(&p, s, SLX_RECORD_PREFIX, &names, err);
	if (st == SILEX_OK)
		st = show(&p, s, &names, each, arg, err);
	slx_names_free(&names);
	slx_store_close(s);
	return st;
}

/* --- verify ----------------------------------------------------------------------------------------------------------------------- */

struct check {
	struct slx_place place;
	struct slx_store *store;
	silex_text_fn fault;
	void *arg;
	silex_backup_report report;
	struct slx_progress progress;
	struct slx_backup_block *blocks; /* of all manifests, by name */
	size_t n, cap;
	bool stop;
};

__attribute__((format(printf, 2, 3))) static void faulty(struct check *c, const char *fmt, ...)
{
	char text[640];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	c->report.faults++;
	c->stop |= c->fault && !c->fault(c->arg, text);
}

static silex_status note_blocks(struct check *c, const struct slx_backup_record *r, silex_error *err)
{
	if (c->n + r->n_blocks > c->cap) {
		size_t cap = (c->n + r->n_blocks) * 2;
		struct slx_backup_block *v = slx_realloc(c->place.mem, SLX_MEM_OTHER, c->blocks, c->cap * sizeof *v, cap * sizeof *v);
		if (!v)
			return slx_err_oom(err);
		c->blocks = v;
		c->cap = cap;
	}
	if (r->n_blocks)
		memcpy(c->blocks + c->n, r->blocks, r->n_blocks * sizeof *r->blocks);
	c->n += r->n_blocks;
	return SILEX_OK;
}

static silex_status read_records(struct check *c, const char *id, silex_error *err)
{
	struct slx_names names;
	char wanted[SLX_STORE_NAME_SIZE_MAX];
	snprintf(wanted, sizeof wanted, SLX_RECORD_PREFIX "%s", id ? id : "");
	silex_status st = slx_target_names(&c->place, c->store, SLX_RECORD_PREFIX, &names, err);
	for (size_t i = 0; i < names.n && st == SILEX_OK && !c->stop; i++) {
		struct slx_backup_record r;
		silex_error own;
		if (id && strcmp(names.v[i], wanted) != 0)
			continue;
		c->report.backups++;
		c->report.objects++;
		if (slx_backup_record_get(&c->place, c->store, names.v[i], &r, &own) != SILEX_OK) {
			faulty(c, "%s", own.message);
			continue;
		}
		st = note_blocks(c, &r, err);
		slx_backup_record_free(&r);
	}
	slx_names_free(&names);
	if (st == SILEX_OK && id && c->report.backups == 0)
		return slx_err(err, SILEX_NOT_FOUND, "there is no backup %s: see silex backup list", id);
	return st;
}

static int by_name(const void *a, const void *b) { return strcmp(((const struct slx_backup_block *)a)->name, ((const struct slx_backup_block *)b)->name); }

static silex_status check_block(struct check *c, const struct slx_backup_block *b, silex_error *err)
{
	char object[SLX_BLOCK_OBJECT_SIZE];
	struct slx_object o = { c->store, slx_backup_object(b->name, object) };
	struct slx_hash128 hash;
	uint64_t size;
	silex_error own = { 0 };
	silex_status st = slx_store_size(c->store, o.name, &size, &own);
	c->report.objects++;
	if (st == SILEX_OK && size != b->size) {
		faulty(c, "%s: %llu bytes; expected %llu", o.name, (unsigned long long)size, (unsigned long long)b->size);
		return SILEX_OK;
	}
	if (st == SILEX_OK)
		st = slx_pump(&c->place, slx_object_read, &o, size, NULL, NULL, &c->progress, &hash, &own);
	if (st == SILEX_CANCELED || st == SILEX_UNAVAILABLE)
		return slx_err(err, st, "%s", own.message);
	if (st != SILEX_OK)
		faulty(c, "%s: %s", o.name, st == SILEX_NOT_FOUND ? "missing" : own.message);
	else if (!slx_hash128_eq(hash, b->hash))
		faulty(c, "%s: damaged: its checksum does not fit", o.name);
	c->report.bytes += b->size;
	return SILEX_OK;
}

static silex_status check_blocks(struct check *c, silex_error *err)
{
	if (c->n)
		qsort(c->blocks, c->n, sizeof *c->blocks, by_name);
	for (size_t i = 0; i < c->n; i++)
		c->progress.total += i == 0 || by_name(&c->blocks[i - 1], &c->blocks[i]) ? c->blocks[i].size : 0;
	for (size_t i = 0; i < c->n && !c->stop; i++)
		if (i == 0 || by_name(&c->blocks[i - 1], &c->blocks[i]))
			SLX_TRY(check_block(c, &c->blocks[i], err));
	return SILEX_OK;
}

/* --- the log ------------------------------------------------------------------------------------------------------------------------ */

/* One object of a segment: intact frames to its end. *seq: the last number before it, 0 unknown. */
static silex_status check_piece(struct check *c, const char *name, bool begins, uint64_t *seq, silex_error *err)
{
	struct slx_file *f;
	struct slx_walfile_run run = { 0 };
	silex_error own = { 0 };
	uint64_t size = 0;
	silex_status st = slx_object_file(&c->place, c->store, name, &f, &own);
	c->report.objects++;
	if (st == SILEX_OK) {
		slx_file_size(f, &size, NULL);
		st = slx_walfile_walk(c->place.mem, f, begins ? SLX_WALFILE_HEADER_SIZE : 0, UINT64_MAX, UINT64_MAX, &run, &own);
		slx_file_close(f);
	}
	if (st == SILEX_UNAVAILABLE)
		return slx_err(err, st, "%s", own.message);
	if (st != SILEX_OK)
		faulty(c, "%s: %s", name, own.message);
	else if (!run.clean)
		faulty(c, "%s: offset %llu: no intact frame", name, (unsigned long long)run.end);
	if (run.frames && *seq && run.first_seq > *seq + 1)
		faulty(c, "%s: frames %llu to %llu before it are missing", name, (unsigned long long)*seq + 1, (unsigned long long)run.first_seq - 1);
	if (run.frames)
		*seq = run.last_seq;
	c->report.log_frames += run.frames;
	c->report.bytes += size;
	return slx_progress_add(&c->progress, size, err);
}

static silex_status check_segment(struct check *c, const struct slx_logs *l, const struct slx_log_segment *g, uint64_t *seq, silex_error *err)
{
	struct slx_walfile_header h;
	silex_error own = { 0 };
	c->report.log_segments++;
	silex_status st = slx_log_header(c->store, l, g, &h, &own);
	if (st == SILEX_UNAVAILABLE)
		return slx_err(err, st, "%s", own.message);
	if (st != SILEX_OK)
		faulty(c, "%s", own.message);
	for (size_t i = g->first; i < g->first + g->n && !c->stop; i++)
		SLX_TRY(check_piece(c, l->names.v[i], i == g->first, seq, err));
	return SILEX_OK;
}

static silex_status check_logs(struct check *c, silex_error *err)
{
	struct slx_logs l = { .n = 0 };
	uint64_t seq = 0;
	SLX_TRY(slx_logs_list(&c->place, c->store, NULL, &l, err));
	silex_status st = SILEX_OK;
	c->progress.stage = "verify log";
	c->progress.total = 0;
	for (size_t i = 0; i < l.n && st == SILEX_OK && !c->stop; i++) {
		if (i && strcmp(l.v[i].log, l.v[i - 1].log) != 0)
			seq = 0;
		st = check_segment(c, &l, &l.v[i], &seq, err);
	}
	slx_logs_free(&l);
	return st;
}

silex_status slx_backup_verify(const char *target, const silex_options *db, const char *id, silex_progress_fn progress, silex_text_fn fault, void *arg,
	silex_backup_report *ret, silex_error *err)
{
	struct slx_mem mem;
	struct check c = { .fault = fault, .arg = arg, .progress = { progress, arg, "verify", 0, 0 } };
	slx_place_init(&c.place, &mem, db);
	SLX_TRY(slx_target_open(&c.place, target, false, &c.store, err));
	silex_status st = read_records(&c, id, err);
	if (st == SILEX_OK)
		st = check_blocks(&c, err);
	if (st == SILEX_OK && !id)
		st = check_logs(&c, err);
	slx_free(c.place.mem, SLX_MEM_OTHER, c.blocks, c.cap * sizeof *c.blocks);
	slx_store_close(c.store);
	if (ret)
		*ret = c.report;
	if (st != SILEX_OK)
		return st;
	return c.report.faults ? slx_err(err, SILEX_CORRUPT, "%llu faults", (unsigned long long)c.report.faults) : SILEX_OK;
}
