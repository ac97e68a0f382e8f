/* The one registry of aggregates: their names, what they need to see of a window, how they end. */
#include "query/query_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* ---- endings ---- */

static bool number(double v, struct slx_query_value *ret)
{
	*ret = (struct slx_query_value){ slx_f64_bits(v), false };
	return true;
}

static double total(const struct slx_agg *a) { return a->sum + a->comp; }

static double number_of(struct slx_query_value v) { return slx_bits_f64(v.bits); }

static const char *state_text(const void *arg, uint32_t state)
{
	const char *text = slx_snapshot_state(arg, state);
	return text ? text : "";
}

static bool count_finish(struct slx_query_acc *a, const struct slx_query_finish *x, struct slx_query_value *ret)
{
	return a->agg.count && number((double)a->agg.count, ret);
}

static bool sum_finish(struct slx_query_acc *a, const struct slx_query_finish *x, struct slx_query_value *ret)
{
	return a->agg.count && number(total(&a->agg), ret);
}

static bool mean_finish(struct slx_query_acc *a, const struct slx_query_finish *x, struct slx_query_value *ret)
{
	return a->agg.count && number(total(&a->agg) / (double)a->agg.count, ret);
}

static bool min_finish(struct slx_query_acc *a, const struct slx_query_finish *x, struct slx_query_value *ret)
{
	return a->agg.count && number(a->agg.min, ret);
}

static bool max_finish(struct slx_query_acc *a, const struct slx_query_finish *x, struct slx_query_value *ret)
{
	return a->agg.count && number(a->agg.max, ret);
}

static bool range_finish(struct slx_query_acc *a, const struct slx_query_finish *x, struct slx_query_value *ret)
{
	return a->agg.count && number(a->agg.max - a->agg.min, ret);
}

static bool first_finish(struct slx_query_acc *a, const struct slx_query_finish *x, struct slx_query_value *ret)
{
	*ret = a->first;
	return a->agg.count > 0;
}

static bool last_finish(struct slx_query_acc *a, const struct slx_query_finish *x, struct slx_query_value *ret)
{
	*ret = a->last;
	return a->agg.count > 0;
}

static bool variance_finish(struct slx_query_acc *a, const struct slx_query_finish *x, struct slx_query_value *ret)
{
	return a->agg.count && number(a->m2 / (double)a->agg.count, ret);
}

static bool stddev_finish(struct slx_query_acc *a, const struct slx_query_finish *x, struct slx_query_value *ret)
{
	return a->agg.count && number(sqrt(a->m2 / (double)a->agg.count), ret);
}

static bool median_finish(struct slx_query_acc *a, const struct slx_query_finish *x, struct slx_query_value *ret)
{
	return a->keys.n && number(slx_query_percentile(&a->keys, 50), ret);
}

static bool percentile_finish(struct slx_query_acc *a, const struct slx_query_finish *x, struct slx_query_value *ret)
{
	return a->keys.n && number(slx_query_percentile(&a->keys, x->percentile), ret);
}

static bool mode_finish(struct slx_query_acc *a, const struct slx_query_finish *x, struct slx_query_value *ret)
{
	if (a->keys.n == 0)
		return false;
	uint64_t key = slx_query_mode(&a->keys, state_text, x->snapshot);
	if (!slx_query_key_is_state(key))
		return number(slx_query_key_number(key), ret);
	*ret = (struct slx_query_value){ (uint32_t)key, true };
	return true;
}

static bool increase_finish(struct slx_query_acc *a, const struct slx_query_finish *x, struct slx_query_value *ret)
{
	return a->agg.count && number(a->increase, ret);
}

static bool rate_finish(struct slx_query_acc *a, const struct slx_query_finish *x, struct slx_query_value *ret)
{
	if (a->agg.count < 2)
		return false;
	double seconds = (double)((uint64_t)a->t_last - (uint64_t)a->t_first) / 1e9;
	return number(a->increase / seconds, ret);
}

static bool delta_finish(struct slx_query_acc *a, const struct slx_query_finish *x, struct slx_query_value *ret)
{
	return a->agg.count && number(number_of(a->last) - number_of(a->first), ret);
}

static bool hold_finish(struct slx_query_acc *a, const struct slx_query_finish *x, struct slx_query_value *ret)
{
	return a->held && number((double)a->hold_ns / 1e9, ret);
}

/* ---- the table ---- */

static const struct slx_query_agg table[SILEX_AGG_COUNT_OF] = {
	[SILEX_AGG_NONE] = { "none", 0, true, false, NULL },
	[SILEX_AGG_COUNT] = { "count", SLX_NEED_FOLD, true, false, count_finish },
	[SILEX_AGG_SUM] = { "sum", SLX_NEED_FOLD, false, false, sum_finish },
	[SILEX_AGG_MEAN] = { "mean", SLX_NEED_FOLD, false, false, mean_finish },
	[SILEX_AGG_MIN] = { "min", SLX_NEED_FOLD, false, false, min_finish },
	[SILEX_AGG_MAX] = { "max", SLX_NEED_FOLD, false, false, max_finish },
	[SILEX_AGG_FIRST] = { "first", SLX_NEED_EDGES, true, false, first_finish },
	[SILEX_AGG_LAST] = { "last", SLX_NEED_EDGES, true, false, last_finish },
	[SILEX_AGG_STDDEV] = { "stddev", SLX_NEED_SPREAD, false, false, stddev_finish },
	[SILEX_AGG_VARIANCE] = { "variance", SLX_NEED_SPREAD, false, false, variance_finish },
	[SILEX_AGG_MEDIAN] = { "median", SLX_NEED_KEYS, false, false, median_finish },
	[SILEX_AGG_PERCENTILE] = { "percentile", SLX_NEED_KEYS, false, false, percentile_finish },
	[SILEX_AGG_RANGE] = { "range", SLX_NEED_FOLD, false, false, range_finish },
	[SILEX_AGG_INCREASE] = { "increase", SLX_NEED_EDGES | SLX_NEED_INCREASE, false, true, increase_finish },
	[SILEX_AGG_RATE] = { "rate", SLX_NEED_EDGES | SLX_NEED_TIMES | SLX_NEED_INCREASE, false, true, rate_finish },
	[SILEX_AGG_DELTA] = { "delta", SLX_NEED_EDGES, false, true, delta_finish },
	[SILEX_AGG_MODE] = { "mode", SLX_NEED_KEYS, true, false, mode_finish },
	[SILEX_AGG_TIME_IN_STATE] = { "time_in_state", SLX_NEED_HOLD, true, true, hold_finish },
};

const struct slx_query_agg *slx_query_agg(silex_agg agg)
{
	return (unsigned)agg < SILEX_AGG_COUNT_OF ? &table[agg] : NULL;
}

const char *slx_query_agg_name(silex_agg agg)
{
	return (unsigned)agg < SILEX_AGG_COUNT_OF ? table[agg].name : "unknown";
}

/* ---- parsing ---- */

static silex_status no_such_aggregate(const char *text, silex_error *err)
{
	char names[256] = "";
	size_t n = 0;
	for (int i = 0; i < SILEX_AGG_COUNT_OF; i++)
		n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "", table[i].name);
	return slx_err(err, SILEX_INVALID,
		"no aggregate \"%.40s\"; expected one of %s, or p50, p99.9, percentile(99.9), time_in_state(STATE)", text,
		names);
}

/* A number 0..100 that fills n bytes exactly. */
static bool parse_percentile(const char *p, size_t n, double *ret)
{
	char digits[32], *end;
	if (n == 0 || n >= sizeof digits || p[0] < '0' || p[0] > '9')
		return false;
	memcpy(digits, p, n);
	digits[n] = 0;
	*ret = strtod(digits, &end);
	return *end == 0 && *ret >= 0 && *ret <= 100;
}

static bool find_name(const char *p, size_t n, silex_agg *ret)
{
	if (n == 3 && memcmp(p, "avg", 3) == 0) {
		*ret = SILEX_AGG_MEAN;
		return true;
	}
	for (int i = 0; i < SILEX_AGG_COUNT_OF; i++)
		if (strlen(table[i].name) == n && memcmp(p, table[i].name, n) == 0) {
			*ret = (silex_agg)i;
			return true;
		}
	return false;
}

silex_status slx_query_agg_parse(const char *text, silex_agg *ret, double *ret_parameter, const char **ret_state,
	size_t *ret_state_len, silex_error *err)
{
	const char *open = strchr(text, '(');
	size_t n = open ? (size_t)(open - text) : strlen(text), inside = open ? strlen(open) : 0;
	const char *argument = open ? open + 1 : NULL;
	silex_agg agg;
	double percentile = 0;
	if (!open && text[0] == 'p' && parse_percentile(text + 1, n - 1, &percentile)) {
		*ret = SILEX_AGG_PERCENTILE;
		*ret_parameter = percentile;
		return SILEX_OK;
	}
	if (!find_name(text, n, &agg) || (open && text[n + inside - 1] != ')'))
		return no_such_aggregate(text, err);
	size_t argument_n = open ? inside - 2 : 0;
	if (agg == SILEX_AGG_PERCENTILE) {
		if (!parse_percentile(argument, argument_n, &percentile))
			return slx_err(err, SILEX_INVALID,
				"\"%.40s\": expected a percentile from 0 to 100, as in percentile(99.9) or p99.9", text);
		*ret_parameter = percentile;
	} else if (agg == SILEX_AGG_TIME_IN_STATE) {
		if (argument_n == 0)
			return slx_err(err, SILEX_INVALID, "\"%.40s\": expected a state, as in time_in_state(open)", text);
		*ret_state = argument;
		*ret_state_len = argument_n;
	} else if (open) {
		return slx_err(err, SILEX_INVALID, "\"%.40s\": %s takes no argument", text, table[agg].name);
	}
	*ret = agg;
	return SILEX_OK;
}
