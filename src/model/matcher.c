/* A matcher is one allocation: the struct, its private part, the literals, the strings. Only form REGEX has compiled
 * code besides. */
#include "model/matcher.h"
#include "model/pcre.h"
#include "model/regex.h"

#include <stdlib.h>

struct slx_matcher_impl {
	struct slx_mem *mem;
	size_t block_size; /* of the matcher's allocation */
	struct slx_pcre pcre;
};

/* ---- making ---- */

static size_t strings_size(const struct slx_regex_shape *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->literals_n; i++)
		n += s->literals[i].n;
	return n;
}

static struct slx_str copy_str(struct slx_str s, char **to)
{
	struct slx_str copy = { *to, s.n };
	if (s.n)
		memcpy(*to, s.p, s.n);
	*to += s.n;
	return copy;
}

static struct slx_matcher *matcher_alloc(struct slx_mem *m, enum slx_match_op op, struct slx_str name,
	struct slx_str value, const struct slx_regex_shape *shape)
{
	size_t literals_size = shape->literals_n * sizeof *shape->literals;
	size_t size = sizeof(struct slx_matcher) + sizeof(struct slx_matcher_impl) + literals_size + name.n + value.n +
		strings_size(shape);
	struct slx_matcher *x = slx_calloc(m, SLX_MEM_QUERY, size);
	if (!x)
		return NULL;
	x->impl = (struct slx_matcher_impl *)(x + 1);
	x->impl->mem = m;
	x->impl->block_size = size;
	x->literals = (struct slx_str *)(x->impl + 1);
	x->literals_n = shape->literals_n;
	char *to = (char *)x->literals + literals_size;
	x->name = copy_str(name, &to);
	x->value = copy_str(value, &to);
	for (size_t i = 0; i < shape->literals_n; i++)
		x->literals[i] = copy_str(shape->literals[i], &to);
	x->op = op;
	x->negated = op == SLX_MATCH_NE || op == SLX_MATCH_NRE;
	x->form = shape->form;
	x->more = shape->more;
	return x;
}

void slx_matcher_free(struct slx_matcher *x)
{
	if (!x)
		return;
	struct slx_matcher_impl *impl = x->impl;
	slx_pcre_free(&impl->pcre);
	slx_free(impl->mem, SLX_MEM_QUERY, x, impl->block_size);
}

/* The empty value's answer is asked often and decides how an index goes about it, so it is known from the start. */
static silex_status finish(struct slx_matcher *x, const struct slx_buf *pcre, silex_error *err)
{
	if (x->form == SLX_FORM_REGEX)
		SLX_TRY(slx_pcre_compile(x->impl->mem, pcre, x->value, false, false, &x->impl->pcre, err));
	return slx_matcher_test(x, SLX_STR(""), &x->matches_empty, err);
}

static silex_status check_strings(struct slx_str name, struct slx_str value, silex_error *err)
{
	if (name.n == 0)
		return slx_err(err, SILEX_INVALID, "matcher: label name is empty");
	if (!slx_utf8_valid(name.p, name.n))
		return slx_err(err, SILEX_INVALID, "matcher: label name is not valid UTF-8");
	if (!slx_utf8_valid(value.p, value.n))
		return slx_err(err, SILEX_INVALID, "matcher on label \"%.*s\": value is not valid UTF-8",
			(int)(name.n < 64 ? name.n : 64), name.p);
	return SILEX_OK;
}

silex_status slx_matcher_new(struct slx_mem *m, enum slx_match_op op, struct slx_str name, struct slx_str value,
	struct slx_matcher **ret, silex_error *err)
{
	SLX_TRY(check_strings(name, value, err));
	struct slx_regex_shape shape = { SLX_FORM_SET, false, &value, 1 };
	struct slx_matcher *x = NULL;
	struct slx_arena arena;
	struct slx_buf pcre;
	slx_arena_init(&arena, m, SLX_MEM_QUERY, 65536);
	slx_buf_init(&pcre, m, SLX_MEM_QUERY, 16 * SLX_PATTERN_SIZE_MAX);
	silex_status st = SILEX_OK;
	if (op == SLX_MATCH_RE || op == SLX_MATCH_NRE)
		st = slx_regex_read(value, false, &arena, &pcre, &shape, err);
	if (st == SILEX_OK) {
		x = matcher_alloc(m, op, name, value, &shape);
		st = x ? finish(x, &pcre, err) : slx_err_oom(err);
	}
	slx_buf_free(&pcre);
	slx_arena_clear(&arena);
	if (st != SILEX_OK) {
		slx_matcher_free(x);
		return st;
	}
	*ret = x;
	return SILEX_OK;
}

/* ---- testing ---- */

static silex_status test_regex(const struct slx_matcher *x, struct slx_str value, bool *ret, silex_error *err)
{
	struct slx_pcre *pcre = &x->impl->pcre;
	pcre2_match_data *data = slx_pcre_take(pcre);
	if (!data)
		return slx_err_oom(err);
	int rc = slx_pcre_match(pcre, value, 0, data);
	slx_pcre_give(pcre, data);
	if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED,
			"regular expression \"%.*s\" on label \"%.*s\": match limit reached on a value of %zu bytes",
			(int)(x->value.n < 100 ? x->value.n : 100), x->value.p, (int)(x->name.n < 64 ? x->name.n : 64), x->name.p,
			value.n);
	*ret = rc >= 0;
	return SILEX_OK;
}

static bool in_set(const struct slx_matcher *x, struct slx_str value)
{
	size_t low = 0, high = x->literals_n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int c = slx_str_cmp(x->literals[middle], value);
		if (c == 0)
			return true;
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static bool starts_with(struct slx_str s, struct slx_str prefix)
{
	return s.n >= prefix.n && memcmp(s.p, prefix.p, prefix.n) == 0;
}

static bool ends_with(struct slx_str s, struct slx_str suffix)
{
	return s.n >= suffix.n && memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0;
}

silex_status slx_matcher_test(const struct slx_matcher *x, struct slx_str value, bool *ret, silex_error *err)
{
	bool yes = false;
	switch (x->form) {
	case SLX_FORM_SET:
		yes = in_set(x, value);
		break;
	case SLX_FORM_PREFIX:
		yes = starts_with(value, x->literals[0]) && value.n >= x->literals[0].n + x->more;
		break;
	case SLX_FORM_SUFFIX:
		yes = ends_with(value, x->literals[0]) && value.n >= x->literals[0].n + x->more;
		break;
	case SLX_FORM_CONTAINS:
		yes = memmem(value.p, value.n, x->literals[0].p, x->literals[0].n) != NULL;
		break;
	case SLX_FORM_ANY:
		yes = true;
		break;
	case SLX_FORM_NONEMPTY:
		yes = value.n > 0;
		break;
	case SLX_FORM_REGEX:
		if (starts_with(value, x->literals[0]))
			SLX_TRY(test_regex(x, value, &yes, err));
		break;
	}
	*ret = yes != x->negated;
	return SILEX_OK;
}

silex_status slx_matchers_test(struct slx_matcher *const *x, size_t n, struct slx_labels l, bool *ret, silex_error *err)
{
	bool all = true;
	for (size_t i = 0; i < n && all; i++)
		SLX_TRY(slx_matcher_test(x[i], slx_labels_get(l, x[i]->name), &all, err));
	*ret = all;
	return SILEX_OK;
}
