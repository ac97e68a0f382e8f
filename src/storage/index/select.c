/* From matchers to series.
 *
 * Each matcher becomes a `pick`: some values of its label and what to do with the series that have them.
 *   - A matcher that the empty value fails (a="x", a=~"x.*", a!="") keeps the series with the values it accepts.
 *   - A matcher that the empty value passes (a!="x", a="", a=~"x?") holds for all series without the label too, so it
 *     drops the series with the values it refuses.
 * The values wanted come from lookups or a prefix walk where the matcher's form allows it, else from a walk over all
 * values of that one label; an expression is run once per value, never per series.
 *
 * The keeping pick with the fewest series is collected; all others filter what is left, so that a selective matcher
 * beside a broad one costs little. Without a keeping pick all series are the start. */
#include "storage/index/index_int.h"

#include <stdlib.h>

/* ---- arrays ---- */

void slx_ordinals_free(struct slx_ordinals *o)
{
	if (o->mem)
		slx_free(o->mem, SLX_MEM_QUERY, o->p, o->cap * sizeof *o->p);
	*o = (struct slx_ordinals){ 0 };
}

silex_status slx_ordinals_reserve(struct slx_ordinals *o, size_t more, silex_error *err)
{
	if (o->cap - o->n >= more)
		return SILEX_OK;
	size_t cap = o->cap + o->cap / 2;
	if (cap < o->n + more)
		cap = o->n + more;
	uint32_t *p = slx_realloc(o->mem, SLX_MEM_QUERY, o->p, o->cap * sizeof *p, cap * sizeof *p);
	if (!p)
		return slx_err_oom(err);
	o->p = p;
	o->cap = cap;
	return SILEX_OK;
}

void slx_strings_free(struct slx_strings *s)
{
	if (s->mem)
		slx_free(s->mem, SLX_MEM_QUERY, s->block, s->block_size);
	*s = (struct slx_strings){ 0 };
}

silex_status slx_bitset_init(struct slx_bitset *b, struct slx_mem *mem, uint32_t numbers, silex_error *err)
{
	*b = (struct slx_bitset){ .mem = mem, .words_n = (size_t)numbers / 64 + 1 };
	b->words = slx_calloc(mem, SLX_MEM_QUERY, b->words_n * sizeof *b->words);
	return b->words ? SILEX_OK : slx_err_oom(err);
}

void slx_bitset_free(struct slx_bitset *b) { slx_free(b->mem, SLX_MEM_QUERY, b->words, b->words_n * sizeof *b->words); }

/* ---- picks ---- */

struct pick {
	uint32_t name;              /* NONE: no series has the label */
	bool without;               /* drop the series with these values; else keep only them */
	struct slx_ordinals values; /* ascending */
	uint64_t estimate;          /* of series */
};

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static silex_status push(struct slx_ordinals *o, uint32_t v, silex_error *err)
{
	if (o->n == o->cap)
		SLX_TRY(slx_ordinals_reserve(o, o->cap ? 1 : 8, err));
	o->p[o->n++] = v;
	return SILEX_OK;
}

/* The values of a SET's literals. */
static silex_status look_up(
	const void *ix, const struct slx_index_ops *ops, const struct slx_matcher *m, struct pick *p, silex_error *err)
{
	for (size_t i = 0; i < m->literals_n; i++) {
		if (m->literals[i].n == 0)
			continue;
		uint32_t v = ops->value_find(ix, p->name, m->literals[i]);
		if (v != SLX_INDEX_NONE)
			SLX_TRY(push(&p->values, v, err));
	}
	return SILEX_OK;
}

/* The values that the matcher, as a whole, answers with `wanted`. */
static silex_status walk(const void *ix, const struct slx_index_ops *ops, const struct slx_matcher *m, bool wanted,
	struct pick *p, silex_error *err)
{
	bool narrow = (m->form == SLX_FORM_PREFIX || m->form == SLX_FORM_REGEX) && wanted != m->negated;
	struct slx_str prefix = narrow ? m->literals[0] : SLX_STR("");
	for (uint32_t v = ops->value_first(ix, p->name, prefix); v != SLX_INDEX_NONE;
		 v = ops->value_next(ix, p->name, v, prefix)) {
		bool yes;
		SLX_TRY(slx_matcher_test(m, ops->value_text(ix, p->name, v), &yes, err));
		if (yes == wanted)
			SLX_TRY(push(&p->values, v, err));
	}
	return SILEX_OK;
}

static silex_status make_pick(
	const void *ix, const struct slx_index_ops *ops, const struct slx_matcher *m, struct pick *p, silex_error *err)
{
	p->name = ops->name_find(ix, m->name);
	p->without = m->matches_empty;
	if (p->name == SLX_INDEX_NONE || m->form == SLX_FORM_ANY)
		return SILEX_OK;
	bool wanted = !p->without, positive = wanted != m->negated;
	if (m->form == SLX_FORM_SET && positive)
		SLX_TRY(look_up(ix, ops, m, p, err));
	else
		SLX_TRY(walk(ix, ops, m, wanted, p, err));
	if (p->values.n > 1)
		qsort(p->values.p, p->values.n, sizeof *p->values.p, by_number);
	p->estimate = ops->estimate(ix, p->name, p->values.p, p->values.n);
	return SILEX_OK;
}

static silex_status make_picks(const void *ix, const struct slx_index_ops *ops, struct slx_matcher *const *ms, size_t n,
	struct slx_mem *mem, struct pick *picks, silex_error *err)
{
	for (size_t i = 0; i < n; i++) {
		picks[i].values.mem = mem;
		SLX_TRY(make_pick(ix, ops, ms[i], &picks[i], err));
	}
	return SILEX_OK;
}

/* ---- select ---- */

static silex_status all_series(
	const void *ix, const struct slx_index_ops *ops, struct slx_ordinals *out, silex_error *err)
{
	uint32_t n = ops->series(ix);
	SLX_TRY(slx_ordinals_reserve(out, n, err));
	for (uint32_t i = 0; i < n; i++)
		out->p[i] = i;
	out->n = n;
	return SILEX_OK;
}

/* The keeping pick with the fewest series; n when there is none. */
static size_t best_pick(const struct pick *picks, size_t n)
{
	size_t best = n;
	for (size_t i = 0; i < n; i++)
		if (!picks[i].without && (best == n || picks[i].estimate < picks[best].estimate))
			best = i;
	return best;
}

static silex_status run_picks(const void *ix, const struct slx_index_ops *ops, const struct pick *picks, size_t n,
	struct slx_ordinals *out, silex_error *err)
{
	for (size_t i = 0; i < n; i++)
		if (!picks[i].without && picks[i].values.n == 0)
			return SILEX_OK;
	size_t best = best_pick(picks, n);
	if (best == n)
		SLX_TRY(all_series(ix, ops, out, err));
	else
		SLX_TRY(ops->collect(ix, picks[best].name, picks[best].values.p, picks[best].values.n, out, err));
	for (size_t i = 0; i < n && out->n; i++)
		if (i != best && picks[i].values.n)
			SLX_TRY(ops->filter(ix, picks[i].name, picks[i].values.p, picks[i].values.n, picks[i].without, out, err));
	return SILEX_OK;
}

silex_status slx_index_select(const void *ix, const struct slx_index_ops *ops, struct slx_matcher *const *ms, size_t n,
	struct slx_mem *mem, struct slx_ordinals *ret, silex_error *err)
{
	struct slx_ordinals out = { .mem = mem };
	struct pick *picks = slx_calloc(mem, SLX_MEM_QUERY, (n + 1) * sizeof *picks);
	if (!picks)
		return slx_err_oom(err);
	silex_status st = make_picks(ix, ops, ms, n, mem, picks, err);
	if (st == SILEX_OK)
		st = run_picks(ix, ops, picks, n, &out, err);
	for (size_t i = 0; i < n; i++)
		slx_ordinals_free(&picks[i].values);
	slx_free(mem, SLX_MEM_QUERY, picks, (n + 1) * sizeof *picks);
	if (st != SILEX_OK) {
		slx_ordinals_free(&out);
		return st;
	}
	*ret = out;
	return SILEX_OK;
}

/* ---- names and values ---- */

struct counted {
	struct slx_str text;
	uint32_t count;
};

static int by_text(const void *a, const void *b)
{
	return slx_str_cmp(((const struct counted *)a)->text, ((const struct counted *)b)->text);
}

/* Copies n sorted strings into one block. */
static silex_status copy_strings(
	const struct counted *from, size_t n, struct slx_mem *mem, struct slx_strings *ret, silex_error *err)
{
	struct slx_strings s = { .mem = mem, .n = n };
	s.block_size = 1 + n * (sizeof *s.p + sizeof *s.counts);
	for (size_t i = 0; i < n; i++)
		s.block_size += from[i].text.n;
	s.block = slx_alloc(mem, SLX_MEM_QUERY, s.block_size);
	if (!s.block)
		return slx_err_oom(err);
	s.p = s.block;
	s.counts = (uint32_t *)(s.p + n);
	char *to = (char *)(s.counts + n);
	for (size_t i = 0; i < n; i++) {
		s.p[i] = (struct slx_str){ to, from[i].text.n };
		s.counts[i] = from[i].count;
		memcpy(to, from[i].text.p, from[i].text.n);
		to += from[i].text.n;
	}
	*ret = s;
	return SILEX_OK;
}

/* The strings of those ids that have a count; name NONE: ids are names. */
static silex_status counted_strings(const void *ix, const struct slx_index_ops *ops, uint32_t name,
	const uint32_t *counts, size_t ids, struct slx_mem *mem, struct slx_strings *ret, silex_error *err)
{
	size_t n = 0;
	for (size_t i = 0; i < ids; i++)
		n += counts[i] > 0;
	struct counted *list = slx_alloc(mem, SLX_MEM_QUERY, (n + 1) * sizeof *list);
	if (!list)
		return slx_err_oom(err);
	size_t at = 0;
	for (uint32_t i = 0; i < ids; i++)
		if (counts[i])
			list[at++] =
				(struct counted){ name == SLX_INDEX_NONE ? ops->name_text(ix, i) : ops->value_text(ix, name, i),
					counts[i] };
	qsort(list, n, sizeof *list, by_text);
	silex_status st = copy_strings(list, n, mem, ret, err);
	slx_free(mem, SLX_MEM_QUERY, list, (n + 1) * sizeof *list);
	return st;
}

/* Counts ids over the series selected and lists them. name NONE: names, else its values. */
static silex_status list_strings(const void *ix, const struct slx_index_ops *ops, uint32_t name,
	struct slx_matcher *const *ms, size_t n, struct slx_mem *mem, struct slx_strings *ret, silex_error *err)
{
	struct slx_ordinals o = { 0 };
	if (n)
		SLX_TRY(slx_index_select(ix, ops, ms, n, mem, &o, err));
	size_t ids = name == SLX_INDEX_NONE ? ops->names(ix) : ops->values(ix, name);
	uint32_t *counts = slx_calloc(mem, SLX_MEM_QUERY, (ids + 1) * sizeof *counts);
	silex_status st = SILEX_OK;
	if (!counts) {
		st = slx_err_oom(err);
	} else {
		if (name == SLX_INDEX_NONE)
			ops->count_names(ix, n ? &o : NULL, counts);
		else
			ops->count_values(ix, name, n ? &o : NULL, counts);
		st = counted_strings(ix, ops, name, counts, ids, mem, ret, err);
	}
	slx_free(mem, SLX_MEM_QUERY, counts, (ids + 1) * sizeof *counts);
	slx_ordinals_free(&o);
	return st;
}

silex_status slx_index_names(const void *ix, const struct slx_index_ops *ops, struct slx_matcher *const *ms, size_t n,
	struct slx_mem *mem, struct slx_strings *ret, silex_error *err)
{
	return list_strings(ix, ops, SLX_INDEX_NONE, ms, n, mem, ret, err);
}

silex_status slx_index_values(const void *ix, const struct slx_index_ops *ops, struct slx_str name,
	struct slx_matcher *const *ms, size_t n, struct slx_mem *mem, struct slx_strings *ret, silex_error *err)
{
	uint32_t id = ops->name_find(ix, name);
	if (id == SLX_INDEX_NONE) {
		*ret = (struct slx_strings){ 0 };
		return SILEX_OK;
	}
	return list_strings(ix, ops, id, ms, n, mem, ret, err);
}
