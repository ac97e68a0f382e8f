/* What receivers are sent. */
#include "formats/formats.h"
#include "server/actions/actions_int.h"
#include "server/core/alert_json.h"
#include "server/core/json.h"

#include <gnutls/crypto.h>
#include <stdio.h>

/* ---- links ---- */

static void put_escaped(struct slx_buf *b, struct slx_str s)
{
	static const char hex[] = "0123456789ABCDEF";
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || (c && strchr("-._~", c));
		if (plain) {
			slx_buf_u8(b, c);
		} else {
			slx_buf_u8(b, '%');
			slx_buf_u8(b, (uint8_t)hex[c >> 4]);
			slx_buf_u8(b, (uint8_t)hex[c & 15]);
		}
	}
}

void act_put_link(struct slx_buf *b, const char *base, struct slx_str expr)
{
	slx_buf_put(b, base, strlen(base));
	SLX_JSON_LITERAL(b, "/#/explore?q=");
	put_escaped(b, expr);
	SLX_JSON_LITERAL(b, "&from=now-1h&to=now");
}

/* The same as a member; what it holds needs no escape in JSON. */
static void put_generator(struct slx_buf *b, const char *key, const struct act_links *l, const struct slx_alert *a)
{
	struct slx_buf query;
	slx_buf_init(&query, b->mem, b->use, ACT_BODY_MAX);
	slx_alert_query(a->rule, &query);
	slx_buf_put(b, key, strlen(key));
	act_put_link(b, l->base, (struct slx_str){ (const char *)query.p, query.n });
	slx_buf_u8(b, '"');
	slx_buf_free(&query);
}

/* ---- Alertmanager ---- */

static void put_labels(struct slx_buf *b, const struct slx_label_set *set)
{
	slx_buf_u8(b, '{');
	for (size_t i = 0; i < set->n; i++) {
		if (i)
			slx_buf_u8(b, ',');
		slx_json_text(b, set->p[i].name);
		slx_buf_u8(b, ':');
		slx_json_text(b, set->p[i].value);
	}
	slx_buf_u8(b, '}');
}

static void add_absent(struct slx_label_set *set, struct slx_str name, struct slx_str value)
{
	if (!slx_label_set_get(set, name).n)
		slx_label_set_put(set, name, value);
}

/* The alert's own labels win over external ones, as in Prometheus; then alert_relabel_configs. false: dropped, or no memory. */
static bool labels_of(const struct act_links *l, const struct slx_alert *a, struct slx_label_set *set)
{
	struct slx_labels_iter it = slx_labels_iter(a->labels);
	struct slx_label x;
	while (slx_labels_next(&it, &x))
		slx_label_set_put(set, x.name, x.value);
	for (size_t i = 0; i < l->n_external; i++)
		add_absent(set, l->external[i].name, l->external[i].value);
	if (!slx_str_eq(a->rule->tenant, slx_str(l->tenant)))
		add_absent(set, SLX_STR("tenant"), a->rule->tenant);
	return slx_relabel_apply(l->relabel, set) && !set->failed;
}

bool act_put_alertmanager(struct slx_buf *b, const struct act_links *l, const struct slx_alert *a, int64_t ends_ns)
{
	struct slx_arena arena;
	slx_arena_init(&arena, b->mem, b->use, 16 << 10);
	struct slx_label_set set = { .arena = &arena };
	bool kept = labels_of(l, a, &set);
	b->failed = b->failed || set.failed;
	if (kept) {
		SLX_JSON_LITERAL(b, "{\"labels\":");
		put_labels(b, &set);
		SLX_JSON_LITERAL(b, ",\"annotations\":");
		slx_json_labels(b, a->annotations);
		SLX_JSON_LITERAL(b, ",\"startsAt\":");
		slx_json_instant(b, a->fired_ns ? a->fired_ns : a->active_ns);
		SLX_JSON_LITERAL(b, ",\"endsAt\":");
		slx_json_instant(b, ends_ns);
		put_generator(b, ",\"generatorURL\":\"", l, a);
		slx_buf_u8(b, '}');
	}
	slx_arena_clear(&arena);
	return kept;
}

/* ---- webhooks and commands ---- */

void act_put_event(struct slx_buf *b, const struct act_links *l, const struct slx_alert_event *e, const struct act_attempt *t)
{
	int64_t age = t->now > e->at_ns ? t->now - e->at_ns : 0;
	SLX_JSON_LITERAL(b, "{\"version\":1,");
	slx_json_event(b, e);
	SLX_JSON_LITERAL(b, ",\"age_seconds\":");
	slx_encode_f64(b, (double)age / (double)SLX_SECOND);
	SLX_JSON_LITERAL(b, ",\"receiver\":");
	slx_json_text(b, slx_str(t->receiver));
	SLX_JSON_LITERAL(b, ",\"attempt\":");
	slx_json_u64(b, t->number);
	put_generator(b, ",\"generator_url\":\"", l, &e->alert);
	SLX_JSON_LITERAL(b, "}\n");
}

bool act_sign(const char *secret, int64_t timestamp_s, const void *body, size_t n, char ret[ACT_SIGNATURE_SIZE])
{
	unsigned char digest[32];
	gnutls_hmac_hd_t h;
	char stamp[32];
	int stamp_n = snprintf(stamp, sizeof stamp, "%lld.", (long long)timestamp_s);
	if (gnutls_hmac_init(&h, GNUTLS_MAC_SHA256, secret, strlen(secret)) != 0)
		return false;
	bool ok = gnutls_hmac(h, stamp, (size_t)stamp_n) == 0 && gnutls_hmac(h, body, n) == 0;
	gnutls_hmac_deinit(h, digest);
	char *to = ret + snprintf(ret, ACT_SIGNATURE_SIZE, "sha256=");
	for (size_t i = 0; i < sizeof digest; i++, to += 2)
		snprintf(to, 3, "%02x", digest[i]);
	return ok;
}
