/* Histogram messages of remote write (1.0 and 2.0 number their fields alike) into the model's form: a first pass counts what
 * repeats, a second one fills arrays of that size. Counts of integer histograms come as deltas from bucket to bucket. */
#include "formats/remote_write.h"

enum field {
	COUNT_INT = 1, COUNT_FLOAT, SUM, SCHEMA, ZERO_THRESHOLD, ZERO_COUNT_INT, ZERO_COUNT_FLOAT,
	NEGATIVE_SPANS, NEGATIVE_DELTAS, NEGATIVE_COUNTS, POSITIVE_SPANS, POSITIVE_DELTAS, POSITIVE_COUNTS,
	RESET_HINT, TIMESTAMP, CUSTOM_VALUES, START_TIMESTAMP,
	FIELDS
};

static const enum slx_pb_wire wire_of[FIELDS] = {
	[COUNT_INT] = SLX_PB_VARINT, [COUNT_FLOAT] = SLX_PB_FIXED64, [SUM] = SLX_PB_FIXED64, [SCHEMA] = SLX_PB_VARINT,
	[ZERO_THRESHOLD] = SLX_PB_FIXED64, [ZERO_COUNT_INT] = SLX_PB_VARINT, [ZERO_COUNT_FLOAT] = SLX_PB_FIXED64,
	[NEGATIVE_SPANS] = SLX_PB_BYTES, [NEGATIVE_DELTAS] = SLX_PB_VARINT, [NEGATIVE_COUNTS] = SLX_PB_FIXED64,
	[POSITIVE_SPANS] = SLX_PB_BYTES, [POSITIVE_DELTAS] = SLX_PB_VARINT, [POSITIVE_COUNTS] = SLX_PB_FIXED64,
	[RESET_HINT] = SLX_PB_VARINT, [TIMESTAMP] = SLX_PB_VARINT, [CUSTOM_VALUES] = SLX_PB_FIXED64, [START_TIMESTAMP] = SLX_PB_VARINT,
};

/* Numbers that repeat come packed into bytes or one by one. */
static bool repeats(uint32_t field)
{
	return field == NEGATIVE_DELTAS || field == NEGATIVE_COUNTS || field == POSITIVE_DELTAS || field == POSITIVE_COUNTS || field == CUSTOM_VALUES;
}

static size_t count_packed(const struct slx_pb_field *f)
{
	if (f->wire != SLX_PB_BYTES)
		return 1;
	if (wire_of[f->number] == SLX_PB_FIXED64)
		return f->bytes.n / 8;
	size_t n = 0;
	for (size_t i = 0; i < f->bytes.n; i++)
		n += !(f->bytes.p[i] & 0x80);
	return n;
}

/* How often each repeated field comes, and that all have the form they should. */
static bool count(struct slx_pb *pb, size_t n[FIELDS])
{
	struct slx_pb_field f;
	while (slx_pb_next(pb, &f)) {
		if (f.number >= FIELDS)
			continue;
		bool packed = repeats(f.number) && f.wire == SLX_PB_BYTES;
		if (f.wire != wire_of[f.number] && !packed)
			return slx_pb_fail(pb, "the wire type of its field in a histogram");
		if (packed && wire_of[f.number] == SLX_PB_FIXED64 && f.bytes.n % 8)
			return slx_pb_fail(pb, "doubles of 8 bytes");
		n[f.number] += repeats(f.number) ? count_packed(&f) : 1;
	}
	return !pb->bad;
}

struct fill {
	struct slx_span *spans[2]; /* negative, positive */
	double *counts[2];
	double *custom;
	size_t spans_n[2], counts_n[2], custom_n;
	double sum[2]; /* of the deltas so far */
};

static bool read_span(struct slx_str bytes, struct slx_span *ret, struct slx_pb *ret_pb)
{
	struct slx_pb_field f = { 0 };
	*ret_pb = slx_pb_of(bytes);
	*ret = (struct slx_span){ 0, 0 };
	while (slx_pb_next(ret_pb, &f)) {
		if (f.number > 2)
			continue;
		if (f.wire != SLX_PB_VARINT)
			return slx_pb_fail(ret_pb, "an offset and a length in a span");
		if (f.number == 1)
			ret->offset = (int32_t)slx_pb_zigzag(f.value & UINT32_MAX);
		else
			ret->length = (uint32_t)f.value;
	}
	return !ret_pb->bad;
}

/* One number of a repeated field. Deltas are summed as integers while doubles hold them exactly. */
static void put_number(struct fill *to, uint32_t field, uint64_t v)
{
	bool positive = field >= POSITIVE_SPANS;
	switch (field) {
	case CUSTOM_VALUES:
		to->custom[to->custom_n++] = slx_bits_f64(v);
		return;
	case NEGATIVE_DELTAS:
	case POSITIVE_DELTAS:
		to->sum[positive] += (double)slx_pb_zigzag(v);
		to->counts[positive][to->counts_n[positive]++] = to->sum[positive];
		return;
	default:
		to->counts[positive][to->counts_n[positive]++] = slx_bits_f64(v);
	}
}

static bool put_packed(struct fill *to, const struct slx_pb_field *f, struct slx_pb *ret_pb)
{
	uint64_t v;
	*ret_pb = slx_pb_of(f->bytes);
	if (f->wire != SLX_PB_BYTES)
		put_number(to, f->number, f->value);
	else if (wire_of[f->number] == SLX_PB_FIXED64)
		for (size_t i = 0; i < f->bytes.n; i += 8)
			put_number(to, f->number, slx_load64(f->bytes.p + i));
	else
		while (ret_pb->p < ret_pb->end && slx_pb_varint(ret_pb, &v))
			put_number(to, f->number, v);
	return !ret_pb->bad;
}

static void put_scalar(struct slx_rw_histogram *to, const struct slx_pb_field *f)
{
	struct slx_histogram *h = &to->h;
	switch (f->number) {
	case COUNT_INT:
		h->count = (double)f->value;
		h->integer = true;
		break;
	case COUNT_FLOAT: h->count = slx_bits_f64(f->value); break;
	case SUM: h->sum = slx_bits_f64(f->value); break;
	case SCHEMA: {
		int64_t schema = (int32_t)slx_pb_zigzag(f->value & UINT32_MAX);
		h->schema = schema < INT8_MIN || schema > INT8_MAX ? INT8_MAX : (int8_t)schema; /* INT8_MAX: none, and refused */
		break;
	}
	case ZERO_THRESHOLD: h->zero_threshold = slx_bits_f64(f->value); break;
	case ZERO_COUNT_INT: h->zero_count = (double)f->value; break;
	case ZERO_COUNT_FLOAT: h->zero_count = slx_bits_f64(f->value); break;
	case RESET_HINT: h->reset = f->value <= SLX_RESET_GAUGE ? (uint8_t)f->value : SLX_RESET_UNKNOWN; break;
	case TIMESTAMP: to->t = slx_rw_ns((int64_t)f->value); break;
	case START_TIMESTAMP: h->start = slx_rw_ns((int64_t)f->value); break;
	default: break;
	}
}

/* The second pass; the arrays have the size that count() found. */
static bool fill(struct slx_str body, struct fill *to, struct slx_rw_histogram *ret, struct slx_pb *ret_pb)
{
	struct slx_pb pb = slx_pb_of(body);
	struct slx_pb_field f = { 0 };
	while (slx_pb_next(&pb, &f)) {
		if (f.number == NEGATIVE_SPANS || f.number == POSITIVE_SPANS) {
			bool positive = f.number == POSITIVE_SPANS;
			if (!read_span(f.bytes, &to->spans[positive][to->spans_n[positive]++], ret_pb))
				return false;
		} else if (f.number < FIELDS && repeats(f.number)) {
			if (!put_packed(to, &f, ret_pb))
				return false;
		} else if (f.number < FIELDS) {
			put_scalar(ret, &f);
		}
	}
	return true;
}

/* Room for what was counted; a fault when that is too much. */
static const char *make_room(const size_t n[FIELDS], struct slx_arena *a, struct fill *ret)
{
	const size_t max = SLX_HISTOGRAM_BUCKETS_MAX;
	size_t counts[2] = { n[NEGATIVE_DELTAS] + n[NEGATIVE_COUNTS], n[POSITIVE_DELTAS] + n[POSITIVE_COUNTS] };
	size_t spans[2] = { n[NEGATIVE_SPANS], n[POSITIVE_SPANS] };
	if (counts[0] > max || counts[1] > max || spans[0] > max || spans[1] > max || n[CUSTOM_VALUES] > max)
		return "more buckets, spans or bounds than a histogram can have (16384)";
	*ret = (struct fill){ 0 };
	for (int side = 0; side < 2; side++) {
		ret->spans[side] = slx_arena_alloc(a, spans[side] * sizeof *ret->spans[side], 8);
		ret->counts[side] = slx_arena_alloc(a, counts[side] * sizeof *ret->counts[side], 8);
	}
	ret->custom = slx_arena_alloc(a, n[CUSTOM_VALUES] * sizeof *ret->custom, 8);
	bool all = ret->spans[0] && ret->spans[1] && ret->counts[0] && ret->counts[1] && ret->custom;
	return all ? NULL : "out of memory for a histogram";
}

bool slx_rw_next_histogram(struct slx_rw *r, struct slx_pb *at, struct slx_arena *a, struct slx_rw_histogram *ret)
{
	struct slx_str body;
	size_t n[FIELDS] = { 0 };
	struct fill to;
	if (r->pb.bad || !slx_rw_field(at, r->version == SLX_RW_2 ? 3 : 4, &body))
		return false;
	*ret = (struct slx_rw_histogram){ 0 };
	struct slx_pb pb = slx_pb_of(body);
	bool good = count(&pb, n);
	if (good && (ret->fault = make_room(n, a, &to)))
		return true;
	if (!good || !fill(body, &to, ret, &pb)) {
		r->pb.bad = pb.bad;
		r->pb.bad_at = pb.bad_at;
		r->pb.p = r->pb.end;
		return false;
	}
	ret->h.negative_spans = to.spans[0];
	ret->h.negative_spans_n = (uint32_t)to.spans_n[0];
	ret->h.negative = to.counts[0];
	ret->h.negative_n = (uint32_t)to.counts_n[0];
	ret->h.positive_spans = to.spans[1];
	ret->h.positive_spans_n = (uint32_t)to.spans_n[1];
	ret->h.positive = to.counts[1];
	ret->h.positive_n = (uint32_t)to.counts_n[1];
	ret->h.custom = to.custom;
	ret->h.custom_n = (uint32_t)to.custom_n;
	return true;
}
