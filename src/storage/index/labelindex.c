/* Reads the bytes described in labelindex_int.h.
 *
 * open walks over all of them once: sizes add up, names and values are sorted UTF-8, every entry is in range, every
 * list says what the column says. So the questions after it trust the bytes. */
#include "storage/index/labelindex_int.h"

#include "storage/index/index_int.h"

#include <stdlib.h>

/* One name; pointers into the section. */
struct column {
	struct slx_str name;
	uint32_t values_n;
	uint32_t width;  /* bits of an entry */
	uint32_t absent; /* 1 when entry 0 is "absent", else 0 */
	uint32_t runs_n;
	uint8_t flags, end_size, list_end_size;
	size_t text_size, lists_size;
	const uint8_t *ends, *data, *list_ends, *lists;
	const char *text;
};

struct slx_labelindex {
	struct slx_mem *mem;
	enum slx_mem_use use;
	size_t size; /* of this allocation */
	uint32_t series, columns_n;
	struct column columns[];
};

/* ---- reading checked bytes ---- */

static inline uint32_t end_at(const uint8_t *ends, uint32_t end_size, uint32_t i)
{
	return end_size == 1 ? ends[i]
		: end_size == 2  ? slx_load16(ends + 2 * (size_t)i)
						 : slx_load32(ends + 4 * (size_t)i);
}

static inline struct slx_str value_at(const struct column *c, uint32_t i)
{
	uint32_t from = i ? end_at(c->ends, c->end_size, i - 1) : 0;
	return (struct slx_str){ c->text + from, end_at(c->ends, c->end_size, i) - from };
}

static inline uint32_t packed_at(const uint8_t *data, uint32_t width, uint32_t i)
{
	uint32_t bit = i * width; /* below 2^16 * 17 */
	return slx_load32(data + (bit >> 3)) >> (bit & 7) & ((1u << width) - 1);
}

static inline uint32_t run_start(const struct column *c, uint32_t r)
{
	return slx_load16(c->data + (size_t)r * SLX_LABELINDEX_RUN_SIZE);
}

static inline uint32_t run_entry(const struct column *c, uint32_t r)
{
	return slx_load16(c->data + (size_t)r * SLX_LABELINDEX_RUN_SIZE + 2);
}

/* The run that covers series i: the last that starts at or before it. */
static uint32_t run_of(const struct column *c, uint32_t i)
{
	uint32_t low = 0, high = c->runs_n;
	while (high - low > 1) {
		uint32_t middle = (low + high) / 2;
		if (run_start(c, middle) <= i)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* The value of series i, NONE when absent. */
static inline uint32_t entry_at(const struct column *c, uint32_t i)
{
	uint32_t e = c->flags & SLX_LABELINDEX_RUNS ? run_entry(c, run_of(c, i)) : packed_at(c->data, c->width, i);
	return e - c->absent; /* 0 - 1 is NONE */
}

static inline uint32_t trusted_varint(const uint8_t **p)
{
	uint32_t v = *(*p)++;
	if (v < 128)
		return v;
	v &= 127;
	for (unsigned shift = 7;; shift += 7) {
		uint8_t b = *(*p)++;
		v |= (uint32_t)(b & 127) << shift;
		if (b < 128)
			return v;
	}
}

/* ---- opening ---- */

struct opener {
	const uint8_t *start;
	struct slx_rd rd;
	silex_error *err;
};

static silex_status corrupt(const struct opener *o, const uint8_t *at, const char *expected)
{
	return slx_err(o->err, SILEX_CORRUPT, "label index: offset %zu: expected %s", (size_t)(at - o->start), expected);
}

static silex_status read_directory(struct opener *o, uint32_t series, const struct column *before, struct column *c)
{
	struct slx_rd *r = &o->rd;
	const uint8_t *at = r->p;
	uint64_t name_size = slx_rd_varint(r);
	c->name = (struct slx_str){ (const char *)slx_rd_bytes(r, name_size), name_size };
	uint64_t values = slx_rd_varint(r), text_size = slx_rd_varint(r), runs = 0, lists_size = 0;
	c->flags = slx_rd_u8(r);
	if (c->flags & SLX_LABELINDEX_RUNS)
		runs = slx_rd_varint(r);
	if (c->flags & SLX_LABELINDEX_LISTS)
		lists_size = slx_rd_varint(r);
	if (r->bad || c->flags > (SLX_LABELINDEX_FULL | SLX_LABELINDEX_RUNS | SLX_LABELINDEX_LISTS))
		return corrupt(o, at, "a name with its counts and flags");
	if (name_size == 0 || !slx_utf8_valid(c->name.p, c->name.n) || (before && slx_str_cmp(before->name, c->name) >= 0))
		return corrupt(o, at, "a name of UTF-8 that comes after the one before");
	bool full = c->flags & SLX_LABELINDEX_FULL;
	if (values == 0 || values > series - (full ? 0 : 1) || text_size < values || text_size > UINT32_MAX)
		return corrupt(o, at, "at least one value, at most one a series, none of them empty");
	if (runs > series || ((c->flags & SLX_LABELINDEX_RUNS) && runs == 0) || lists_size > UINT32_MAX)
		return corrupt(o, at, "at most one run a series");
	c->values_n = (uint32_t)values;
	c->absent = !full;
	c->width = slx_labelindex_width(c->values_n - full);
	c->runs_n = (uint32_t)runs;
	c->text_size = text_size;
	c->lists_size = lists_size;
	c->end_size = (uint8_t)slx_labelindex_end_size(text_size);
	c->list_end_size = (uint8_t)slx_labelindex_end_size(lists_size);
	return SILEX_OK;
}

/* `ends` ascend strictly and finish at the total. */
static bool good_ends(const uint8_t *ends, uint32_t end_size, uint32_t n, size_t total)
{
	uint32_t before = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t end = end_at(ends, end_size, i);
		if (end <= before)
			return false;
		before = end;
	}
	return before == total;
}

static silex_status check_values(struct opener *o, const struct column *c)
{
	if (!good_ends(c->ends, c->end_size, c->values_n, c->text_size))
		return corrupt(o, c->ends, "ends of values that ascend to their total");
	for (uint32_t i = 0; i < c->values_n; i++) {
		struct slx_str v = value_at(c, i);
		if (!slx_utf8_valid(v.p, v.n) || (i && slx_str_cmp(value_at(c, i - 1), v) >= 0))
			return corrupt(o, (const uint8_t *)v.p, "a value of UTF-8 that comes after the one before");
	}
	return SILEX_OK;
}

/* All entries in range; counts the series that have the name. */
static silex_status check_column(struct opener *o, const struct column *c, uint32_t series, uint32_t *ret_present)
{
	uint32_t entries = c->values_n + c->absent, present = 0;
	bool runs = c->flags & SLX_LABELINDEX_RUNS;
	for (uint32_t r = 0; r < c->runs_n; r++) {
		uint32_t next = r + 1 < c->runs_n ? run_start(c, r + 1) : series;
		if ((r == 0 && run_start(c, 0) != 0) || run_start(c, r) >= next || run_entry(c, r) >= entries)
			return corrupt(o, c->data + (size_t)r * SLX_LABELINDEX_RUN_SIZE, "runs that ascend from series 0");
		present += run_entry(c, r) >= c->absent ? next - run_start(c, r) : 0;
	}
	for (uint32_t i = 0; i < series && !runs; i++) {
		uint32_t e = packed_at(c->data, c->width, i);
		if (e >= entries)
			return corrupt(o, c->data + ((size_t)i * c->width >> 3), "a value of the name");
		present += e >= c->absent;
	}
	*ret_present = present;
	return SILEX_OK;
}

/* Each list holds series of its value, ascending; together they hold all that have the name. */
static silex_status check_lists(struct opener *o, const struct column *c, uint32_t series, uint32_t present)
{
	if (!good_ends(c->list_ends, c->list_end_size, c->values_n, c->lists_size))
		return corrupt(o, c->list_ends, "ends of lists that ascend to their total");
	uint32_t listed = 0;
	for (uint32_t v = 0, from = 0; v < c->values_n; v++) {
		uint32_t end = end_at(c->list_ends, c->list_end_size, v);
		struct slx_rd r = slx_rd_init(c->lists + from, end - from);
		uint64_t ordinal = 0;
		for (bool first = true; slx_rd_left(&r); first = false, listed++) {
			const uint8_t *at = r.p;
			uint64_t d = slx_rd_varint(&r);
			if (r.bad || (d == 0 && !first) || d >= series || (ordinal += d) >= series ||
				entry_at(c, (uint32_t)ordinal) != v)
				return corrupt(o, at, "ascending series that have the value");
		}
		from = end;
	}
	return listed == present ? SILEX_OK : corrupt(o, c->lists, "lists of all series that have the name");
}

static silex_status read_column(struct opener *o, struct column *c, uint32_t series)
{
	struct slx_rd *r = &o->rd;
	const uint8_t *at = r->p;
	size_t data_size = c->flags & SLX_LABELINDEX_RUNS ? (size_t)c->runs_n * SLX_LABELINDEX_RUN_SIZE
													  : ((size_t)series * c->width + 7) / 8;
	c->ends = slx_rd_bytes(r, (size_t)c->values_n * c->end_size);
	c->text = (const char *)slx_rd_bytes(r, c->text_size);
	c->data = slx_rd_bytes(r, data_size);
	if (c->flags & SLX_LABELINDEX_LISTS) {
		c->list_ends = slx_rd_bytes(r, (size_t)c->values_n * c->list_end_size);
		c->lists = slx_rd_bytes(r, c->lists_size);
	}
	if (r->bad || slx_rd_left(r) < SLX_LABELINDEX_PAD)
		return corrupt(o, at, "the bytes that the directory announces");
	uint32_t present = 0;
	SLX_TRY(check_values(o, c));
	SLX_TRY(check_column(o, c, series, &present));
	return c->flags & SLX_LABELINDEX_LISTS ? check_lists(o, c, series, present) : SILEX_OK;
}

static silex_status read_all(struct opener *o, struct slx_labelindex *ix)
{
	for (uint32_t i = 0; i < ix->columns_n; i++)
		SLX_TRY(read_directory(o, ix->series, i ? &ix->columns[i - 1] : NULL, &ix->columns[i]));
	for (uint32_t i = 0; i < ix->columns_n; i++)
		SLX_TRY(read_column(o, &ix->columns[i], ix->series));
	const uint8_t *pad = slx_rd_bytes(&o->rd, SLX_LABELINDEX_PAD);
	if (!pad || slx_load32(pad) || slx_rd_left(&o->rd))
		return corrupt(o, pad ? pad : o->rd.p, "4 zero bytes and the end");
	return SILEX_OK;
}

silex_status slx_labelindex_open(
	const void *p, size_t n, struct slx_mem *m, enum slx_mem_use use, struct slx_labelindex **ret, silex_error *err)
{
	struct opener o = { p, slx_rd_init(p, n), err };
	uint8_t version = slx_rd_u8(&o.rd);
	if (!o.rd.bad && version != SLX_LABELINDEX_VERSION)
		return slx_err(err, SILEX_UNSUPPORTED, "label index: version %d; this release reads version %d", version,
			SLX_LABELINDEX_VERSION);
	uint64_t series = slx_rd_varint(&o.rd), names = slx_rd_varint(&o.rd);
	/* A name takes at least 7 bytes (and its directory entry 5), so the allocation is bounded by n. */
	if (o.rd.bad || series > SLX_LABELINDEX_SERIES_MAX || names > slx_rd_left(&o.rd) / 5 || (series == 0 && names))
		return corrupt(&o, o.start, "a version, at most 65536 series, and names");
	size_t size = sizeof(struct slx_labelindex) + names * sizeof(struct column);
	struct slx_labelindex *ix = slx_calloc(m, use, size);
	if (!ix)
		return slx_err_oom(err);
	ix->mem = m;
	ix->use = use;
	ix->size = size;
	ix->series = (uint32_t)series;
	ix->columns_n = (uint32_t)names;
	silex_status st = read_all(&o, ix);
	if (st != SILEX_OK) {
		slx_labelindex_close(ix);
		return st;
	}
	*ret = ix;
	return SILEX_OK;
}

void slx_labelindex_close(struct slx_labelindex *ix)
{
	if (ix)
		slx_free(ix->mem, ix->use, ix, ix->size);
}

/* ---- series ---- */

uint32_t slx_labelindex_count(const struct slx_labelindex *ix) { return ix->series; }

static void put_str(struct slx_buf *out, struct slx_str s)
{
	slx_buf_varint(out, s.n);
	slx_buf_put(out, s.p, s.n);
}

void slx_labelindex_labels(const struct slx_labelindex *ix, uint32_t ordinal, struct slx_buf *out)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < ix->columns_n; i++)
		n += entry_at(&ix->columns[i], ordinal) != SLX_INDEX_NONE;
	slx_buf_varint(out, n);
	for (uint32_t i = 0; i < ix->columns_n; i++) {
		const struct column *c = &ix->columns[i];
		uint32_t v = entry_at(c, ordinal);
		if (v == SLX_INDEX_NONE)
			continue;
		put_str(out, c->name);
		put_str(out, value_at(c, v));
	}
}

/* ---- what select.c asks (index_int.h); values are their places in the sorted list ---- */

static const struct column *column_of(const void *ix, uint32_t name)
{
	return &((const struct slx_labelindex *)ix)->columns[name];
}

static uint32_t op_series(const void *ix) { return ((const struct slx_labelindex *)ix)->series; }
static uint32_t op_names(const void *ix) { return ((const struct slx_labelindex *)ix)->columns_n; }
static struct slx_str op_name_text(const void *ix, uint32_t name) { return column_of(ix, name)->name; }

static uint32_t op_name_find(const void *ix, struct slx_str name)
{
	uint32_t low = 0, high = op_names(ix);
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		int c = slx_str_cmp(column_of(ix, middle)->name, name);
		if (c == 0)
			return middle;
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return SLX_INDEX_NONE;
}

static uint32_t op_values(const void *ix, uint32_t name) { return column_of(ix, name)->values_n; }
static struct slx_str op_value_text(const void *ix, uint32_t name, uint32_t value)
{
	return value_at(column_of(ix, name), value);
}

/* The first value that is not less than `s`. */
static uint32_t lower_bound(const struct column *c, struct slx_str s)
{
	uint32_t low = 0, high = c->values_n;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (slx_str_cmp(value_at(c, middle), s) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint32_t op_value_find(const void *ix, uint32_t name, struct slx_str value)
{
	const struct column *c = column_of(ix, name);
	uint32_t i = lower_bound(c, value);
	return i < c->values_n && slx_str_eq(value_at(c, i), value) ? i : SLX_INDEX_NONE;
}

static uint32_t if_prefixed(const struct column *c, uint32_t i, struct slx_str prefix)
{
	if (i >= c->values_n)
		return SLX_INDEX_NONE;
	struct slx_str v = value_at(c, i);
	return v.n >= prefix.n && memcmp(v.p, prefix.p, prefix.n) == 0 ? i : SLX_INDEX_NONE;
}

static uint32_t op_value_first(const void *ix, uint32_t name, struct slx_str prefix)
{
	const struct column *c = column_of(ix, name);
	return if_prefixed(c, lower_bound(c, prefix), prefix);
}

static uint32_t op_value_next(const void *ix, uint32_t name, uint32_t value, struct slx_str prefix)
{
	return if_prefixed(column_of(ix, name), value + 1, prefix);
}

/* As if all values had as many series; exact would cost a scan. */
static uint64_t op_estimate(const void *ix, uint32_t name, const uint32_t *values, size_t n)
{
	return (uint64_t)op_series(ix) * n / column_of(ix, name)->values_n + n;
}

/* A set of values, most often one or a stretch of neighbours. */
struct wanted {
	uint32_t low, span;    /* low .. low + span */
	bool all;              /* of that stretch; else as `set` says */
	struct slx_bitset set; /* of value - low */
};

static silex_status wanted_init(
	struct wanted *w, const uint32_t *values, size_t n, struct slx_mem *mem, silex_error *err)
{
	*w = (struct wanted){ .low = values[0], .span = values[n - 1] - values[0] };
	w->all = w->span == n - 1;
	if (w->all)
		return SILEX_OK;
	SLX_TRY(slx_bitset_init(&w->set, mem, w->span + 1, err));
	for (size_t i = 0; i < n; i++)
		slx_bitset_add(&w->set, values[i] - w->low);
	return SILEX_OK;
}

static void wanted_free(struct wanted *w)
{
	if (!w->all)
		slx_bitset_free(&w->set);
}

static inline bool wanted_has(const struct wanted *w, uint32_t value)
{
	uint32_t at = value - w->low; /* NONE and anything below low are far above span */
	return at <= w->span && (w->all || slx_bitset_has(&w->set, at));
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static silex_status collect_lists(
	const struct column *c, const uint32_t *values, size_t n, struct slx_ordinals *out, silex_error *err)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t from = values[i] ? end_at(c->list_ends, c->list_end_size, values[i] - 1) : 0;
		uint32_t end = end_at(c->list_ends, c->list_end_size, values[i]);
		SLX_TRY(slx_ordinals_reserve(out, end - from, err)); /* a byte or more each */
		uint32_t ordinal = 0;
		for (const uint8_t *p = c->lists + from; p < c->lists + end;) {
			ordinal += trusted_varint(&p);
			out->p[out->n++] = ordinal;
		}
	}
	if (n > 1)
		qsort(out->p, out->n, sizeof *out->p, by_number);
	return SILEX_OK;
}

static silex_status collect_runs(
	const struct column *c, uint32_t series, const struct wanted *w, struct slx_ordinals *out, silex_error *err)
{
	for (uint32_t r = 0; r < c->runs_n; r++) {
		if (!wanted_has(w, run_entry(c, r) - c->absent))
			continue;
		uint32_t from = run_start(c, r), to = r + 1 < c->runs_n ? run_start(c, r + 1) : series;
		SLX_TRY(slx_ordinals_reserve(out, to - from, err));
		while (from < to)
			out->p[out->n++] = from++;
	}
	return SILEX_OK;
}

/* Scans the column; each step writes the ordinal and moves on only if it is wanted. */
static silex_status collect_packed(
	const struct column *c, uint32_t series, const struct wanted *w, struct slx_ordinals *out, silex_error *err)
{
	enum { STRIDE = 1024 };
	for (uint32_t from = 0; from < series; from += STRIDE) {
		uint32_t to = series - from < STRIDE ? series : from + STRIDE;
		SLX_TRY(slx_ordinals_reserve(out, STRIDE, err));
		size_t n = out->n;
		for (uint32_t i = from; i < to; i++) {
			out->p[n] = i;
			n += wanted_has(w, packed_at(c->data, c->width, i) - c->absent);
		}
		out->n = n;
	}
	return SILEX_OK;
}

static silex_status op_collect(
	const void *handle, uint32_t name, const uint32_t *values, size_t n, struct slx_ordinals *out, silex_error *err)
{
	const struct slx_labelindex *ix = handle;
	const struct column *c = column_of(ix, name);
	if ((c->flags & SLX_LABELINDEX_LISTS) && n <= c->values_n / 8)
		return collect_lists(c, values, n, out, err);
	struct wanted w;
	SLX_TRY(wanted_init(&w, values, n, out->mem, err));
	silex_status st = c->flags & SLX_LABELINDEX_RUNS ? collect_runs(c, ix->series, &w, out, err)
													 : collect_packed(c, ix->series, &w, out, err);
	wanted_free(&w);
	return st;
}

static silex_status op_filter(const void *ix, uint32_t name, const uint32_t *values, size_t n, bool without,
	struct slx_ordinals *o, silex_error *err)
{
	const struct column *c = column_of(ix, name);
	struct wanted w;
	SLX_TRY(wanted_init(&w, values, n, o->mem, err));
	size_t kept = 0;
	for (size_t i = 0; i < o->n; i++) {
		o->p[kept] = o->p[i];
		kept += wanted_has(&w, entry_at(c, o->p[i])) != without;
	}
	o->n = kept;
	wanted_free(&w);
	return SILEX_OK;
}

static void op_count_values(const void *handle, uint32_t name, const struct slx_ordinals *o, uint32_t *counts)
{
	const struct slx_labelindex *ix = handle;
	const struct column *c = column_of(ix, name);
	uint32_t n = o ? (uint32_t)o->n : ix->series;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t v = entry_at(c, o ? o->p[i] : i);
		if (v != SLX_INDEX_NONE)
			counts[v]++;
	}
}

static void op_count_names(const void *handle, const struct slx_ordinals *o, uint32_t *counts)
{
	const struct slx_labelindex *ix = handle;
	uint32_t n = o ? (uint32_t)o->n : ix->series;
	for (uint32_t name = 0; name < ix->columns_n; name++) {
		const struct column *c = column_of(ix, name);
		for (uint32_t i = 0; i < n; i++)
			counts[name] += entry_at(c, o ? o->p[i] : i) != SLX_INDEX_NONE;
	}
}

static const struct slx_index_ops ops = {
	op_series,
	op_names,
	op_name_text,
	op_name_find,
	op_values,
	op_value_text,
	op_value_find,
	op_value_first,
	op_value_next,
	op_estimate,
	op_collect,
	op_filter,
	op_count_names,
	op_count_values,
};

struct slx_str slx_labelindex_value(const struct slx_labelindex *ix, uint32_t ordinal, struct slx_str name)
{
	uint32_t id = op_name_find(ix, name);
	uint32_t v = id == SLX_INDEX_NONE ? SLX_INDEX_NONE : entry_at(column_of(ix, id), ordinal);
	return v == SLX_INDEX_NONE ? SLX_STR("") : value_at(column_of(ix, id), v);
}

silex_status slx_labelindex_select(const struct slx_labelindex *ix, struct slx_matcher *const *ms, size_t n,
	struct slx_mem *mem, struct slx_ordinals *ret, silex_error *err)
{
	return slx_index_select(ix, &ops, ms, n, mem, ret, err);
}

silex_status slx_labelindex_names(const struct slx_labelindex *ix, struct slx_matcher *const *ms, size_t n,
	struct slx_mem *mem, struct slx_strings *ret, silex_error *err)
{
	return slx_index_names(ix, &ops, ms, n, mem, ret, err);
}

silex_status slx_labelindex_values(const struct slx_labelindex *ix, struct slx_str name, struct slx_matcher *const *ms,
	size_t n, struct slx_mem *mem, struct slx_strings *ret, silex_error *err)
{
	return slx_index_values(ix, &ops, name, ms, n, mem, ret, err);
}
