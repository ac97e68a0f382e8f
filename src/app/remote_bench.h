/* silex bench --url: mixed load on a server. */
#ifndef SLX_APP_REMOTE_BENCH_H
#define SLX_APP_REMOTE_BENCH_H

#include "app/app.h"

struct app_remote_load {
	double seconds;
	size_t series, writers, readers;
};

/* Runs it and prints rates and percentiles. What it writes stays in the tenant of --tenant ("bench" without one). */
int app_remote_bench(struct app *a, const struct app_remote_load *load);

#endif
