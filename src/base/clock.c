#include "base/clock.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t system_wall(void *ctx) { return read_clock(CLOCK_REALTIME); }
static int64_t system_monotonic(void *ctx) { return read_clock(CLOCK_MONOTONIC); }

static void system_fill(void *ctx, void *bytes, size_t n)
{
	for (uint8_t *p = bytes; n > 0;) {
		ssize_t k = getrandom(p, n, 0);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			__builtin_trap(); /* the kernel has no entropy source: nothing safe can follow */
		p += k;
		n -= (size_t)k;
	}
}

void slx_clock_init(silex_clock *c, const silex_clock *from)
{
	if (from && from->wall_ns && from->monotonic_ns)
		*c = *from;
	else
		*c = (silex_clock){ NULL, system_wall, system_monotonic };
}

void slx_random_init(silex_random *r, const silex_random *from)
{
	if (from && from->fill)
		*r = *from;
	else
		*r = (silex_random){ NULL, system_fill };
}

double slx_cpu_seconds(void)
{
	return (double)read_clock(CLOCK_PROCESS_CPUTIME_ID) * 1e-9;
}
