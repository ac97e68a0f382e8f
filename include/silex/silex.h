/* Silex: an embeddable time-series engine. SPDX-License-Identifier: MIT
 *
 *	silex_db *db;
 *	silex_error err;
 *	if (silex_open("/var/lib/ward", NULL, &db, &err)) ...
 *	silex_label hr[] = { { "__name__", "hr" }, { "patient", "p1" } };
 *	silex_insert(db, NULL, hr, 2, now_ns, silex_float(72), &err);
 *
 * Conventions, for every function unless it says otherwise:
 * - returns silex_status (0 is success); words go to the caller's silex_error, which may be NULL;
 * - results come last and are set on success only; handles are freed by the matching close, which accepts NULL;
 * - may be called from any thread; one cursor, builder or handle is used by one thread at a time;
 * - strings in are UTF-8, NUL-terminated, copied; strings out belong to the handle they came from;
 * - a tenant of NULL is "default"; names are [A-Za-z0-9_.-]{1,150}, not "." or "..";
 * - times are signed 64-bit counts of the database's time unit (option `time_unit`, nanoseconds by default) since the
 *   Unix epoch; legal are 1677-09-21 .. 2262-04-11 whatever the unit; ranges include both ends;
 * - option structs begin with their size and are filled by their init function; zero members mean the default.
 *
 * Promises. When a write returns SILEX_OK it is in the log: kill -9 loses nothing acknowledged in any mode with a log.
 * A power cut loses nothing with sync=always, at most the last wal_sync_interval with sync=interval. */
#ifndef SILEX_H
#define SILEX_H

#include <silex/codec.h>
#include <silex/env.h>
#include <silex/export.h>
#include <silex/status.h>
#include <silex/store.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SILEX_TIME_MIN (INT64_MIN + 1) /* nanoseconds */
#define SILEX_TIME_MAX (INT64_MAX - 1)

typedef struct silex_db silex_db;
typedef struct silex_series silex_series;
typedef struct silex_columns silex_columns;
typedef struct silex_cursor silex_cursor;

SILEX_API const char *silex_version(void); /* "0.1.0" */

/* --- values ------------------------------------------------------------------------------------------------------ */

typedef enum silex_kind {
	SILEX_FLOAT64 = 1, /* every bit kept: NaN payloads, -0.0 */
	SILEX_INT64 = 2,
	SILEX_BOOL = 3,
	SILEX_ENUM = 4, /* a state: text, from a small dictionary that grows by use */
} silex_kind;

typedef struct silex_value {
	silex_kind kind;
	union {
		double f;
		int64_t i; /* INT64; BOOL: 0 or 1 */
		const char *state;
	} as;
} silex_value;

static inline silex_value silex_float(double v) { silex_value x; x.kind = SILEX_FLOAT64; x.as.f = v; return x; }
static inline silex_value silex_int(int64_t v) { silex_value x; x.kind = SILEX_INT64; x.as.i = v; return x; }
static inline silex_value silex_bool(bool v) { silex_value x; x.kind = SILEX_BOOL; x.as.i = v; return x; }
static inline silex_value silex_state(const char *v) { silex_value x; x.kind = SILEX_ENUM; x.as.state = v; return x; }

/* The metric name is the label "__name__". Order does not matter; an empty value is an absent label. */
typedef struct silex_label {
	const char *name;
	const char *value;
} silex_label;

/* --- opening ----------------------------------------------------------------------------------------------------- */

typedef enum silex_sync { SILEX_SYNC_ALWAYS = 1, SILEX_SYNC_INTERVAL, SILEX_SYNC_NEVER } silex_sync;
typedef enum silex_wal { SILEX_WAL_FILE = 1, SILEX_WAL_NONE } silex_wal;
typedef enum silex_time_unit { SILEX_NS = 1, SILEX_US, SILEX_MS, SILEX_S } silex_time_unit;

typedef struct silex_options {
	size_t size;
	bool read_only;        /* nothing is written; the log is replayed into memory; works on read-only media */
	bool must_exist;       /* NOT_FOUND instead of creating a directory */
	silex_wal wal;         /* default FILE; NONE: what is not checkpointed dies with the process */
	silex_sync sync;       /* default ALWAYS */
	int64_t wal_sync_interval_ms; /* 1000; with sync=interval */
	uint64_t max_wal_size;        /* bytes; 1 GiB: reaching it flushes the head */
	uint64_t wal_segment_size;    /* bytes; 64 MiB */
	int64_t block_duration_ms;    /* smallest window of a block; 2 h */
	int64_t checkpoint_interval_ms; /* the head is flushed this long after its first write; 2 h. After 20 s without writes, too, if the log has 8 MB */
	uint64_t memory_limit; /* bytes, 256 MiB: heads, indexes, caches, log buffers, queries */
	uint64_t cache_size;   /* bytes of memory_limit that caches may take; a quarter */
	const char *codec;       /* "auto" (default), "sx", "gorilla", "raw", or an application's */
	const char *compression; /* for cold chunks where it gains more than 10 %: "none", "lz4" (default), "zstd" */
	silex_time_unit time_unit; /* NS */
	unsigned threads;          /* query and background workers; the number of processors */
	uint64_t series_limit;     /* series a tenant may have in its head; 0: no limit but memory */
	int64_t write_wait_ms;     /* how long a write waits for memory before RESOURCE_EXHAUSTED; 30,000 */
	uint64_t free_min;         /* bytes, 1 GiB (of a disk below 10 GiB a tenth): with less free, or */
	uint64_t free_min_percent; /* 5: less than this share, writes get RESOURCE_EXHAUSTED; all else goes on */
	uint64_t free_warn_percent; /* 15: warned below it, in log, metrics and health */
	bool backfill;             /* what is written is data of the past: rules on arrival do not look at it (rules.h) */
	bool no_background;        /* no flush or compaction of its own accord: the application calls (and tests do) */
	silex_env env;
	const silex_codec *const *codecs; /* of the application; must outlive the database */
	size_t n_codecs;
	const silex_store_config *stores; /* object stores by name; strings must outlive the database. Opening needs none of them to be there */
	size_t n_stores;
	const silex_store_type *const *store_types; /* of the application, beside folder and memory (silex/store.h) */
	size_t n_store_types;
	char cold_store[SILEX_STORE_NAME_MAX + 1]; /* the name of one of `stores`: blocks move there when they are old; "": they stay */
	int64_t cold_after_ms;        /* age of a block's youngest sample at which it moves; 30 d */
	int64_t cold_remove_after_ms; /* an object in a store that no block is read from any more is removed after this; 1 h */
	bool verify_cold;             /* silex_verify re-reads the blocks in stores, too */
	void (*log)(void *arg, int level, const char *message); /* level 0 debug .. 3 error; any thread; NULL: silent */
	void *log_arg;
} silex_options;

SILEX_API void silex_options_init(silex_options *o);
/* Sets one option by its name above ("sync", "always"; "memory_limit", "64MB"; "block_duration", "2h"; durations and
 * sizes take units). INVALID names the option, what was given and what is accepted; unknown names get the nearest. */
SILEX_API silex_status silex_options_set(silex_options *o, const char *name, const char *value, silex_error *err);
/* "name = value" lines, # comments. INVALID names file and line. */
SILEX_API silex_status silex_options_load(silex_options *o, const char *path, silex_error *err);

/* path NULL: a database in memory. Another writer in the directory: CONFLICT "in use by pid N". A newer format:
 * UNSUPPORTED naming the version. Damage that leaves the rest readable is logged and counted, not fatal. */
SILEX_API silex_status silex_open(const char *path, const silex_options *o, silex_db **ret_db, silex_error *err);
/* Makes what was acknowledged durable (as sync=always would), stops background work, frees. Open cursors, handles and
 * columns must be closed before. The status tells of a last sync that failed; the memory is freed all the same. */
SILEX_API silex_status silex_close(silex_db *db, silex_error *err);

SILEX_API silex_status silex_flush(silex_db *db, silex_error *err);      /* all acknowledged writes are durable now */
SILEX_API silex_status silex_checkpoint(silex_db *db, silex_error *err); /* head into blocks, log cut */

/* Progress of long work; return false to cancel (the call then returns CANCELED). total 0: unknown. */
typedef bool (*silex_progress_fn)(void *arg, const char *stage, uint64_t done, uint64_t total);

typedef struct silex_compact_options {
	size_t size;
	bool full;   /* merge everything that overlaps or could be larger, not only what the policy would */
	bool recode; /* rewrite every chunk with the codec and compression in force */
	silex_progress_fn progress;
	void *progress_arg;
} silex_compact_options;
SILEX_API void silex_compact_options_init(silex_compact_options *o);
SILEX_API silex_status silex_compact(silex_db *db, const silex_compact_options *o, silex_error *err);

typedef struct silex_tier_options {
	size_t size;
	int64_t after_ms; /* move what is older than this; 0: the database's cold_after_ms */
	bool remove_now;  /* remove objects that nothing is read from any more at once, not after cold_remove_after_ms */
	silex_progress_fn progress; /* done: blocks moved */
	void *progress_arg;
} silex_tier_options;
SILEX_API void silex_tier_options_init(silex_tier_options *o);

typedef struct silex_tier_report {
	uint64_t blocks, bytes; /* moved */
	uint64_t removed;       /* objects removed from stores */
} silex_tier_report;
/* Moves the blocks that are old enough to the store cold_store, as the background does, and returns when none is left. A
 * block goes when compaction is done with it. An error of the store leaves what is not moved yet here: call again. */
SILEX_API silex_status silex_tier_move(silex_db *db, const silex_tier_options *o, silex_tier_report *ret, silex_error *err);

/* --- writing ----------------------------------------------------------------------------------------------------- */

typedef struct silex_row {
	const silex_label *labels;
	size_t n_labels;
	int64_t time;
	silex_value value;
} silex_row;

/* Rows refused by themselves (bad labels, time, kind, series limit) do not stop the others. */
typedef struct silex_batch_result {
	size_t accepted, refused;
	size_t first_refused; /* row number, valid when refused > 0 */
	silex_error error;    /* of that row */
} silex_batch_result;

SILEX_API silex_status silex_insert(silex_db *db, const char *tenant, const silex_label *labels, size_t n_labels, int64_t time, silex_value value, silex_error *err);
/* OK when the batch was logged, though rows may have been refused: see ret (may be NULL; then the first refused row
 * makes the call return its error, after the good rows are in). */
SILEX_API silex_status silex_insert_batch(silex_db *db, const char *tenant, const silex_row *rows, size_t n, silex_batch_result *ret, silex_error *err);

/* Called once, from a background thread, after the rows reached the durability that `sync` promises, or failed. */
typedef void (*silex_insert_fn)(void *arg, silex_status status, const silex_batch_result *result, const silex_error *err);
/* Copies the rows into a bounded queue; RESOURCE_EXHAUSTED when it is full (nothing is queued, no callback comes). */
SILEX_API silex_status silex_insert_async(silex_db *db, const char *tenant, const silex_row *rows, size_t n, silex_insert_fn done, void *arg, silex_error *err);

/* The fast path: resolve a series once, append by handle. A handle stays valid over flushes until it is closed. */
SILEX_API silex_status silex_series_open(silex_db *db, const char *tenant, const silex_label *labels, size_t n_labels, silex_series **ret, silex_error *err);
SILEX_API void silex_series_close(silex_series *s);

typedef struct silex_point {
	silex_series *series;
	int64_t time;
	double value;
} silex_point;
/* All handles belong to one tenant of one database. Points are float64. A handle may be used by several threads. */
SILEX_API silex_status silex_append(silex_db *db, const silex_point *points, size_t n, silex_error *err);
/* One series, any kind. */
SILEX_API silex_status silex_append_values(silex_series *s, const int64_t *times, const silex_value *values, size_t n, silex_error *err);

/* A monitor's or a host's row: k series that share their instants. The handles stay the caller's and open. */
SILEX_API silex_status silex_columns_open(silex_db *db, silex_series *const *series, size_t k, silex_columns **ret, silex_error *err);
SILEX_API void silex_columns_close(silex_columns *c);
/* values: n rows of k, row after row. A NaN whose bits equal SILEX_NO_VALUE_BITS is "no sample". */
#define SILEX_NO_VALUE_BITS UINT64_C(0x7ff8736c6e6f7661)
SILEX_API silex_status silex_columns_append(silex_columns *c, const int64_t *times, const double *values, size_t n, silex_error *err);

/* --- deleting ---------------------------------------------------------------------------------------------------- */

/* Selectors are text: name{label="v", other!="v", re=~"a.*", not!~"b|c"}; NULL or "" selects all series.
 * Deletes the samples of start..end that exist now; later inserts are visible. *ret: distinct samples deleted. */
SILEX_API silex_status silex_delete(silex_db *db, const char *tenant, const char *selector, int64_t start, int64_t end, uint64_t *ret_points, silex_error *err);
/* Everything older than cutoff (exclusive), of one tenant; all tenants when tenant is "*". */
SILEX_API silex_status silex_cleanup(silex_db *db, const char *tenant, int64_t cutoff, uint64_t *ret_points, silex_error *err);
SILEX_API silex_status silex_drop_tenant(silex_db *db, const char *tenant, silex_error *err);

/* --- querying ---------------------------------------------------------------------------------------------------- */

#define SILEX_AGG_LIST(X)                                                    \
	X(NONE, "none", "the samples themselves")                                \
	X(COUNT, "count", "number of samples")                                   \
	X(SUM, "sum", "sum; NaN is skipped, as in every aggregate below")        \
	X(MEAN, "mean", "arithmetic mean (also: avg)")                           \
	X(MIN, "min", "smallest value")                                          \
	X(MAX, "max", "largest value")                                           \
	X(FIRST, "first", "earliest value")                                      \
	X(LAST, "last", "latest value")                                          \
	X(STDDEV, "stddev", "population standard deviation")                     \
	X(VARIANCE, "variance", "population variance")                           \
	X(MEDIAN, "median", "exact median (mean of the middle two)")             \
	X(PERCENTILE, "percentile", "exact percentile, linear interpolation")    \
	X(RANGE, "range", "max - min")                                           \
	X(INCREASE, "increase", "counter increase inside the window, resets added") \
	X(RATE, "rate", "increase per second between the window's first and last sample") \
	X(DELTA, "delta", "last - first")                                        \
	X(MODE, "mode", "most frequent value; the smallest, or for states the first in text order, of equals") \
	X(TIME_IN_STATE, "time_in_state", "seconds spent in a state inside the window")

typedef enum silex_agg {
#define SILEX_AGG_ENUM(id, name, text) SILEX_AGG_##id,
	SILEX_AGG_LIST(SILEX_AGG_ENUM)
#undef SILEX_AGG_ENUM
	SILEX_AGG_COUNT_OF
} silex_agg;

SILEX_API const char *silex_agg_name(silex_agg agg);
/* "mean", "avg", "p99", "percentile(99.9)", "time_in_state(open)": *ret_parameter is the percentile (0..100), *ret_state
 * points into text. INVALID lists the names. */
SILEX_API silex_status silex_agg_parse(const char *text, silex_agg *ret, double *ret_parameter, const char **ret_state, size_t *ret_state_len, silex_error *err);

typedef enum silex_fill { SILEX_FILL_SKIP = 0, SILEX_FILL_NULL, SILEX_FILL_PREVIOUS } silex_fill;

typedef struct silex_query {
	size_t size;
	const char *tenant;
	const char *const *selectors; /* several metrics in one call; NULL: all series */
	size_t n_selectors;
	int64_t start, end;  /* inclusive; out-of-range bounds saturate */
	silex_agg agg;
	double percentile;   /* 0..100, for PERCENTILE */
	const char *state;   /* for TIME_IN_STATE */
	int64_t step;        /* windows [start + k*step, start + (k+1)*step), labelled by their start; 0: one window, start..end */
	silex_fill fill;     /* windows without samples */
	bool group;          /* aggregate across series; with no group_by into one. increase, rate, delta and
	                      * time_in_state are computed per series and summed; the rest see all samples together */
	const char *const *group_by; /* label names kept */
	size_t n_group_by;
	uint64_t limit;      /* rows in all; 0: no limit */
	bool descending;     /* times from late to early, per series */
	int64_t timeout_ms;  /* 0: none */
	uint64_t memory_limit; /* bytes this query may take; 0: what is left of the database's */
	uint64_t rows_max;   /* INVALID when windows x series would make more; 0: 50 million */
} silex_query;

SILEX_API void silex_query_init(silex_query *q);

/* One run of one series. The arrays belong to the cursor and live until its next call. */
typedef struct silex_batch {
	uint64_t series;           /* number of the series in this result, from 0; batches of one series follow each other */
	const silex_label *labels; /* of the series or group, in name order; NUL-terminated strings */
	size_t n_labels;
	silex_kind kind;
	size_t n;
	const int64_t *times;
	const double *values;        /* FLOAT64, INT64 and BOOL as doubles; NULL for ENUM */
	const int64_t *ints;         /* exact, INT64 and BOOL; else NULL */
	const char *const *states;   /* ENUM; else NULL */
	const uint8_t *null;         /* with SILEX_FILL_NULL: 1 where the window was empty; else NULL */
} silex_batch;

/* The answer includes every write acknowledged before the call. It never blocks writers. Series come in label order. Native
 * histograms, which a server stores, are no numbers: this interface passes over them. */
SILEX_API silex_status silex_query_run(silex_db *db, const silex_query *q, silex_cursor **ret, silex_error *err);
/* OK and ret->n > 0, or OK and ret->n == 0 at the end. Errors: CANCELED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED (budget,
 * or the snapshot pinned too much memory), CORRUPT (a damaged page, named; the cursor may go on). */
SILEX_API silex_status silex_cursor_next(silex_cursor *c, silex_batch *ret, silex_error *err);
SILEX_API void silex_cursor_cancel(silex_cursor *c); /* any thread, while the cursor is open */
typedef struct silex_query_stats {
	uint64_t series, points, chunks, chunks_by_header, bytes_read;
	int64_t elapsed_ns;
} silex_query_stats;
SILEX_API void silex_cursor_stats(const silex_cursor *c, silex_query_stats *ret);
SILEX_API void silex_cursor_close(silex_cursor *c);

/* The newest sample of each selected series, as a cursor with one row a series. */
SILEX_API silex_status silex_latest(silex_db *db, const char *tenant, const char *selector, silex_cursor **ret, silex_error *err);

typedef struct silex_series_info {
	uint64_t count;
	int64_t first_time, last_time;
	double first, last, min, max; /* numeric kinds */
	uint64_t bytes;    /* compressed, head and blocks */
	uint64_t chunks;
	silex_kind kind;   /* of the newest sample */
	char codec[24];    /* of the newest chunk */
} silex_series_info;
SILEX_API silex_status silex_series_info_get(silex_db *db, const char *tenant, const silex_label *labels, size_t n_labels, silex_series_info *ret, silex_error *err);

/* Visitors: return false to stop (the call still returns OK). Strings live during the call only. Sorted. */
typedef bool (*silex_series_fn)(void *arg, const silex_label *labels, size_t n_labels);
typedef bool (*silex_text_fn)(void *arg, const char *text);
SILEX_API silex_status silex_list_series(silex_db *db, const char *tenant, const char *selector, int64_t start, int64_t end, silex_series_fn each, void *arg, silex_error *err);
SILEX_API silex_status silex_list_names(silex_db *db, const char *tenant, silex_text_fn each, void *arg, silex_error *err); /* distinct metric names */
SILEX_API silex_status silex_label_names(silex_db *db, const char *tenant, const char *selector, silex_text_fn each, void *arg, silex_error *err);
SILEX_API silex_status silex_label_values(silex_db *db, const char *tenant, const char *label, const char *selector, silex_text_fn each, void *arg, silex_error *err);
SILEX_API silex_status silex_list_tenants(silex_db *db, silex_text_fn each, void *arg, silex_error *err);

/* --- tenants ----------------------------------------------------------------------------------------------------- */

typedef struct silex_tenant_limits {
	size_t size;
	uint64_t series_max; /* in the head; 0: the database's series_limit */
	uint64_t head_bytes_max; /* 0: its share of the memory limit */
} silex_tenant_limits;
SILEX_API void silex_tenant_limits_init(silex_tenant_limits *l);
SILEX_API silex_status silex_tenant_set_limits(silex_db *db, const char *tenant, const silex_tenant_limits *l, silex_error *err);

/* --- watching ---------------------------------------------------------------------------------------------------- */

enum { SILEX_LATENCY_BUCKETS = 16 }; /* bucket i counts queries that took <= 2^i x 16 us; the last: all longer */

typedef struct silex_metrics {
	size_t size;
	bool healthy;         /* the log accepts writes, no block is damaged, the disk has room */
	char health[160];     /* "ok", or what is wrong or soon will be */
	const char *promise;  /* what kill -9 and a power cut may lose, in words */
	int64_t uptime_ms;
	uint64_t tenants;
	uint64_t series;      /* with samples in the head */
	uint64_t points_head, points_blocks, points_ingested, points_refused;
	uint64_t bytes_head, bytes_blocks, bytes_wal; /* head: memory; blocks and wal: files */
	uint64_t blocks, tombstones;
	double ratio;         /* 16 bytes a point against bytes_blocks / points_blocks; 0 without blocks */
	uint64_t wal_segments, wal_frames, wal_syncs;
	int64_t wal_unsynced_bytes;
	uint64_t memory_used, memory_limit, memory_cache, memory_query;
	double ingest_rate;   /* points a second over the last minute */
	uint64_t flushes, compactions;
	uint64_t queries;
	double query_mean_ms;
	uint64_t query_latency[SILEX_LATENCY_BUCKETS];
	uint64_t damaged_pages, damaged_frames, torn_bytes;
	uint64_t points_expired; /* among those refused: older than their series' retention (retention.h) */
	uint64_t disk_free, disk_total, disk_mark; /* bytes; below the mark writes are refused. 0: in memory */
	bool writes_refused;  /* the disk is nearly full; ends by itself */
	uint64_t expired_blocks, expired_bytes; /* blocks that retention dropped whole; bytes that came back, by merges too */
	uint64_t blocks_cold, bytes_cold; /* of blocks, bytes_blocks: in a store */
	uint64_t cold_backlog_blocks, cold_backlog_bytes; /* old enough, still here */
	uint64_t cold_moves, cold_moved_bytes;
	uint64_t cold_requests, cold_read_bytes; /* to stores, for reading */
	uint64_t cold_errors;         /* of stores: while moving, reading, removing */
	uint64_t cold_garbage, cold_removed; /* objects in stores: to be removed, removed */
	char cold_error[160];         /* why the last try to move or remove failed; empty when it went well */
} silex_metrics;
SILEX_API silex_status silex_get_metrics(silex_db *db, silex_metrics *ret, silex_error *err); /* ret->size set by the caller */

/* What went to and came from a store since the database was opened. */
typedef struct silex_store_metrics {
	size_t size;
	const char *name; /* lives as long as the database */
	uint64_t reads, bytes_read, objects_written, bytes_written, objects_removed;
	uint64_t errors; /* calls that failed by the store's fault, after it tried again */
} silex_store_metrics;
/* Of the i-th of silex_options.stores; NOT_FOUND after the last. ret->size set by the caller. */
SILEX_API silex_status silex_get_store_metrics(silex_db *db, size_t i, silex_store_metrics *ret, silex_error *err);

/* --- checking and looking inside (directories that no writer has open, or snapshots) ------------------------------ */

typedef struct silex_verify_report {
	uint64_t files, pages, frames, chunks, points, faults;
} silex_verify_report;
/* Re-reads every byte under path, with verify_cold also of blocks in stores. Each fault is given to `fault` as one line (file: offset: what). CORRUPT if any. */
SILEX_API silex_status silex_verify(const char *path, const silex_options *o, silex_progress_fn progress, silex_text_fn fault, void *arg, silex_verify_report *ret, silex_error *err);
/* Describes a database directory, a WAL segment or a block, line by line. depth 0: overview, 1: sections and frames,
 * 2: series and chunks, 3: samples. */
SILEX_API silex_status silex_inspect(const char *path, int depth, silex_text_fn line, void *arg, silex_error *err);

#ifdef __cplusplus
}
#endif
#endif
