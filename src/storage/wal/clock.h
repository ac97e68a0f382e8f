/* The hybrid logical clock of versions: milliseconds of the wall clock in the upper 48 bits, a counter below; always
 * greater than the one before, also when the wall clock steps back. (Kulkarni et al., Logical Physical Clocks, 2014.)
 * Private to the room. */
#ifndef SLX_STORAGE_WAL_CLOCK_H
#define SLX_STORAGE_WAL_CLOCK_H

#include <stdint.h>

static inline uint64_t slx_wal_next_version(uint64_t last, int64_t wall_ns)
{
	uint64_t now = wall_ns > 0 ? (uint64_t)(wall_ns / 1000000) << 16 : 0;
	return now > last ? now : last + 1;
}

#endif
