/* Between the public types and the engine's. */
#include "api/api_int.h"

silex_status slx_api_tenant(const char *name, struct slx_str *ret, silex_error *err)
{
	*ret = slx_str(name ? name : "default");
	return slx_tenant_check(*ret, err);
}

silex_status slx_api_tenant_of(silex_db *db, const char *name, struct slx_tenant **ret, silex_error *err)
{
	struct slx_str s;
	SLX_TRY(slx_api_tenant(name, &s, err));
	return slx_engine_tenant(db->engine, s, ret, err);
}

silex_status slx_api_time(const silex_db *db, int64_t t, int64_t *ret, silex_error *err)
{
	int64_t ns;
	if (__builtin_mul_overflow(t, db->unit_ns, &ns) || !slx_time_legal(ns))
		return slx_err(err, SILEX_INVALID, "time %lld is outside the legal range, 1677-09-21 to 2262-04-11", (long long)t);
	*ret = ns;
	return SILEX_OK;
}

int64_t slx_api_bound(const silex_db *db, int64_t t)
{
	int64_t ns;
	if (__builtin_mul_overflow(t, db->unit_ns, &ns))
		return t < 0 ? SLX_TIME_MIN : SLX_TIME_MAX;
	return slx_time_clamp(ns);
}

silex_status slx_api_labels(struct slx_labels_builder *b, const silex_label *labels, size_t n, struct slx_labels *ret, silex_error *err)
{
	slx_labels_builder_reset(b);
	for (size_t i = 0; i < n; i++) {
		if (!labels[i].name || !labels[i].value)
			return slx_err(err, SILEX_INVALID, "label %zu has no %s", i, labels[i].name ? "value" : "name");
		slx_labels_builder_add(b, slx_str(labels[i].name), slx_str(labels[i].value));
	}
	SLX_TRY(slx_labels_builder_finish(b, ret, err));
	if (slx_labels_count(*ret) == 0)
		return slx_err(err, SILEX_INVALID, "a series needs at least one label with a value; the metric name is the label __name__");
	return SILEX_OK;
}

silex_status slx_api_selector(silex_db *db, const char *text, struct slx_selector *ret, silex_error *err)
{
	silex_error own;
	silex_status status = slx_selector_parse(db->mem, slx_str(text ? text : ""), ret, &own);
	if (status != SILEX_OK)
		slx_err(err, status, "selector: %s", own.message);
	return status;
}

static const char *copy_text(struct slx_arena *a, struct slx_str s)
{
	char *p = slx_arena_alloc(a, s.n + 1, 1);
	if (p) {
		memcpy(p, s.p, s.n);
		p[s.n] = 0;
	}
	return p;
}

silex_status slx_api_label_array(struct slx_arena *a, struct slx_labels l, const silex_label **ret, size_t *ret_n, silex_error *err)
{
	size_t n = slx_labels_count(l), i = 0;
	silex_label *v = slx_arena_alloc(a, (n ? n : 1) * sizeof *v, 8);
	if (!v)
		return slx_err_oom(err);
	struct slx_labels_iter it = slx_labels_iter(l);
	for (struct slx_label label; slx_labels_next(&it, &label); i++) {
		v[i].name = copy_text(a, label.name);
		v[i].value = copy_text(a, label.value);
		if (!v[i].name || !v[i].value)
			return slx_err_oom(err);
	}
	*ret = v;
	*ret_n = n;
	return SILEX_OK;
}

silex_status slx_api_value(silex_db *db, struct slx_tenant *t, const silex_value *v, enum slx_kind *ret_kind, uint64_t *ret_bits, silex_error *err)
{
	uint32_t state;
	switch (v->kind) {
	case SILEX_FLOAT64:
		*ret_kind = SLX_KIND_FLOAT64;
		*ret_bits = slx_f64_bits(v->as.f);
		return SILEX_OK;
	case SILEX_INT64:
		*ret_kind = SLX_KIND_INT64;
		*ret_bits = (uint64_t)v->as.i;
		return SILEX_OK;
	case SILEX_BOOL:
		*ret_kind = SLX_KIND_BOOL;
		*ret_bits = v->as.i != 0;
		return SILEX_OK;
	case SILEX_ENUM:
		if (!v->as.state)
			return slx_err(err, SILEX_INVALID, "a state without text");
		SLX_TRY(slx_engine_state(db->engine, t, slx_str(v->as.state), &state, err));
		*ret_kind = SLX_KIND_ENUM;
		*ret_bits = state;
		return SILEX_OK;
	}
	return slx_err(err, SILEX_INVALID, "unknown kind of value %d; expected SILEX_FLOAT64, _INT64, _BOOL or _ENUM", (int)v->kind);
}
