/* A logger in a device that may lose power, be killed, or fill its disk.
 *
 *	cc embedded_logger.c $(pkg-config --cflags --libs silex)
 *	./a.out [DIRECTORY]
 *
 * It opens its database, says what earlier runs left, and writes on from there. This program shows it with itself: a
 * child logs and is killed with kill -9; the parent opens the directory and finds every sample the child had reported
 * as written. Then a third run meets a full disk (made here with a limit on the size of files): writes fail with
 * RESOURCE_EXHAUSTED, reading goes on, nothing written before is lost. */
#include <silex/silex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define BEGIN  INT64_C(1714521600000000000) /* 2024-05-01T00:00:00Z */

enum { KILL_AFTER = 100, FILL_ROWS = 4000 };

static const silex_label labels[] = { { "__name__", "battery_volts" }, { "device", "logger-1" } };
static silex_error err;

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, err.message);
	return 1;
}

static silex_status open_logger(const char *dir, silex_db **ret)
{
	silex_options o;
	silex_options_init(&o); /* sync=always: a sample that was acknowledged survives a power cut, too */
	o.memory_limit = 8 << 20;
	return silex_open(dir, &o, ret, &err);
}

static silex_status log_one(silex_db *db, uint64_t i)
{
	return silex_insert(
		db, NULL, labels, 2, BEGIN + (int64_t)i * SECOND, silex_float(3.3 + (double)(i % 10) / 100), &err);
}

/* What is there: count and the last time. NOT_FOUND means a new device. */
static silex_status what_is_there(silex_db *db, uint64_t *ret_count)
{
	silex_series_info info;
	silex_status st = silex_series_info_get(db, NULL, labels, 2, &info, &err);
	*ret_count = st == SILEX_OK ? info.count : 0;
	return st == SILEX_NOT_FOUND ? SILEX_OK : st;
}

/* The child: logs, and tells the parent through the pipe how many samples were acknowledged. */
static void log_until_killed(const char *dir, int pipe_to_parent)
{
	silex_db *db;
	uint64_t n;
	if (open_logger(dir, &db) != SILEX_OK || what_is_there(db, &n) != SILEX_OK)
		_exit(fail("child"));
	while (log_one(db, n) == SILEX_OK) {
		n++;
		if (write(pipe_to_parent, &n, sizeof n) != sizeof n)
			break;
	}
	_exit(1);
}

/* Returns how many samples the child had acknowledged when it was killed. */
static uint64_t kill_a_logger(const char *dir, uint64_t earlier)
{
	int ends[2];
	uint64_t n = 0;
	if (pipe(ends) != 0)
		return 0;
	pid_t child = fork();
	if (child == 0)
		log_until_killed(dir, ends[1]);
	close(ends[1]);
	while (n < earlier + KILL_AFTER && read(ends[0], &n, sizeof n) == sizeof n)
		;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	uint64_t more;
	while (read(ends[0], &more, sizeof more) == sizeof more)
		n = more;
	close(ends[0]);
	return n;
}

/* Writes large batches until no file may grow: what a full disk looks like. */
static int fill_the_disk(silex_db *db, uint64_t before)
{
	static silex_row rows[FILL_ROWS];
	const struct rlimit small = { 256 << 10, RLIM_INFINITY };
	silex_status st = SILEX_OK;
	uint64_t n = before, readable;
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &small) != 0)
		return fail("setrlimit");
	for (int round = 0; round < 200 && st == SILEX_OK; round++) {
		for (int i = 0; i < FILL_ROWS; i++) {
			const double noise = (double)(((uint64_t)n + (uint64_t)i) * 2654435761u % 1000003u) / 7919;
			rows[i] = (silex_row){ labels, 2, BEGIN + (int64_t)(n + (uint64_t)i) * SECOND, silex_float(noise) };
		}
		st = silex_insert_batch(db, NULL, rows, FILL_ROWS, NULL, &err);
		if (st == SILEX_OK)
			n += FILL_ROWS;
	}
	if (st == SILEX_OK) {
		fprintf(stderr, "the disk should have been full\n");
		return 1;
	}
	printf("full disk: %llu samples in, then: %s: %s\n", (unsigned long long)(n - before), silex_status_text(st),
		err.message);
	if (what_is_there(db, &readable) != SILEX_OK)
		return fail("reading on a full disk");
	printf("           %llu samples can still be read\n", (unsigned long long)readable);
	const struct rlimit large = { RLIM_INFINITY, RLIM_INFINITY };
	setrlimit(RLIMIT_FSIZE, &large);
	return readable < n;
}

int main(int argc, char **argv)
{
	char temporary[] = "/tmp/silex-logger-XXXXXX";
	const char *dir = argc > 1 ? argv[1] : mkdtemp(temporary);
	silex_db *db;
	uint64_t earlier, there, after;
	if (open_logger(dir, &db) != SILEX_OK || what_is_there(db, &earlier) != SILEX_OK ||
		silex_close(db, &err) != SILEX_OK)
		return fail("open");
	printf("%s: %llu samples from earlier runs\n", dir, (unsigned long long)earlier);

	uint64_t acknowledged = kill_a_logger(dir, earlier);
	if (open_logger(dir, &db) != SILEX_OK || what_is_there(db, &there) != SILEX_OK)
		return fail("open after kill -9");
	printf("kill -9:   %llu samples acknowledged, %llu there\n", (unsigned long long)acknowledged,
		(unsigned long long)there);
	if (acknowledged < earlier + KILL_AFTER || there < acknowledged) {
		fprintf(stderr, "samples were lost\n");
		return 1;
	}

	int bad = fill_the_disk(db, there);
	silex_close(db, NULL); /* may say that the last sync failed: that was the point */
	if (open_logger(dir, &db) != SILEX_OK || what_is_there(db, &after) != SILEX_OK)
		return fail("open after the full disk");
	printf("afterwards: %llu samples, writing goes on\n", (unsigned long long)after);
	if (after < there || log_one(db, after) != SILEX_OK)
		return fail("write");
	return silex_close(db, &err) != SILEX_OK ? fail("close") : bad;
}
