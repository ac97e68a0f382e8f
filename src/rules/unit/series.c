/* Series as tests write them: each word of the values is
 *
 *     1   1.5e3   NaN   -Inf      one value
 *     1x3    1+2x3    1-2x3       that value, then three more, each by the step greater
 *     _   _x3                     one value, three values that are not there
 *     stale                       the series ends here */
#include "rules/unit/unit_int.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { VALUES_MAX = 10000000, WORD_MAX = 128 };

struct word {
	double first, step;
	bool missing;
	uint64_t n;
};

/* How often, after an x. */
static bool read_times(const char *p, uint64_t *ret)
{
	char *end;
	*ret = strtoull(p, &end, 10);
	return isdigit((unsigned char)*p) && *end == 0 && *ret < VALUES_MAX;
}

static bool read_number(const char *p, char **end, double *ret)
{
	bool sign = *p == '+' || *p == '-';
	if (!isdigit((unsigned char)p[sign]) && p[sign] != '.' && strncasecmp(p + sign, "inf", 3) != 0 && strncasecmp(p + sign, "nan", 3) != 0)
		return false;
	*ret = strtod(p, end);
	return *end != p;
}

static bool read_word(char *p, struct word *w)
{
	char *times = strchr(p, 'x'), *end;
	*w = (struct word){ .n = 1 };
	if (strcmp(p, "stale") == 0) {
		w->first = slx_bits_f64(SLX_STALE_NAN);
		return true;
	}
	if (times)
		*times = 0; /* so that 0x3 is no hexadecimal number */
	if (p[0] == '_' && p[1] == 0) {
		w->missing = true;
		return !times || read_times(times + 1, &w->n);
	}
	if (!read_number(p, &end, &w->first))
		return false;
	if (*end && (!times || (*end != '+' && *end != '-') || !read_number(end, &end, &w->step)))
		return false;
	if (*end || (times && !read_times(times + 1, &w->n)))
		return false;
	w->n += times != NULL;
	return true;
}

static silex_status put_word(struct slx_buf *out, char *p, silex_error *err)
{
	struct word w;
	char given[WORD_MAX];
	snprintf(given, sizeof given, "%s", p);
	if (strncmp(p, "{{", 2) == 0)
		return slx_err(err, SILEX_UNSUPPORTED, "native histograms (\"%s\") are not read in tests", given);
	if (!read_word(p, &w))
		return slx_err(err, SILEX_INVALID, "\"%s\" is no value; expected one such as 1, 1+2x3, _, _x3 or stale", given);
	if (out->n / sizeof(struct slx_unit_value) + w.n > VALUES_MAX)
		return slx_err(err, SILEX_INVALID, "more than %d values in a series", VALUES_MAX);
	for (uint64_t i = 0; i < w.n; i++) {
		const struct slx_unit_value v = { w.first, w.missing };
		slx_buf_put(out, &v, sizeof v);
		if (!isnan(w.first))
			w.first += w.step;
	}
	return SILEX_OK;
}

silex_status slx_unit_values(struct slx_arena *a, struct slx_str text, const struct slx_unit_value **ret, size_t *ret_n, silex_error *err)
{
	struct slx_buf out;
	silex_status status = SILEX_OK;
	slx_buf_init(&out, a->mem, SLX_MEM_OTHER, VALUES_MAX * sizeof(struct slx_unit_value));
	for (size_t i = 0; i < text.n && status == SILEX_OK;) {
		char word[WORD_MAX];
		size_t n = 0;
		while (i + n < text.n && !isspace((unsigned char)text.p[i + n]))
			n++;
		if (n >= sizeof word)
			status = slx_err(err, SILEX_INVALID, "a value of %zu characters", n);
		else if (n) {
			memcpy(word, text.p + i, n);
			word[n] = 0;
			status = put_word(&out, word, err);
		}
		i += n + 1;
	}
	struct slx_unit_value *v = status == SILEX_OK && !out.failed ? slx_arena_alloc(a, out.n + 1, 8) : NULL;
	if (v && out.n)
		memcpy(v, out.p, out.n);
	*ret = v;
	*ret_n = out.n / sizeof *v;
	slx_buf_free(&out);
	return status == SILEX_OK && !v ? slx_err_oom(err) : status;
}

silex_status slx_unit_metric(struct slx_mem *m, struct slx_arena *a, struct slx_str text, struct slx_labels *ret, silex_error *err)
{
	struct slx_labels_builder b;
	struct slx_labels l;
	slx_labels_builder_init(&b, m, SLX_MEM_OTHER, NULL);
	silex_status status = slx_labels_parse_text(&b, text, &l, err);
	uint8_t *p = status == SILEX_OK ? slx_arena_alloc(a, l.n, 1) : NULL;
	if (p)
		*ret = (struct slx_labels){ memcpy(p, l.p, l.n), l.n };
	slx_labels_builder_free(&b);
	return status == SILEX_OK && !p ? slx_err_oom(err) : status;
}

/* ---- into the database ---- */

struct rows {
	struct slx_buf labels, ids, ts, bits;
};

static silex_status write_rows(struct slx_engine *e, struct slx_tenant *t, struct rows *r, silex_error *err)
{
	struct slx_write_result result;
	const struct slx_write w = { .tenant = t, .kind = SLX_KIND_FLOAT64, .n = r->ts.n / sizeof(int64_t), .ts = r->ts.p, .ts_stride = sizeof(int64_t),
		.bits = r->bits.p, .bits_stride = sizeof(uint64_t), .labels = (const struct slx_labels *)(const void *)r->labels.p,
		.ids = (const struct slx_hash128 *)(const void *)r->ids.p };
	if (r->labels.failed || r->ids.failed || r->ts.failed || r->bits.failed)
		return slx_err_oom(err);
	if (w.n == 0)
		return SILEX_OK;
	SLX_TRY(slx_engine_write(e, &w, &result, NULL, err));
	return result.refused ? slx_err(err, result.error.code, "%s", result.error.message) : SILEX_OK;
}

silex_status slx_unit_load(struct slx_engine *e, struct slx_tenant *t, struct slx_unit_series *s, size_t n, int64_t interval_ns, int64_t until_ns,
	silex_error *err)
{
	struct slx_mem *m = slx_engine_mem(e);
	struct rows r;
	struct slx_buf *const columns[] = { &r.labels, &r.ids, &r.ts, &r.bits };
	for (size_t i = 0; i < 4; i++)
		slx_buf_init(columns[i], m, SLX_MEM_OTHER, SIZE_MAX);
	for (size_t i = 0; i < n; i++)
		for (; s[i].next < s[i].n && (int64_t)s[i].next * interval_ns <= until_ns; s[i].next++) {
			const struct slx_unit_value *v = &s[i].values[s[i].next];
			if (v->missing)
				continue;
			slx_buf_put(&r.labels, &s[i].labels, sizeof s[i].labels);
			slx_buf_put(&r.ids, &s[i].id, sizeof s[i].id);
			slx_buf_u64(&r.ts, (uint64_t)((int64_t)s[i].next * interval_ns));
			slx_buf_u64(&r.bits, slx_f64_bits(v->v));
		}
	silex_status status = write_rows(e, t, &r, err);
	for (size_t i = 0; i < 4; i++)
		slx_buf_free(columns[i]);
	return status;
}
