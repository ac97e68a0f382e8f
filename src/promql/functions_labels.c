/* label_replace and label_join. They change labels, not values; series that come to have the same labels become one. */
#include "promql/functions_int.h"

#include "model/rewrite.h"

silex_status slx_pq_built_labels(struct slx_pq_exec *x, struct slx_labels *ret, silex_error *err)
{
	struct slx_labels l;
	SLX_TRY(slx_labels_builder_finish(&x->builder, &l, err));
	uint8_t *copy = slx_pq_alloc(x, &x->arena, l.n);
	if (!copy)
		return slx_pq_oom(x, err);
	memcpy(copy, l.p, l.n);
	*ret = (struct slx_labels){ copy, l.n };
	return SILEX_OK;
}

silex_status slx_pq_set_label(struct slx_pq_exec *x, struct slx_labels l, struct slx_str name, struct slx_str value,
	struct slx_labels *ret, silex_error *err)
{
	struct slx_label label;
	slx_labels_builder_reset(&x->builder);
	for (struct slx_labels_iter it = slx_labels_iter(l); slx_labels_next(&it, &label);)
		if (!slx_str_eq(label.name, name))
			slx_labels_builder_add(&x->builder, label.name, label.value);
	if (value.n)
		slx_labels_builder_add(&x->builder, name, value);
	return slx_pq_built_labels(x, ret, err);
}

/* Letters, digits, `_ . - / :` and what is not ASCII, not beginning with a digit or a sign: names that people give. */
static bool is_plain(struct slx_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool letter = c >= 128 || c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
		if (!letter && (i == 0 || !((c >= '0' && c <= '9') || memchr(".-/:", c, 4))))
			return false;
	}
	return true;
}

/* A label that may be made. Prometheus 3 takes any UTF-8, Prometheus 2 ASCII words only; what is no name to either reader
 * ("~invalid", which the compliance suite wants refused) needs the experimental flag. */
static bool is_label_name(const struct slx_pq_call *c, struct slx_str s)
{
	return s.n && slx_utf8_valid(s.p, s.n) && (c->options->experimental || is_plain(s));
}

static silex_status set_in_row(
	struct slx_pq_exec *x, struct slx_pq_row *r, struct slx_str name, const struct slx_buf *value, silex_error *err)
{
	SLX_TRY(
		slx_pq_set_label(x, r->labels, name, (struct slx_str){ (const char *)value->p, value->n }, &r->labels, err));
	if (slx_str_eq(name, SLX_METRIC_NAME))
		r->drop_name = false;
	return SILEX_OK;
}

static silex_status replace(struct slx_pq_exec *x, struct slx_pq_call *c, struct slx_rewrite *rewrite,
	struct slx_buf *value, struct slx_pq_row *r, silex_error *err)
{
	bool matched;
	SLX_TRY(slx_pq_alive(x, err));
	slx_buf_reset(value);
	SLX_TRY(slx_rewrite_apply(
		rewrite, slx_labels_get(r->labels, slx_pq_string_arg(c, 3)), slx_pq_string_arg(c, 2), value, &matched, err));
	return matched ? set_in_row(x, r, slx_pq_string_arg(c, 1), value, err) : SILEX_OK;
}

SLX_PQ_MATRIX(label_replace)
{
	struct slx_str name = slx_pq_string_arg(c, 1), expression = slx_pq_string_arg(c, 4);
	struct slx_rewrite *rewrite;
	struct slx_buf value;
	if (slx_rewrite_new(x->mem, expression, &rewrite, err) != SILEX_OK)
		return slx_err(err, SILEX_CONFLICT, "invalid regular expression in label_replace(): %.*s", (int)expression.n,
			expression.p);
	if (!is_label_name(c, name)) {
		slx_rewrite_free(rewrite);
		return slx_err(
			err, SILEX_CONFLICT, "invalid destination label name in label_replace(): %.*s", (int)name.n, name.p);
	}
	slx_buf_init(&value, x->mem, SLX_MEM_QUERY, 1 << 20);
	silex_status st = SILEX_OK;
	*ret = args[0];
	for (size_t i = 0; i < ret->n && st == SILEX_OK; i++)
		st = replace(x, c, rewrite, &value, &ret->rows[i], err);
	slx_buf_free(&value);
	slx_rewrite_free(rewrite);
	return st == SILEX_OK ? slx_pq_unique(x, ret, c->steps, false, err) : st;
}

static silex_status check_join(struct slx_pq_call *c, silex_error *err)
{
	struct slx_str name;
	for (size_t i = 3; i < c->node->call.n_args; i++)
		if (!is_label_name(c, (name = slx_pq_string_arg(c, i))))
			return slx_err(err, SILEX_CONFLICT, "invalid source label name in label_join(): %.*s", (int)name.n, name.p);
	if (!is_label_name(c, (name = slx_pq_string_arg(c, 1))))
		return slx_err(
			err, SILEX_CONFLICT, "invalid destination label name in label_join(): %.*s", (int)name.n, name.p);
	return SILEX_OK;
}

static silex_status join(
	struct slx_pq_exec *x, struct slx_pq_call *c, struct slx_buf *value, struct slx_pq_row *r, silex_error *err)
{
	slx_buf_reset(value);
	for (size_t i = 3; i < c->node->call.n_args; i++) {
		struct slx_str part = slx_labels_get(r->labels, slx_pq_string_arg(c, i)), between = slx_pq_string_arg(c, 2);
		if (i > 3)
			slx_buf_put(value, between.p, between.n);
		slx_buf_put(value, part.p, part.n);
	}
	return value->failed ? slx_err_oom(err) : set_in_row(x, r, slx_pq_string_arg(c, 1), value, err);
}

SLX_PQ_MATRIX(label_join)
{
	struct slx_buf value;
	silex_status st = check_join(c, err);
	slx_buf_init(&value, x->mem, SLX_MEM_QUERY, 1 << 20);
	*ret = args[0];
	for (size_t i = 0; i < ret->n && st == SILEX_OK; i++)
		st = join(x, c, &value, &ret->rows[i], err);
	slx_buf_free(&value);
	return st == SILEX_OK ? slx_pq_unique(x, ret, c->steps, false, err) : st;
}
