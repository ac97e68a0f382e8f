#include "model/text.h"

static silex_status grow(struct slx_selector *s, silex_error *err)
{
	size_t cap = s->cap ? s->cap * 2 : 4;
	struct slx_matcher **p = slx_realloc(s->mem, SLX_MEM_QUERY, s->matchers, s->cap * sizeof *p, cap * sizeof *p);
	if (!p)
		return slx_err_oom(err);
	s->matchers = p;
	s->cap = cap;
	return SILEX_OK;
}

static silex_status add_matcher(void *ctx, const struct slx_text_item *it, silex_error *err)
{
	struct slx_selector *s = ctx;
	if (s->n == SLX_SELECTOR_MATCHERS_MAX)
		return slx_err(
			err, SILEX_INVALID, "column %zu: expected at most %d matchers", it->column, SLX_SELECTOR_MATCHERS_MAX);
	if (s->n == s->cap)
		SLX_TRY(grow(s, err));
	if (slx_matcher_new(s->mem, it->op, it->name, it->value, &s->matchers[s->n], err) != SILEX_OK)
		return slx_err_wrap(err, "column %zu", it->column);
	s->n++;
	return SILEX_OK;
}

silex_status slx_selector_parse(struct slx_mem *m, struct slx_str text, struct slx_selector *ret, silex_error *err)
{
	struct slx_selector s = { .mem = m };
	struct slx_buf scratch;
	slx_buf_init(&scratch, m, SLX_MEM_QUERY, SIZE_MAX);
	silex_status st = slx_text_walk(text, &scratch, false, add_matcher, &s, err);
	slx_buf_free(&scratch);
	if (st != SILEX_OK) {
		slx_selector_free(&s);
		return st;
	}
	*ret = s;
	return SILEX_OK;
}

void slx_selector_free(struct slx_selector *s)
{
	for (size_t i = 0; i < s->n; i++)
		slx_matcher_free(s->matchers[i]);
	if (s->mem)
		slx_free(s->mem, SLX_MEM_QUERY, s->matchers, s->cap * sizeof *s->matchers);
	*s = (struct slx_selector){ 0 };
}

static bool is_bare_metric(const struct slx_matcher *x)
{
	return x->op == SLX_MATCH_EQ && slx_str_eq(x->name, SLX_METRIC_NAME) && slx_text_is_name(x->value, true);
}

void slx_selector_format(const struct slx_selector *s, struct slx_buf *out)
{
	static const char *const ops[] = { "=", "!=", "=~", "!~" };
	size_t metric = 0;
	while (metric < s->n && !is_bare_metric(s->matchers[metric]))
		metric++;
	if (metric < s->n)
		slx_buf_put(out, s->matchers[metric]->value.p, s->matchers[metric]->value.n);
	if (s->n == 1 && metric == 0)
		return;
	slx_buf_u8(out, '{');
	bool first = true;
	for (size_t i = 0; i < s->n; i++) {
		const struct slx_matcher *x = s->matchers[i];
		if (i == metric)
			continue;
		if (!first)
			slx_buf_u8(out, ',');
		first = false;
		slx_text_name(x->name, out);
		slx_buf_put(out, ops[x->op], strlen(ops[x->op]));
		slx_text_quote(x->value, out);
	}
	slx_buf_u8(out, '}');
}
