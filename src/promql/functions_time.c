/* Time, the calendar (UTC), and the limits of the query. Seconds as numbers. */
#include "promql/functions_int.h"

#include "model/time.h"

SLX_PQ_MATRIX(time)
{
	SLX_TRY(slx_pq_scalar_row(x, c, 0, ret, err));
	for (size_t k = 0; k < c->steps; k++)
		ret->rows[0].f[k] = (double)c->times[k] / 1000;
	return SILEX_OK;
}

/* Of anything but a selector, whose samples have times of their own: the step's. */
SLX_PQ_MATRIX(timestamp)
{
	*ret = args[0];
	for (size_t i = 0; i < ret->n; i++) {
		struct slx_pq_row *r = &ret->rows[i];
		for (size_t k = 0; k < c->steps; k++) {
			r->f[k] = (double)c->times[k] / 1000;
			r->cell[k] = r->cell[k] ? SLX_PQ_FLOAT : SLX_PQ_EMPTY;
		}
		r->h = NULL;
		r->drop_name = true;
	}
	return SILEX_OK;
}

SLX_PQ_MATRIX(start) { return slx_pq_scalar_row(x, c, (double)c->options->start_ms / 1000, ret, err); }
SLX_PQ_MATRIX(end) { return slx_pq_scalar_row(x, c, (double)c->options->end_ms / 1000, ret, err); }
SLX_PQ_MATRIX(step) { return slx_pq_scalar_row(x, c, (double)c->options->step_ms / 1000, ret, err); }
SLX_PQ_MATRIX(range)
{
	return slx_pq_scalar_row(x, c, (double)(c->options->end_ms - c->options->start_ms) / 1000, ret, err);
}

/* ---- calendar ---- */

SLX_PQ_MATRIX(date)
{
	if (c->node->call.n_args)
		return slx_pq_fn_math(x, c, args, ret, err);
	SLX_TRY(slx_pq_scalar_row(x, c, 0, ret, err));
	for (size_t k = 0; k < c->steps; k++)
		ret->rows[0].f[k] = c->node->call.fn->math((double)(c->times[k] / 1000));
	return SILEX_OK;
}

struct moment {
	int64_t days, second; /* since 1970; of the day */
	int64_t year;
	unsigned month, day;
};

/* Whole seconds, those that no calendar reaches taken as its ends. */
static struct moment moment_of(double t)
{
	const double end = 6e16;
	int64_t s = isnan(t) || t < -end ? (int64_t)-end : t > end ? (int64_t)end : (int64_t)t;
	struct moment m = { .days = s / 86400, .second = s % 86400 };
	if (m.second < 0) {
		m.second += 86400;
		m.days--;
	}
	slx_civil_from_days(m.days, &m.year, &m.month, &m.day);
	return m;
}

double slx_pq_math_minute(double t) { return (double)(moment_of(t).second / 60 % 60); }
double slx_pq_math_hour(double t) { return (double)(moment_of(t).second / 3600); }
double slx_pq_math_day_of_week(double t)
{
	return (double)(((moment_of(t).days + 4) % 7 + 7) % 7);
} /* 1970-01-01 was a Thursday, 4 */
double slx_pq_math_day_of_month(double t) { return moment_of(t).day; }
double slx_pq_math_month(double t) { return moment_of(t).month; }
double slx_pq_math_year(double t) { return (double)moment_of(t).year; }

double slx_pq_math_day_of_year(double t)
{
	struct moment m = moment_of(t);
	return (double)(m.days - slx_days_from_civil(m.year, 1, 1) + 1);
}

double slx_pq_math_days_in_month(double t)
{
	struct moment m = moment_of(t);
	int64_t next = m.month == 12 ? slx_days_from_civil(m.year + 1, 1, 1) : slx_days_from_civil(m.year, m.month + 1, 1);
	return (double)(next - slx_days_from_civil(m.year, m.month, 1));
}
