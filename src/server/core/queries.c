#include "server/core/queries.h"

#include "server/core/log.h"

#include <stdlib.h>
#include <time.h>

static int64_t wall_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void slx_queries_init(struct slx_queries *q, struct slx_log *log)
{
	*q = (struct slx_queries){ .log = log };
	pthread_mutex_init(&q->lock, NULL);
}

void slx_queries_clear(struct slx_queries *q)
{
	free(q->slow);
	pthread_mutex_destroy(&q->lock);
}

void slx_query_begin(struct slx_queries *q, struct slx_active_query *a)
{
	a->started_ns = wall_ns();
	a->prev = NULL;
	pthread_mutex_lock(&q->lock);
	a->next = q->active;
	if (a->next)
		a->next->prev = a;
	q->active = a;
	pthread_mutex_unlock(&q->lock);
}

static void copy(char *to, size_t size, struct slx_str s)
{
	size_t n = s.n < size - 1 ? s.n : size - 1;
	while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--; /* not inside of a character */
	if (n)
		memcpy(to, s.p, n);
	to[n] = 0;
}

/* Under the lock. The ring is made by the first slow query; without memory there is none. */
static void note_slow(struct slx_queries *q, const struct slx_slow_query *s)
{
	if (!q->slow)
		q->slow = calloc(SLX_SLOW_QUERIES, sizeof *q->slow);
	if (q->slow)
		q->slow[q->slow_n % SLX_SLOW_QUERIES] = *s;
	q->slow_n++;
}

int64_t slx_query_end(struct slx_queries *q, struct slx_active_query *a, uint64_t series, uint64_t samples, int status)
{
	int64_t elapsed = wall_ns() - a->started_ns, limit = atomic_load_explicit(&q->slow_ns, memory_order_relaxed);
	bool slow = limit > 0 && elapsed >= limit;
	struct slx_slow_query s = { .started_ns = a->started_ns, .elapsed_ns = elapsed, .series = series, .samples = samples, .status = status };
	if (slow) {
		copy(s.text, sizeof s.text, a->text);
		copy(s.tenant, sizeof s.tenant, a->tenant);
		copy(s.kind, sizeof s.kind, slx_str(a->kind));
		copy(s.request_id, sizeof s.request_id, slx_str(a->request_id ? a->request_id : ""));
	}
	pthread_mutex_lock(&q->lock);
	if (a->prev)
		a->prev->next = a->next;
	else
		q->active = a->next;
	if (a->next)
		a->next->prev = a->prev;
	if (slow)
		note_slow(q, &s);
	pthread_mutex_unlock(&q->lock);
	if (slow)
		slx_log(q->log, SLX_LOG_WARN, "slow query", SLX_TEXT("kind", s.kind), SLX_REAL("seconds", (double)elapsed / 1e9), SLX_TEXT("tenant", s.tenant),
			SLX_TEXT("query", s.text), SLX_INT("series", series), SLX_INT("samples", samples),
			SLX_TEXT("status", silex_status_text((silex_status)status)), SLX_TEXT("request_id", s.request_id));
	return elapsed;
}

void slx_queries_active(struct slx_queries *q, void (*each)(void *arg, const struct slx_active_query *a), void *arg)
{
	pthread_mutex_lock(&q->lock);
	for (const struct slx_active_query *a = q->active; a; a = a->next)
		each(arg, a);
	pthread_mutex_unlock(&q->lock);
}

void slx_queries_slow(struct slx_queries *q, void (*each)(void *arg, const struct slx_slow_query *s), void *arg)
{
	pthread_mutex_lock(&q->lock);
	uint64_t n = !q->slow ? 0 : q->slow_n < SLX_SLOW_QUERIES ? q->slow_n : SLX_SLOW_QUERIES;
	for (uint64_t i = 0; i < n; i++)
		each(arg, &q->slow[(q->slow_n - 1 - i) % SLX_SLOW_QUERIES]);
	pthread_mutex_unlock(&q->lock);
}
