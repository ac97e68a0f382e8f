/* A subscriber of MQTT brokers (libmosquitto, MQTT 3.1.1).
 *
 *     mqtt:
 *       - host: 127.0.0.1            # port: 1883, client_id, username, password, qos: 1, keepalive: 60s, tenant
 *         tls: {ca_file, cert_file, key_file, insecure_skip_verify}
 *         topics:
 *           - pattern: plant/{site}/+/{sensor}   # {label} takes a level as label, {metric} the metric's name; + any level, # the rest
 *             metric: plant_{sensor}             # the name, made of levels; default {metric}, else the pattern's last plain level
 *             payload: auto                      # auto, json, plain
 *             time: ts                           # JSON member with the time; without it, when the message came
 *             labels: {source: mqtt}             # constant
 *
 * A plain payload is a number (or true, false, on, off). In JSON each number or boolean is a sample: member `value` of the metric itself, others of
 * metric_member, nested ones joined by underscores; texts are not taken. The session is persistent (clean_session off) and QoS is 1, so the
 * broker keeps what came while Silex or the line was down. Each broker has libmosquitto's own thread, which reconnects by itself. */
#include "formats/json.h"
#include "server/listen/listen_int.h"

#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { LEVELS_MAX = 64, LABELS_MAX = 96, KEEPALIVE_S = 60, NAME_MAX_SIZE = 1024, DEPTH_MAX = 8, RECONNECT_S_MAX = 3 };

enum payload { PAYLOAD_AUTO, PAYLOAD_JSON, PAYLOAD_PLAIN };

struct topic {
	const char *pattern;
	char *filter; /* what is subscribed: {names} as + */
	const char *metric, *time;
	enum payload payload;
	const struct slx_yaml *labels;
};

struct broker {
	struct slx_core *core;
	struct slx_intake *intake;
	struct mosquitto *client;
	const char *host, *client_id, *username, *password, *tenant;
	const char *ca_file, *cert_file, *key_file;
	bool insecure, tls;
	uint64_t port, qos;
	int64_t keepalive;
	struct topic *topics;
	size_t n_topics;
	struct slx_metric *messages, *samples, *bad, *up;
};

struct slx_mqtt {
	struct slx_mem *mem;
	struct slx_arena arena;
	struct broker *v;
	size_t n, started;
};

/* ---- configuration ---- */

static silex_status text(const struct slx_yaml *map, const char *key, const char **ret, silex_error *err)
{
	return slx_yaml_text(slx_yaml_get(map, key), ret, err);
}

/* The pattern with {names} as +. Patterns with an empty level, or with {name} or # in the middle of one, are refused. */
static silex_status read_pattern(struct slx_arena *a, const struct slx_yaml *y, struct topic *t, silex_error *err)
{
	char *out = slx_arena_alloc(a, strlen(t->pattern) + 1, 1);
	if (!out)
		return slx_err_oom(err);
	t->filter = out;
	for (const char *p = t->pattern; *p;) {
		size_t n = strcspn(p, "/");
		bool name = n > 2 && p[0] == '{' && p[n - 1] == '}';
		if (!name && (memchr(p, '{', n) || memchr(p, '}', n)))
			return slx_yaml_err(y, err, "pattern: expected {name} to be a whole level");
		if (n > 1 && !name && (memchr(p, '+', n) || memchr(p, '#', n)))
			return slx_yaml_err(y, err, "pattern: expected + and # to be whole levels");
		if (n == 1 && *p == '#' && p[1])
			return slx_yaml_err(y, err, "pattern: expected # at the end");
		memcpy(out, name ? "+" : p, name ? 1 : n);
		out += name ? 1 : n;
		p += n;
		if (*p)
			*out++ = *p++;
	}
	*out = 0;
	return SILEX_OK;
}

static silex_status read_topic(struct slx_arena *a, const struct slx_yaml *y, struct topic *t, silex_error *err)
{
	static const char *const keys[] = { "pattern", "metric", "payload", "time", "labels", NULL };
	static const char *const payloads[] = { "auto", "json", "plain" };
	const char *payload = "auto";
	int k = 0;
	if (y->type != SLX_YAML_MAP)
		return slx_yaml_err(y, err, "topics: expected a pattern");
	SLX_TRY(slx_yaml_keys(y, "topic", keys, err));
	SLX_TRY(text(y, "pattern", &t->pattern, err));
	if (!t->pattern || !*t->pattern)
		return slx_yaml_err(y, err, "topics: expected a pattern");
	SLX_TRY(text(y, "metric", &t->metric, err));
	SLX_TRY(text(y, "time", &t->time, err));
	SLX_TRY(text(y, "payload", &payload, err));
	while (k < 3 && strcmp(payloads[k], payload) != 0)
		k++;
	if (k == 3)
		return slx_yaml_err(slx_yaml_get(y, "payload"), err, "payload: expected auto, json or plain");
	t->payload = (enum payload)k;
	t->labels = slx_yaml_get(y, "labels");
	if (!slx_yaml_null(t->labels) && t->labels->type != SLX_YAML_MAP)
		return slx_yaml_err(t->labels, err, "labels: expected names with values");
	return read_pattern(a, y, t, err);
}

static silex_status read_tls(const struct slx_yaml *y, struct broker *b, silex_error *err)
{
	static const char *const keys[] = { "ca_file", "cert_file", "key_file", "insecure_skip_verify", NULL };
	b->tls = !slx_yaml_null(y);
	if (!b->tls)
		return SILEX_OK;
	SLX_TRY(slx_yaml_keys(y, "tls", keys, err));
	SLX_TRY(text(y, "ca_file", &b->ca_file, err));
	SLX_TRY(text(y, "cert_file", &b->cert_file, err));
	SLX_TRY(text(y, "key_file", &b->key_file, err));
	return slx_yaml_bool(slx_yaml_get(y, "insecure_skip_verify"), &b->insecure, err);
}

static silex_status read_broker(struct slx_arena *a, const struct slx_config *c, const struct slx_yaml *y, struct broker *b, silex_error *err)
{
	static const char *const keys[] = { "host", "port", "client_id", "username", "password", "qos", "keepalive", "tenant", "tls", "topics", NULL };
	if (y->type != SLX_YAML_MAP)
		return slx_yaml_err(y, err, "mqtt: expected a broker");
	SLX_TRY(slx_yaml_keys(y, "mqtt", keys, err));
	b->client_id = "silex";
	b->tenant = c->tenants.fallback;
	b->qos = 1;
	b->keepalive = KEEPALIVE_S * SLX_SECOND;
	SLX_TRY(text(y, "host", &b->host, err));
	if (!b->host)
		return slx_yaml_err(y, err, "mqtt: expected a host");
	SLX_TRY(read_tls(slx_yaml_get(y, "tls"), b, err));
	b->port = b->tls ? 8883 : 1883;
	SLX_TRY(slx_yaml_count(slx_yaml_get(y, "port"), 1, 65535, &b->port, err));
	SLX_TRY(slx_yaml_count(slx_yaml_get(y, "qos"), 0, 2, &b->qos, err));
	SLX_TRY(slx_yaml_duration(slx_yaml_get(y, "keepalive"), 5 * SLX_SECOND, SLX_HOUR, &b->keepalive, err));
	SLX_TRY(text(y, "client_id", &b->client_id, err));
	SLX_TRY(text(y, "username", &b->username, err));
	SLX_TRY(text(y, "password", &b->password, err));
	SLX_TRY(text(y, "tenant", &b->tenant, err));
	silex_error why;
	if (slx_tenant_check(slx_str(b->tenant), &why) != SILEX_OK)
		return slx_yaml_err(slx_yaml_get(y, "tenant"), err, "%s", why.message);
	const struct slx_yaml *topics = slx_yaml_get(y, "topics");
	if (slx_yaml_null(topics) || topics->type != SLX_YAML_LIST)
		return slx_yaml_err(y, err, "mqtt: expected a list of topics");
	b->topics = slx_arena_alloc(a, (topics->n + 1) * sizeof *b->topics, 8);
	if (!b->topics)
		return slx_err_oom(err);
	memset(b->topics, 0, (topics->n + 1) * sizeof *b->topics);
	for (const struct slx_yaml *t = topics->child; t; t = t->next)
		SLX_TRY(read_topic(a, t, &b->topics[b->n_topics++], err));
	return SILEX_OK;
}

static silex_status read_brokers(struct slx_arena *a, const struct slx_config *c, struct broker **ret, size_t *ret_n, silex_error *err)
{
	const struct slx_yaml *list = c->mqtt;
	*ret = NULL;
	*ret_n = 0;
	if (slx_yaml_null(list))
		return SILEX_OK;
	if (list->type != SLX_YAML_LIST)
		return slx_yaml_err(list, err, "mqtt: expected a list of brokers");
	struct broker *v = slx_arena_alloc(a, (list->n + 1) * sizeof *v, 8);
	if (!v)
		return slx_err_oom(err);
	memset(v, 0, (list->n + 1) * sizeof *v);
	for (const struct slx_yaml *y = list->child; y; y = y->next)
		SLX_TRY(read_broker(a, c, y, &v[(*ret_n)++], err));
	*ret = v;
	return SILEX_OK;
}

silex_status slx_mqtt_check(struct slx_mem *m, const struct slx_config *c, silex_error *err)
{
	struct slx_arena arena;
	struct broker *v;
	size_t n;
	slx_arena_init(&arena, m, SLX_MEM_OTHER, 1 << 16);
	silex_status st = read_brokers(&arena, c, &v, &n, err);
	slx_arena_clear(&arena);
	return st;
}

/* ---- a message's name and labels ---- */

struct message {
	struct broker *b;
	const struct topic *topic;
	struct slx_intake_batch *batch;
	struct slx_arena arena;
	struct slx_label labels[LABELS_MAX]; /* without the name */
	size_t n_labels;
	struct slx_str metric;
	int64_t t;
	uint64_t samples;
	const char *bad; /* what was expected of the payload */
};

/* Does the topic fit the pattern? The levels that have names become labels. */
static bool match(struct message *m, const char *pattern, const char *topic, struct slx_str *ret_metric)
{
	struct slx_str last = { NULL, 0 };
	*ret_metric = (struct slx_str){ NULL, 0 };
	m->n_labels = 0;
	for (;;) {
		size_t pn = strcspn(pattern, "/"), tn = strcspn(topic, "/");
		if (pn == 1 && *pattern == '#')
			break;
		bool name = pn > 2 && pattern[0] == '{';
		struct slx_str level = { topic, tn }, label = { pattern + 1, pn - 2 };
		if (name && slx_str_eq(label, SLX_STR("metric")))
			*ret_metric = level;
		else if (name && m->n_labels < LABELS_MAX)
			m->labels[m->n_labels++] = (struct slx_label){ label, level };
		else if (!name && !(pn == 1 && *pattern == '+') && !slx_str_eq(level, (struct slx_str){ pattern, pn }))
			return false;
		else if (!name && !(pn == 1 && *pattern == '+'))
			last = level;
		if (!pattern[pn] || !topic[tn]) {
			bool rest = pattern[pn] && strcmp(pattern + pn, "/#") == 0; /* a/# fits a, too */
			if (!(rest || (!pattern[pn] && !topic[tn])))
				return false;
			break;
		}
		pattern += pn + 1;
		topic += tn + 1;
	}
	if (!ret_metric->p)
		*ret_metric = last.p ? last : SLX_STR("mqtt");
	return true;
}

static struct slx_str label_value(const struct message *m, struct slx_str name)
{
	for (size_t i = 0; i < m->n_labels; i++)
		if (slx_str_eq(m->labels[i].name, name))
			return m->labels[i].value;
	return SLX_STR("");
}

/* Appends a name with what a metric's name does not have as underscores. */
static size_t put_name(char *to, size_t n, size_t cap, struct slx_str s)
{
	for (size_t i = 0; i < s.n && n < cap; i++) {
		char c = s.p[i], l = (char)(c | 0x20);
		bool plain = (l >= 'a' && l <= 'z') || c == '_' || c == ':' || (c >= '0' && c <= '9' && n > 0);
		if (((uint8_t)c & 0xc0) != 0x80)
			to[n++] = plain ? c : '_';
	}
	return n;
}

/* The metric's name by the topic's template: {name} of levels, the rest as it stands. */
static struct slx_str metric_name(struct message *m, struct slx_str found)
{
	char *to = slx_arena_alloc(&m->arena, NAME_MAX_SIZE, 1);
	size_t n = 0;
	if (!to)
		return SLX_STR("");
	if (!m->topic->metric)
		return (struct slx_str){ to, put_name(to, 0, NAME_MAX_SIZE, found) };
	for (const char *p = m->topic->metric; *p && n < NAME_MAX_SIZE;) {
		const char *close = *p == '{' ? strchr(p, '}') : NULL;
		if (!close) {
			to[n++] = *p++;
			continue;
		}
		struct slx_str name = { p + 1, (size_t)(close - p - 1) };
		n = put_name(to, n, NAME_MAX_SIZE, slx_str_eq(name, SLX_STR("metric")) ? found : label_value(m, name));
		p = close + 1;
	}
	return (struct slx_str){ to, n };
}

static void constant_labels(struct message *m)
{
	const struct slx_yaml *y = slx_yaml_null(m->topic->labels) ? NULL : m->topic->labels->child;
	for (; y; y = y->next)
		if (y->type == SLX_YAML_SCALAR && m->n_labels < LABELS_MAX)
			m->labels[m->n_labels++] = (struct slx_label){ slx_str(y->key), y->text };
}

/* ---- samples ---- */

/* suffix: names of members, joined; empty: the metric itself. */
static void give(struct message *m, struct slx_str suffix, double v)
{
	struct slx_label all[LABELS_MAX + 1];
	struct slx_buf key;
	char name[NAME_MAX_SIZE];
	uint32_t series;
	silex_error err;
	size_t n = put_name(name, 0, sizeof name, m->metric);
	if (suffix.n) {
		n = put_name(name, n, sizeof name, SLX_STR("_"));
		n = put_name(name, n, sizeof name, suffix);
	}
	memcpy(all, m->labels, m->n_labels * sizeof all[0]);
	all[m->n_labels] = (struct slx_label){ SLX_METRIC_NAME, { name, n } };
	slx_buf_init(&key, m->arena.mem, SLX_MEM_OTHER, 1 << 20);
	for (size_t i = 0; i <= m->n_labels; i++) {
		slx_buf_varint(&key, all[i].name.n);
		slx_buf_put(&key, all[i].name.p, all[i].name.n);
		slx_buf_varint(&key, all[i].value.n);
		slx_buf_put(&key, all[i].value.p, all[i].value.n);
	}
	silex_status st = key.failed ? slx_err_oom(&err) : slx_intake_lookup(m->batch, slx_intake_key(SLX_SPACE_MQTT, key.p, key.n), &series);
	if (st == SILEX_NOT_FOUND)
		st = slx_intake_define(m->batch, slx_intake_key(SLX_SPACE_MQTT, key.p, key.n), all, m->n_labels + 1, &series, &err);
	if (st == SILEX_OK)
		slx_intake_float(m->batch, series, m->t, v);
	else
		slx_intake_refuse(m->batch, 1, st, all, m->n_labels + 1, err.message);
	m->samples += st == SILEX_OK;
	slx_buf_free(&key);
}

/* A number of the whole text; also true, false, on, off. */
static bool plain_number(struct slx_str s, double *ret)
{
	char z[64], *end;
	while (s.n && strchr(" \t\r\n", s.p[s.n - 1]))
		s.n--;
	while (s.n && strchr(" \t\r\n", *s.p)) {
		s.p++;
		s.n--;
	}
	if (s.n == 0 || s.n >= sizeof z)
		return false;
	memcpy(z, s.p, s.n);
	z[s.n] = 0;
	bool yes = strcasecmp(z, "true") == 0 || strcasecmp(z, "on") == 0, no = strcasecmp(z, "false") == 0 || strcasecmp(z, "off") == 0;
	*ret = yes || no ? yes : strtod(z, &end);
	return yes || no || *end == 0;
}

static void read_value(struct message *m, struct slx_json *j, struct slx_str path, unsigned depth);

static struct slx_str join(struct message *m, struct slx_str path, struct slx_str key, bool top)
{
	if (slx_str_eq(key, SLX_STR("value")))
		return path;
	if (top || path.n == 0)
		return key;
	char *p = slx_arena_alloc(&m->arena, path.n + 1 + key.n, 1);
	if (!p)
		return path;
	memcpy(p, path.p, path.n);
	p[path.n] = '_';
	memcpy(p + path.n + 1, key.p, key.n);
	return (struct slx_str){ p, path.n + 1 + key.n };
}

static void read_object(struct message *m, struct slx_json *j, struct slx_str path, unsigned depth)
{
	struct slx_str key;
	slx_json_object(j);
	while (slx_json_key(j, &key)) {
		if (depth == 0 && m->topic->time && slx_str_eq(key, slx_str(m->topic->time)))
			slx_json_skip(j, NULL); /* was read before */
		else
			read_value(m, j, join(m, path, key, depth == 0), depth + 1);
	}
}

static void read_value(struct message *m, struct slx_json *j, struct slx_str path, unsigned depth)
{
	struct slx_str s;
	double v;
	bool yes;
	switch (slx_json_peek(j)) {
	case '{':
		if (depth < DEPTH_MAX)
			read_object(m, j, path, depth);
		else
			slx_json_skip(j, NULL);
		break;
	case 't':
	case 'f':
		if (slx_json_bool(j, &yes))
			give(m, path, yes);
		break;
	case '"':
	case '[':
	case 'n':
		slx_json_skip(j, NULL);
		break;
	default:
		if (slx_json_number(j, &s) && plain_number(s, &v))
			give(m, path, v);
	}
}

/* The time a JSON object gives; false: none, or none that can be read. */
static void read_time(struct message *m, struct slx_str payload, struct slx_buf *text_buf)
{
	struct slx_json j = slx_json_init(payload.p, payload.n, text_buf);
	struct slx_str key, s;
	if (slx_json_peek(&j) != '{' || !slx_json_object(&j))
		return;
	while (slx_json_key(&j, &key)) {
		if (!slx_str_eq(key, slx_str(m->topic->time))) {
			slx_json_skip(&j, NULL);
			continue;
		}
		bool ok = slx_json_peek(&j) == '"' ? slx_json_string(&j, &s) : slx_json_number(&j, &s);
		if (ok && slx_time_parse(s.p, s.n, SLX_UNIT_AUTO, m->t, &m->t, NULL) != SILEX_OK)
			m->bad = "a time";
		return;
	}
}

static void read_json(struct message *m, struct slx_str payload)
{
	uint8_t *room = slx_arena_alloc(&m->arena, payload.n + 1, 1);
	struct slx_buf text_buf = { .mem = m->arena.mem, .p = room, .cap = payload.n + 1, .size_max = payload.n + 1 };
	if (!room)
		return;
	if (m->topic->time)
		read_time(m, payload, &text_buf);
	text_buf.n = 0;
	struct slx_json j = slx_json_init(payload.p, payload.n, &text_buf);
	read_value(m, &j, SLX_STR(""), 0);
	if (!j.bad)
		slx_json_end(&j);
	m->bad = m->bad ? m->bad : j.bad ? j.expected : NULL;
}

static void read_payload(struct message *m, struct slx_str payload)
{
	double v;
	if (m->topic->payload != PAYLOAD_JSON && plain_number(payload, &v))
		give(m, SLX_STR(""), v);
	else if (m->topic->payload == PAYLOAD_PLAIN)
		m->bad = "a number";
	else
		read_json(m, payload);
}

/* ---- libmosquitto's calls ---- */

static void store(struct broker *b, const struct topic *topic, const struct mosquitto_message *msg, struct message *m)
{
	struct slx_str found;
	struct slx_intake_result result;
	silex_error err;
	if (!match(m, topic->pattern, msg->topic, &found))
		return;
	m->topic = topic;
	m->t = slx_listen_now(b->core);
	m->metric = metric_name(m, found);
	constant_labels(m);
	silex_status st = slx_intake_begin(b->intake, slx_str(b->tenant), &m->batch, &err);
	if (st == SILEX_OK) {
		read_payload(m, (struct slx_str){ msg->payload ? msg->payload : "", (size_t)msg->payloadlen });
		st = slx_intake_commit(m->batch, &result, &err);
	}
	if (st != SILEX_OK)
		slx_log(b->core->log, SLX_LOG_WARN, "an MQTT message was not stored", SLX_TEXT("topic", msg->topic), SLX_TEXT("error", err.message));
	else
		slx_metric_add(b->samples, result.samples);
}

static void on_message(struct mosquitto *client, void *arg, const struct mosquitto_message *msg)
{
	struct broker *b = arg;
	bool taken = false;
	struct message *m = slx_calloc(b->core->mem, SLX_MEM_OTHER, sizeof *m);
	if (!m)
		return;
	slx_metric_add(b->messages, 1);
	m->b = b;
	for (size_t i = 0; i < b->n_topics && !taken; i++) {
		mosquitto_topic_matches_sub(b->topics[i].filter, msg->topic, &taken);
		if (!taken)
			continue;
		slx_arena_init(&m->arena, b->core->mem, SLX_MEM_OTHER, 1 << 16);
		store(b, &b->topics[i], msg, m);
		slx_arena_clear(&m->arena);
	}
	if (m->bad) {
		slx_metric_add(b->bad, 1);
		slx_log(b->core->log, SLX_LOG_DEBUG, "an MQTT payload cannot be read", SLX_TEXT("topic", msg->topic), SLX_TEXT("expected", m->bad));
	}
	slx_free(b->core->mem, SLX_MEM_OTHER, m, sizeof *m);
}

static void on_connect(struct mosquitto *client, void *arg, int rc)
{
	struct broker *b = arg;
	if (rc != 0) {
		slx_log(b->core->log, SLX_LOG_WARN, "MQTT broker refused the connection", SLX_TEXT("host", b->host), SLX_TEXT("error", mosquitto_connack_string(rc)));
		return;
	}
	slx_metric_set(b->up, 1);
	slx_log(b->core->log, SLX_LOG_INFO, "connected to MQTT broker", SLX_TEXT("host", b->host), SLX_INT("port", b->port));
	for (size_t i = 0; i < b->n_topics; i++)
		mosquitto_subscribe(client, NULL, b->topics[i].filter, (int)b->qos);
}

static void on_disconnect(struct mosquitto *client, void *arg, int rc)
{
	struct broker *b = arg;
	slx_metric_set(b->up, 0);
	if (rc != 0)
		slx_log(b->core->log, SLX_LOG_WARN, "lost the MQTT broker; trying again", SLX_TEXT("host", b->host), SLX_INT("port", b->port));
}

/* ---- starting and stopping ---- */

static void broker_metrics(struct broker *b)
{
	struct slx_metrics *m = b->core->metrics;
	char labels[320];
	snprintf(labels, sizeof labels, "broker=\"%.200s:%u\"", b->host, (unsigned)b->port);
	b->messages = slx_metrics_counter(m, "silex_mqtt_messages_total", "Messages received.", labels);
	b->samples = slx_metrics_counter(m, "silex_mqtt_samples_total", "Samples stored from MQTT messages.", labels);
	b->bad = slx_metrics_counter(m, "silex_mqtt_bad_messages_total", "Messages whose payload could not be read.", labels);
	b->up = slx_metrics_gauge(m, "silex_mqtt_connected", "1 while the broker is connected.", labels);
}

static silex_status start_broker(struct broker *b, silex_error *err)
{
	b->client = mosquitto_new(b->client_id, b->qos == 0, b);
	if (!b->client)
		return slx_err_oom(err);
	broker_metrics(b);
	mosquitto_connect_callback_set(b->client, on_connect);
	mosquitto_disconnect_callback_set(b->client, on_disconnect);
	mosquitto_message_callback_set(b->client, on_message);
	mosquitto_reconnect_delay_set(b->client, 1, RECONNECT_S_MAX, true);
	if (b->username && mosquitto_username_pw_set(b->client, b->username, b->password) != MOSQ_ERR_SUCCESS)
		return slx_err_oom(err);
	if (b->tls) {
		int rc = mosquitto_tls_set(b->client, b->ca_file, b->ca_file ? NULL : "/etc/ssl/certs", b->cert_file, b->key_file, NULL);
		if (rc != MOSQ_ERR_SUCCESS)
			return slx_err(err, SILEX_INVALID, "MQTT broker %s: TLS: %s", b->host, mosquitto_strerror(rc));
		mosquitto_tls_insecure_set(b->client, b->insecure);
	}
	/* A broker that is down now is tried again by the thread. */
	mosquitto_connect_async(b->client, b->host, (int)b->port, (int)(b->keepalive / SLX_SECOND));
	if (mosquitto_loop_start(b->client) != MOSQ_ERR_SUCCESS)
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "cannot start the thread of MQTT broker %s", b->host);
	return SILEX_OK;
}

silex_status slx_mqtt_start(struct slx_core *core, struct slx_intake *intake, struct slx_mqtt **ret, silex_error *err)
{
	*ret = NULL;
	if (slx_yaml_null(slx_core_config(core)->mqtt))
		return SILEX_OK;
	struct slx_mqtt *m = slx_calloc(core->mem, SLX_MEM_OTHER, sizeof *m);
	if (!m)
		return slx_err_oom(err);
	m->mem = core->mem;
	slx_arena_init(&m->arena, core->mem, SLX_MEM_OTHER, 1 << 16);
	mosquitto_lib_init();
	silex_status st = read_brokers(&m->arena, slx_core_config(core), &m->v, &m->n, err);
	for (size_t i = 0; i < m->n && st == SILEX_OK; i++) {
		m->v[i].core = core;
		m->v[i].intake = intake;
		m->started++;
		st = start_broker(&m->v[i], err);
	}
	if (st == SILEX_OK)
		*ret = m;
	else
		slx_mqtt_stop(m);
	return st;
}

void slx_mqtt_stop(struct slx_mqtt *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->started; i++) {
		if (!m->v[i].client)
			continue;
		mosquitto_disconnect(m->v[i].client);
		mosquitto_loop_stop(m->v[i].client, false); /* cancelling the thread could cut a write */
		mosquitto_destroy(m->v[i].client);
	}
	mosquitto_lib_cleanup();
	slx_arena_clear(&m->arena);
	slx_free(m->mem, SLX_MEM_OTHER, m, sizeof *m);
}
