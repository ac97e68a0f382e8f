/* Listing series, names, labels, tenants; facts of one series; verify and inspect. */
#include "api/api_int.h"

#include <stdlib.h>

/* --- a walk over the series that have samples in a range ---------------------------------------------------------------------------- */

struct walk {
	silex_db *db;
	struct slx_snapshot *snap;
	struct slx_selection *sel;
	struct slx_scan *scan;
	struct slx_parts parts;
	struct slx_time_range range;
};

static silex_status walk_open(struct walk *w, silex_db *db, const char *tenant, struct slx_matcher *const *ms, size_t n, struct slx_time_range range,
	silex_error *err)
{
	struct slx_identity who = { 0 };
	*w = (struct walk){ .db = db, .range = range };
	slx_parts_init(&w->parts, db->mem);
	SLX_TRY(slx_api_tenant(tenant, &who.tenant, err));
	SLX_TRY(slx_snapshot_new(db->engine, who, &w->snap, err));
	SLX_TRY(slx_scan_new(db->mem, slx_engine_codecs(db->engine), &w->scan, err));
	return slx_snapshot_select(w->snap, ms, n, range, &w->sel, err);
}

static void walk_close(struct walk *w)
{
	slx_selection_free(w->sel);
	slx_scan_free(w->scan);
	slx_parts_free(&w->parts);
	slx_snapshot_free(w->snap);
}

/* A damaged section that the selection left out: told after the rest was visited. */
static silex_status walk_damage(const struct walk *w, silex_status status, silex_error *err)
{
	const silex_error *damage = status == SILEX_OK && w->sel ? slx_selection_damage(w->sel) : NULL;
	return damage ? slx_err(err, damage->code, "%s", damage->message) : status;
}

/* Whether series i has a visible sample in range. */
static silex_status walk_alive(struct walk *w, size_t i, bool *ret, silex_error *err)
{
	struct slx_run run;
	SLX_TRY(slx_snapshot_check(w->snap, err));
	SLX_TRY(slx_snapshot_collect(w->snap, w->sel, i, w->range, &w->parts, err));
	slx_scan_start(w->scan, w->parts.parts, w->parts.n, w->parts.hides, w->parts.n_hides, w->range);
	return slx_scan_next(w->scan, &run, ret, err);
}

static silex_status walk_selector(struct walk *w, silex_db *db, const char *tenant, const char *selector, struct slx_time_range range, silex_error *err)
{
	struct slx_selector sel;
	SLX_TRY(slx_api_selector(db, selector, &sel, err));
	silex_status status = walk_open(w, db, tenant, sel.matchers, sel.n, range, err);
	slx_selector_free(&sel);
	return status;
}

/* --- series --------------------------------------------------------------------------------------------------------------------------- */

silex_status silex_list_series(silex_db *db, const char *tenant, const char *selector, int64_t start, int64_t end, silex_series_fn each, void *arg,
	silex_error *err)
{
	struct walk w = { 0 };
	struct slx_time_range range = { slx_api_bound(db, start), slx_api_bound(db, end) };
	if (start > end)
		return slx_err(err, SILEX_INVALID, "start %lld is after end %lld", (long long)start, (long long)end);
	silex_status status = walk_selector(&w, db, tenant, selector, range, err);
	bool more = true;
	for (size_t i = 0; status == SILEX_OK && more && i < slx_selection_count(w.sel); i++) {
		const silex_label *labels;
		size_t n;
		bool alive;
		status = walk_alive(&w, i, &alive, err);
		if (status != SILEX_OK || !alive)
			continue;
		slx_arena_clear(&w.parts.arena);
		status = slx_api_label_array(&w.parts.arena, slx_selection_labels(w.sel, i), &labels, &n, err);
		if (status == SILEX_OK)
			more = each(arg, labels, n);
	}
	status = walk_damage(&w, status, err);
	walk_close(&w);
	return status;
}

/* --- distinct texts ---------------------------------------------------------------------------------------------------------------------- */

struct texts {
	struct slx_mem *mem;
	struct slx_str *p;
	size_t n, cap;
};

static bool texts_add(struct texts *t, struct slx_str s)
{
	if (t->n && slx_str_eq(t->p[t->n - 1], s))
		return true;
	if (t->n == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		struct slx_str *p = slx_realloc(t->mem, SLX_MEM_QUERY, t->p, t->cap * sizeof *p, cap * sizeof *p);
		if (!p)
			return false;
		t->p = p;
		t->cap = cap;
	}
	t->p[t->n++] = s;
	return true;
}

static int by_text(const void *a, const void *b)
{
	return slx_str_cmp(*(const struct slx_str *)a, *(const struct slx_str *)b);
}

static silex_status texts_visit(struct texts *t, silex_text_fn each, void *arg, silex_error *err)
{
	struct slx_buf z;
	silex_status status = SILEX_OK;
	slx_buf_init(&z, t->mem, SLX_MEM_QUERY, 1 << 20);
	if (t->n)
		qsort(t->p, t->n, sizeof *t->p, by_text);
	for (size_t i = 0; i < t->n && status == SILEX_OK; i++) {
		if (i > 0 && slx_str_eq(t->p[i], t->p[i - 1]))
			continue;
		slx_buf_reset(&z);
		slx_buf_put(&z, t->p[i].p, t->p[i].n);
		slx_buf_u8(&z, 0);
		if (z.failed)
			status = slx_err_oom(err);
		else if (!each(arg, (const char *)z.p))
			break;
	}
	slx_buf_free(&z);
	return status;
}

/* name NULL: the names of labels; else the values of that one. */
static silex_status distinct(silex_db *db, const char *tenant, const char *selector, const char *name, silex_text_fn each, void *arg, silex_error *err)
{
	struct walk w = { 0 };
	struct texts t = { .mem = db->mem };
	silex_status status = walk_selector(&w, db, tenant, selector, SLX_TIME_ALL, err);
	for (size_t i = 0; status == SILEX_OK && i < slx_selection_count(w.sel); i++) {
		bool alive, room = true;
		status = walk_alive(&w, i, &alive, err);
		if (status != SILEX_OK || !alive)
			continue;
		struct slx_labels l = slx_selection_labels(w.sel, i);
		struct slx_labels_iter it = slx_labels_iter(l);
		struct slx_str value = name ? slx_labels_get(l, slx_str(name)) : (struct slx_str){ 0 };
		if (name && value.n)
			room = texts_add(&t, value);
		for (struct slx_label label; !name && room && slx_labels_next(&it, &label);)
			room = texts_add(&t, label.name);
		if (!room)
			status = slx_err_oom(err);
	}
	if (status == SILEX_OK)
		status = texts_visit(&t, each, arg, err);
	status = walk_damage(&w, status, err);
	slx_free(db->mem, SLX_MEM_QUERY, t.p, t.cap * sizeof *t.p);
	walk_close(&w);
	return status;
}

silex_status silex_list_names(silex_db *db, const char *tenant, silex_text_fn each, void *arg, silex_error *err)
{
	return distinct(db, tenant, NULL, "__name__", each, arg, err);
}

silex_status silex_label_names(silex_db *db, const char *tenant, const char *selector, silex_text_fn each, void *arg, silex_error *err)
{
	return distinct(db, tenant, selector, NULL, each, arg, err);
}

silex_status silex_label_values(silex_db *db, const char *tenant, const char *label, const char *selector, silex_text_fn each, void *arg, silex_error *err)
{
	if (!label || !*label)
		return slx_err(err, SILEX_INVALID, "label name is empty");
	return distinct(db, tenant, selector, label, each, arg, err);
}

struct visit {
	silex_db *db;
	silex_text_fn each;
	void *arg;
	silex_status status;
	silex_error *err;
};

/* A tenant whose samples are all deleted is not there any more, though the head or a block may still name it. */
static silex_status tenant_alive(silex_db *db, const char *name, bool *ret, silex_error *err)
{
	struct walk w = { 0 };
	silex_status status = walk_selector(&w, db, name, NULL, SLX_TIME_ALL, err);
	*ret = false;
	for (size_t i = 0; status == SILEX_OK && !*ret && i < slx_selection_count(w.sel); i++)
		status = walk_alive(&w, i, ret, err);
	walk_close(&w);
	return status;
}

static bool visit_tenant(void *arg, struct slx_str name)
{
	struct visit *v = arg;
	char text[SLX_TENANT_SIZE_MAX + 1];
	bool alive;
	memcpy(text, name.p, name.n);
	text[name.n] = 0;
	v->status = tenant_alive(v->db, text, &alive, v->err);
	return v->status == SILEX_OK && (!alive || v->each(v->arg, text));
}

silex_status silex_list_tenants(silex_db *db, silex_text_fn each, void *arg, silex_error *err)
{
	struct visit v = { .db = db, .each = each, .arg = arg, .err = err };
	SLX_TRY(slx_engine_tenants(db->engine, visit_tenant, &v, err));
	return v.status;
}

/* --- one series ---------------------------------------------------------------------------------------------------------------------------- */

static silex_status count_part(struct slx_chunk_work *work, const struct slx_codec_choice *c, const struct slx_part *p, silex_series_info *r,
	silex_error *err)
{
	struct slx_chunk_meta m;
	struct slx_payload payload = { 0 };
	if (p->type == SLX_PART_RAW) {
		r->bytes += p->raw.n * 16;
		return SILEX_OK;
	}
	uint32_t n = p->type == SLX_PART_MEMORY ? p->memory.n : p->block.n;
	for (uint32_t i = 0; i < n; i++) {
		if (p->type == SLX_PART_MEMORY)
			m = p->memory.chunks[i]->meta;
		else
			slx_section_meta(p->block.section, p->block.first + i, &m);
		r->bytes += m.size;
		r->chunks++;
	}
	if (p->type == SLX_PART_BLOCK && n)
		SLX_TRY(slx_section_load(p->block.section, p->block.first + n - 1, &payload, err));
	if (n)
		slx_chunk_describe(work, c, &m, p->type == SLX_PART_MEMORY ? p->memory.chunks[n - 1]->bytes : payload.bytes, r->codec, sizeof r->codec);
	slx_payload_release(&payload);
	return SILEX_OK;
}

static void count_run(const silex_db *db, const struct slx_run *run, silex_series_info *r)
{
	for (size_t i = 0; i < run->n; i++) {
		double v = slx_bits_number(run->kind, run->bits[i]);
		if (r->count + i == 0) {
			r->first_time = slx_api_units(db, run->ts[i]);
			r->first = v;
			r->min = r->max = v;
		}
		if (v < r->min || r->min != r->min)
			r->min = v;
		if (v > r->max || r->max != r->max)
			r->max = v;
		r->last = v;
	}
	r->count += run->n;
	r->last_time = slx_api_units(db, run->ts[run->n - 1]);
	if (!slx_kind_is_bytes(run->kind)) /* this interface has no name for them: they count, as NaN */
		r->kind = slx_api_kind(run->kind);
}

static silex_status info_of(struct walk *w, size_t i, silex_series_info *ret, silex_error *err)
{
	struct slx_chunk_work *work;
	SLX_TRY(slx_snapshot_collect(w->snap, w->sel, i, SLX_TIME_ALL, &w->parts, err));
	SLX_TRY(slx_chunk_work_new(w->db->mem, SLX_MEM_QUERY, &work, err));
	silex_status status = SILEX_OK;
	for (size_t k = 0; k < w->parts.n && status == SILEX_OK; k++)
		status = count_part(work, slx_engine_codecs(w->db->engine), &w->parts.parts[k], ret, err);
	slx_chunk_work_free(work);
	SLX_TRY(status);
	slx_scan_start(w->scan, w->parts.parts, w->parts.n, w->parts.hides, w->parts.n_hides, SLX_TIME_ALL);
	for (;;) {
		struct slx_run run;
		bool more;
		SLX_TRY(slx_scan_next(w->scan, &run, &more, err));
		if (!more)
			break;
		SLX_TRY(slx_scan_decode(w->scan, &run, err));
		count_run(w->db, &run, ret);
	}
	if (!ret->codec[0])
		memcpy(ret->codec, "tail", 5);
	return SILEX_OK;
}

/* Equality on each label selects the series, and others that have more labels besides. */
static silex_status exact(silex_db *db, struct slx_labels l, struct slx_selector *sel, silex_error *err)
{
	struct slx_labels_iter it = slx_labels_iter(l);
	sel->mem = db->mem;
	sel->n = 0;
	sel->matchers = slx_calloc(db->mem, SLX_MEM_OTHER, slx_labels_count(l) * sizeof *sel->matchers);
	if (!sel->matchers)
		return slx_err_oom(err);
	for (struct slx_label label; slx_labels_next(&it, &label); sel->n++)
		SLX_TRY(slx_matcher_new(db->mem, SLX_MATCH_EQ, label.name, label.value, &sel->matchers[sel->n], err));
	return SILEX_OK;
}

silex_status silex_series_info_get(silex_db *db, const char *tenant, const silex_label *labels, size_t n_labels, silex_series_info *ret, silex_error *err)
{
	struct slx_labels_builder b;
	struct slx_labels l;
	struct slx_selector sel = { 0 };
	struct walk w = { 0 };
	silex_series_info r = { 0 };
	slx_labels_builder_init(&b, db->mem, SLX_MEM_OTHER, NULL);
	silex_status status = slx_api_labels(&b, labels, n_labels, &l, err);
	if (status == SILEX_OK)
		status = exact(db, l, &sel, err);
	if (status == SILEX_OK) {
		status = walk_open(&w, db, tenant, sel.matchers, sel.n, SLX_TIME_ALL, err);
		for (size_t i = 0; status == SILEX_OK && i < slx_selection_count(w.sel); i++)
			if (slx_labels_eq(slx_selection_labels(w.sel, i), l))
				status = info_of(&w, i, &r, err);
		walk_close(&w);
	}
	for (size_t i = 0; i < sel.n; i++)
		slx_matcher_free(sel.matchers[i]);
	if (sel.matchers)
		slx_free(db->mem, SLX_MEM_OTHER, sel.matchers, slx_labels_count(l) * sizeof *sel.matchers);
	slx_labels_builder_free(&b);
	if (status == SILEX_OK && r.count == 0)
		return slx_err(err, SILEX_NOT_FOUND, "no such series, or no samples of it are left");
	if (status == SILEX_OK)
		*ret = r;
	return status;
}

/* --- from outside ---------------------------------------------------------------------------------------------------------------------------- */

silex_status silex_verify(const char *path, const silex_options *o, silex_progress_fn progress, silex_text_fn fault, void *arg, silex_verify_report *ret,
	silex_error *err)
{
	silex_options opt;
	struct slx_engine *e;
	silex_verify_report own = { 0 };
	SLX_TRY(slx_options_resolve(o, &opt, err));
	opt.read_only = true;
	if (opt.memory_limit < UINT64_C(4) << 30)
		opt.memory_limit = UINT64_C(4) << 30; /* the log is replayed into memory */
	silex_error why = { 0 };
	silex_status status = slx_engine_open(path, &opt, &e, &why);
	if (status == SILEX_CORRUPT) {
		own.faults = 1;
		if (fault)
			fault(arg, why.message);
	}
	if (status != SILEX_OK) {
		if (ret)
			*ret = own;
		return slx_err(err, status, "verify %s: %s", path, why.message);
	}
	status = slx_engine_verify(e, progress, fault, arg, &own, err);
	slx_engine_close(e, NULL);
	if (ret)
		*ret = own;
	return status;
}

silex_status silex_inspect(const char *path, int depth, silex_text_fn line, void *arg, silex_error *err)
{
	return slx_engine_inspect(path, depth, line, arg, err);
}
