/* Threads: a pool that runs tasks, in the order given, on a fixed number of workers.
 * slx_pool_run is what queries use: it splits one job over the workers and the calling thread. */
#ifndef SLX_BASE_THREAD_H
#define SLX_BASE_THREAD_H

#include "base/mem.h"
#include "base/status.h"

#include <pthread.h>
#include <stdbool.h>

struct slx_pool;

silex_status slx_pool_new(struct slx_mem *m, unsigned threads, const char *name, struct slx_pool **ret, silex_error *err);
void slx_pool_free(struct slx_pool *p); /* finishes queued tasks first; NULL is fine */
unsigned slx_pool_threads(const struct slx_pool *p);

/* Queues fn(arg) for any worker. RESOURCE_EXHAUSTED when memory is out. */
silex_status slx_pool_submit(struct slx_pool *p, void (*fn)(void *arg), void *arg, silex_error *err);

/* Calls part(arg, i) for i in 0..parts-1, each exactly once, on the workers and the caller; returns when all are done.
 * The caller takes part, so it never waits for a busy pool to begin. */
void slx_pool_run(struct slx_pool *p, size_t parts, void (*part)(void *arg, size_t i), void *arg);

#endif
