/* The journal: an alert's change as the value of a sample, and as the series that it lies in (docs/format/alert.md).
 *
 *     0 u8  format, 1          4 i64 active_ns      36 f64 value
 *     1 u8  from              12 i64 fired_ns       44 str group, str name, str expr   (str: varint length, bytes)
 *     2 u8  to                20 i64 resolved_ns       varint length, annotations as canonical label bytes
 *     3 u8  origin            28 i64 interval_ns
 *
 * The time of the change is the sample's. Checksums are those of log and blocks. */
#include "rules/alert/alert_int.h"

#include <stdio.h>

enum { FORMAT = 1, ANNOTATIONS_MAX = SLX_VALUE_SIZE_MAX - 8192, NAMES_MAX = 2048 };

#define RULE_LABEL SLX_STR("__rule__")
#define SERIES_NAME SLX_STR("alert")

/* ---- the value ---- */

static void put_str(struct slx_buf *b, struct slx_str s, size_t max)
{
	if (s.n > max)
		s.n = max;
	slx_buf_varint(b, s.n);
	slx_buf_put(b, s.p, s.n);
}

void slx_alert_record_encode(const struct slx_alert_record *r, struct slx_buf *out)
{
	const uint8_t head[4] = { FORMAT, (uint8_t)r->from, (uint8_t)r->to, (uint8_t)r->origin };
	slx_buf_put(out, head, sizeof head);
	slx_buf_u64(out, (uint64_t)r->active_ns);
	slx_buf_u64(out, (uint64_t)r->fired_ns);
	slx_buf_u64(out, (uint64_t)r->resolved_ns);
	slx_buf_u64(out, (uint64_t)r->interval_ns);
	slx_buf_u64(out, slx_f64_bits(r->value));
	put_str(out, r->group, NAMES_MAX);
	put_str(out, r->name, NAMES_MAX);
	put_str(out, r->expr, SLX_ALERT_EXPR_KEPT);
	bool kept = r->annotations.n <= ANNOTATIONS_MAX; /* a change is worth more than the words beside it */
	slx_buf_varint(out, kept ? r->annotations.n : 0);
	if (kept)
		slx_buf_put(out, r->annotations.p, r->annotations.n);
}

static struct slx_str get_str(struct slx_rd *r)
{
	size_t n = (size_t)slx_rd_varint(r);
	const uint8_t *p = slx_rd_bytes(r, n);
	return p ? (struct slx_str){ (const char *)p, n } : (struct slx_str){ "", 0 };
}

silex_status slx_alert_record_decode(struct slx_str bytes, struct slx_alert_record *ret, silex_error *err)
{
	struct slx_rd rd = slx_rd_init(bytes.p, bytes.n);
	struct slx_alert_record r = { 0 };
	uint8_t format = slx_rd_u8(&rd), from = slx_rd_u8(&rd), to = slx_rd_u8(&rd), origin = slx_rd_u8(&rd);
	if (!rd.bad && format != FORMAT)
		return slx_err(err, SILEX_CORRUPT, "alert, offset 0: format %u, this version reads %u", format, FORMAT);
	if (rd.bad || from > SLX_ALERT_FIRING || to > SLX_ALERT_FIRING || origin > SLX_RULE_API)
		return slx_err(err, SILEX_CORRUPT, "alert, offset 1: states %u, %u and origin %u are not known", from, to, origin);
	r.from = (enum slx_alert_state)from;
	r.to = (enum slx_alert_state)to;
	r.origin = (enum slx_alert_origin)origin;
	r.active_ns = (int64_t)slx_rd_u64(&rd);
	r.fired_ns = (int64_t)slx_rd_u64(&rd);
	r.resolved_ns = (int64_t)slx_rd_u64(&rd);
	r.interval_ns = (int64_t)slx_rd_u64(&rd);
	r.value = slx_bits_f64(slx_rd_u64(&rd));
	r.group = get_str(&rd);
	r.name = get_str(&rd);
	r.expr = get_str(&rd);
	struct slx_str annotations = get_str(&rd);
	if (rd.bad || slx_rd_left(&rd))
		return slx_err(err, SILEX_CORRUPT, "alert, offset %zu: not well formed", (size_t)(rd.p - (const uint8_t *)bytes.p));
	if (annotations.n && slx_labels_parse(annotations.p, annotations.n, NULL, &r.annotations, err) != SILEX_OK)
		return slx_err_wrap(err, "alert, annotations");
	*ret = r;
	return SILEX_OK;
}

/* ---- the series ---- */

struct slx_str slx_alert_tenant(struct slx_str tenant, char room[SLX_ALERT_TENANT_SIZE])
{
	static const char word[] = "!alerts";
	memcpy(room, tenant.p, tenant.n);
	memcpy(room + tenant.n, word, sizeof word - 1);
	return (struct slx_str){ room, tenant.n + sizeof word - 1 };
}

static bool is_ours(struct slx_str name) { return slx_str_eq(name, RULE_LABEL) || slx_str_eq(name, SLX_METRIC_NAME); }

/* Adds the labels of a set but ours. */
static void add_labels(struct slx_labels_builder *b, struct slx_labels labels)
{
	struct slx_label l;
	for (struct slx_labels_iter it = slx_labels_iter(labels); slx_labels_next(&it, &l);)
		if (!is_ours(l.name))
			slx_labels_builder_add(b, l.name, l.value);
}

silex_status slx_alert_series(struct slx_labels_builder *b, uint64_t rule_id, struct slx_labels labels, struct slx_labels *ret, silex_error *err)
{
	char hex[17];
	snprintf(hex, sizeof hex, "%016llx", (unsigned long long)rule_id);
	slx_labels_builder_reset(b);
	slx_labels_builder_add(b, SLX_METRIC_NAME, SERIES_NAME);
	slx_labels_builder_add(b, RULE_LABEL, slx_str(hex));
	add_labels(b, labels);
	return slx_labels_builder_finish(b, ret, err);
}

static bool read_hex(struct slx_str s, uint64_t *ret)
{
	uint64_t v = 0;
	for (size_t i = 0; i < s.n; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *d = s.p[i] ? strchr(digits, s.p[i]) : NULL;
		if (!d)
			return false;
		v = v << 4 | (uint64_t)(d - digits);
	}
	*ret = v;
	return s.n == 16;
}

silex_status slx_alert_unseries(struct slx_labels series, struct slx_labels_builder *b, uint64_t *ret_rule, struct slx_labels *ret, silex_error *err)
{
	struct slx_str hex = slx_labels_get(series, RULE_LABEL);
	if (!slx_str_eq(slx_labels_get(series, SLX_METRIC_NAME), SERIES_NAME) || !read_hex(hex, ret_rule))
		return slx_err(err, SILEX_CORRUPT, "journal of alerts: a series of rule \"%.*s\", expected 16 hexadecimal digits", (int)hex.n, hex.p);
	slx_labels_builder_reset(b);
	add_labels(b, series);
	return slx_labels_builder_finish(b, ret, err);
}

/* ---- identities ---- */

struct slx_hash128 slx_alert_fingerprint(struct slx_str tenant, uint64_t rule_id, struct slx_labels labels)
{
	return slx_hash128(labels.p, labels.n, slx_hash64(tenant.p, tenant.n) ^ rule_id * UINT64_C(0x9e3779b97f4a7c15));
}

struct slx_hash128 slx_alert_event_id(struct slx_hash128 fingerprint, enum slx_alert_state to, int64_t at_ns)
{
	uint8_t bytes[25];
	slx_store64(bytes, fingerprint.lo);
	slx_store64(bytes + 8, fingerprint.hi);
	slx_store64(bytes + 16, (uint64_t)at_ns);
	bytes[24] = (uint8_t)to;
	return slx_hash128(bytes, sizeof bytes, 0);
}

/* ---- reading ---- */

static silex_status last_of(struct slx_blob_reader *r, size_t i, struct slx_labels_builder *b, struct slx_buf *value, slx_alert_last_fn *each, void *arg,
	silex_error *err)
{
	struct slx_alert_record record;
	struct slx_labels labels;
	uint64_t rule;
	int64_t at = 0;
	SLX_TRY(slx_blob_reader_newest(r, i, &at, value, err));
	if (value->n == 0)
		return SILEX_OK;
	SLX_TRY(slx_alert_unseries(slx_selection_labels(r->sel, i), b, &rule, &labels, err));
	SLX_TRY(slx_alert_record_decode((struct slx_str){ (const char *)value->p, value->n }, &record, err));
	return each(arg, rule, labels, at, &record, err);
}

silex_status slx_alert_journal_last(struct slx_engine *e, struct slx_str tenant, slx_alert_last_fn *each, void *arg, silex_error *err)
{
	char room[SLX_ALERT_TENANT_SIZE];
	struct slx_mem *mem = slx_engine_mem(e);
	struct slx_blob_reader r;
	struct slx_labels_builder b;
	struct slx_buf value;
	struct slx_matcher *m = NULL;
	SLX_TRY(slx_matcher_new(mem, SLX_MATCH_EQ, SLX_METRIC_NAME, SERIES_NAME, &m, err));
	slx_labels_builder_init(&b, mem, SLX_MEM_OTHER, NULL);
	slx_buf_init(&value, mem, SLX_MEM_OTHER, SIZE_MAX);
	silex_status status = slx_blob_reader_begin(&r, e, slx_alert_tenant(tenant, room), &m, 1, SLX_TIME_ALL, err);
	for (size_t i = 0, n = status == SILEX_OK ? slx_selection_count(r.sel) : 0; i < n && status == SILEX_OK; i++)
		status = last_of(&r, i, &b, &value, each, arg, err);
	if (status == SILEX_OK)
		status = slx_blob_reader_damage(&r, err);
	slx_blob_reader_end(&r);
	slx_buf_free(&value);
	slx_labels_builder_free(&b);
	slx_matcher_free(m);
	return status;
}
