/* The samples of one tenant of a database into a tenant of another, series by series through a snapshot. */
#include "backup/restore_int.h"
#include "engine/companion.h"

#include <stdio.h>
#include <string.h>

struct copying {
	struct slx_engine *to;
	struct slx_tenant *tenant;
	struct slx_snapshot *snap;
	struct slx_selection *sel;
	struct slx_scan *scan;
	struct slx_parts parts;
	uint64_t *states; /* of one run, translated */
	uint64_t points, lsn;
};

/* Numbers of states mean nothing outside of their tenant: by text. */
static silex_status translate(struct copying *c, const struct slx_run *run, const uint64_t **ret, silex_error *err)
{
	for (size_t i = 0; i < run->n; i++) {
		uint32_t number;
		const char *text = slx_snapshot_state(c->snap, (uint32_t)run->bits[i]);
		if (!text)
			return slx_err(err, SILEX_CORRUPT, "state %llu has no text", (unsigned long long)run->bits[i]);
		SLX_TRY(slx_engine_state(c->to, c->tenant, (struct slx_str){ text, strlen(text) }, &number, err));
		c->states[i] = number;
	}
	*ret = c->states;
	return SILEX_OK;
}

static silex_status write_run(struct copying *c, struct slx_handle *h, struct slx_run *run, silex_error *err)
{
	struct slx_write_result result = { 0 };
	const uint64_t *bits = run->bits;
	if (run->kind == SLX_KIND_ENUM)
		SLX_TRY(translate(c, run, &bits, err));
	struct slx_write w = { .tenant = c->tenant, .kind = run->kind, .n = run->n, .handles = &h, .handle_stride = 0, .ts = run->ts, .ts_stride = sizeof *run->ts,
		.bits = bits, .bits_stride = sizeof *bits };
	SLX_TRY(slx_engine_write(c->to, &w, &result, &c->lsn, err));
	if (result.refused)
		return slx_err(err, result.error.code, "the database refuses what is restored: %s", result.error.message);
	c->points += run->n;
	return SILEX_OK;
}

static silex_status copy_series(struct copying *c, size_t i, silex_error *err)
{
	struct slx_handle *h;
	struct slx_run run;
	bool more = true;
	SLX_TRY(slx_snapshot_collect(c->snap, c->sel, i, SLX_TIME_ALL, &c->parts, err));
	SLX_TRY(slx_handle_new(c->to, c->tenant, slx_selection_labels(c->sel, i), NULL, &h, err));
	slx_scan_start(c->scan, c->parts.parts, c->parts.n, c->parts.hides, c->parts.n_hides, SLX_TIME_ALL);
	silex_status st = SILEX_OK;
	while (st == SILEX_OK && more) {
		st = slx_scan_next(c->scan, &run, &more, err);
		if (st == SILEX_OK && more && run.whole)
			st = slx_scan_decode(c->scan, &run, err);
		if (st == SILEX_OK && more)
			st = write_run(c, h, &run, err);
	}
	slx_handle_free(h);
	return st;
}

static silex_status copy_all(struct copying *c, struct slx_engine *from, struct slx_str tenant, struct slx_progress *progress, silex_error *err)
{
	SLX_TRY(slx_snapshot_new(from, (struct slx_identity){ .tenant = tenant }, &c->snap, err));
	SLX_TRY(slx_snapshot_select(c->snap, NULL, 0, SLX_TIME_ALL, &c->sel, err));
	if (slx_selection_damage(c->sel))
		return slx_err(err, SILEX_CORRUPT, "%s", slx_selection_damage(c->sel)->message);
	SLX_TRY(slx_scan_new(slx_engine_mem(from), slx_engine_codecs(from), &c->scan, err));
	progress->done = 0;
	progress->total = slx_selection_count(c->sel);
	for (size_t i = 0; i < progress->total; i++) {
		SLX_TRY(copy_series(c, i, err));
		SLX_TRY(slx_progress_add(progress, 1, err));
	}
	return c->lsn ? slx_engine_wait(c->to, c->lsn, err) : SILEX_OK;
}

static silex_status copy_one(struct slx_engine *from, struct slx_str name, struct slx_engine *to, struct slx_str to_name, struct slx_progress *progress,
	uint64_t *ret_points, silex_error *err)
{
	struct copying c = { .to = to };
	SLX_TRY(slx_engine_tenant(to, to_name, &c.tenant, err));
	c.states = slx_alloc(slx_engine_mem(to), SLX_MEM_OTHER, SLX_CHUNK_MAX * sizeof *c.states);
	slx_parts_init(&c.parts, slx_engine_mem(from));
	silex_status st = c.states ? copy_all(&c, from, name, progress, err) : slx_err_oom(err);
	slx_scan_free(c.scan);
	slx_parts_free(&c.parts);
	slx_selection_free(c.sel);
	slx_snapshot_free(c.snap);
	slx_free(slx_engine_mem(to), SLX_MEM_OTHER, c.states, c.states ? SLX_CHUNK_MAX * sizeof *c.states : 0);
	*ret_points = c.points;
	return st;
}

silex_status slx_tenant_copy(struct slx_engine *from, const char *tenant_from, struct slx_engine *to, const char *tenant_to, struct slx_progress *progress,
	silex_restore_info *info, silex_error *err)
{
	static const char *const companions[] = { "", "!exemplars", "!metadata" };
	for (size_t i = 0; i < sizeof companions / sizeof *companions; i++) {
		char a[SLX_TENANT_STORED_MAX + 1], b[SLX_TENANT_STORED_MAX + 1];
		uint64_t points = 0;
		int n = snprintf(a, sizeof a, "%s%s", tenant_from, companions[i]), k = snprintf(b, sizeof b, "%s%s", tenant_to, companions[i]);
		SLX_TRY(copy_one(from, (struct slx_str){ a, (size_t)n }, to, (struct slx_str){ b, (size_t)k }, progress, &points, err));
		if (i == 0 && points == 0)
			return slx_err(err, SILEX_NOT_FOUND, "tenant \"%s\" has no samples in what is restored", tenant_from);
		if (i == 0)
			info->points = points;
	}
	return SILEX_OK;
}
