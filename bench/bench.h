/* Benchmarks of the engine, one per number in the issue. Each runs in a process of its own and reports rows: measured
 * beside "at least" and "better". CPU seconds are of all threads, steady state, sealing included. */
#ifndef BENCH_H
#define BENCH_H

#include <silex/silex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

extern bool bench_quick; /* shorter runs, the same shapes */

struct bench {
	const char *name, *about;
	void (*run)(void);
};

extern const struct bench write_benches[], memory_benches[], read_benches[], size_benches[], codec_benches[], promql_benches[], rules_benches[], rollup_benches[], tier_benches[]; /* end: name NULL */

/* A row. higher: more is better. better < 0: no such target; least < 0: no target, the figure is for information. */
void bench_row(const char *what, double measured, double least, double better, bool higher, const char *unit, const char *note);

/* Ends the process with a message: a benchmark that cannot run says so, it never prints a figure. */
#define BENCH_OK(call)                                                                                              \
	do {                                                                                                            \
		silex_error err; /* not cleared: the call may be what is timed */                                           \
		err.message[0] = 0;                                                                                         \
		silex_error *e = &err;                                                                                      \
		(void)e;                                                                                                    \
		if ((call) != SILEX_OK) {                                                                                   \
			printf("%s:%d: %s\n", __FILE__, __LINE__, err.message);                                                 \
			exit(1);                                                                                                \
		}                                                                                                           \
	} while (0)

double bench_cpu(void);  /* seconds, all threads */
double bench_wall(void); /* seconds, monotonic */
double bench_rss(void);  /* MB resident now */
uint64_t bench_random(void);
double bench_percentile(double *v, size_t n, double p); /* sorts v */

const char *bench_dir(void);            /* a fresh directory, removed at exit */
double bench_dir_mb(const char *path);  /* size of all files below */

/* TSBS-like series: 10 fields a host, 11 labels each. tenant may be NULL. */
silex_series *bench_series(silex_db *db, const char *tenant, int i);
void bench_series_labels(int i, char host[32], silex_label ret[11]);
/* A random walk in 0..100 with steps ~ N(0,1), in 1/scale: state holds the value times scale. */
double bench_walk(int *state, int scale);

silex_db *bench_open(const char *path, silex_options *o); /* o NULL: defaults with sync=interval, no_background, 4 GiB */
void bench_options(silex_options *o);

#endif
