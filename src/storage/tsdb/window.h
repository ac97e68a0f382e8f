/* Window levels of blocks and the cutting of samples into cold chunks. */
#ifndef SLX_TSDB_WINDOW_H
#define SLX_TSDB_WINDOW_H

#include "model/time.h"

/* Level 0 is block_duration (2 h by default), then 8 h, 24 h, 7 d, 365 d, all time; levels not longer than
 * block_duration are left out. Floor division from the epoch. */
enum { SLX_LEVELS_MAX = 6 };

struct slx_levels {
	int64_t width[SLX_LEVELS_MAX]; /* ns; the last is INT64_MAX: all time */
	unsigned n;
};

void slx_levels_init(struct slx_levels *l, int64_t block_duration_ns);
/* The window of a level that holds t, as an inclusive range of legal times. */
struct slx_time_range slx_levels_window(const struct slx_levels *l, unsigned level, int64_t t);

#endif
