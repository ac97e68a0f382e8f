/* The server's configuration: one table of keys (schema.c) says path, type, range, default and doc of each.
 *
 * A value comes from, weakest first: the table's default; the YAML file; the environment (SILEX_ and the path in capitals, dots as
 * underscores: storage.memory_limit is SILEX_STORAGE_MEMORY_LIMIT); the command line. An unknown key is an error that names file,
 * line and the nearest key. A struct slx_config never changes once loaded; a reload makes another one.
 *
 * What has a shape of its own (scrape_configs, mqtt) is kept as a parsed tree for the room that knows it. */
#ifndef SLX_SERVER_CORE_CONFIG_H
#define SLX_SERVER_CORE_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "model/labels.h"
#include "yaml/yaml.h"

#include <silex/silex.h>

/* ---- the configuration ---- */

struct slx_config_list {
	const char *const *v;
	size_t n;
};

struct slx_config {
	const char *data;   /* directory */
	const char *listen; /* host:port */
	silex_options engine; /* storage.*; sync defaults to interval, memory_limit to half of the machine */

	struct {
		const char *route_prefix; /* "" or "/silex" */
		const char *external_url; /* "" or "https://host/silex" without a slash at the end */
		uint64_t io_threads, connections_max, header_max, body_max, upload_memory;
		uint64_t read_workers, write_workers; /* 0: by the processors */
		uint64_t reads_max, writes_max;       /* running and waiting, per tenant */
		int64_t header_timeout, idle_timeout, stall_timeout, drain_timeout; /* ns */
		const char *tls_cert, *tls_key, *cors_origin;
		bool lifecycle; /* /-/reload, /-/quit */
		bool admin;     /* /api/v1/admin */
	} http;
	struct {
		const char *level, *format;
		int64_t slow_query; /* ns; 0: none */
	} log;
	struct {
		const char *fallback; /* tenants.default */
		const struct slx_yaml *limits; /* tenant -> {series_max, head_bytes_max}; checked */
	} tenants;
	const struct slx_yaml *rollups;   /* NULL: the database's own policies hold; checked */
	const struct slx_yaml *retention; /* NULL: what the database keeps holds; checked */
	struct {
		uint64_t labels_max, label_name_max, label_value_max;
	} limits;
	struct {
		int64_t lookback, timeout; /* ns */
		uint64_t samples_max, concurrency;
		bool experimental;
	} promql;
	struct {
		const char *translation; /* underscores_with_suffixes, underscores_without_suffixes, utf8_with_suffixes, none */
		struct slx_config_list promote_resource_attributes;
		bool promote_all_resource_attributes, keep_identifying_resource_attributes;
		uint64_t delta_series_max;
	} otlp;
	struct {
		const char *listen; /* TCP line protocol; "" none */
	} influx;
	struct {
		const char *listen; /* TCP plaintext; "" none */
		struct slx_config_list templates;
	} graphite;
	struct {
		const char *target; /* "" none */
		int64_t interval, log_interval; /* ns; 0: never */
		uint64_t keep, log_keep;
	} backup;
	const struct slx_yaml *stores;         /* NULL none; engine.stores is what it says */
	const struct slx_yaml *mqtt;           /* NULL none */
	const struct slx_yaml *global;         /* of scrape_configs: scrape_interval, scrape_timeout, external_labels; NULL none */
	const struct slx_yaml *scrape_configs; /* NULL none */
	struct slx_config_list rule_files; /* patterns */
	struct {
		const struct slx_yaml *tenants; /* tenant -> list of patterns; NULL none */
		uint64_t threads;
		int64_t max_lateness; /* ns */
	} rules;
	const struct slx_yaml *alerting;       /* Alertmanagers; NULL none */
	const struct slx_yaml *notify;         /* webhooks, commands; NULL none */

	const char *file; /* NULL: none */
	struct slx_arena arena;
	const char **values; /* text of each key of the table, for printing */
};

/* One value from the command line. */
struct slx_config_set {
	const char *key;   /* "storage.memory_limit" */
	const char *value;
	const char *from;  /* for messages: "--memory-limit" */
};

/* file NULL: none. environ_ NULL: none (tests). */
silex_status slx_config_load(struct slx_mem *m, const char *file, char *const *environ_, const struct slx_config_set *set, size_t n_set,
	struct slx_config **ret, silex_error *err);
/* The same with the file's text in memory. */
silex_status slx_config_parse(struct slx_mem *m, const char *file, const void *text, size_t n, char *const *environ_,
	const struct slx_config_set *set, size_t n_set, struct slx_config **ret, silex_error *err);
void slx_config_free(struct slx_config *c);

/* Every key in the table's order. value: in force, as text; trees as "(list of 3)". */
void slx_config_each(const struct slx_config *c, void (*each)(void *arg, const char *key, const char *value), void *arg);
/* The configuration in force as YAML, trees included. */
void slx_config_write(const struct slx_config *c, struct slx_buf *out);
/* The table as Markdown (docs/configuration.md holds it). */
void slx_config_doc(struct slx_buf *out);
/* The first key that differs between the two and cannot change while the server runs; NULL when there is none. */
const char *slx_config_needs_restart(const struct slx_config *a, const struct slx_config *b);

#endif
