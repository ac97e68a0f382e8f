/* The live stream inside: connections and subscriptions (stream.c), what they are sent (stream_run.c). */
#ifndef SLX_SERVER_NATIVE_STREAM_INT_H
#define SLX_SERVER_NATIVE_STREAM_INT_H

#include "promql/promql.h"
#include "server/native/native_int.h"

#define SLX_STREAM_ALERTS_EVERY SLX_YEAR /* the list of alerts comes again only when something was missed, or silences changed */

enum { SLX_STREAM_THREADS = 2, SLX_STREAM_SERIES_MAX = 10000 };

/* The newest time that was told, or passed over, of each series of a subscription. */
struct slx_stream_seen {
	struct slx_hash128 id;
	int64_t last;
	bool used;
};

struct slx_stream_conn;

/* One subscription. What does not change, and what a run changes (from `seen` on), is read without the lock by the one thread
 * that has it `busy`; the rest is under the stream's lock. */
struct slx_stream_sub {
	struct slx_stream_sub *next;  /* of the connection */
	struct slx_stream_conn *conn; /* NULL once it has gone */
	struct slx_native *n;
	uint64_t id;
	char tenant[SLX_TENANT_SIZE_MAX + 1];
	struct slx_selector selector;  /* of a subscribe; of alerts: n 0 is all */
	bool alerts;                   /* changes of alerts, as they come; a run sends all that are there */
	struct slx_promql_expr *query; /* of a query; NULL: a subscribe */
	char text[256];                /* its words, cut, for the log of slow queries */
	int64_t interval_ns, due_ns;   /* monotonic */
	bool busy, begun;              /* begun: run once */
	bool again;                    /* alerts: run once more, something was missed or changed meanwhile */
	_Atomic bool gone;             /* unsubscribed, or the connection closed: whoever has it busy frees it */

	struct slx_stream_seen *seen; /* open addressing, a power of two */
	size_t seen_n, seen_cap;
	uint64_t ingested; /* the engine's counter at the last look */
	unsigned quiet;    /* looks since it changed */
	uint64_t dropped;  /* samples, not told yet */
};

struct slx_stream {
	struct slx_native *n;
	pthread_mutex_t lock; /* everything below, and what sub and connection say */
	pthread_cond_t wake;
	struct slx_stream_conn *conns;
	bool stop;
	unsigned threads_n;
	pthread_t threads[SLX_STREAM_THREADS];
};

/* Reads what is new and sends it. Returns false when the subscription ends. */
bool slx_stream_run(struct slx_stream *s, struct slx_stream_sub *sub);
/* Any thread, without the lock. false: not queued, too much is waiting or the connection is gone. */
bool slx_stream_send(struct slx_stream *s, struct slx_stream_sub *sub, const struct slx_buf *b);
void slx_stream_send_error(struct slx_stream *s, struct slx_stream_sub *sub, const char *message);

#endif
