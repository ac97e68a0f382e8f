/* kill -9: a child process writes to a real directory and tells through a pipe what was acknowledged; it is killed at a
 * random moment, also during checkpoints and compactions; the parent opens the directory and looks for everything that
 * was acknowledged. The directory lives on from round to round, so that each crash has the traces of those before it.
 *
 *     kill_test [rounds [seed]] */
#include "base/clock.h"

#include <silex/silex.h>

#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 3, SERIES = 8, BATCH = 16 };

/* Series k of thread i holds the numbers 0, 1, 2... of its writes, one an instant; a delete takes all below a number. */
struct ack {
	int thread;
	uint64_t written; /* numbers below are acknowledged */
	uint64_t deleted; /* numbers below were deleted, acknowledged */
	uint64_t deleting; /* a delete of numbers below was begun */
};

struct shared {
	silex_db *db;
	int pipe;
	uint64_t seed;
	struct ack from[THREADS];
};

static void fatal(const char *what, const silex_error *err)
{
	printf("%s: %s\n", what, err ? err->message : "");
	fflush(stdout);
	_exit(2);
}

static void labels_of(int thread, int k, char text[2][16], silex_label ret[2])
{
	snprintf(text[0], 16, "t%u", (unsigned)thread);
	snprintf(text[1], 16, "s%u", (unsigned)k);
	ret[0] = (silex_label){ "__name__", text[0] };
	ret[1] = (silex_label){ "k", text[1] };
}

static int64_t time_of(uint64_t number)
{
	return INT64_C(1700000000000000000) + (int64_t)number * 250000000;
}

/* --- the child ---------------------------------------------------------------------------------------------------------- */

static void tell(const struct shared *s, const struct ack *a)
{
	if (write(s->pipe, a, sizeof *a) != (ssize_t)sizeof *a)
		_exit(3);
}

static void write_once(struct shared *s, struct ack *a)
{
	silex_row rows[SERIES * BATCH];
	silex_label labels[SERIES][2];
	char text[SERIES][2][16];
	silex_error err;
	for (int k = 0; k < SERIES; k++) {
		labels_of(a->thread, k, text[k], labels[k]);
		for (int i = 0; i < BATCH; i++)
			rows[i * SERIES + k] = (silex_row){ labels[k], 2, time_of(a->written + (uint64_t)i), silex_float((double)(a->written + (uint64_t)i)) };
	}
	if (silex_insert_batch(s->db, NULL, rows, SERIES * BATCH, NULL, &err) != SILEX_OK)
		fatal("insert", &err);
	a->written += BATCH;
	tell(s, a);
}

static void delete_once(struct shared *s, struct ack *a)
{
	char selector[16];
	silex_error err;
	snprintf(selector, sizeof selector, "t%u", (unsigned)a->thread);
	a->deleting += (a->written - a->deleting) / 4 * 3;
	tell(s, a);
	if (silex_delete(s->db, NULL, selector, SILEX_TIME_MIN, time_of(a->deleting) - 1, NULL, &err) != SILEX_OK)
		fatal("delete", &err);
	a->deleted = a->deleting;
	tell(s, a);
}

static void *writer(void *arg)
{
	struct shared *s = ((struct shared **)arg)[0];
	struct ack a = s->from[(size_t)((struct shared **)arg)[1]];
	uint64_t rng = s->seed + (uint64_t)a.thread;
	for (;;) {
		uint64_t k = slx_rng_next(&rng) % 400;
		if (k == 0)
			delete_once(s, &a);
		else
			write_once(s, &a);
	}
	return NULL;
}

static void child(const char *path, struct shared *s, const silex_options *o)
{
	static struct shared *args[THREADS][2];
	silex_error err;
	pthread_t t;
	uint64_t rng = s->seed;
	if (silex_open(path, o, &s->db, &err) != SILEX_OK)
		fatal("open in the child", &err);
	for (size_t i = 0; i < THREADS; i++) {
		args[i][0] = s;
		args[i][1] = (struct shared *)i;
		pthread_create(&t, NULL, writer, args[i]);
	}
	for (;;) {
		silex_compact_options c;
		silex_compact_options_init(&c);
		c.full = slx_rng_next(&rng) % 2;
		nanosleep(&(struct timespec){ 0, (long)(slx_rng_next(&rng) % 20000000) }, NULL);
		if (silex_checkpoint(s->db, &err) != SILEX_OK)
			fatal("checkpoint", &err);
		if (slx_rng_next(&rng) % 2 && silex_compact(s->db, &c, &err) != SILEX_OK)
			fatal("compact", &err);
	}
}

/* --- the parent ----------------------------------------------------------------------------------------------------------- */

static void drain(int fd, struct ack at[THREADS])
{
	struct ack a;
	while (read(fd, &a, sizeof a) == (ssize_t)sizeof a)
		at[a.thread] = a;
}

/* Series of one thread: numbers without gaps from `deleted` (or `deleting`) to at least `written`. */
static bool check_series(const silex_batch *b, const struct ack *a, uint64_t *next, uint64_t *ends)
{
	for (size_t i = 0; i < b->n; i++) {
		uint64_t number = (uint64_t)b->values[i];
		if (b->times[i] != time_of(number) || (*next != UINT64_MAX && number != *next)) {
			printf("thread %d: number %llu after %lld\n", a->thread, (unsigned long long)number, (long long)*next - 1);
			return false;
		}
		if (*next == UINT64_MAX && number != a->deleted && number != a->deleting) {
			printf("thread %d: begins with %llu, expected %llu or %llu\n", a->thread, (unsigned long long)number, (unsigned long long)a->deleted,
				(unsigned long long)a->deleting);
			return false;
		}
		*next = number + 1;
	}
	*ends = *next;
	return true;
}

static bool check_thread(silex_db *db, struct ack *a)
{
	char text[16];
	const char *selector = text;
	silex_query q;
	silex_cursor *c;
	silex_batch b = { 0 };
	silex_error err;
	uint64_t next = UINT64_MAX, last_series = UINT64_MAX, series = 0, ends = 0, most = 0;
	snprintf(text, sizeof text, "t%u", (unsigned)a->thread);
	silex_query_init(&q);
	q.selectors = &selector;
	q.n_selectors = 1;
	q.start = SILEX_TIME_MIN;
	q.end = SILEX_TIME_MAX;
	if (silex_query_run(db, &q, &c, &err) != SILEX_OK)
		return printf("query: %s\n", err.message), false;
	bool ok = true;
	while (ok && (ok = silex_cursor_next(c, &b, &err) == SILEX_OK) && b.n > 0) {
		if (b.series != last_series) {
			ok = series == 0 || ends >= a->written;
			next = UINT64_MAX;
			series++;
		}
		last_series = b.series;
		ok = ok && check_series(&b, a, &next, &ends);
		most = ends > most ? ends : most;
	}
	silex_cursor_close(c);
	if (ok && a->written > a->deleting && (series != SERIES || ends < a->written))
		ok = false;
	if (!ok)
		printf("thread %d: %llu series, the last ends at %llu; acknowledged up to %llu\n", a->thread, (unsigned long long)series, (unsigned long long)ends,
			(unsigned long long)a->written);
	a->written = most > a->written ? most : a->written;
	return ok;
}

static bool look(const char *path, const silex_options *o, struct ack at[THREADS], bool verify)
{
	silex_db *db;
	silex_error err;
	silex_verify_report report;
	silex_metrics m = { .size = sizeof m };
	if (silex_open(path, o, &db, &err) != SILEX_OK)
		return printf("open: %s\n", err.message), false;
	bool ok = true;
	for (int i = 0; i < THREADS && ok; i++)
		ok = check_thread(db, &at[i]);
	ok = ok && silex_get_metrics(db, &m, &err) == SILEX_OK;
	if (ok && (m.damaged_frames || m.damaged_pages)) {
		printf("damage was reported: %llu frames, %llu pages\n", (unsigned long long)m.damaged_frames, (unsigned long long)m.damaged_pages);
		ok = false;
	}
	for (int i = 0; i < THREADS && ok; i++) { /* even out what the kill left: the next round starts from whole batches */
		char selector[16];
		at[i].written = (at[i].written + BATCH - 1) / BATCH * BATCH;
		at[i].deleted = at[i].deleting = at[i].written;
		snprintf(selector, sizeof selector, "t%u", (unsigned)i);
		ok = silex_delete(db, NULL, selector, SILEX_TIME_MIN, SILEX_TIME_MAX, NULL, &err) == SILEX_OK || (printf("delete: %s\n", err.message), false);
	}
	if (silex_close(db, &err) != SILEX_OK)
		return printf("close: %s\n", err.message), false;
	if (ok && verify && silex_verify(path, NULL, NULL, NULL, NULL, &report, &err) != SILEX_OK)
		return printf("verify: %s\n", err.message), false;
	return ok;
}

static bool round_of(const char *path, uint64_t seed, struct ack at[THREADS], bool verify, uint64_t *acknowledged)
{
	struct shared s = { .seed = seed };
	silex_options o;
	int fd[2];
	uint64_t rng = seed;
	silex_options_init(&o);
	o.sync = (silex_sync)(SILEX_SYNC_ALWAYS + slx_rng_next(&rng) % 3);
	o.wal_segment_size = slx_rng_next(&rng) % 2 ? 65536 : 1 << 20;
	o.wal_sync_interval_ms = 5;
	memcpy(s.from, at, sizeof s.from);
	if (pipe(fd))
		return perror("pipe"), false;
	pid_t pid = fork();
	if (pid == 0) {
		close(fd[0]);
		s.pipe = fd[1];
		child(path, &s, &o);
	}
	close(fd[1]);
	/* A pipe holds little: it is read while the child lives, which also tells when it has begun. */
	int64_t ms = (int64_t)(slx_rng_next(&rng) % 120);
	struct timespec now, until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ms * 1000000;
	for (bool begun = false;;) {
		struct ack a;
		struct pollfd p = { .fd = fd[0], .events = POLLIN };
		clock_gettime(CLOCK_MONOTONIC, &now);
		int64_t left = (until.tv_sec - now.tv_sec) * 1000 + (until.tv_nsec - now.tv_nsec) / 1000000;
		if (left <= 0 && (begun || left < -10000))
			break;
		if (poll(&p, 1, begun ? (int)left : 1000) <= 0)
			continue;
		if (read(fd[0], &a, sizeof a) != (ssize_t)sizeof a)
			break;
		at[a.thread] = a;
		begun = true;
	}
	kill(pid, SIGKILL);
	drain(fd[0], at);
	close(fd[0]);
	int status;
	waitpid(pid, &status, 0);
	if (!WIFSIGNALED(status)) {
		printf("the child ended by itself: %d\n", WEXITSTATUS(status));
		return false;
	}
	for (int i = 0; i < THREADS; i++)
		*acknowledged += at[i].written - s.from[i].written;
	return look(path, &o, at, verify);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	return remove(path);
}

int main(int argc, char **argv)
{
	char path[] = "/tmp/silex-kill-XXXXXX", db[64];
	uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 0) : 200, seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 20261121, acknowledged = 0, i = 0;
	struct ack at[THREADS];
	memset(at, 0, sizeof at);
	for (int t = 0; t < THREADS; t++)
		at[t].thread = t;
	if (!mkdtemp(path))
		return perror(path), 1;
	snprintf(db, sizeof db, "%s/db", path);
	setvbuf(stdout, NULL, _IOLBF, 0);
	bool ok = true;
	for (; i < rounds && ok; i++)
		ok = round_of(db, seed + i, at, i % 5 == 4, &acknowledged);
	printf("%llu rounds of kill -9 from seed %llu, %llu instants acknowledged: %s\n", (unsigned long long)i, (unsigned long long)seed,
		(unsigned long long)acknowledged, ok ? "nothing lost" : "FAILED");
	if (ok)
		nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	else
		printf("the directory is kept: %s\n", path);
	return ok ? 0 : 1;
}
