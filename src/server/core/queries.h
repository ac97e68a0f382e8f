/* The queries that run now, and the slow ones of late. A room that runs queries wraps each in begin and end. */
#ifndef SLX_SERVER_CORE_QUERIES_H
#define SLX_SERVER_CORE_QUERIES_H

#include "model/labels.h"

#include <pthread.h>
#include <stdatomic.h>

struct slx_log;

enum { SLX_QUERY_TEXT_MAX = 512, SLX_SLOW_QUERIES = 32 };

struct slx_active_query { /* on the stack of who runs it */
	struct slx_str text, tenant;
	const char *kind;       /* "query_range" */
	const char *request_id; /* may be NULL */
	int64_t started_ns;     /* wall clock; set by begin */
	struct slx_active_query *next, *prev;
};

struct slx_slow_query {
	char text[SLX_QUERY_TEXT_MAX], tenant[64], kind[24], request_id[40];
	int64_t started_ns, elapsed_ns;
	uint64_t series, samples;
	int status; /* silex_status */
};

struct slx_queries {
	pthread_mutex_t lock; /* all below */
	struct slx_active_query *active;
	struct slx_slow_query *slow; /* ring of SLX_SLOW_QUERIES */
	uint64_t slow_n;             /* ever */
	struct slx_log *log;
	_Atomic int64_t slow_ns; /* log.slow_query; 0: none are noted */
};

void slx_queries_init(struct slx_queries *q, struct slx_log *log);
void slx_queries_clear(struct slx_queries *q);

void slx_query_begin(struct slx_queries *q, struct slx_active_query *a);
/* Logs and notes the query when it took longer than log.slow_query. Returns the nanoseconds it took. */
int64_t slx_query_end(struct slx_queries *q, struct slx_active_query *a, uint64_t series, uint64_t samples, int status);

/* Visits under the lock: be short. Newest first. */
void slx_queries_active(struct slx_queries *q, void (*each)(void *arg, const struct slx_active_query *a), void *arg);
void slx_queries_slow(struct slx_queries *q, void (*each)(void *arg, const struct slx_slow_query *s), void *arg);

#endif
