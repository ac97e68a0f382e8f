/* Builds the bytes described in labelindex_int.h. Series are interned in a memory index while they come; finish turns
 * its lists into columns, one name at a time. */
#include "storage/index/labelindex_int.h"

#include "storage/index/index_int.h"

#include <stdlib.h>

enum { LISTS_SERIES_MIN = 4096, LISTS_VALUE_SERIES_MAX = 64 };

struct slx_labelindex_builder {
	struct slx_mem *mem;
	struct slx_arena arena;
	struct slx_memindex *ix;
	struct slx_buf last; /* canonical bytes of the series added last */
};

/* One value of the name at hand. */
struct value {
	struct slx_str text;
	uint32_t id;           /* in the memory index */
	uint32_t first, count; /* place in column.ordinals */
};

/* What finish knows about one name. */
struct column {
	struct slx_str name;
	struct value *values;
	uint32_t values_n;
	uint64_t text_size, lists_size;
	uint32_t present; /* series that have it */
	uint32_t runs;
	uint8_t flags;
};

struct scratch {
	const struct slx_memindex *ix;
	struct slx_mem *mem;
	uint32_t series;
	uint32_t *entries;            /* per series, of the name at hand */
	struct slx_ordinals ordinals; /* of its values, one after the other */
};

static void builder_clear(struct slx_labelindex_builder *b)
{
	slx_arena_clear(&b->arena);
	slx_buf_reset(&b->last);
	b->ix = NULL;
}

silex_status slx_labelindex_builder_new(struct slx_mem *m, struct slx_labelindex_builder **ret, silex_error *err)
{
	struct slx_labelindex_builder *b = slx_calloc(m, SLX_MEM_OTHER, sizeof *b);
	if (!b)
		return slx_err_oom(err);
	b->mem = m;
	slx_arena_init(&b->arena, m, SLX_MEM_OTHER, 1 << 18);
	slx_buf_init(&b->last, m, SLX_MEM_OTHER, SIZE_MAX);
	*ret = b;
	return SILEX_OK;
}

void slx_labelindex_builder_free(struct slx_labelindex_builder *b)
{
	if (!b)
		return;
	slx_arena_clear(&b->arena);
	slx_buf_free(&b->last);
	slx_free(b->mem, SLX_MEM_OTHER, b, sizeof *b);
}

silex_status slx_labelindex_builder_add(struct slx_labelindex_builder *b, struct slx_labels l, silex_error *err)
{
	if (!b->ix)
		b->ix = slx_memindex_new(&b->arena);
	if (!b->ix)
		return slx_err_oom(err);
	uint32_t n = slx_memindex_count(b->ix), ordinal;
	if (n == SLX_LABELINDEX_SERIES_MAX)
		return slx_err(
			err, SILEX_INVALID, "label index: expected at most %d series in a section", SLX_LABELINDEX_SERIES_MAX);
	if (n && slx_labels_cmp((struct slx_labels){ b->last.p, b->last.n }, l) >= 0)
		return slx_err(err, SILEX_INVALID, "label index: series %u does not come after the one before it", n);
	SLX_TRY(slx_memindex_add(b->ix, l, &ordinal, err));
	slx_buf_reset(&b->last);
	slx_buf_put(&b->last, l.p, l.n);
	return b->last.failed ? slx_err_oom(err) : SILEX_OK;
}

/* ---- looking at a name ---- */

static int by_text(const void *a, const void *b)
{
	return slx_str_cmp(((const struct value *)a)->text, ((const struct value *)b)->text);
}

/* The name's values with series, sorted. values has room for all. */
static uint32_t read_values(const struct scratch *s, uint32_t name, struct value *values)
{
	const struct slx_index_ops *ops = &slx_memindex_ops;
	uint32_t n = 0;
	for (uint32_t v = ops->value_first(s->ix, name, SLX_STR("")); v != SLX_INDEX_NONE;
		 v = ops->value_next(s->ix, name, v, SLX_STR("")))
		if (ops->estimate(s->ix, name, &v, 1))
			values[n++] = (struct value){ .text = ops->value_text(s->ix, name, v), .id = v };
	qsort(values, n, sizeof *values, by_text);
	return n;
}

static uint32_t varint_size(uint32_t v) { return v < 1u << 7 ? 1 : v < 1u << 14 ? 2 : 3; }

/* Fills entries and ordinals and sums up what the column will take. */
static silex_status read_column(struct scratch *s, uint32_t name, struct column *c, silex_error *err)
{
	memset(s->entries, 0, s->series * sizeof *s->entries);
	s->ordinals.n = 0;
	c->text_size = c->lists_size = 0;
	for (uint32_t i = 0; i < c->values_n; i++) {
		struct value *v = &c->values[i];
		v->first = (uint32_t)s->ordinals.n;
		SLX_TRY(slx_memindex_ops.collect(s->ix, name, &v->id, 1, &s->ordinals, err));
		v->count = (uint32_t)s->ordinals.n - v->first;
		c->text_size += v->text.n;
		for (uint32_t k = 0, before = 0; k < v->count; k++) {
			uint32_t ordinal = s->ordinals.p[v->first + k];
			s->entries[ordinal] = i + 1;
			c->lists_size += varint_size(ordinal - before);
			before = ordinal;
		}
	}
	c->present = (uint32_t)s->ordinals.n;
	if (c->present == s->series)
		for (uint32_t i = 0; i < s->series; i++)
			s->entries[i]--;
	c->runs = 1;
	for (uint32_t i = 1; i < s->series; i++)
		c->runs += s->entries[i] != s->entries[i - 1];
	return SILEX_OK;
}

static uint32_t max_entry(const struct column *c)
{
	return c->flags & SLX_LABELINDEX_FULL ? c->values_n - 1 : c->values_n;
}

static size_t packed_size(uint32_t series, uint32_t width) { return ((size_t)series * width + 7) / 8; }

static void choose_form(struct column *c, uint32_t series)
{
	c->flags = c->present == series ? SLX_LABELINDEX_FULL : 0;
	if ((size_t)c->runs * SLX_LABELINDEX_RUN_SIZE < packed_size(series, slx_labelindex_width(max_entry(c)))) {
		c->flags |= SLX_LABELINDEX_RUNS;
		return;
	}
	if (series >= LISTS_SERIES_MIN && c->present / c->values_n < LISTS_VALUE_SERIES_MAX)
		c->flags |= SLX_LABELINDEX_LISTS;
}

/* ---- writing ---- */

static void put_directory(struct slx_buf *out, const struct column *c)
{
	slx_buf_varint(out, c->name.n);
	slx_buf_put(out, c->name.p, c->name.n);
	slx_buf_varint(out, c->values_n);
	slx_buf_varint(out, c->text_size);
	slx_buf_u8(out, c->flags);
	if (c->flags & SLX_LABELINDEX_RUNS)
		slx_buf_varint(out, c->runs);
	if (c->flags & SLX_LABELINDEX_LISTS)
		slx_buf_varint(out, c->lists_size);
}

static void put_end(struct slx_buf *out, uint64_t end, uint64_t total)
{
	uint32_t v = (uint32_t)end;
	slx_buf_put(out, &v, slx_labelindex_end_size(total));
}

static void put_runs(struct slx_buf *out, const struct scratch *s)
{
	for (uint32_t i = 0; i < s->series; i++)
		if (i == 0 || s->entries[i] != s->entries[i - 1]) {
			slx_buf_u16(out, (uint16_t)i);
			slx_buf_u16(out, (uint16_t)s->entries[i]);
		}
}

static void put_packed(struct slx_buf *out, const struct scratch *s, uint32_t width)
{
	uint64_t bits = 0;
	uint32_t have = 0;
	for (uint32_t i = 0; i < s->series && width; i++) {
		bits |= (uint64_t)s->entries[i] << have;
		for (have += width; have >= 8; have -= 8, bits >>= 8)
			slx_buf_u8(out, (uint8_t)bits);
	}
	if (have)
		slx_buf_u8(out, (uint8_t)bits);
}

static void put_lists(struct slx_buf *out, const struct scratch *s, const struct column *c)
{
	size_t ends = out->n, end_size = slx_labelindex_end_size(c->lists_size);
	for (uint32_t i = 0; i < c->values_n; i++)
		put_end(out, 0, c->lists_size);
	size_t start = out->n;
	for (uint32_t i = 0; i < c->values_n && !out->failed; i++) {
		const struct value *v = &c->values[i];
		for (uint32_t k = 0, before = 0; k < v->count; k++) {
			slx_buf_varint(out, s->ordinals.p[v->first + k] - before);
			before = s->ordinals.p[v->first + k];
		}
		uint32_t end = (uint32_t)(out->n - start);
		if (!out->failed)
			memcpy(out->p + ends + i * end_size, &end, end_size);
	}
}

static void put_column(struct slx_buf *out, const struct scratch *s, const struct column *c)
{
	uint64_t end = 0;
	for (uint32_t i = 0; i < c->values_n; i++)
		put_end(out, end += c->values[i].text.n, c->text_size);
	for (uint32_t i = 0; i < c->values_n; i++)
		slx_buf_put(out, c->values[i].text.p, c->values[i].text.n);
	if (c->flags & SLX_LABELINDEX_RUNS)
		put_runs(out, s);
	else
		put_packed(out, s, slx_labelindex_width(max_entry(c)));
	if (c->flags & SLX_LABELINDEX_LISTS)
		put_lists(out, s, c);
}

/* The directory needs sizes, so columns are read twice; once they are few or small, and reading is cheap. */
static silex_status put_all(struct scratch *s, const uint32_t *names, uint32_t names_n, struct column *columns,
	struct slx_buf *out, silex_error *err)
{
	slx_buf_u8(out, SLX_LABELINDEX_VERSION);
	slx_buf_varint(out, s->series);
	slx_buf_varint(out, names_n);
	for (uint32_t i = 0; i < names_n; i++) {
		SLX_TRY(read_column(s, names[i], &columns[i], err));
		choose_form(&columns[i], s->series);
		put_directory(out, &columns[i]);
	}
	for (uint32_t i = 0; i < names_n; i++) {
		SLX_TRY(read_column(s, names[i], &columns[i], err));
		put_column(out, s, &columns[i]);
	}
	slx_buf_put(out, (const uint8_t[SLX_LABELINDEX_PAD]){ 0 }, SLX_LABELINDEX_PAD);
	return out->failed ? slx_err(err, SILEX_RESOURCE_EXHAUSTED, "label index: no room for %zu bytes", out->n)
					   : SILEX_OK;
}

struct named {
	struct slx_str text;
	uint32_t id;
};

static int by_name(const void *a, const void *b)
{
	return slx_str_cmp(((const struct named *)a)->text, ((const struct named *)b)->text);
}

/* Names that series have, sorted, each with its sorted values (which share the array `values`). */
static uint32_t read_names(
	const struct scratch *s, struct named *named, uint32_t *ids, struct column *columns, struct value *values)
{
	uint32_t all = slx_memindex_ops.names(s->ix), n = 0;
	for (uint32_t i = 0; i < all; i++)
		named[i] = (struct named){ slx_memindex_ops.name_text(s->ix, i), i };
	if (all > 1)
		qsort(named, all, sizeof *named, by_name);
	for (uint32_t i = 0; i < all; i++) {
		uint32_t values_n = read_values(s, named[i].id, values);
		if (values_n == 0)
			continue;
		columns[n] = (struct column){ .name = named[i].text, .values = values, .values_n = values_n };
		ids[n++] = named[i].id;
		values += values_n;
	}
	return n;
}

static silex_status write_section(struct slx_labelindex_builder *b, struct slx_buf *out, silex_error *err)
{
	struct scratch s = { .ix = b->ix, .mem = b->mem, .series = slx_memindex_count(b->ix), .ordinals.mem = b->mem };
	uint32_t names = slx_memindex_ops.names(b->ix), pairs = slx_memindex_ops.values(b->ix, 0);
	s.entries = slx_arena_alloc(&b->arena, (s.series + 1) * sizeof *s.entries, 8);
	struct named *named = slx_arena_alloc(&b->arena, (names + 1) * sizeof *named, 8);
	uint32_t *ids = slx_arena_alloc(&b->arena, (names + 1) * sizeof *ids, 8);
	struct column *columns = slx_arena_alloc(&b->arena, (names + 1) * sizeof *columns, 8);
	struct value *values = slx_arena_alloc(&b->arena, (pairs + 1) * sizeof *values, 8);
	if (!s.entries || !named || !ids || !columns || !values)
		return slx_err_oom(err);
	uint32_t n = read_names(&s, named, ids, columns, values);
	silex_status st = put_all(&s, ids, n, columns, out, err);
	slx_ordinals_free(&s.ordinals);
	return st;
}

silex_status slx_labelindex_builder_finish(struct slx_labelindex_builder *b, struct slx_buf *out, silex_error *err)
{
	size_t start = out->n;
	if (!b->ix)
		b->ix = slx_memindex_new(&b->arena);
	silex_status st = b->ix ? write_section(b, out, err) : slx_err_oom(err);
	if (st != SILEX_OK)
		out->n = start;
	builder_clear(b);
	return st;
}
