/* Native histograms out of columns: histogram.c, the other way. Foreign bytes: every number is checked before it is used. */
#include "storage/chunk/histogram_int.h"

static silex_status damaged(const struct slx_rd *rd, const uint8_t *body, const char *what, silex_error *err)
{
	return slx_err(err, SILEX_CORRUPT, "histograms, offset %zu: %s", (size_t)(rd->p - body), what);
}

/* ---- decode: bytes to columns ---- */

/* A number of things that take at least `size` bytes each. */
static uint32_t get_length(struct slx_rd *rd, uint64_t max, size_t size)
{
	uint64_t n = slx_rd_varint(rd);
	rd->bad |= n > max || n * size > slx_rd_left(rd);
	return rd->bad ? 0 : (uint32_t)n;
}

static silex_status get_classes(struct slx_hshape *s, struct slx_rd *rd, silex_error *err)
{
	s->classes_n = get_length(rd, s->n, 10);
	s->classes = slx_arena_alloc(&s->arena, s->classes_n * sizeof *s->classes + 1, 8);
	if (!s->classes)
		return slx_err_oom(err);
	for (uint32_t i = 0; i < s->classes_n; i++) {
		int64_t schema = slx_unzigzag(slx_rd_varint(rd));
		double threshold = slx_bits_f64(slx_rd_u64(rd));
		uint32_t n = get_length(rd, SLX_HISTOGRAM_BUCKETS_MAX, 8);
		double *custom = slx_arena_alloc(&s->arena, n * sizeof *custom + 1, 8);
		if (!custom)
			return slx_err_oom(err);
		const uint8_t *p = slx_rd_bytes(rd, n * sizeof *custom);
		if (p && n)
			memcpy(custom, p, n * sizeof *custom);
		rd->bad |= schema < INT8_MIN || schema > INT8_MAX;
		s->classes[i] = (struct slx_hclass){ (int8_t)schema, threshold, custom, n };
	}
	return SILEX_OK;
}

static silex_status get_side(struct slx_hshape *s, struct slx_rd *rd, struct slx_hside *ret, silex_error *err)
{
	uint32_t n = get_length(rd, SLX_HISTOGRAM_BUCKETS_MAX, 2);
	struct slx_span *spans = slx_arena_alloc(&s->arena, n * sizeof *spans + 1, 4);
	uint64_t buckets = 0;
	int64_t index = 0;
	if (!spans)
		return slx_err_oom(err);
	for (uint32_t i = 0; i < n; i++) {
		int64_t offset = slx_unzigzag(slx_rd_varint(rd));
		uint64_t length = slx_rd_varint(rd);
		rd->bad |= offset < (i ? 0 : INT32_MIN) || offset > INT32_MAX || length > SLX_HISTOGRAM_BUCKETS_MAX;
		if (rd->bad)
			break;
		buckets += length;
		index += offset + (int64_t)length;
		rd->bad |= buckets > SLX_HISTOGRAM_BUCKETS_MAX || index > INT32_MAX;
		spans[i] = (struct slx_span){ (int32_t)offset, (uint32_t)length };
	}
	*ret = rd->bad ? (struct slx_hside){ 0 } : (struct slx_hside){ spans, n, (uint32_t)buckets };
	return SILEX_OK;
}

static silex_status get_layouts(struct slx_hshape *s, struct slx_rd *rd, silex_error *err)
{
	s->layouts_n = get_length(rd, s->n, 4);
	s->layouts = slx_arena_alloc(&s->arena, s->layouts_n * sizeof *s->layouts + 1, 8);
	if (!s->layouts)
		return slx_err_oom(err);
	for (uint32_t i = 0; i < s->layouts_n && !rd->bad; i++) {
		struct slx_hlayout *l = &s->layouts[i];
		uint64_t class = slx_rd_varint(rd);
		*l = (struct slx_hlayout){ .class = (uint32_t)class, .flags = slx_rd_u8(rd) };
		rd->bad |= class >= s->classes_n || l->flags > (1 | SLX_RESET_GAUGE << 1);
		SLX_TRY(get_side(s, rd, &l->side[0], err));
		SLX_TRY(get_side(s, rd, &l->side[1], err));
	}
	rd->bad |= s->layouts_n == 0;
	return SILEX_OK;
}

static silex_status get_layout_of(struct slx_hshape *s, struct slx_rd *rd, const uint8_t *body, silex_error *err)
{
	s->of = slx_arena_alloc(&s->arena, s->n * sizeof *s->of, 4);
	if (!s->of)
		return slx_err_oom(err);
	if (s->layouts_n == 1) {
		memset(s->of, 0, s->n * sizeof *s->of);
		s->layouts[0].samples = (uint32_t)s->n;
		return SILEX_OK;
	}
	size_t size = (size_t)slx_rd_varint(rd);
	const uint8_t *p = slx_rd_bytes(rd, size);
	if (!p || slx_rle_decode(p, size, s->of, s->n, NULL) != SILEX_OK)
		return damaged(rd, body, "the samples' layouts are damaged", err);
	for (size_t i = 0; i < s->n; i++) {
		if (s->of[i] >= s->layouts_n)
			return damaged(rd, body, "a sample of a layout that is not there", err);
		s->layouts[s->of[i]].samples++;
	}
	return SILEX_OK;
}

static void get_bits(struct slx_hshape *s, struct slx_rd *rd)
{
	for (uint32_t c = 0; c < s->columns_n; c += 8) {
		uint8_t byte = slx_rd_u8(rd);
		for (uint32_t k = c; k < s->columns_n && k < c + 8; k++)
			s->doubles[k] = byte >> (k - c) & 1;
	}
	rd->bad |= s->doubles[SLX_HSTART];
}

static silex_status get_integers(struct slx_hshape *s, struct slx_rd *rd, const uint8_t *body, silex_error *err)
{
	for (uint32_t c = 0; c < s->columns_n; c++) {
		size_t n = slx_shape_size(s, c);
		if (s->doubles[c] || n == 0)
			continue;
		size_t size = (size_t)slx_rd_varint(rd);
		const uint8_t *p = slx_rd_bytes(rd, size);
		if (!p || slx_i64_decode(p, size, (int64_t *)(s->v + s->first[c]), n, NULL) != SILEX_OK)
			return damaged(rd, body, "a column of integers is damaged", err);
	}
	return SILEX_OK;
}

static silex_status get_doubles(struct slx_hshape *s, struct slx_rd *rd, const uint8_t *body, silex_error *err)
{
	for (uint32_t c = 0; c < s->columns_n; c++)
		for (size_t at = s->first[c]; s->doubles[c] && at < s->first[c + 1]; at += SLX_VECTOR_MAX) {
			size_t n = s->first[c + 1] - at < SLX_VECTOR_MAX ? s->first[c + 1] - at : SLX_VECTOR_MAX;
			size_t size = (size_t)slx_rd_varint(rd);
			const uint8_t *p = slx_rd_bytes(rd, size);
			if (!p || slx_sx_decode(p, size, (double *)(s->v + at), n, NULL) != SILEX_OK)
				return damaged(rd, body, "a column of doubles is damaged", err);
		}
	return SILEX_OK;
}

static silex_status get_columns(struct slx_hshape *s, struct slx_rd rd, bool *ret_rest, silex_error *err)
{
	const uint8_t *body = rd.p;
	bool fits;
	SLX_TRY(get_classes(s, &rd, err));
	SLX_TRY(get_layouts(s, &rd, err));
	if (rd.bad)
		return damaged(&rd, body, "classes and layouts end early or are out of range", err);
	SLX_TRY(get_layout_of(s, &rd, body, err));
	SLX_TRY(slx_shape_columns(s, &fits, err));
	if (!fits)
		return damaged(&rd, body, "more buckets than a chunk may have", err);
	uint8_t rest = slx_rd_u8(&rd);
	get_bits(s, &rd);
	if (rd.bad || rest > 1)
		return damaged(&rd, body, "flags or kinds of columns are out of range", err);
	SLX_TRY(get_integers(s, &rd, body, err));
	SLX_TRY(get_doubles(s, &rd, body, err));
	if (rd.bad || slx_rd_left(&rd))
		return damaged(&rd, body, "bytes after the last column", err);
	*ret_rest = rest;
	return SILEX_OK;
}

/* ---- decode: columns to histograms ---- */

static double number(const struct slx_hshape *s, uint32_t column, uint64_t v)
{
	return s->doubles[column] ? slx_bits_f64(v) : (double)(int64_t)v;
}

/* Sample i as a histogram; its buckets' places are stepped over. */
static void get_histogram(struct slx_hshape *s, size_t i, bool rest, size_t *at, struct slx_histogram *h)
{
	const struct slx_hlayout *l = &s->layouts[s->of[i]];
	const struct slx_hclass *c = &s->classes[l->class];
	uint64_t count = s->v[s->first[SLX_HCOUNT] + i], zero = s->v[s->first[SLX_HZERO] + i];
	size_t n = slx_shape_take(s, i, at);
	if (rest)
		count += zero;
	for (size_t k = 0; k < n; k++) {
		s->counts[k] = number(s, l->columns[k], s->bucket[k]);
		count += rest ? s->bucket[k] : 0;
	}
	*h = (struct slx_histogram){
		.schema = c->schema,
		.integer = l->flags & 1,
		.reset = l->flags >> 1,
		.zero_threshold = c->threshold,
		.zero_count = number(s, SLX_HZERO, zero),
		.count = number(s, SLX_HCOUNT, count),
		.sum = number(s, SLX_HSUM, s->v[s->first[SLX_HSUM] + i]),
		.positive_spans = l->side[0].spans,
		.positive_spans_n = l->side[0].spans_n,
		.positive = s->counts,
		.positive_n = l->side[0].buckets,
		.negative_spans = l->side[1].spans,
		.negative_spans_n = l->side[1].spans_n,
		.negative = s->counts + l->side[0].buckets,
		.negative_n = l->side[1].buckets,
		.custom = c->custom,
		.custom_n = c->custom_n,
		.start = (int64_t)s->v[s->first[SLX_HSTART] + i],
	};
}

/* The bytes of samples lo..hi-1 into values, their offsets there into bits. */
static silex_status get_values(struct slx_hshape *s, bool rest, size_t lo, size_t hi, struct slx_buf *values, uint64_t *bits, silex_error *err)
{
	struct slx_buf one;
	slx_buf_init(&one, values->mem, values->use, SIZE_MAX);
	size_t *at = slx_shape_places(s);
	silex_status st = at ? SILEX_OK : slx_err_oom(err);
	for (size_t i = 0; i < hi && st == SILEX_OK; i++) {
		struct slx_histogram h;
		get_histogram(s, i, rest, at, &h);
		if (i < lo)
			continue;
		slx_buf_reset(&one);
		slx_histogram_encode(&h, &one);
		if (one.n > SLX_VALUE_SIZE_MAX || values->n + one.n > SLX_CHUNK_BYTES_MAX)
			st = slx_err(err, SILEX_CORRUPT, "histograms: sample %zu is of %zu bytes, more than a value or a chunk may have", i, one.n);
		bits[i - lo] = values->n;
		slx_buf_varint(values, one.n);
		slx_buf_put(values, one.p, one.n);
		if (st == SILEX_OK && (one.failed || values->failed))
			st = slx_err_oom(err);
	}
	slx_buf_free(&one);
	return st;
}

silex_status slx_histograms_decode(const uint8_t *p, size_t size, size_t n, size_t lo, size_t hi, struct slx_buf *values, uint64_t *bits,
	silex_error *err)
{
	struct slx_hshape s = { .n = n };
	struct slx_buf body;
	struct slx_rd rd;
	bool rest = false;
	slx_arena_init(&s.arena, values->mem, values->use, SLX_HSLAB);
	slx_buf_init(&body, values->mem, values->use, SIZE_MAX);
	silex_status st = slx_body_open(p, size, SLX_CHUNK_BYTES_MAX, &body, &rd, err);
	if (st == SILEX_OK)
		st = get_columns(&s, rd, &rest, err);
	if (st == SILEX_OK)
		st = get_values(&s, rest, lo, hi, values, bits, err);
	for (size_t i = lo; i < hi && st == SILEX_OK; i++)
		bits[i - lo] += (uint64_t)(uintptr_t)values->p;
	slx_buf_free(&body);
	slx_arena_clear(&s.arena);
	return st;
}
