/* Time: int64 nanoseconds since 1970-01-01T00:00:00Z, legal from INT64_MIN+1 to INT64_MAX-1 (years 1677 to 2262).
 * The two outermost values are left free for "none". Ranges include both ends. Nothing here can overflow. */
#ifndef SLX_MODEL_TIME_H
#define SLX_MODEL_TIME_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLX_TIME_MIN (INT64_MIN + 1)
#define SLX_TIME_MAX (INT64_MAX - 1)

#define SLX_US     INT64_C(1000)
#define SLX_MS     INT64_C(1000000)
#define SLX_SECOND INT64_C(1000000000)
#define SLX_MINUTE (60 * SLX_SECOND)
#define SLX_HOUR   (60 * SLX_MINUTE)
#define SLX_DAY    (24 * SLX_HOUR)
#define SLX_WEEK   (7 * SLX_DAY)
#define SLX_YEAR   (365 * SLX_DAY) /* as a duration */

static inline bool slx_time_legal(int64_t t) { return t >= SLX_TIME_MIN && t <= SLX_TIME_MAX; }

static inline int64_t slx_time_clamp(int64_t t)
{
	return t < SLX_TIME_MIN ? SLX_TIME_MIN : t > SLX_TIME_MAX ? SLX_TIME_MAX : t;
}

/* t + d and t - d, saturating at the legal ends. */
static inline int64_t slx_time_add(int64_t t, int64_t d)
{
	int64_t r;
	if (__builtin_add_overflow(t, d, &r))
		return d < 0 ? SLX_TIME_MIN : SLX_TIME_MAX;
	return slx_time_clamp(r);
}

static inline int64_t slx_time_sub(int64_t t, int64_t d)
{
	int64_t r;
	if (__builtin_sub_overflow(t, d, &r))
		return d < 0 ? SLX_TIME_MAX : SLX_TIME_MIN;
	return slx_time_clamp(r);
}

/* ---- ranges ---- */

struct slx_time_range {
	int64_t from, to; /* both included; from > to is the empty range */
};

#define SLX_TIME_ALL ((struct slx_time_range){ SLX_TIME_MIN, SLX_TIME_MAX })

static inline bool slx_range_empty(struct slx_time_range r) { return r.from > r.to; }
static inline bool slx_range_has(struct slx_time_range r, int64_t t) { return t >= r.from && t <= r.to; }
static inline bool slx_range_overlaps(struct slx_time_range a, struct slx_time_range b)
{
	return a.from <= a.to && b.from <= b.to && a.from <= b.to && b.from <= a.to;
}
static inline bool slx_range_covers(struct slx_time_range outer, struct slx_time_range inner)
{
	return inner.from > inner.to || (outer.from <= inner.from && inner.to <= outer.to);
}
static inline struct slx_time_range slx_range_cut(struct slx_time_range a, struct slx_time_range b)
{
	return (struct slx_time_range){ a.from > b.from ? a.from : b.from, a.to < b.to ? a.to : b.to };
}

/* ---- windows: [origin + k*step, origin + (k+1)*step), step >= 1 ---- */

/* floor((t - origin) / step), which fits int64 whenever step >= 2 or origin is 0; saturates otherwise. */
int64_t slx_window_index(int64_t t, int64_t step, int64_t origin);

/* Start of the window that holds t, and its last nanosecond. A window that reaches outside the legal range is cut. */
int64_t slx_window_start(int64_t t, int64_t step, int64_t origin);
int64_t slx_window_last(int64_t t, int64_t step, int64_t origin);

/* Number of windows that hold a part of r (0 for an empty range). INVALID when step < 1 or there are more than
 * windows_max; the message says how many. */
silex_status slx_window_count(
	struct slx_time_range r, int64_t step, int64_t origin, uint64_t windows_max, uint64_t *ret, silex_error *err);

/* ---- text ---- */

/* What a bare number means. AUTO goes by size: below 1e11 seconds, 1e14 ms, 1e17 us, else ns. */
enum slx_time_unit { SLX_UNIT_AUTO, SLX_UNIT_NS, SLX_UNIT_US, SLX_UNIT_MS, SLX_UNIT_S, SLX_UNIT_MIN, SLX_UNIT_H };

/* Nanoseconds of a unit; AUTO: 1. */
int64_t slx_unit_ns(enum slx_time_unit unit);

/* n units after the epoch in nanoseconds (not AUTO). INVALID when outside the legal range. */
silex_status slx_time_from_unit(int64_t n, enum slx_time_unit unit, int64_t *ret, silex_error *err);

/* Reads a time: RFC 3339 (`2024-05-01T10:00:00.25+02:00`, also with a blank for T and a small t or z), without zone as
 * UTC, with minutes only or a date only, a number (fraction allowed) in `unit`, or `now`, `now-1h`, `now+5m`.
 * Digits beyond the nanosecond are dropped. INVALID says what was expected and where. */
silex_status slx_time_parse(
	const char *s, size_t n, enum slx_time_unit unit, int64_t now, int64_t *ret, silex_error *err);

enum { SLX_TIME_TEXT_SIZE = 40 }; /* with the terminating 0 */

/* RFC 3339 in UTC with 0, 3, 6 or 9 digits of fraction, as few as are exact. Returns the length. */
size_t slx_time_format(int64_t t, char ret[SLX_TIME_TEXT_SIZE]);

/* Days since 1970-01-01 of a proleptic Gregorian date and back, any year of int32 size.
 * Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil and civil_from_days. */
int64_t slx_days_from_civil(int64_t year, unsigned month, unsigned day);
void slx_civil_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day);

/* Durations: `1h30m`, `250ms`, `1d`, `1w`, `1y` (365 days), `10us`, `5ns`, `0`, `-5m`; units from large to small, each
 * at most once; whole numbers. INVALID says what was expected and where. */
silex_status slx_duration_parse(const char *s, size_t n, int64_t *ret_ns, silex_error *err);

enum { SLX_DURATION_TEXT_SIZE = 48 };

/* The shortest such text; weeks and years only where they come out whole. Returns the length. */
size_t slx_duration_format(int64_t ns, char ret[SLX_DURATION_TEXT_SIZE]);

#endif
