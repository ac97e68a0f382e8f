#include "storage/tsdb/window.h"

void slx_levels_init(struct slx_levels *l, int64_t block_duration_ns)
{
	static const int64_t widths[] = { 8 * SLX_HOUR, SLX_DAY, SLX_WEEK, SLX_YEAR, INT64_MAX };
	l->width[0] = block_duration_ns;
	l->n = 1;
	for (unsigned i = 0; i < sizeof widths / sizeof *widths; i++)
		if (widths[i] > block_duration_ns)
			l->width[l->n++] = widths[i];
}

struct slx_time_range slx_levels_window(const struct slx_levels *l, unsigned level, int64_t t)
{
	int64_t width = l->width[level];
	if (width == INT64_MAX)
		return SLX_TIME_ALL;
	return (struct slx_time_range){ slx_window_start(t, width, 0), slx_window_last(t, width, 0) };
}
