/* A batch collects rows by kind of value and hands them to the engine a few thousand at a time, without waiting for the log;
 * commit waits once. Series stand in a table of the batch, and its pins keep the heads they lie in.
 *
 * What may fail: a label set or a sample is refused by itself; memory, disk and shutdown fail the batch. A failure sticks:
 * what comes after it is dropped, and commit tells it. */
#include "server/intake/intake.h"

#include "engine/companion.h"
#include "server/intake/cache.h"

#include <stdio.h>

enum {
	ROWS_MAX = 8192,  /* rows of a kind that wait for the engine: they stay in the processor's cache */
	BATCHES_KEPT = 8, /* idle ones */
	SERIES_KEPT = 1 << 16, /* a batch with a larger table is not kept, */
	SCRATCH_KEPT = 4 << 20, /* nor one with a larger buffer */
	HISTOGRAMS_MAX = 1 << 20, /* bytes of histograms that wait for the engine */
	BESIDE_MAX = 8 << 20,     /* bytes of exemplars and metadata of a batch; more exemplars are refused, more metadata is left out */
	CACHE_BYTES_DEFAULT = 32 << 20,
};

struct rows {
	uint32_t *series; /* number in the batch */
	int64_t *t;
	uint64_t *bits;
	size_t n;
};

/* Exemplars or metadata until the end of the batch; their bytes lie in its arena. */
struct beside {
	void *v;
	size_t n, cap;
};

struct slx_intake_batch {
	struct slx_intake *intake;
	struct slx_intake_batch *next; /* of the idle ones */
	struct slx_tenant *tenant;
	uint64_t seed; /* of the tenant's keys */
	struct slx_pins pins;
	struct slx_series_at *series;
	size_t series_n, series_cap;
	struct rows rows[SLX_KINDS];
	struct slx_labels_builder builder;
	struct slx_buf text;
	struct slx_buf scratch;      /* the caller's */
	struct slx_arena histograms; /* of the rows that wait */
	struct slx_buf histogram;
	struct slx_arena beside;
	struct beside exemplars, metadata;
	struct slx_intake_result result;
	bool backfill;
	uint64_t lsn;
	silex_status status; /* not OK: error tells why the batch failed */
	silex_error error;
};

struct slx_intake {
	struct slx_engine *engine;
	struct slx_mem *mem;
	struct slx_label_limits labels;
	struct slx_intake_cache *cache;
	pthread_mutex_t lock;
	struct slx_intake_batch *idle; /* guarded by lock */
	unsigned idle_n;               /* guarded by lock */
};

silex_status slx_intake_new(silex_db *db, const struct slx_intake_limits *l, struct slx_intake **ret, silex_error *err)
{
	struct slx_mem *mem = slx_api_mem(db);
	struct slx_intake *i = slx_calloc(mem, SLX_MEM_OTHER, sizeof *i);
	if (!i)
		return slx_err_oom(err);
	i->engine = slx_api_engine(db);
	i->mem = mem;
	i->labels = l && l->labels.labels_max ? l->labels : slx_label_limits_default;
	pthread_mutex_init(&i->lock, NULL);
	silex_status status = slx_intake_cache_new(mem, l && l->cache_bytes_max ? l->cache_bytes_max : CACHE_BYTES_DEFAULT, &i->cache, err);
	if (status != SILEX_OK) {
		slx_intake_free(i);
		return status;
	}
	*ret = i;
	return SILEX_OK;
}

/* --- batches --------------------------------------------------------------------------------------------------------- */

static void batch_free(struct slx_intake_batch *b)
{
	struct slx_mem *mem = b->intake->mem;
	for (unsigned k = 0; k < SLX_KINDS; k++) {
		slx_free(mem, SLX_MEM_OTHER, b->rows[k].series, ROWS_MAX * sizeof *b->rows[k].series);
		slx_free(mem, SLX_MEM_OTHER, b->rows[k].t, ROWS_MAX * sizeof *b->rows[k].t);
		slx_free(mem, SLX_MEM_OTHER, b->rows[k].bits, ROWS_MAX * sizeof *b->rows[k].bits);
	}
	slx_free(mem, SLX_MEM_OTHER, b->series, b->series_cap * sizeof *b->series);
	slx_labels_builder_free(&b->builder);
	slx_buf_free(&b->text);
	slx_buf_free(&b->histogram);
	slx_buf_free(&b->scratch);
	slx_arena_clear(&b->histograms);
	slx_arena_clear(&b->beside);
	slx_free(mem, SLX_MEM_OTHER, b->exemplars.v, b->exemplars.cap * sizeof(struct slx_exemplar_row));
	slx_free(mem, SLX_MEM_OTHER, b->metadata.v, b->metadata.cap * sizeof(struct slx_metadata_row));
	slx_free(mem, SLX_MEM_OTHER, b, sizeof *b);
}

void slx_intake_free(struct slx_intake *i)
{
	if (!i)
		return;
	while (i->idle) {
		struct slx_intake_batch *b = i->idle;
		i->idle = b->next;
		batch_free(b);
	}
	slx_intake_cache_free(i->cache);
	pthread_mutex_destroy(&i->lock);
	slx_free(i->mem, SLX_MEM_OTHER, i, sizeof *i);
}

static struct slx_intake_batch *batch_new(struct slx_intake *i)
{
	struct slx_intake_batch *b = slx_calloc(i->mem, SLX_MEM_OTHER, sizeof *b);
	if (!b)
		return NULL;
	b->intake = i;
	slx_labels_builder_init(&b->builder, i->mem, SLX_MEM_OTHER, &i->labels);
	slx_buf_init(&b->text, i->mem, SLX_MEM_OTHER, 4 * i->labels.size_max);
	slx_buf_init(&b->histogram, i->mem, SLX_MEM_OTHER, 1 << 20);
	slx_buf_init(&b->scratch, i->mem, SLX_MEM_OTHER, SIZE_MAX);
	slx_arena_init(&b->histograms, i->mem, SLX_MEM_OTHER, 1 << 20);
	slx_arena_init(&b->beside, i->mem, SLX_MEM_OTHER, 1 << 20);
	return b;
}

static struct slx_intake_batch *take(struct slx_intake *i)
{
	pthread_mutex_lock(&i->lock);
	struct slx_intake_batch *b = i->idle;
	if (b) {
		i->idle = b->next;
		i->idle_n--;
	}
	pthread_mutex_unlock(&i->lock);
	return b ? b : batch_new(i);
}

static void give_back(struct slx_intake_batch *b)
{
	struct slx_intake *i = b->intake;
	slx_engine_unpin(&b->pins);
	slx_arena_clear(&b->histograms);
	slx_arena_clear(&b->beside);
	b->exemplars.n = b->metadata.n = 0;
	for (unsigned k = 0; k < SLX_KINDS; k++)
		b->rows[k].n = 0;
	b->series_n = 0;
	pthread_mutex_lock(&i->lock);
	bool keep = i->idle_n < BATCHES_KEPT && b->series_cap <= SERIES_KEPT && b->scratch.cap <= SCRATCH_KEPT;
	if (keep) {
		b->next = i->idle;
		i->idle = b;
		i->idle_n++;
	}
	pthread_mutex_unlock(&i->lock);
	if (!keep)
		batch_free(b);
}

silex_status slx_intake_begin(struct slx_intake *i, struct slx_str tenant, struct slx_intake_batch **ret, silex_error *err)
{
	struct slx_tenant *t;
	SLX_TRY(slx_tenant_check(tenant, err));
	SLX_TRY(slx_engine_tenant(i->engine, tenant, &t, err));
	struct slx_intake_batch *b = take(i);
	if (!b)
		return slx_err_oom(err);
	b->tenant = t;
	b->seed = slx_hash64(tenant.p, tenant.n);
	b->result = (struct slx_intake_result){ 0 };
	b->backfill = false;
	b->lsn = 0;
	b->status = SILEX_OK;
	silex_status status = slx_engine_pin(i->engine, t, &b->pins, err);
	if (status != SILEX_OK) {
		give_back(b);
		return status;
	}
	*ret = b;
	return SILEX_OK;
}

void slx_intake_backfill(struct slx_intake_batch *b) { b->backfill = true; }

silex_status slx_intake_read_backfill(struct slx_str text, bool *ret, silex_error *err)
{
	bool yes = slx_str_eq(text, SLX_STR("1")) || slx_str_eq(text, SLX_STR("true"));
	if (!yes && text.p && !slx_str_eq(text, SLX_STR("0")) && !slx_str_eq(text, SLX_STR("false")))
		return slx_err(err, SILEX_INVALID, "backfill: expected 1 or 0");
	*ret = yes;
	return SILEX_OK;
}

void slx_intake_abandon(struct slx_intake_batch *b)
{
	if (b)
		give_back(b);
}

struct slx_buf *slx_intake_scratch(struct slx_intake_batch *b)
{
	slx_buf_reset(&b->scratch);
	return &b->scratch;
}

/* The first failure is the one to tell. */
static void fail(struct slx_intake_batch *b, const silex_error *why)
{
	if (b->status != SILEX_OK)
		return;
	b->status = why->code;
	b->error = *why;
}

/* --- refusing -------------------------------------------------------------------------------------------------------- */

static void cut(char to[SLX_INTAKE_TEXT_SIZE], const char *p, size_t n)
{
	bool whole = n < SLX_INTAKE_TEXT_SIZE;
	if (!whole)
		for (n = SLX_INTAKE_TEXT_SIZE - 4; n > 0 && ((unsigned char)p[n] & 0xc0) == 0x80;) /* not amid a character */
			n--;
	memcpy(to, p, n);
	strcpy(to + n, whole ? "" : "...");
}

static bool first_refused(struct slx_intake_batch *b, uint64_t n, silex_status code, const char *message)
{
	bool first = b->result.refused == 0;
	b->result.refused += n;
	if (!first)
		return false;
	b->result.first_code = code;
	cut(b->result.first_message, message, strlen(message));
	return true;
}

/* Label text as it came: it may be anything. */
static void put_foreign(struct slx_buf *out, struct slx_str s)
{
	for (size_t i = 0; i < s.n && i < SLX_INTAKE_TEXT_SIZE; i++) {
		unsigned char c = (unsigned char)s.p[i];
		slx_buf_u8(out, c < 0x20 || c == 0x7f ? '?' : c);
	}
}

void slx_intake_refuse(struct slx_intake_batch *b, uint64_t n, silex_status code, const struct slx_label *labels, size_t n_labels, const char *message)
{
	if (!first_refused(b, n, code, message))
		return;
	slx_buf_reset(&b->text);
	slx_buf_u8(&b->text, '{');
	for (size_t i = 0; i < n_labels && b->text.n < SLX_INTAKE_TEXT_SIZE; i++) {
		if (i)
			slx_buf_u8(&b->text, ',');
		put_foreign(&b->text, labels[i].name);
		slx_buf_put(&b->text, "=\"", 2);
		put_foreign(&b->text, labels[i].value);
		slx_buf_u8(&b->text, '"');
	}
	slx_buf_u8(&b->text, '}');
	if (slx_utf8_valid((const char *)b->text.p, b->text.n))
		cut(b->result.first_series, (const char *)b->text.p, b->text.n);
	else
		strcpy(b->result.first_series, "{} (not valid UTF-8)");
}

/* The canonical labels of a series of the batch, in b->text. */
static struct slx_labels series_labels(struct slx_intake_batch *b, uint32_t series)
{
	const struct slx_series_at *at = &b->series[series];
	slx_buf_reset(&b->text);
	for (unsigned i = 0; i < b->pins.n; i++)
		if ((uint32_t)slx_head_generation(b->pins.head[i]) == at->gen)
			slx_head_labels(b->pins.head[i], at->series, &b->text);
	return (struct slx_labels){ b->text.p, b->text.n };
}

void slx_intake_refuse_of(struct slx_intake_batch *b, uint64_t n, uint32_t series, silex_status code, const char *message)
{
	if (!first_refused(b, n, code, message))
		return;
	size_t from = series_labels(b, series).n;
	slx_buf_reserve(&b->text, 3 * from); /* the text below must not move the labels it reads */
	if (from)
		slx_labels_format((struct slx_labels){ b->text.p, from }, &b->text);
	cut(b->result.first_series, (const char *)b->text.p + from, b->text.n - from);
}

/* --- series ---------------------------------------------------------------------------------------------------------- */

/* Tenants are apart. */
static struct slx_hash128 key_of(const struct slx_intake_batch *b, struct slx_hash128 key)
{
	key.hi ^= b->seed;
	return key;
}

static silex_status add_series(struct slx_intake_batch *b, struct slx_series_at at, uint32_t *ret)
{
	if (b->series_n == b->series_cap) {
		size_t cap = b->series_cap ? b->series_cap * 2 : 1024;
		void *p = cap <= UINT32_MAX ? slx_realloc(b->intake->mem, SLX_MEM_OTHER, b->series, b->series_cap * sizeof at, cap * sizeof at) : NULL;
		if (!p)
			return slx_err(&b->error, b->status = SILEX_UNAVAILABLE, "out of memory for the series of a batch");
		b->series = p;
		b->series_cap = cap;
	}
	*ret = (uint32_t)b->series_n;
	b->series[b->series_n++] = at;
	return SILEX_OK;
}

silex_status slx_intake_lookup(struct slx_intake_batch *b, struct slx_hash128 key, uint32_t *ret)
{
	struct slx_series_at at;
	if (!slx_intake_cache_get(b->intake->cache, key_of(b, key), &at) || !slx_pins_hold(&b->pins, at.gen))
		return SILEX_NOT_FOUND;
	return add_series(b, at, ret);
}

silex_status slx_intake_define(struct slx_intake_batch *b, struct slx_hash128 key, const struct slx_label *labels, size_t n_labels, uint32_t *ret,
	silex_error *err)
{
	struct slx_labels l;
	struct slx_series_at at;
	silex_error why;
	slx_labels_builder_reset(&b->builder);
	for (size_t i = 0; i < n_labels; i++)
		slx_labels_builder_add(&b->builder, labels[i].name, labels[i].value);
	silex_status status = slx_labels_builder_finish(&b->builder, &l, &why);
	if (status == SILEX_OK && slx_labels_count(l) == 0)
		status = slx_err(&why, SILEX_INVALID, "the series has no labels");
	if (status == SILEX_OK)
		status = slx_engine_resolve(b->intake->engine, &b->pins, b->tenant, l, slx_series_id(slx_tenant_name(b->tenant), l), &at, &why);
	else if (status == SILEX_RESOURCE_EXHAUSTED)
		why.code = status = SILEX_UNAVAILABLE; /* the builder's memory, not a limit */
	if (status == SILEX_OK && (status = add_series(b, at, ret)) != SILEX_OK)
		why = b->error;
	if (status != SILEX_OK) {
		if (status == SILEX_UNAVAILABLE)
			fail(b, &why);
		return slx_err(err, status, "%s", why.message);
	}
	slx_intake_cache_put(b->intake->cache, key_of(b, key), at);
	return SILEX_OK;
}

/* --- samples --------------------------------------------------------------------------------------------------------- */

/* What waits of one kind goes to the engine. */
static void write_rows(struct slx_intake_batch *b, enum slx_kind kind)
{
	struct rows *r = &b->rows[kind];
	struct slx_write w = {
		.tenant = b->tenant,
		.kind = kind,
		.n = r->n,
		.rows = r->series,
		.at = b->series,
		.pins = &b->pins,
		.ts = r->t,
		.ts_stride = sizeof *r->t,
		.bits = r->bits,
		.bits_stride = sizeof *r->bits,
		.backfill = b->backfill,
	};
	struct slx_write_result result = { 0 };
	silex_error why;
	uint64_t lsn = 0;
	silex_status status = b->status == SILEX_OK && r->n ? slx_engine_write(b->intake->engine, &w, &result, &lsn, &why) : SILEX_OK;
	if (status == SILEX_OK && result.refused && result.error.code != SILEX_INVALID) {
		why = result.error; /* memory: the whole batch comes again */
		status = why.code;
	}
	if (status != SILEX_OK) {
		fail(b, &why);
	} else if (r->n && b->status == SILEX_OK) {
		if (result.refused)
			slx_intake_refuse_of(b, result.refused, r->series[result.first], result.error.code, result.error.message);
		*(kind == SLX_KIND_HISTOGRAM ? &b->result.histograms : &b->result.samples) += r->n - result.refused;
		b->lsn = lsn > b->lsn ? lsn : b->lsn;
	}
	r->n = 0;
	if (kind == SLX_KIND_HISTOGRAM)
		slx_arena_clear(&b->histograms);
}

static bool make_rows(struct slx_intake_batch *b, struct rows *r)
{
	struct slx_mem *mem = b->intake->mem;
	if (!r->series)
		r->series = slx_alloc(mem, SLX_MEM_OTHER, ROWS_MAX * sizeof *r->series);
	if (!r->t)
		r->t = slx_alloc(mem, SLX_MEM_OTHER, ROWS_MAX * sizeof *r->t);
	if (!r->bits)
		r->bits = slx_alloc(mem, SLX_MEM_OTHER, ROWS_MAX * sizeof *r->bits);
	if (r->series && r->t && r->bits)
		return true;
	silex_error why;
	slx_err(&why, SILEX_UNAVAILABLE, "out of memory for the rows of a batch");
	fail(b, &why);
	return false;
}

static void out_of_range(struct slx_intake_batch *b, uint32_t series, int64_t t)
{
	char text[80];
	if (t == INT64_MIN) /* it did not even fit */
		snprintf(text, sizeof text, "the time is outside the years 1677 to 2262");
	else
		snprintf(text, sizeof text, "time %lld ns is outside the years 1677 to 2262", (long long)t);
	slx_intake_refuse_of(b, 1, series, SILEX_INVALID, text);
}

void slx_intake_value(struct slx_intake_batch *b, uint32_t series, int64_t t, enum slx_kind kind, uint64_t bits)
{
	struct rows *r = &b->rows[kind];
	if (!slx_time_legal(t)) {
		out_of_range(b, series, t);
		return;
	}
	if (r->n == ROWS_MAX)
		write_rows(b, kind);
	if (!r->bits && !make_rows(b, r))
		return;
	r->series[r->n] = series;
	r->t[r->n] = t;
	r->bits[r->n++] = bits;
}

void slx_intake_float(struct slx_intake_batch *b, uint32_t series, int64_t t, double v)
{
	slx_intake_value(b, series, t, SLX_KIND_FLOAT64, slx_f64_bits(v));
}

/* The value of a row is the address of length and bytes, which live until the row is written. */
void slx_intake_histogram(struct slx_intake_batch *b, uint32_t series, int64_t t, const struct slx_histogram *h)
{
	silex_error why;
	silex_status status = slx_histogram_check(h, &why);
	if (status != SILEX_OK) {
		slx_intake_refuse_of(b, 1, series, status, why.message);
		return;
	}
	slx_buf_reset(&b->histogram);
	slx_histogram_encode(h, &b->histogram);
	if (b->histogram.n > SLX_VALUE_SIZE_MAX) {
		slx_intake_refuse_of(b, 1, series, SILEX_INVALID, "the histogram has more than 64 kB");
		return;
	}
	if (b->rows[SLX_KIND_HISTOGRAM].n == ROWS_MAX || b->histograms.total > HISTOGRAMS_MAX)
		write_rows(b, SLX_KIND_HISTOGRAM);
	uint8_t *p = b->histogram.failed ? NULL : slx_arena_alloc(&b->histograms, SLX_VARINT_SIZE_MAX + b->histogram.n, 1);
	if (!p) {
		slx_err(&why, SILEX_UNAVAILABLE, "out of memory for a histogram");
		fail(b, &why);
		return;
	}
	memcpy(slx_put_varint(p, b->histogram.n), b->histogram.p, b->histogram.n);
	slx_intake_value(b, series, t, SLX_KIND_HISTOGRAM, (uint64_t)(uintptr_t)p);
}

/* --- what goes with samples ------------------------------------------------------------------------------------------- */

/* A new row of *v; NULL when there is no room left for such things. */
static void *add_beside(struct slx_intake_batch *b, struct beside *v, size_t size)
{
	if (b->beside.total > BESIDE_MAX)
		return NULL;
	if (v->n == v->cap) {
		size_t cap = v->cap ? v->cap * 2 : 64;
		void *p = slx_realloc(b->intake->mem, SLX_MEM_OTHER, v->v, v->cap * size, cap * size);
		if (!p)
			return NULL;
		v->v = p;
		v->cap = cap;
	}
	return (char *)v->v + size * v->n++;
}

static struct slx_str copy(struct slx_intake_batch *b, const void *p, size_t n)
{
	char *to = slx_arena_alloc(&b->beside, n, 1);
	if (!to)
		return SLX_STR("");
	if (n)
		memcpy(to, p, n);
	return (struct slx_str){ to, n };
}

void slx_intake_exemplar(struct slx_intake_batch *b, uint32_t series, int64_t t, double v, const struct slx_label *labels, size_t n_labels)
{
	if (!slx_time_legal(t)) {
		out_of_range(b, series, t);
		return;
	}
	struct slx_exemplar_row *row = add_beside(b, &b->exemplars, sizeof *row);
	if (!row) {
		slx_intake_refuse_of(b, 1, series, SILEX_INVALID, "no room for its exemplar: send fewer than 8 MB of exemplars and metadata in one request");
		return;
	}
	struct slx_label *own = slx_arena_alloc(&b->beside, n_labels * sizeof *own, 8);
	struct slx_labels l = series_labels(b, series);
	struct slx_str bytes = copy(b, l.p, l.n);
	*row = (struct slx_exemplar_row){ .series = { (const uint8_t *)bytes.p, bytes.n }, .t = t, .value = v, .labels = own };
	if (bytes.n == 0) {
		b->exemplars.n--; /* out of memory */
		return;
	}
	for (; own && row->n_labels < n_labels; row->n_labels++, labels++)
		own[row->n_labels] = (struct slx_label){ copy(b, labels->name.p, labels->name.n), copy(b, labels->value.p, labels->value.n) };
}

void slx_intake_metadata(struct slx_intake_batch *b, struct slx_str metric, struct slx_str type, struct slx_str unit, struct slx_str help)
{
	struct slx_metadata_row *row = metric.n ? add_beside(b, &b->metadata, sizeof *row) : NULL;
	if (row)
		*row = (struct slx_metadata_row){ copy(b, metric.p, metric.n), copy(b, type.p, type.n), copy(b, unit.p, unit.n), copy(b, help.p, help.n) };
}

/* After the samples, without pins: these writes wait for room. */
static silex_status write_beside(struct slx_intake_batch *b, silex_error *err)
{
	struct slx_engine *e = b->intake->engine;
	uint64_t lsn = 0;
	size_t written = 0;
	if (b->exemplars.n) {
		SLX_TRY(slx_engine_exemplar_put(e, b->tenant, b->exemplars.v, b->exemplars.n, &written, &lsn, err));
		b->result.exemplars = written;
		b->lsn = lsn > b->lsn ? lsn : b->lsn;
	}
	if (b->metadata.n) {
		SLX_TRY(slx_engine_metadata_put(e, b->tenant, b->metadata.v, b->metadata.n, &lsn, err));
		b->lsn = lsn > b->lsn ? lsn : b->lsn;
	}
	return SILEX_OK;
}

/* --- the end --------------------------------------------------------------------------------------------------------- */

silex_status slx_intake_commit(struct slx_intake_batch *b, struct slx_intake_result *ret, silex_error *err)
{
	struct slx_engine *engine = b->intake->engine;
	for (unsigned k = 0; k < SLX_KINDS; k++)
		write_rows(b, k);
	slx_engine_unpin(&b->pins);
	silex_error why = b->error;
	silex_status status = b->status == SILEX_OK ? write_beside(b, &why) : b->status;
	uint64_t lsn = b->lsn;
	*ret = b->result;
	give_back(b);
	if (status != SILEX_OK)
		return slx_err(err, status, "%s", why.message);
	return slx_engine_wait(engine, lsn, err);
}
