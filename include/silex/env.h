/* What a database takes from its host: memory, time, randomness, files. Each is per database; an embedded engine is a
 * guest. Zero-initialised members mean the system's own. SPDX-License-Identifier: MIT */
#ifndef SILEX_ENV_H
#define SILEX_ENV_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Memory. All three or none are given; each may be called from any thread. alloc and realloc return NULL when there is
 * no memory. `old_size` and `size` are what the block was allocated with. */
typedef struct silex_allocator {
	void *ctx;
	void *(*alloc)(void *ctx, size_t size);
	void *(*realloc)(void *ctx, void *ptr, size_t old_size, size_t new_size);
	void (*free)(void *ctx, void *ptr, size_t size);
} silex_allocator;

/* Time, in nanoseconds. wall: since the Unix epoch, may jump; monotonic: from any origin, never goes back.
 * Any thread. */
typedef struct silex_clock {
	void *ctx;
	int64_t (*wall_ns)(void *ctx);
	int64_t (*monotonic_ns)(void *ctx);
} silex_clock;

/* Fills n bytes with unpredictable bits (file names, segment ids). Any thread. */
typedef struct silex_random {
	void *ctx;
	void (*fill)(void *ctx, void *bytes, size_t n);
} silex_random;

/* Files: struct slx_vfs in this release is internal; NULL means the operating system's. */
typedef struct silex_env {
	silex_allocator allocator;
	silex_clock clock;
	silex_random random;
	struct slx_vfs *vfs;
} silex_env;

#ifdef __cplusplus
}
#endif
#endif
