#include "server/core/schema.h"

#include "model/time.h"

#define AT(member) offsetof(struct slx_config, member)
#define MB (INT64_C(1) << 20)
#define TEXT(path, member, normal, live, doc) { path, SLX_KEY_TEXT, AT(member), normal, NULL, 0, 0, live, doc }
#define BOOL(path, member, normal, live, doc) { path, SLX_KEY_BOOL, AT(member), normal, NULL, 0, 0, live, doc }
#define COUNT(path, member, normal, min, max, live, doc) { path, SLX_KEY_COUNT, AT(member), normal, NULL, min, max, live, doc }
#define SIZE(path, member, normal, min, max, live, doc) { path, SLX_KEY_SIZE, AT(member), normal, NULL, min, max, live, doc }
#define SPAN(path, member, normal, min, max, live, doc) { path, SLX_KEY_SPAN, AT(member), normal, NULL, min, max, live, doc }
#define CHOICE(path, member, normal, words, live, doc) { path, SLX_KEY_CHOICE, AT(member), normal, words, 0, 0, live, doc }
#define LIST(path, member, live, doc) { path, SLX_KEY_LIST, AT(member), "", NULL, 0, 0, live, doc }
#define TREE(path, member, live, doc) { path, SLX_KEY_TREE, AT(member), NULL, NULL, 0, 0, live, doc }
#define ENGINE(path, normal, words, doc) { path, SLX_KEY_ENGINE, 0, normal, words, 0, 0, false, doc }

const struct slx_key slx_keys[] = {
	TEXT("data", data, "silex-data", false, "directory of the database"),
	TEXT("listen", listen, "127.0.0.1:9470", false, "host:port of HTTP; `:9470` listens on all addresses, port 0 takes a free one"),

	ENGINE("storage.sync", "interval", NULL, "when the log is made durable: `always` before each answer, `interval`, `never`"),
	ENGINE("storage.wal_sync_interval", NULL, "1s", "with `sync: interval`: what a power cut may lose"),
	ENGINE("storage.wal", NULL, "file", "`file`, or `none`: what is not checkpointed dies with the process"),
	ENGINE("storage.memory_limit", NULL, "half of the machine", "heads, indexes, caches, log buffers and queries, and what requests hold"),
	ENGINE("storage.cache_size", NULL, "a quarter of the limit", "what caches may take of the memory limit"),
	ENGINE("storage.max_wal_size", NULL, "1GB", "reaching it flushes the head into blocks"),
	ENGINE("storage.wal_segment_size", NULL, "64MB", "size of a file of the log"),
	ENGINE("storage.block_duration", NULL, "2h", "smallest window of a block"),
	ENGINE("storage.checkpoint_interval", NULL, "2h", "the head is flushed this long after its first write"),
	ENGINE("storage.codec", NULL, "auto", "codec of samples: `auto`, `sx`, `gorilla`, `raw`"),
	ENGINE("storage.compression", NULL, "lz4", "of cold chunks where it gains: `none`, `lz4`, `zstd`"),
	ENGINE("storage.threads", NULL, "processors", "query and background workers"),
	ENGINE("storage.series_limit", NULL, "0: memory alone", "series that a tenant may have in its head"),
	ENGINE("storage.free_min", NULL, "1GB", "with less free on the disk (of a disk below 10GB: less than a tenth) writes are answered with 503; all else goes on"),
	ENGINE("storage.free_min_percent", NULL, "5", "the same, as a share of the disk"),
	ENGINE("storage.free_warn_percent", NULL, "15", "below it log, page and metrics warn"),
	ENGINE("storage.write_wait", "5s", NULL, "how long a write waits for memory before it is answered with 503"),

	ENGINE("storage.cold_store", NULL, "none", "name of one of `stores`: old blocks move there (docs/operations.md, Tiers)"),
	ENGINE("storage.cold_after", NULL, "30d", "age of a block's youngest sample at which it moves"),
	ENGINE("storage.cold_remove_after", NULL, "1h", "an object in a store that nothing is read from any more is removed after this"),

	TREE("stores", stores, false, "object stores by name: {name, url, access_key, secret_key, session_token} (docs/operations.md)"),

	TEXT("backup.target", backup.target, "", false, "directory or url of a store where backups go, or `store:NAME` of `stores`; empty: none are made"),
	SPAN("backup.interval", backup.interval, "24h", 0, 366 * 86400 * SLX_SECOND, false, "a backup is made this long after the newest one; 0: when asked"),
	COUNT("backup.keep", backup.keep, "14", 1, 100000, false, "so many of the newest stay; older ones are removed after each scheduled backup"),
	SPAN("backup.log_interval", backup.log_interval, "10s", 0, 86400 * SLX_SECOND, false,
		"the log goes to the target so often, for restore to a moment; 0: it does not"),
	SIZE("backup.log_keep", backup.log_keep, "4GB", MB, INT64_C(1) << 50, false, "log segments kept while the target is away; beyond, the oldest are given up"),

	TEXT("http.route_prefix", http.route_prefix, "", false, "put before every path: `/silex`"),
	TEXT("http.external_url", http.external_url, "", false, "how clients reach the server, for links"),
	COUNT("http.io_threads", http.io_threads, "0", 0, 256, false, "threads that read and write sockets; 0: the processors"),
	COUNT("http.read_workers", http.read_workers, "0", 0, 256, false, "queries that run at a time; 0: `promql.concurrency`"),
	COUNT("http.write_workers", http.write_workers, "0", 0, 1024, false, "writes that run at a time; 0: by the processors, at least 8"),
	COUNT("http.connections_max", http.connections_max, "16384", 16, 1000000, false, "open connections; more wait in the system's queue"),
	SIZE("http.header_max", http.header_max, "6500", 2048, MB, false, "request line and headers; every open connection that was used holds as much"),
	SIZE("http.body_max", http.body_max, "32MB", 1024, 1024 * MB, true, "body of a request after decompression"),
	SIZE("http.upload_memory", http.upload_memory, NULL, MB, 1024 * 1024 * MB, false, "bodies of all requests together; default an eighth of the memory limit"),
	COUNT("http.reads_max", http.reads_max, "256", 1, 100000, true, "queries of a tenant, running and waiting; more get 503"),
	COUNT("http.writes_max", http.writes_max, "1024", 1, 100000, true, "writes of a tenant, running and waiting; more get 503"),
	SPAN("http.header_timeout", http.header_timeout, "10s", SLX_SECOND, 3600 * SLX_SECOND, true, "from the request line to the end of the header"),
	SPAN("http.idle_timeout", http.idle_timeout, "5m", SLX_SECOND, 86400 * SLX_SECOND, false, "a connection without a request is closed"),
	SPAN("http.stall_timeout", http.stall_timeout, "30s", SLX_SECOND, 3600 * SLX_SECOND, true, "a client that stops reading or sending is cut"),
	SPAN("http.drain_timeout", http.drain_timeout, "10s", 0, 3600 * SLX_SECOND, true, "at the end running requests have this long, then are canceled"),
	TEXT("http.tls_cert", http.tls_cert, "", false, "PEM file with the certificate chain; with `tls_key`: HTTPS"),
	TEXT("http.tls_key", http.tls_key, "", false, "PEM file with the private key"),
	TEXT("http.cors_origin", http.cors_origin, "*", false, "origin that browsers may call from; `*`: any; empty: none"),
	BOOL("http.lifecycle", http.lifecycle, "false", false, "POST /-/reload and /-/quit"),
	BOOL("http.admin", http.admin, "false", false, "/api/v1/admin, and snapshots, backups and restores by HTTP"),

	CHOICE("log.level", log.level, "info", "debug info warn error", true, "less is not logged"),
	CHOICE("log.format", log.format, "text", "text json", true, "lines of the log"),
	SPAN("log.slow_query", log.slow_query, "1s", 0, 86400 * SLX_SECOND, true, "queries that take longer are logged; 0: none"),

	TEXT("tenants.default", tenants.fallback, "default", false, "tenant of requests without X-Scope-OrgID"),
	TREE("tenants.limits", tenants.limits, false, "name: {series_max, head_bytes_max} of single tenants"),

	TREE("rollups", rollups, true, "which series are rolled up to which buckets: {tenant, selector, levels} (docs/operations.md)"),
	TREE("retention", retention, true, "how long what is kept, legal holds, size on disk, dedup (docs/operations.md)"),

	COUNT("limits.labels_max", limits.labels_max, "128", 1, 128, false, "labels of a series"),
	SIZE("limits.label_name_max", limits.label_name_max, "1024", 1, 1024, false, "bytes of a label's name"),
	SIZE("limits.label_value_max", limits.label_value_max, "8192", 1, 8192, false, "bytes of a label's value"),

	SPAN("promql.lookback", promql.lookback, "5m", SLX_MS, 365 * 86400 * SLX_SECOND, true, "how long a sample holds"),
	SPAN("promql.timeout", promql.timeout, "2m", SLX_MS, 86400 * SLX_SECOND, true, "longest time of a query"),
	COUNT("promql.samples_max", promql.samples_max, "50000000", 1, INT64_C(1) << 40, true, "samples that a query may hold"),
	COUNT("promql.concurrency", promql.concurrency, "20", 1, 256, false, "queries that run at a time"),
	BOOL("promql.experimental", promql.experimental, "false", false, "experimental functions and modifiers, delayed removal of names"),

	CHOICE("otlp.translation", otlp.translation, "underscores_with_suffixes",
		"underscores_with_suffixes underscores_without_suffixes utf8_with_suffixes none", true, "how names of OpenTelemetry become names of metrics"),
	LIST("otlp.promote_resource_attributes", otlp.promote_resource_attributes, true, "resource attributes that become labels of every series"),
	BOOL("otlp.promote_all_resource_attributes", otlp.promote_all_resource_attributes, "false", true, "all of them"),
	BOOL("otlp.keep_identifying_resource_attributes", otlp.keep_identifying_resource_attributes, "false", true,
		"service.name and the like stay in target_info"),
	COUNT("otlp.delta_series_max", otlp.delta_series_max, "100000", 1, INT64_C(1) << 30, true, "delta sums that are remembered to make them cumulative"),

	TEXT("influx.listen", influx.listen, "", false, "host:port of line protocol over TCP; empty: none"),
	TEXT("graphite.listen", graphite.listen, "", false, "host:port of Graphite plaintext over TCP; empty: none"),
	LIST("graphite.templates", graphite.templates, false, "how dotted names become labels"),
	TREE("mqtt", mqtt, false, "brokers and topics (docs/protocols/mqtt.md)"),
	TREE("global", global, true, "scrape_interval, scrape_timeout, evaluation_interval, rule_query_offset, external_labels, as in Prometheus"),
	LIST("rule_files", rule_files, true, "patterns of rule files, as in Prometheus, for tenants.default (docs/operations.md)"),
	TREE("rules.tenants", rules.tenants, true, "tenant: list of patterns of rule files"),
	COUNT("rules.threads", rules.threads, "2", 1, 64, false, "groups of rules that are evaluated at a time"),
	SPAN("rules.max_lateness", rules.max_lateness, "5m", 0, 86400 * SLX_SECOND, true,
		"recording rules are evaluated again for samples that come at most this late; 0: they are not"),
	TREE("alerting", alerting, true, "alertmanagers, as in Prometheus (docs/operations.md)"),
	TREE("notify", notify, true, "webhooks, commands, resend_interval, log (docs/operations.md)"),
	TREE("scrape_configs", scrape_configs, true, "what to scrape, as in Prometheus (docs/protocols/scrape.md)"),
};
const size_t slx_keys_n = sizeof slx_keys / sizeof *slx_keys;
