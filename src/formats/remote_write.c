/* A series is looked at twice: once field by field, to find its labels and to know that its bytes hold together, and once by
 * the caller's cursors. Senders put labels before anything else, so that their encoded bytes in a row are the key of version
 * 1.0; where they do not, the label fields are gathered. In version 2.0 labels are numbers of symbols, which mean something
 * else in each request: the key is the hashes of the symbols, one after the other.
 *
 * What may fail: bytes that are no Protocol Buffers stop the reader (the place is remembered). A series whose labels cannot
 * be resolved has a `fault` and is stepped over by the caller. */
#include "formats/remote_write.h"

silex_status slx_rw_error(const struct slx_rw *r, silex_error *err)
{
	if (!r->pb.bad)
		return SILEX_OK;
	return slx_err(err, SILEX_INVALID, "remote write %d.0: offset %zu: expected %s", r->version, (size_t)(r->pb.bad_at - r->begin), r->pb.bad);
}

/* What a part's reader found wrong is the request's fault. Returns false. */
static bool broken(struct slx_rw *r, const struct slx_pb *part)
{
	if (!r->pb.bad && part->bad) {
		r->pb.bad = part->bad;
		r->pb.bad_at = part->bad_at;
		r->pb.p = r->pb.end;
	}
	return false;
}

static bool expected(struct slx_rw *r, struct slx_pb *part, const char *what)
{
	slx_pb_fail(part, what);
	return broken(r, part);
}

/* --- opening: the symbols of 2.0 ----------------------------------------------------------------------------------------- */

static size_t count_symbols(struct slx_rw *r)
{
	struct slx_pb pb = r->pb;
	struct slx_pb_field f;
	size_t n = 0;
	while (slx_pb_next(&pb, &f))
		n += f.number == 4 && f.wire == SLX_PB_BYTES;
	broken(r, &pb);
	return n;
}

static silex_status read_symbols(struct slx_rw *r, silex_error *err)
{
	size_t n = count_symbols(r);
	SLX_TRY(slx_rw_error(r, err));
	if (n == 0)
		return SILEX_OK;
	r->symbols = slx_alloc(r->mem, SLX_MEM_OTHER, n * sizeof *r->symbols);
	r->hashes = slx_calloc(r->mem, SLX_MEM_OTHER, n * sizeof *r->hashes);
	r->symbols_n = n;
	if (!r->symbols || !r->hashes)
		return slx_err_oom(err);
	struct slx_pb pb = r->pb;
	struct slx_pb_field f;
	for (size_t i = 0; slx_pb_next(&pb, &f);)
		if (f.number == 4 && f.wire == SLX_PB_BYTES)
			r->symbols[i++] = f.bytes;
	return SILEX_OK;
}

silex_status slx_rw_open(struct slx_rw *r, struct slx_mem *m, enum slx_rw_version v, const void *p, size_t n, silex_error *err)
{
	*r = (struct slx_rw){ .version = v, .mem = m, .begin = p, .pb = slx_pb(p, n) };
	slx_buf_init(&r->key, m, SLX_MEM_OTHER, SIZE_MAX);
	silex_status status = SILEX_OK;
	r->labels = slx_alloc(m, SLX_MEM_OTHER, SLX_RW_LABELS_MAX * sizeof *r->labels);
	if (!r->labels)
		status = slx_err_oom(err);
	else if (v == SLX_RW_2)
		status = read_symbols(r, err);
	if (status != SILEX_OK)
		slx_rw_close(r);
	return status;
}

void slx_rw_close(struct slx_rw *r)
{
	slx_free(r->mem, SLX_MEM_OTHER, r->labels, SLX_RW_LABELS_MAX * sizeof *r->labels);
	slx_free(r->mem, SLX_MEM_OTHER, r->symbols, r->symbols_n * sizeof *r->symbols);
	slx_free(r->mem, SLX_MEM_OTHER, r->hashes, r->symbols_n * sizeof *r->hashes);
	slx_buf_free(&r->key);
	r->labels = NULL;
	r->symbols = NULL;
	r->hashes = NULL;
	r->symbols_n = 0;
}

/* --- series ---------------------------------------------------------------------------------------------------------------- */

/* Field numbers of TimeSeries. */
enum { LABELS = 1, SAMPLES = 2, EXEMPLARS_1 = 3, HISTOGRAMS_1 = 4, HISTOGRAMS_2 = 3, EXEMPLARS_2 = 4, METADATA_2 = 5 };

static struct slx_hash128 symbol_hash(struct slx_rw *r, uint64_t i)
{
	struct slx_hash128 *h = &r->hashes[i];
	if (!(h->lo | h->hi))
		*h = slx_hash128(r->symbols[i].p, r->symbols[i].n, 0);
	return *h;
}

static void add_ref(struct slx_rw *r, struct slx_rw_series *s, uint64_t ref)
{
	s->refs++;
	if (ref >= r->symbols_n) {
		s->fault = "a label refers to a symbol that the request does not have";
		return;
	}
	struct slx_hash128 h = symbol_hash(r, ref);
	slx_buf_put(&r->key, &h, sizeof h);
}

/* References, packed (as all write them) or one by one. */
static bool add_refs(struct slx_rw *r, struct slx_rw_series *s, const struct slx_pb_field *f)
{
	if (f->wire == SLX_PB_VARINT) {
		add_ref(r, s, f->value);
		return true;
	}
	struct slx_pb refs = slx_pb_of(f->bytes);
	uint64_t ref;
	while (refs.p < refs.end && slx_pb_varint(&refs, &ref))
		add_ref(r, s, ref);
	return !refs.bad || broken(r, &refs);
}

static bool look_at_field(struct slx_rw *r, struct slx_rw_series *s, struct slx_pb *pb, const struct slx_pb_field *f)
{
	bool two = r->version == SLX_RW_2;
	if (f->number > METADATA_2 || (f->number == METADATA_2 && !two))
		return true;
	if (two && f->number == LABELS && (f->wire == SLX_PB_VARINT || f->wire == SLX_PB_BYTES))
		return add_refs(r, s, f);
	if (f->wire != SLX_PB_BYTES)
		return expected(r, pb, "a message in a field of TimeSeries");
	if (f->number == SAMPLES)
		s->samples++;
	else if (f->number == (two ? HISTOGRAMS_2 : HISTOGRAMS_1))
		s->histograms++;
	else if (f->number == (two ? EXEMPLARS_2 : EXEMPLARS_1))
		s->exemplars++;
	else if (f->number == METADATA_2)
		s->metadata = f->bytes;
	return true;
}

/* The label fields of s, one after the other, into the key. */
static void gather_labels(struct slx_rw *r, struct slx_rw_series *s)
{
	struct slx_pb pb = slx_pb_of(s->body);
	struct slx_pb_field f;
	slx_buf_reset(&r->key);
	for (const uint8_t *start = pb.p; slx_pb_next(&pb, &f); start = pb.p)
		if (f.number == LABELS)
			slx_buf_put(&r->key, start, (size_t)(pb.p - start));
}

/* A run of fields with this tag (one byte) and a length of one byte, inside the message: over it, counted. */
static const uint8_t *skip_run(const uint8_t *p, const uint8_t *end, uint8_t tag, uint32_t *count)
{
	uint32_t n = 0;
	while (end - p >= 2 && p[0] == tag && p[1] < 0x80 && end - p >= 2 + p[1]) {
		p += 2 + p[1];
		n++;
	}
	*count += n;
	return p;
}

/* Labels first, then the parts. Field by field: clearing the whole costs more than the rest. */
static inline void set_plain(struct slx_rw_series *s, struct slx_str body, size_t labels_n)
{
	s->guess = false;
	s->body = body;
	s->parts = (struct slx_str){ body.p + labels_n, body.n - labels_n };
	s->key = (struct slx_str){ body.p, labels_n };
	s->samples = s->histograms = s->exemplars = s->refs = 0;
	s->fault = NULL;
	s->metadata = (struct slx_str){ NULL, 0 };
}

/* Whether the series ends with a sample of today: value, and a time in six bytes. */
static bool guess(struct slx_str body, struct slx_rw_series *s)
{
	enum { SIZE = 18 };
	struct slx_rw_sample v;
	if (body.n <= SIZE || slx_rw_plain_sample((const uint8_t *)body.p + body.n - SIZE, SIZE, &v) != SIZE)
		return false;
	set_plain(s, body, body.n - SIZE);
	s->samples = 1;
	s->guess = true;
	return true;
}

/* What nearly all series of 1.0 are: labels, then samples, nothing else. False: something else. */
static bool look_at_plain(struct slx_rw *r, struct slx_str body, struct slx_rw_series *s)
{
	const uint8_t *p = (const uint8_t *)body.p, *end = p + body.n;
	uint32_t labels = 0, samples = 0;
	const uint8_t *labels_end = skip_run(p, end, LABELS << 3 | SLX_PB_BYTES, &labels);
	if (r->version != SLX_RW_1 || skip_run(labels_end, end, SAMPLES << 3 | SLX_PB_BYTES, &samples) != end)
		return false;
	set_plain(s, body, (size_t)(labels_end - p));
	s->samples = samples;
	return true;
}

/* Looks at all fields of a series. */
static bool look_at_series(struct slx_rw *r, struct slx_str body, struct slx_rw_series *s)
{
	struct slx_pb pb = slx_pb_of(body);
	struct slx_pb_field f;
	const uint8_t *start = pb.p, *labels_end = pb.p;
	bool apart = false;
	if (look_at_plain(r, body, s))
		return true;
	set_plain(s, body, 0);
	slx_buf_reset(&r->key);
	for (; slx_pb_next(&pb, &f); start = pb.p) {
		if (!look_at_field(r, s, &pb, &f))
			return false;
		if (f.number != LABELS)
			continue;
		apart |= start != labels_end;
		labels_end = pb.p;
	}
	if (pb.bad)
		return broken(r, &pb);
	if (apart && r->version == SLX_RW_1)
		gather_labels(r, s);
	if (s->refs % 2)
		s->fault = "a label has a name and no value (an odd number of references)";
	if (r->key.failed)
		s->fault = "out of memory for the labels";
	if (apart || r->version == SLX_RW_2)
		s->key = (struct slx_str){ (const char *)r->key.p, r->key.n };
	else
		s->key = (struct slx_str){ body.p, (size_t)(labels_end - (const uint8_t *)body.p) };
	return true;
}

bool slx_rw_look(struct slx_rw *r, struct slx_rw_series *s) { return look_at_series(r, s->body, s); }

/* --- metadata ---------------------------------------------------------------------------------------------------------------- */

static struct slx_str type_name(uint64_t type)
{
	static const char *const name[] = { "", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset" };
	return slx_str(type < sizeof name / sizeof *name ? name[type] : "");
}

/* MetricMetadata of 1.0. */
static bool read_metadata(struct slx_rw *r, struct slx_str body, struct slx_rw_metadata *ret)
{
	struct slx_pb pb = slx_pb_of(body);
	struct slx_pb_field f;
	*ret = (struct slx_rw_metadata){ .type = SLX_STR(""), .metric = SLX_STR(""), .help = SLX_STR(""), .unit = SLX_STR("") };
	while (slx_pb_next(&pb, &f)) {
		if (f.number == 1 && f.wire == SLX_PB_VARINT)
			ret->type = type_name(f.value);
		else if (f.number == 2 && f.wire == SLX_PB_BYTES)
			ret->metric = f.bytes;
		else if (f.number == 4 && f.wire == SLX_PB_BYTES)
			ret->help = f.bytes;
		else if (f.number == 5 && f.wire == SLX_PB_BYTES)
			ret->unit = f.bytes;
	}
	return !pb.bad || broken(r, &pb);
}

static struct slx_str symbol(const struct slx_rw *r, uint64_t ref) { return ref < r->symbols_n ? r->symbols[ref] : SLX_STR(""); }

bool slx_rw_series_metadata(struct slx_rw *r, const struct slx_rw_series *s, struct slx_rw_metadata *ret)
{
	struct slx_pb pb = slx_pb_of(s->metadata);
	struct slx_pb_field f;
	*ret = (struct slx_rw_metadata){ .type = SLX_STR(""), .metric = SLX_STR(""), .help = SLX_STR(""), .unit = SLX_STR("") };
	while (slx_pb_next(&pb, &f)) {
		if (f.wire != SLX_PB_VARINT)
			continue;
		if (f.number == 1)
			ret->type = type_name(f.value);
		else if (f.number == 3)
			ret->help = symbol(r, f.value);
		else if (f.number == 4)
			ret->unit = symbol(r, f.value);
	}
	return !pb.bad || broken(r, &pb);
}

enum slx_rw_item slx_rw_next(struct slx_rw *r, struct slx_rw_series *s, struct slx_rw_metadata *md)
{
	uint32_t series = r->version == SLX_RW_2 ? 5 : 1, metadata = r->version == SLX_RW_2 ? 0 : 3;
	struct slx_pb_field f;
	while (slx_pb_next(&r->pb, &f)) {
		if (f.number != series && f.number != metadata)
			continue;
		if (f.wire != SLX_PB_BYTES) {
			slx_pb_fail(&r->pb, "a message in a field of the request");
			return SLX_RW_BAD;
		}
		if (f.number == series)
			return (r->version == SLX_RW_1 && guess(f.bytes, s)) || look_at_series(r, f.bytes, s) ? SLX_RW_SERIES : SLX_RW_BAD;
		return read_metadata(r, f.bytes, md) ? SLX_RW_METADATA : SLX_RW_BAD;
	}
	return r->pb.bad ? SLX_RW_BAD : SLX_RW_END;
}

/* --- labels -------------------------------------------------------------------------------------------------------------------- */

static const char TOO_MANY[] = "more labels than a series can have";

/* Label messages (field 1) out of bytes into r->labels. *fault is set when there are too many. */
static bool read_labels_1(struct slx_rw *r, struct slx_str bytes, size_t *ret_n, const char **fault)
{
	struct slx_pb pb = slx_pb_of(bytes);
	struct slx_pb_field f;
	size_t n = 0;
	while (slx_pb_next(&pb, &f)) {
		if (f.number != LABELS)
			continue;
		struct slx_pb label = slx_pb_of(f.bytes);
		struct slx_label l = { SLX_STR(""), SLX_STR("") };
		while (slx_pb_next(&label, &f)) {
			if (f.number > 2)
				continue;
			if (f.wire != SLX_PB_BYTES)
				return expected(r, &label, "a string in a label");
			*(f.number == 1 ? &l.name : &l.value) = f.bytes;
		}
		if (label.bad)
			return broken(r, &label);
		if (n == SLX_RW_LABELS_MAX)
			*fault = TOO_MANY;
		else
			r->labels[n++] = l;
	}
	*ret_n = n;
	return true;
}

/* References (field 1) out of bytes, whose wire form was seen before or is seen now. */
static bool read_labels_2(struct slx_rw *r, struct slx_str bytes, size_t *ret_n, const char **fault)
{
	struct slx_pb pb = slx_pb_of(bytes);
	struct slx_pb_field f;
	size_t n = 0;
	while (slx_pb_next(&pb, &f)) {
		if (f.number != LABELS)
			continue;
		struct slx_pb refs = slx_pb_of(f.wire == SLX_PB_BYTES ? f.bytes : (struct slx_str){ NULL, 0 });
		uint64_t ref = f.value;
		bool more = f.wire == SLX_PB_VARINT || (refs.p < refs.end && slx_pb_varint(&refs, &ref));
		for (; more; more = refs.p < refs.end && slx_pb_varint(&refs, &ref)) {
			if (ref >= r->symbols_n)
				*fault = "a label refers to a symbol that the request does not have";
			if (n == 2 * SLX_RW_LABELS_MAX)
				*fault = TOO_MANY;
			else if (n % 2)
				r->labels[n++ / 2].value = symbol(r, ref);
			else
				r->labels[n++ / 2].name = symbol(r, ref);
		}
		if (refs.bad)
			return broken(r, &refs);
	}
	if (n % 2)
		*fault = "a label has a name and no value (an odd number of references)";
	*ret_n = n / 2;
	return true;
}

static bool read_labels(struct slx_rw *r, struct slx_str bytes, size_t *ret_n, const char **fault)
{
	return r->version == SLX_RW_2 ? read_labels_2(r, bytes, ret_n, fault) : read_labels_1(r, bytes, ret_n, fault);
}

silex_status slx_rw_labels(struct slx_rw *r, const struct slx_rw_series *s, const struct slx_label **ret, size_t *ret_n, silex_error *err)
{
	const char *fault = s->fault;
	size_t n = 0;
	if (!read_labels(r, s->body, &n, &fault))
		return slx_rw_error(r, err);
	*ret = r->labels; /* as many as could be read, also of a faulty series: for its name in the message */
	*ret_n = n;
	return fault ? slx_err(err, SILEX_INVALID, "%s", fault) : SILEX_OK;
}

/* --- samples and exemplars ------------------------------------------------------------------------------------------------------- */

bool slx_rw_sample_slow(struct slx_rw *r, struct slx_str body, struct slx_rw_sample *ret)
{
	struct slx_pb pb = slx_pb_of(body);
	struct slx_pb_field f;
	*ret = (struct slx_rw_sample){ 0 };
	while (slx_pb_next(&pb, &f)) {
		if (f.number > 3 || (f.number == 3 && r->version == SLX_RW_1))
			continue;
		if (f.wire != (f.number == 1 ? SLX_PB_FIXED64 : SLX_PB_VARINT))
			return expected(r, &pb, "a double and timestamps in a sample");
		if (f.number == 1)
			ret->v = slx_bits_f64(f.value);
		else
			*(f.number == 2 ? &ret->t : &ret->start) = slx_rw_ns((int64_t)f.value);
	}
	return !pb.bad || broken(r, &pb);
}

bool slx_rw_next_exemplar(struct slx_rw *r, struct slx_pb *at, struct slx_rw_exemplar *ret)
{
	struct slx_str body;
	if (r->pb.bad || !slx_rw_field(at, r->version == SLX_RW_2 ? EXEMPLARS_2 : EXEMPLARS_1, &body))
		return false;
	struct slx_pb pb = slx_pb_of(body);
	struct slx_pb_field f;
	*ret = (struct slx_rw_exemplar){ 0 };
	while (slx_pb_next(&pb, &f)) {
		if (f.number == 2 && f.wire == SLX_PB_FIXED64)
			ret->v = slx_bits_f64(f.value);
		else if (f.number == 3 && f.wire == SLX_PB_VARINT)
			ret->t = slx_rw_ns((int64_t)f.value);
		else if (f.number == 1 ? f.wire != SLX_PB_BYTES && (r->version == SLX_RW_1 || f.wire != SLX_PB_VARINT) : f.number <= 3)
			return expected(r, &pb, "labels, a double and a timestamp in an exemplar");
	}
	if (pb.bad)
		return broken(r, &pb);
	ret->labels = r->labels;
	return read_labels(r, body, &ret->labels_n, &ret->fault);
}
