#include "app/commands.h"
#ifdef SILEX_WITH_SERVER
#include "server/server.h"
#endif

#include <stdlib.h>
#include <string.h>

struct serve_options {
	const char *data, *listen, *config, *memory_limit, *sync, *route_prefix, *external_url, *lookback, *timeout, *log_level, *log_format, *influx,
		*graphite;
	bool experimental, lifecycle, admin, check, print, keys;
	struct app_texts set;
};

#ifdef SILEX_WITH_SERVER
struct settings {
	struct slx_config_set *v;
	size_t n, cap;
};

static void add(struct settings *s, const char *key, const char *value, const char *from)
{
	if (!value)
		return;
	s->v = app_grow(s->v, s->n, &s->cap, sizeof *s->v);
	s->v[s->n++] = (struct slx_config_set){ key, value, from };
}

static void add_options(struct settings *s, const struct serve_options *o)
{
	add(s, "data", o->data, "--data");
	add(s, "listen", o->listen, "--listen");
	add(s, "storage.memory_limit", o->memory_limit, "--memory-limit");
	add(s, "storage.sync", o->sync, "--sync");
	add(s, "http.route_prefix", o->route_prefix, "--route-prefix");
	add(s, "http.external_url", o->external_url, "--external-url");
	add(s, "http.lifecycle", o->lifecycle ? "true" : NULL, "--enable-lifecycle");
	add(s, "http.admin", o->admin ? "true" : NULL, "--enable-admin");
	add(s, "promql.lookback", o->lookback, "--promql-lookback");
	add(s, "promql.timeout", o->timeout, "--promql-timeout");
	add(s, "promql.experimental", o->experimental ? "true" : NULL, "--promql-experimental");
	add(s, "log.level", o->log_level, "--log-level");
	add(s, "log.format", o->log_format, "--log-format");
	add(s, "influx.listen", o->influx, "--influx-listen");
	add(s, "graphite.listen", o->graphite, "--graphite-listen");
}

static int serve_run(struct app *a, void *options, int argc, char **argv)
{
	struct serve_options *o = options;
	struct settings s = { 0 };
	char **keys = app_alloc((o->set.n + 1) * sizeof *keys);
	int st = APP_OK;
	add_options(&s, o);
	for (size_t i = 0; i < o->set.n && st == APP_OK; i++) {
		size_t n = strcspn(o->set.v[i], "=");
		keys[i] = app_strndup(o->set.v[i], n);
		if (!o->set.v[i][n])
			st = app_usage("--set %s: expected KEY=VALUE", o->set.v[i]);
		else
			add(&s, keys[i], o->set.v[i] + n + 1, "--set");
	}
	struct slx_server_args args = { .config_file = o->config, .set = s.v, .n_set = s.n, .check_only = o->check, .print_only = o->print, .print_keys = o->keys };
	if (st == APP_OK)
		st = slx_server_main(&args);
	for (size_t i = 0; i < o->set.n; i++)
		free(keys[i]);
	free(keys);
	free(s.v);
	return st;
}
#else
static int serve_run(struct app *a, void *options, int argc, char **argv)
{
	app_say("this silex was built without the server; build it with -DSILEX_SERVER=ON");
	return APP_FAILED;
}
#endif

static const struct app_opt serve_opts[] = {
	APP_OPT(serve_options, data, "data", 'd', APP_TEXT, "DIR", NULL, "the database [silex-data]"),
	APP_OPT(serve_options, listen, "listen", 'l', APP_TEXT, "HOST:PORT", NULL, "where to listen for HTTP [127.0.0.1:9470]; :9470 is all addresses"),
	APP_OPT(serve_options, config, "config", 'c', APP_TEXT, "FILE", NULL, "YAML configuration; SIGHUP reads it again"),
	APP_OPT(serve_options, memory_limit, "memory-limit", 0, APP_TEXT, "SIZE", NULL, "for all of the server [half of the machine]"),
	APP_OPT(serve_options, sync, "sync", 0, APP_TEXT, "WHEN", "always|interval|never", "when the log is made durable [interval]"),
	APP_OPT(serve_options, route_prefix, "route-prefix", 0, APP_TEXT, "PATH", NULL, "put before every path"),
	APP_OPT(serve_options, external_url, "external-url", 0, APP_TEXT, "URL", NULL, "how clients reach the server"),
	APP_OPT(serve_options, lookback, "promql-lookback", 0, APP_TEXT, "SPAN", NULL, "how long a sample holds [5m]"),
	APP_OPT(serve_options, timeout, "promql-timeout", 0, APP_TEXT, "SPAN", NULL, "longest time of a query [2m]"),
	APP_OPT(serve_options, experimental, "promql-experimental", 0, APP_FLAG, NULL, NULL, "experimental functions and modifiers of PromQL"),
	APP_OPT(serve_options, influx, "influx-listen", 0, APP_TEXT, "HOST:PORT", NULL, "line protocol over TCP, too"),
	APP_OPT(serve_options, graphite, "graphite-listen", 0, APP_TEXT, "HOST:PORT", NULL, "Graphite plaintext over TCP, too"),
	APP_OPT(serve_options, lifecycle, "enable-lifecycle", 0, APP_FLAG, NULL, NULL, "POST /-/reload and /-/quit"),
	APP_OPT(serve_options, admin, "enable-admin", 0, APP_FLAG, NULL, NULL, "/api/v1/admin: deleting series"),
	APP_OPT(serve_options, log_level, "log-level", 0, APP_TEXT, "LEVEL", "debug|info|warn|error", "less is not logged [info]"),
	APP_OPT(serve_options, log_format, "log-format", 0, APP_TEXT, "FORM", "text|json", "lines of the log [text]"),
	APP_OPT(serve_options, set, "set", 's', APP_TEXTS, "KEY=VALUE", NULL, "any key of the configuration"),
	APP_OPT(serve_options, check, "check-config", 0, APP_FLAG, NULL, NULL, "say whether the configuration is good, and end"),
	APP_OPT(serve_options, print, "print-config", 0, APP_FLAG, NULL, NULL, "print the configuration in force as YAML, and end"),
	APP_OPT(serve_options, keys, "print-keys", 0, APP_FLAG, NULL, NULL, "print the table of configuration keys, and end"),
	APP_OPT_END,
};

const struct app_command app_serve = {
	.name = "serve",
	.args = "",
	.summary = "serve a database over HTTP",
	.text =
		"Opens the database and answers Prometheus' HTTP API, takes samples by every common protocol, and shows a page at /.\n"
		"A configuration value comes from the file of --config, is overridden by the environment (storage.memory_limit is\n"
		"SILEX_STORAGE_MEMORY_LIMIT), and that by the command line.\n\n"
		"SIGHUP reads the configuration again; SIGTERM and SIGINT end the server after what is running. The exit status is 0\n"
		"then, 1 when the server could not start, 2 when the configuration is wrong.",
	.examples = "silex serve --data /var/lib/silex\ton http://127.0.0.1:9470\n"
				"silex serve --config silex.yml --check-config\tis it good?\n"
				"silex serve --listen :9470 --memory-limit 2GB --set log.slow_query=500ms\tfor others, too\n",
	.options = serve_opts,
	.options_size = sizeof(struct serve_options),
	.args_min = 0,
	.args_max = 0,
	.uses = APP_NOT_IN_SHELL,
	.run = serve_run,
};
