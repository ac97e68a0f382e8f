#include "rules/watch/def.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

const char *const slx_watch_op_names[] = { ">", ">=", "<", "<=", "==", "!=", "outside", "inside", NULL };
const char *const slx_watch_input_names[] = { "last", "rate", "avg", "min", "max", "sum", "count", "stddev", NULL };
const char *const slx_missing_names[] = { "keep", "fire", "clear", NULL };

enum { VERSION = 1 };

static bool ranged(enum slx_watch_op op) { return op == SLX_WATCH_OUTSIDE || op == SLX_WATCH_INSIDE; }

/* ---- checks ---- */

static silex_status bad(const char *field, const char **ret_field, silex_error *err, const char *expected)
{
	if (ret_field)
		*ret_field = field;
	return slx_err(err, SILEX_INVALID, "%s: expected %s", field, expected);
}

static silex_status check_span(const char *field, int64_t ns, int64_t max, const char **ret_field, silex_error *err)
{
	char text[SLX_DURATION_TEXT_SIZE], expected[100];
	slx_duration_format(max, text);
	snprintf(expected, sizeof expected, "a duration from 0 to %s", text);
	return ns >= 0 && ns <= max ? SILEX_OK : bad(field, ret_field, err, expected);
}

/* The leave limits must not be stricter than those of entering: what enters would leave at once. */
static silex_status check_limits(struct slx_watch_def *d, const char **ret_field, silex_error *err)
{
	bool exact = d->op == SLX_WATCH_EQ || d->op == SLX_WATCH_NE;
	if (isnan(d->low))
		return bad(ranged(d->op) ? "low" : "limit", ret_field, err, "a number");
	if (ranged(d->op) ? isnan(d->high) || d->high < d->low : false)
		return bad("high", ret_field, err, "a number that is not less than low");
	if (!ranged(d->op))
		d->high = d->leave_high = d->low;
	if (exact && !isnan(d->leave_low) && d->leave_low != d->low)
		return bad("leave", ret_field, err, "no leave limit with == and !=");
	d->leave_low = isnan(d->leave_low) ? d->low : d->leave_low;
	d->leave_high = isnan(d->leave_high) ? d->high : d->leave_high;
	if ((d->op == SLX_WATCH_GT || d->op == SLX_WATCH_GE) && d->leave_low > d->low)
		return bad("leave", ret_field, err, "a number that is not above limit");
	if ((d->op == SLX_WATCH_LT || d->op == SLX_WATCH_LE) && d->leave_low < d->low)
		return bad("leave", ret_field, err, "a number that is not below limit");
	if (d->op == SLX_WATCH_OUTSIDE && (d->leave_low < d->low || d->leave_high > d->high || d->leave_low > d->leave_high))
		return bad("leave_low", ret_field, err, "leave limits within low and high: the value must come back inside of them");
	if (d->op == SLX_WATCH_INSIDE && (d->leave_low > d->low || d->leave_high < d->high))
		return bad("leave_low", ret_field, err, "leave limits around low and high: the value must go outside of them");
	return SILEX_OK;
}

static silex_status check_times(struct slx_watch_def *d, const char **ret_field, silex_error *err)
{
	SLX_TRY(check_span("window", d->window_ns, SLX_WATCH_WINDOW_MAX, ret_field, err));
	SLX_TRY(check_span("delay_on", d->on_ns, SLX_WATCH_SPAN_MAX, ret_field, err));
	SLX_TRY(check_span("delay_off", d->off_ns, SLX_WATCH_SPAN_MAX, ret_field, err));
	SLX_TRY(check_span("missing_after", d->missing_ns, SLX_WATCH_SPAN_MAX, ret_field, err));
	d->lateness_ns = d->lateness_ns ? d->lateness_ns : SLX_WATCH_LATENESS;
	if (d->lateness_ns < SLX_SECOND || d->lateness_ns > SLX_WATCH_LATENESS_MAX)
		return bad("max_lateness", ret_field, err, "a duration from 1s to 1w");
	if ((d->input == SLX_WATCH_LAST) != (d->window_ns == 0))
		return bad("window", ret_field, err, d->window_ns ? "no window with the input last" : "a window, as 1m");
	if ((d->missing == SLX_MISSING_KEEP) != (d->missing_ns == 0))
		return bad("missing_after", ret_field, err, "a duration together with missing fire or clear, and none with keep");
	return SILEX_OK;
}

silex_status slx_watch_def_check(struct slx_watch_def *d, const char **ret_field, silex_error *err)
{
	if (!d->name.n || d->name.n > SLX_WATCH_NAME_MAX || !slx_utf8_valid(d->name.p, d->name.n))
		return bad("name", ret_field, err, "a name of 1 to 200 bytes, in UTF-8");
	if (!d->selector.n || d->selector.n > SLX_WATCH_SELECTOR_MAX)
		return bad("selector", ret_field, err, "a selector of at most 8192 bytes, as hr{bed=\"4\"}");
	if (d->op >= SLX_WATCH_OPS)
		return bad("condition", ret_field, err, "one of > >= < <= == != outside inside");
	if (d->input >= SLX_WATCH_INPUTS)
		return bad("input", ret_field, err, "one of last rate avg min max sum count stddev");
	if (d->missing >= SLX_MISSINGS)
		return bad("missing", ret_field, err, "one of keep fire clear");
	SLX_TRY(check_limits(d, ret_field, err));
	SLX_TRY(check_times(d, ret_field, err));
	d->series_max = d->series_max ? d->series_max : SLX_WATCH_SERIES_DEFAULT;
	if (d->series_max > SLX_WATCH_SERIES_MAX)
		return bad("series_max", ret_field, err, "at most 1000000");
	return SILEX_OK;
}

/* ---- what it means ---- */

static struct slx_band band(enum slx_watch_op op, double low, double high)
{
	switch (op) {
	case SLX_WATCH_GT:
	case SLX_WATCH_GE:
		return (struct slx_band){ .lo = low, .lo_in = op == SLX_WATCH_GE, .hi = INFINITY, .hi_in = true };
	case SLX_WATCH_LT:
	case SLX_WATCH_LE:
		return (struct slx_band){ .lo = -INFINITY, .lo_in = true, .hi = low, .hi_in = op == SLX_WATCH_LE };
	case SLX_WATCH_EQ:
	case SLX_WATCH_NE:
		return (struct slx_band){ .lo = low, .lo_in = true, .hi = low, .hi_in = true, .outside = op == SLX_WATCH_NE };
	default:
		return (struct slx_band){ .lo = low, .lo_in = true, .hi = high, .hi_in = true, .outside = op == SLX_WATCH_OUTSIDE };
	}
}

void slx_watch_def_rule(const struct slx_watch_def *d, struct slx_track_rule *ret)
{
	*ret = (struct slx_track_rule){
		.enter = band(d->op, d->low, d->high),
		.stay = band(d->op, d->leave_low, d->leave_high),
		.input = d->input,
		.missing = d->missing,
		.window_ns = d->window_ns,
		.on_ns = d->on_ns,
		.off_ns = d->off_ns,
		.missing_ns = d->missing_ns,
		.lateness_ns = d->lateness_ns,
	};
}

/* ---- as text ---- */

static void put_text(struct slx_buf *out, const char *z) { slx_buf_put(out, z, strlen(z)); }

static void put_real(struct slx_buf *out, double v)
{
	char text[40];
	for (int digits = 6; digits <= 17; digits += 11) { /* the short form where it is exact */
		snprintf(text, sizeof text, "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	put_text(out, text);
}

static void put_span(struct slx_buf *out, const char *what, int64_t ns)
{
	char text[SLX_DURATION_TEXT_SIZE];
	if (ns <= 0)
		return;
	slx_duration_format(ns, text);
	put_text(out, what);
	put_text(out, text);
}

static void put_range(struct slx_buf *out, double low, double high)
{
	put_real(out, low);
	put_text(out, " to ");
	put_real(out, high);
}

static void put_until(const struct slx_watch_def *d, struct slx_buf *out)
{
	static const char *const opposite[] = { "<=", "<", ">=", ">" };
	if (d->leave_low == d->low && d->leave_high == d->high)
		return;
	put_text(out, " until ");
	put_text(out, ranged(d->op) ? d->op == SLX_WATCH_OUTSIDE ? "inside" : "outside" : opposite[d->op]);
	put_text(out, " ");
	if (ranged(d->op))
		put_range(out, d->leave_low, d->leave_high);
	else
		put_real(out, d->leave_low);
}

void slx_watch_def_text(const struct slx_watch_def *d, struct slx_buf *out)
{
	bool window = d->input != SLX_WATCH_LAST;
	if (window) {
		put_text(out, slx_watch_input_names[d->input]);
		put_text(out, "(");
	}
	slx_buf_put(out, d->selector.p, d->selector.n);
	if (window) {
		put_span(out, "[", d->window_ns);
		put_text(out, "])");
	}
	put_text(out, " ");
	put_text(out, slx_watch_op_names[d->op]);
	put_text(out, " ");
	if (ranged(d->op))
		put_range(out, d->low, d->high);
	else
		put_real(out, d->low);
	put_until(d, out);
	put_span(out, ", on after ", d->on_ns);
	put_span(out, ", off after ", d->off_ns);
	if (d->missing_ns) {
		put_text(out, d->missing == SLX_MISSING_FIRE ? ", fires" : ", clears");
		put_span(out, " without samples for ", d->missing_ns);
	}
}

/* ---- as bytes ---- */

static void put_str(struct slx_buf *b, const void *p, size_t n)
{
	slx_buf_varint(b, n);
	slx_buf_put(b, p, n);
}

static struct slx_str get_str(struct slx_rd *r)
{
	size_t n = (size_t)slx_rd_varint(r);
	const uint8_t *p = slx_rd_bytes(r, n);
	return p ? (struct slx_str){ (const char *)p, n } : (struct slx_str){ "", 0 };
}

void slx_watch_def_encode(const struct slx_watch_def *d, struct slx_buf *out)
{
	const double limits[] = { d->low, d->high, d->leave_low, d->leave_high };
	const int64_t spans[] = { d->window_ns, d->on_ns, d->off_ns, d->missing_ns, d->lateness_ns };
	slx_buf_u8(out, VERSION);
	put_str(out, d->name.p, d->name.n);
	put_str(out, d->selector.p, d->selector.n);
	slx_buf_u8(out, (uint8_t)d->input);
	slx_buf_u8(out, (uint8_t)d->op);
	slx_buf_u8(out, (uint8_t)d->missing);
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		slx_buf_u64(out, slx_f64_bits(limits[i]));
	for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
		slx_buf_varint(out, (uint64_t)spans[i]);
	slx_buf_varint(out, d->series_max);
	put_str(out, d->labels.p, d->labels.n);
	put_str(out, d->annotations.p, d->annotations.n);
}

static silex_status get_labels(struct slx_rd *r, struct slx_labels *ret, silex_error *err)
{
	struct slx_str s = get_str(r);
	return r->bad ? slx_err(err, SILEX_CORRUPT, "a rule that ends early") : slx_labels_parse(s.p, s.n, NULL, ret, err);
}

silex_status slx_watch_def_decode(struct slx_str bytes, struct slx_watch_def *ret, silex_error *err)
{
	struct slx_rd r = slx_rd_init(bytes.p, bytes.n);
	struct slx_watch_def d = { 0 };
	double *limits[] = { &d.low, &d.high, &d.leave_low, &d.leave_high };
	int64_t *spans[] = { &d.window_ns, &d.on_ns, &d.off_ns, &d.missing_ns, &d.lateness_ns };
	silex_error why;
	uint8_t version = slx_rd_u8(&r);
	if (!r.bad && version != VERSION)
		return slx_err(err, SILEX_UNSUPPORTED, "a rule of version %u; this release reads %d", version, VERSION);
	d.name = get_str(&r);
	d.selector = get_str(&r);
	d.input = (enum slx_watch_input)slx_rd_u8(&r);
	d.op = (enum slx_watch_op)slx_rd_u8(&r);
	d.missing = (enum slx_watch_missing)slx_rd_u8(&r);
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		*limits[i] = slx_bits_f64(slx_rd_u64(&r));
	for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
		*spans[i] = (int64_t)slx_rd_varint(&r);
	uint64_t series_max = slx_rd_varint(&r);
	d.series_max = series_max > SLX_WATCH_SERIES_MAX ? UINT32_MAX : (uint32_t)series_max;
	SLX_TRY(get_labels(&r, &d.labels, err));
	SLX_TRY(get_labels(&r, &d.annotations, err));
	if (r.bad || r.p != r.end)
		return slx_err(err, SILEX_CORRUPT, "a rule of %zu bytes that ends %s", bytes.n, r.bad ? "early" : "before them");
	if (slx_watch_def_check(&d, NULL, &why) != SILEX_OK)
		return slx_err(err, SILEX_CORRUPT, "a rule that cannot be: %s", why.message);
	*ret = d;
	return SILEX_OK;
}
