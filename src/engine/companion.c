/* Companions (companion.h): exemplars and metadata to values and back. Writing is one slx_engine_write of a batch; reading is
 * a scan of the internal tenant's series.
 *
 *     exemplars of one time   { f64 value, varint labels, { varint n, name, varint n, value }* }*
 *     metadata                varint n, type, varint n, unit, varint n, help
 *
 * Agents send the metadata of all metrics again and again. `known` has a hash of what was written last for each metric; the first
 * put of a tenant fills it from the store. It forgets all when it grows over KNOWN_MAX: metadata is then written once more. */
#include "engine/companion.h"

#include "engine/blobs.h"
#include "engine/engine_int.h"

enum { KNOWN_MIN = 256, KNOWN_MAX = 1 << 18, TEXT_SIZE_MAX = SLX_VALUE_SIZE_MAX / 4 };

static struct slx_str name_of(struct slx_str tenant, const char *word, char room[SLX_COMPANION_NAME_SIZE])
{
	size_t n = strlen(word);
	memcpy(room, tenant.p, tenant.n);
	memcpy(room + tenant.n, word, n);
	return (struct slx_str){ room, tenant.n + n };
}

struct slx_str slx_companion_exemplars(struct slx_str tenant, char room[SLX_COMPANION_NAME_SIZE])
{
	return slx_tenant_is_internal(tenant) ? tenant : name_of(tenant, "!exemplars", room);
}

static void put_str(struct slx_buf *b, struct slx_str s)
{
	slx_buf_varint(b, s.n);
	slx_buf_put(b, s.p, s.n);
}

static struct slx_str get_str(struct slx_rd *r)
{
	size_t n = (size_t)slx_rd_varint(r);
	const uint8_t *p = slx_rd_bytes(r, n);
	return p ? (struct slx_str){ (const char *)p, n } : (struct slx_str){ "", 0 };
}

/* --- exemplars out ---------------------------------------------------------------------------------------------------------- */

static bool same_place(const struct slx_exemplar_row *a, const struct slx_exemplar_row *b)
{
	return a->t == b->t && a->series.n == b->series.n && memcmp(a->series.p, b->series.p, a->series.n) == 0;
}

static void put_exemplar(struct slx_buf *value, const struct slx_exemplar_row *x)
{
	slx_buf_u64(value, slx_f64_bits(x->value));
	slx_buf_varint(value, x->n_labels);
	for (size_t i = 0; i < x->n_labels; i++) {
		put_str(value, x->labels[i].name);
		put_str(value, x->labels[i].value);
	}
}

/* One value for each run of rows of one series and time; *ret_legal counts the rows of a legal time. */
static silex_status put_exemplars(struct slx_blob_batch *b, struct slx_buf *value, const struct slx_exemplar_row *rows, size_t n, size_t *ret_legal, silex_error *err)
{
	*ret_legal = 0;
	for (size_t i = 0, end; i < n; i = end) {
		slx_buf_reset(value);
		for (end = i; end < n && same_place(&rows[i], &rows[end]); end++)
			put_exemplar(value, &rows[end]);
		if (!slx_time_legal(rows[i].t))
			continue;
		*ret_legal += end - i;
		SLX_TRY(slx_blob_batch_add(b, rows[i].series, rows[i].t, value, err));
	}
	return SILEX_OK;
}

silex_status slx_engine_exemplar_put(struct slx_engine *e, struct slx_tenant *t, const struct slx_exemplar_row *rows, size_t n, size_t *ret_written,
	uint64_t *ret_lsn, silex_error *err)
{
	char room[SLX_COMPANION_NAME_SIZE];
	struct slx_blob_batch b;
	struct slx_buf value;
	struct slx_write_result r = { 0 };
	size_t legal = 0;
	uint64_t lsn = 0;
	slx_buf_init(&value, &e->mem, SLX_MEM_OTHER, SIZE_MAX);
	silex_status status = slx_blob_batch_begin(&b, e, slx_companion_exemplars(t->name, room), n, err);
	if (status == SILEX_OK)
		status = put_exemplars(&b, &value, rows, n, &legal, err);
	if (status == SILEX_OK && b.n)
		status = slx_blob_batch_write(e, &b, &r, ret_lsn ? &lsn : NULL, err);
	slx_buf_free(&value);
	slx_blob_batch_end(&b);
	if (status == SILEX_OK && ret_written)
		*ret_written = legal - r.refused;
	if (status == SILEX_OK && ret_lsn)
		*ret_lsn = lsn;
	return status;
}

/* --- exemplars in ------------------------------------------------------------------------------------------------------------------ */

/* The next exemplar of a value; its labels are put into room. false: the value is not well formed. */
static bool get_exemplar(struct slx_rd *rd, struct slx_arena *room, struct slx_exemplar_row *ret)
{
	ret->value = slx_bits_f64(slx_rd_u64(rd));
	uint64_t n = slx_rd_varint(rd);
	if (rd->bad || n > slx_rd_left(rd) / 2)
		return false;
	struct slx_label *labels = slx_arena_alloc(room, (size_t)n * sizeof *labels + 1, 8);
	for (uint64_t i = 0; labels && i < n; i++) {
		labels[i].name = get_str(rd);
		labels[i].value = get_str(rd);
	}
	ret->labels = labels;
	ret->n_labels = (size_t)n;
	return labels && !rd->bad;
}

static silex_status give_exemplars(struct slx_arena *room, const struct slx_run *run, size_t i, struct slx_exemplar_row *row, slx_exemplar_fn *each, void *arg,
	bool *ret_more, silex_error *err)
{
	struct slx_str v = slx_value_bytes(run->bits[i]);
	struct slx_rd rd = slx_rd_init(v.p, v.n);
	row->t = run->ts[i];
	while (*ret_more && slx_rd_left(&rd)) {
		slx_arena_clear(room);
		if (!get_exemplar(&rd, room, row))
			return slx_err(err, SILEX_CORRUPT, "exemplar, offset %zu: not well formed", (size_t)(rd.p - (const uint8_t *)v.p));
		*ret_more = each(arg, row);
	}
	return SILEX_OK;
}

silex_status slx_engine_exemplars(struct slx_engine *e, struct slx_str tenant, struct slx_matcher *const *ms, size_t n, struct slx_time_range range,
	slx_exemplar_fn *each, void *arg, silex_error *err)
{
	char name[SLX_COMPANION_NAME_SIZE];
	struct slx_blob_reader r;
	struct slx_arena room;
	bool more = true;
	slx_arena_init(&room, &e->mem, SLX_MEM_QUERY, 4096);
	silex_status status = slx_blob_reader_begin(&r, e, slx_companion_exemplars(tenant, name), ms, n, range, err);
	for (size_t i = 0; status == SILEX_OK && more && i < slx_selection_count(r.sel); i++) {
		struct slx_exemplar_row row = { .series = slx_selection_labels(r.sel, i) };
		struct slx_run run = { 0 };
		status = slx_blob_reader_series(&r, i, range, err);
		while (status == SILEX_OK && more && (status = slx_blob_reader_next(&r, &run, err)) == SILEX_OK && run.n)
			for (size_t k = 0; status == SILEX_OK && more && k < run.n; k++)
				status = give_exemplars(&room, &run, k, &row, each, arg, &more, err);
	}
	if (status == SILEX_OK)
		status = slx_blob_reader_damage(&r, err);
	slx_arena_clear(&room);
	slx_blob_reader_end(&r);
	return status;
}

/* --- metadata in -------------------------------------------------------------------------------------------------------------------- */

static silex_status get_metadata(struct slx_labels labels, const struct slx_buf *value, struct slx_metadata_row *ret, silex_error *err)
{
	struct slx_rd rd = slx_rd_init(value->p, value->n);
	ret->metric = slx_labels_get(labels, SLX_METRIC_NAME);
	ret->type = get_str(&rd);
	ret->unit = get_str(&rd);
	ret->help = get_str(&rd);
	return rd.bad ? slx_err(err, SILEX_CORRUPT, "metadata of %.*s: not well formed", (int)ret->metric.n, ret->metric.p) : SILEX_OK;
}

silex_status slx_engine_metadata(struct slx_engine *e, struct slx_str tenant, struct slx_str metric, slx_metadata_fn *each, void *arg, silex_error *err)
{
	char name[SLX_COMPANION_NAME_SIZE];
	struct slx_blob_reader r;
	struct slx_buf value;
	struct slx_matcher *m = NULL;
	bool more = true;
	slx_buf_init(&value, &e->mem, SLX_MEM_QUERY, SIZE_MAX);
	if (metric.n)
		SLX_TRY(slx_matcher_new(&e->mem, SLX_MATCH_EQ, SLX_METRIC_NAME, metric, &m, err));
	silex_status status = slx_blob_reader_begin(&r, e, name_of(tenant, "!metadata", name), &m, m ? 1 : 0, SLX_TIME_ALL, err);
	for (size_t i = 0; status == SILEX_OK && more && i < slx_selection_count(r.sel); i++) {
		struct slx_metadata_row row;
		int64_t t;
		status = slx_blob_reader_newest(&r, i, &t, &value, err);
		if (status != SILEX_OK || value.n == 0)
			continue;
		status = get_metadata(slx_selection_labels(r.sel, i), &value, &row, err);
		more = status == SILEX_OK && each(arg, &row);
	}
	if (status == SILEX_OK)
		status = slx_blob_reader_damage(&r, err);
	slx_blob_reader_end(&r);
	slx_matcher_free(m);
	slx_buf_free(&value);
	return status;
}

/* --- metadata out: what is known already ------------------------------------------------------------------------------------------- */

void slx_companions_free(struct slx_engine *e)
{
	slx_free(&e->mem, SLX_MEM_OTHER, e->known.slot, e->known.cap * sizeof *e->known.slot);
	e->known = (struct slx_known_metadata){ 0 };
}

static uint32_t known_find(const struct slx_known_metadata *k, uint64_t metric)
{
	uint32_t i = (uint32_t)metric & (k->cap - 1);
	while (k->slot[i].metric && k->slot[i].metric != metric)
		i = (i + 1) & (k->cap - 1);
	return i;
}

/* Room for one more; full, it forgets all. Without memory it stays as it is. */
static void known_grow(struct slx_engine *e)
{
	struct slx_known_metadata *k = &e->known, to = { .cap = k->cap ? k->cap * 2 : KNOWN_MIN, .n = k->n };
	if (k->n * 2 < k->cap)
		return;
	if (to.cap > KNOWN_MAX) {
		memset(k->slot, 0, k->cap * sizeof *k->slot);
		k->n = 0;
		return;
	}
	to.slot = slx_calloc(&e->mem, SLX_MEM_OTHER, to.cap * sizeof *to.slot);
	if (!to.slot)
		return;
	for (uint32_t i = 0; i < k->cap; i++)
		if (k->slot[i].metric)
			to.slot[known_find(&to, k->slot[i].metric)] = k->slot[i];
	slx_companions_free(e);
	*k = to;
}

static void known_set(struct slx_engine *e, uint64_t metric, uint64_t content)
{
	known_grow(e);
	struct slx_known_metadata *k = &e->known;
	if (k->n * 2 >= k->cap)
		return;
	uint32_t i = known_find(k, metric);
	k->n += k->slot[i].metric == 0;
	k->slot[i].metric = metric;
	k->slot[i].content = content;
}

static uint64_t metric_hash(struct slx_str tenant, struct slx_str metric)
{
	uint64_t h = slx_hash64(metric.p, metric.n) ^ slx_hash64(tenant.p, tenant.n) * 3;
	return h ? h : 1;
}

static void put_metadata(struct slx_buf *b, const struct slx_metadata_row *row)
{
	slx_buf_reset(b);
	put_str(b, row->type);
	put_str(b, row->unit);
	put_str(b, row->help);
}

struct learning {
	struct slx_engine *e;
	struct slx_str tenant;
	struct slx_buf value;
};

static bool learn(void *arg, const struct slx_metadata_row *row)
{
	struct learning *l = arg;
	put_metadata(&l->value, row);
	if (l->value.failed)
		return false;
	pthread_mutex_lock(&l->e->tenants_lock);
	known_set(l->e, metric_hash(l->tenant, row->metric), slx_hash64(l->value.p, l->value.n));
	pthread_mutex_unlock(&l->e->tenants_lock);
	return true;
}

/* The first put of a tenant asks the store. Two threads may do so at once. What cannot be read is written again. */
static void learn_tenant(struct slx_engine *e, struct slx_tenant *t)
{
	struct learning l = { .e = e, .tenant = t->name };
	pthread_mutex_lock(&e->tenants_lock);
	bool known = t->metadata_known;
	pthread_mutex_unlock(&e->tenants_lock);
	if (known)
		return;
	slx_buf_init(&l.value, &e->mem, SLX_MEM_OTHER, SIZE_MAX);
	slx_engine_metadata(e, t->name, (struct slx_str){ 0 }, learn, &l, NULL);
	slx_buf_free(&l.value);
	pthread_mutex_lock(&e->tenants_lock);
	t->metadata_known = true;
	pthread_mutex_unlock(&e->tenants_lock);
}

static bool is_known(struct slx_engine *e, uint64_t metric, uint64_t content)
{
	struct slx_known_metadata *k = &e->known;
	pthread_mutex_lock(&e->tenants_lock);
	uint32_t i = k->cap ? known_find(k, metric) : 0;
	bool known = k->cap && k->slot[i].metric == metric && k->slot[i].content == content;
	pthread_mutex_unlock(&e->tenants_lock);
	return known;
}

static struct slx_str cut(struct slx_str s) { return (struct slx_str){ s.p, s.n < TEXT_SIZE_MAX ? s.n : TEXT_SIZE_MAX }; }

/* The labels {__name__="<metric>"} in the arena; p NULL: out of memory. */
static struct slx_labels metric_labels(struct slx_arena *a, struct slx_str metric)
{
	size_t n = 1 + 1 + SLX_METRIC_NAME.n + SLX_VARINT_SIZE_MAX + metric.n;
	uint8_t *p = slx_arena_alloc(a, n, 1), *at = p;
	if (!p)
		return (struct slx_labels){ 0 };
	*at++ = 1;
	*at++ = (uint8_t)SLX_METRIC_NAME.n;
	memcpy(at, SLX_METRIC_NAME.p, SLX_METRIC_NAME.n);
	at = slx_put_varint(at + SLX_METRIC_NAME.n, metric.n);
	memcpy(at, metric.p, metric.n);
	return (struct slx_labels){ p, (size_t)(at - p) + metric.n };
}

/* The rows that say something new; their hashes for when they are written. */
static silex_status new_metadata(struct slx_blob_batch *b, struct slx_engine *e, struct slx_tenant *t, const struct slx_metadata_row *rows, size_t n, struct slx_buf *value,
	uint64_t (*hashes)[2], silex_error *err)
{
	int64_t now = slx_wall_ns(&e->clock);
	for (size_t i = 0; i < n; i++) {
		struct slx_metadata_row row = { rows[i].metric, cut(rows[i].type), cut(rows[i].unit), cut(rows[i].help) };
		put_metadata(value, &row);
		if (value->failed)
			return slx_err_oom(err);
		uint64_t metric = metric_hash(t->name, row.metric), content = slx_hash64(value->p, value->n);
		bool again = b->n && hashes[b->n - 1][0] == metric && hashes[b->n - 1][1] == content; /* series of one metric follow one another */
		if (row.metric.n == 0 || again || is_known(e, metric, content))
			continue;
		struct slx_labels labels = metric_labels(&b->arena, row.metric);
		if (!labels.p)
			return slx_err_oom(err);
		hashes[b->n][0] = metric;
		hashes[b->n][1] = content;
		SLX_TRY(slx_blob_batch_add(b, labels, now, value, err));
	}
	return SILEX_OK;
}

silex_status slx_engine_metadata_put(struct slx_engine *e, struct slx_tenant *t, const struct slx_metadata_row *rows, size_t n, uint64_t *ret_lsn,
	silex_error *err)
{
	char room[SLX_COMPANION_NAME_SIZE];
	struct slx_blob_batch b;
	struct slx_buf value;
	struct slx_write_result r = { 0 };
	uint64_t lsn = 0;
	learn_tenant(e, t);
	slx_buf_init(&value, &e->mem, SLX_MEM_OTHER, SIZE_MAX);
	silex_status status = slx_blob_batch_begin(&b, e, name_of(t->name, "!metadata", room), n, err);
	uint64_t(*hashes)[2] = status == SILEX_OK ? slx_arena_alloc(&b.arena, n * sizeof *hashes, 8) : NULL;
	if (status == SILEX_OK)
		status = hashes ? new_metadata(&b, e, t, rows, n, &value, hashes, err) : slx_err_oom(err);
	if (status == SILEX_OK && b.n)
		status = slx_blob_batch_write(e, &b, &r, ret_lsn ? &lsn : NULL, err);
	pthread_mutex_lock(&e->tenants_lock);
	for (size_t i = 0; status == SILEX_OK && r.refused == 0 && i < b.n; i++)
		known_set(e, hashes[i][0], hashes[i][1]);
	pthread_mutex_unlock(&e->tenants_lock);
	slx_buf_free(&value);
	slx_blob_batch_end(&b);
	if (status == SILEX_OK && ret_lsn)
		*ret_lsn = lsn;
	return status;
}
