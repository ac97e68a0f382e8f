#include "formats/remote_read.h"

/* --- the request ------------------------------------------------------------------------------------------------------- */

static silex_status broken(const struct slx_pb *pb, const void *begin, silex_error *err)
{
	return slx_err(err, SILEX_INVALID, "remote read: offset %zu: expected %s", (size_t)(pb->bad_at - (const uint8_t *)begin), pb->bad);
}

/* What a field should be; another number is not looked at. */
static bool has_wire(struct slx_pb *pb, const struct slx_pb_field *f, enum slx_pb_wire wire)
{
	return f->wire == wire || slx_pb_fail(pb, wire == SLX_PB_VARINT ? "a number in this field" : "a message or a string in this field");
}

static bool read_matcher(struct slx_pb *pb, uint64_t *ret_op, struct slx_label *ret)
{
	struct slx_pb_field f;
	*ret_op = 0;
	*ret = (struct slx_label){ SLX_STR(""), SLX_STR("") };
	while (slx_pb_next(pb, &f)) {
		if (f.number > 3)
			continue;
		if (!has_wire(pb, &f, f.number == 1 ? SLX_PB_VARINT : SLX_PB_BYTES))
			return false;
		if (f.number == 1)
			*ret_op = f.value;
		else
			*(f.number == 2 ? &ret->name : &ret->value) = f.bytes;
	}
	return !pb->bad;
}

/* Prometheus numbers its matchers as the model does. */
static silex_status add_matcher(struct slx_selector *s, struct slx_str bytes, const void *begin, silex_error *err)
{
	struct slx_pb pb = slx_pb_of(bytes);
	uint64_t op;
	struct slx_label l;
	if (!read_matcher(&pb, &op, &l))
		return broken(&pb, begin, err);
	if (op > SLX_MATCH_NRE)
		return slx_err(err, SILEX_INVALID, "remote read: matcher type %llu; expected 0 to 3", (unsigned long long)op);
	if (s->n == SLX_SELECTOR_MATCHERS_MAX)
		return slx_err(err, SILEX_INVALID, "remote read: more than %d matchers", SLX_SELECTOR_MATCHERS_MAX);
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 8;
		void *p = slx_realloc(s->mem, SLX_MEM_QUERY, s->matchers, s->cap * sizeof *s->matchers, cap * sizeof *s->matchers);
		if (!p)
			return slx_err_oom(err);
		s->matchers = p;
		s->cap = cap;
	}
	SLX_TRY(slx_matcher_new(s->mem, (enum slx_match_op)op, l.name, l.value, &s->matchers[s->n], err));
	s->n++;
	return SILEX_OK;
}

static silex_status read_query(struct slx_rr_query *q, struct slx_str bytes, const void *begin, silex_error *err)
{
	struct slx_pb pb = slx_pb_of(bytes);
	struct slx_pb_field f;
	while (slx_pb_next(&pb, &f)) {
		if (f.number > 3)
			continue; /* hints: what the reader will do with the samples */
		if (!has_wire(&pb, &f, f.number == 3 ? SLX_PB_BYTES : SLX_PB_VARINT))
			break;
		if (f.number == 3)
			SLX_TRY(add_matcher(&q->selector, f.bytes, begin, err));
		else
			*(f.number == 1 ? &q->start_ms : &q->end_ms) = (int64_t)f.value;
	}
	return pb.bad ? broken(&pb, begin, err) : SILEX_OK;
}

/* Types the reader accepts: numbers, packed or one by one. */
static bool accepts_samples(struct slx_pb *pb, const struct slx_pb_field *f)
{
	uint64_t type;
	bool found = f->wire == SLX_PB_VARINT && f->value == 0;
	if (f->wire != SLX_PB_VARINT && !has_wire(pb, f, SLX_PB_BYTES))
		return false;
	if (f->wire == SLX_PB_BYTES)
		for (struct slx_pb types = slx_pb_of(f->bytes); types.p < types.end && slx_pb_varint(&types, &type);)
			found |= type == 0;
	return found;
}

silex_status slx_rr_read(struct slx_mem *m, const void *p, size_t n, struct slx_rr_request *ret, silex_error *err)
{
	struct slx_pb pb = slx_pb(p, n);
	struct slx_pb_field f;
	bool said = false, samples = false;
	ret->n = 0;
	while (slx_pb_next(&pb, &f)) {
		if (f.number == 2) {
			said = true;
			samples |= accepts_samples(&pb, &f);
		}
		if (f.number != 1)
			continue;
		if (!has_wire(&pb, &f, SLX_PB_BYTES))
			break;
		if (ret->n == SLX_RR_QUERIES_MAX)
			return slx_err(err, SILEX_INVALID, "remote read: more than %d queries", SLX_RR_QUERIES_MAX);
		struct slx_rr_query *q = &ret->query[ret->n++];
		*q = (struct slx_rr_query){ .selector.mem = m };
		SLX_TRY(read_query(q, f.bytes, p, err));
	}
	ret->wants_samples = samples || !said;
	return pb.bad ? broken(&pb, p, err) : SILEX_OK;
}

void slx_rr_free(struct slx_rr_request *r)
{
	while (r->n)
		slx_selector_free(&r->query[--r->n].selector);
}

/* --- the answer --------------------------------------------------------------------------------------------------------- */

void slx_rr_series_init(struct slx_rr_series *s, struct slx_mem *m)
{
	slx_buf_init(&s->body, m, SLX_MEM_QUERY, SIZE_MAX);
	slx_buf_init(&s->part, m, SLX_MEM_QUERY, SIZE_MAX);
}

void slx_rr_series_free(struct slx_rr_series *s)
{
	slx_buf_free(&s->body);
	slx_buf_free(&s->part);
}

/* s->part as a field of the series. */
static void put_part(struct slx_rr_series *s, uint32_t number)
{
	s->body.failed |= s->part.failed;
	slx_pb_put_bytes(&s->body, number, s->part.p, s->part.n);
}

void slx_rr_series_begin(struct slx_rr_series *s, struct slx_labels l)
{
	struct slx_label label;
	slx_buf_reset(&s->body);
	for (struct slx_labels_iter it = slx_labels_iter(l); slx_labels_next(&it, &label);) {
		slx_buf_reset(&s->part);
		slx_pb_put_bytes(&s->part, 1, label.name.p, label.name.n);
		slx_pb_put_bytes(&s->part, 2, label.value.p, label.value.n);
		put_part(s, 1);
	}
}

void slx_rr_series_float(struct slx_rr_series *s, int64_t t_ms, double v)
{
	slx_buf_reset(&s->part);
	slx_pb_put_fixed64(&s->part, 1, slx_f64_bits(v));
	slx_pb_put_varint(&s->part, 2, (uint64_t)t_ms);
	put_part(s, 2);
}

static size_t varint_size(uint64_t v)
{
	uint8_t bytes[SLX_VARINT_SIZE_MAX];
	return (size_t)(slx_put_varint(bytes, v) - bytes);
}

static void put_spans(struct slx_buf *out, uint32_t number, const struct slx_span *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		slx_pb_put_tag(out, number, SLX_PB_BYTES);
		slx_buf_varint(out, 2 + varint_size(slx_zigzag(s[i].offset)) + varint_size(s[i].length));
		slx_pb_put_varint(out, 1, slx_zigzag(s[i].offset));
		slx_pb_put_varint(out, 2, s[i].length);
	}
}

static void put_doubles(struct slx_buf *out, uint32_t number, const double *v, size_t n)
{
	if (n)
		slx_pb_put_bytes(out, number, v, n * sizeof *v);
}

/* Counts from bucket to bucket. The field holds varints, whose size is summed before. */
static void put_deltas(struct slx_buf *out, uint32_t number, const double *v, size_t n)
{
	size_t size = 0;
	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		size += varint_size(slx_zigzag((int64_t)v[i] - (i ? (int64_t)v[i - 1] : 0)));
	slx_pb_put_tag(out, number, SLX_PB_BYTES);
	slx_buf_varint(out, size);
	for (size_t i = 0; i < n; i++)
		slx_buf_varint(out, slx_zigzag((int64_t)v[i] - (i ? (int64_t)v[i - 1] : 0)));
}

/* Whether all counts are numbers that a double holds exactly. */
static bool whole(const double *v, size_t n)
{
	bool all = true;
	for (size_t i = 0; i < n; i++)
		all &= v[i] >= 0 && v[i] <= 0x1p53;
	return all;
}

void slx_rr_series_histogram(struct slx_rr_series *s, int64_t t_ms, const struct slx_histogram *h)
{
	struct slx_buf *out = &s->part;
	bool integer = h->integer && whole(&h->count, 1) && whole(&h->zero_count, 1) && whole(h->negative, h->negative_n) && whole(h->positive, h->positive_n);
	void (*put_counts)(struct slx_buf *, uint32_t, const double *, size_t) = integer ? put_deltas : put_doubles;
	slx_buf_reset(out);
	if (integer)
		slx_pb_put_varint(out, 1, (uint64_t)h->count);
	else
		slx_pb_put_fixed64(out, 2, slx_f64_bits(h->count));
	slx_pb_put_fixed64(out, 3, slx_f64_bits(h->sum));
	slx_pb_put_varint(out, 4, slx_zigzag(h->schema));
	slx_pb_put_fixed64(out, 5, slx_f64_bits(h->zero_threshold));
	if (integer)
		slx_pb_put_varint(out, 6, (uint64_t)h->zero_count);
	else
		slx_pb_put_fixed64(out, 7, slx_f64_bits(h->zero_count));
	put_spans(out, 8, h->negative_spans, h->negative_spans_n);
	put_counts(out, integer ? 9 : 10, h->negative, h->negative_n);
	put_spans(out, 11, h->positive_spans, h->positive_spans_n);
	put_counts(out, integer ? 12 : 13, h->positive, h->positive_n);
	slx_pb_put_varint(out, 14, h->reset);
	slx_pb_put_varint(out, 15, (uint64_t)t_ms);
	put_doubles(out, 16, h->custom, h->custom_n);
	put_part(s, 4);
}

void slx_rr_series_end(struct slx_rr_series *s, struct slx_buf *result)
{
	result->failed |= s->body.failed;
	slx_pb_put_bytes(result, 1, s->body.p, s->body.n);
}

void slx_rr_put_result(const struct slx_buf *result, struct slx_buf *response)
{
	response->failed |= result->failed;
	slx_pb_put_bytes(response, 1, result->p, result->n);
}
