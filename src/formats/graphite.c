/* Graphite's plaintext: `path value [timestamp]`, one a line (docs/protocols/graphite.md).
 *
 * A path may carry tags: `disk.used;host=a;rack=7`. Its dots are read by the first template that matches; a template is
 * [filter blank] parts, parts by dots: `metric` (that part joins the name), `metric*` (all parts from there on), the name of a
 * label, or nothing (the part is left out). A filter's parts are compared with the path's, `*` is any. Without a template that
 * matches the whole path is the name. In names what Prometheus' old rules do not allow becomes an underscore.
 *
 *     servers.* .host.metric*        servers.web1.cpu.idle 97 1700000000  ->  cpu_idle{host="web1"} 97 */
#include "formats/formats_int.h"


struct graphite_decoder {
	struct slx_decoder base;
	struct slx_keymap series; /* path as written */
	const char *const *templates;
	size_t n_templates;
};

static void destroy(struct slx_decoder *d) { slx_keymap_free(&((struct graphite_decoder *)d)->series); }

/* ---- templates ---- */

/* Takes the part before the next dot. False at the end. */
static bool next_part(const char **p, const char *end, struct slx_str *ret)
{
	if (!*p)
		return false;
	const char *dot = memchr(*p, '.', (size_t)(end - *p));
	*ret = (struct slx_str){ *p, (size_t)((dot ? dot : end) - *p) };
	*p = dot ? dot + 1 : NULL;
	return true;
}

static bool filter_matches(struct slx_str filter, struct slx_str path)
{
	const char *f = filter.p, *p = path.p;
	struct slx_str want, have;
	while (next_part(&f, filter.p + filter.n, &want))
		if (!next_part(&p, path.p + path.n, &have) || (!slx_str_eq(want, SLX_STR("*")) && !slx_str_eq(want, have)))
			return false;
	return true;
}

/* The parts of the template for a path; {NULL, 0}: none matches. */
static struct slx_str template_of(const struct graphite_decoder *g, struct slx_str path)
{
	for (size_t i = 0; i < g->n_templates; i++) {
		struct slx_str t = slx_str(g->templates[i]);
		const char *blank = memchr(t.p, ' ', t.n);
		if (!blank)
			return t;
		if (filter_matches((struct slx_str){ t.p, (size_t)(blank - t.p) }, path))
			return (struct slx_str){ blank + 1, t.n - (size_t)(blank + 1 - t.p) };
	}
	return (struct slx_str){ NULL, 0 };
}

/* ---- names and labels ---- */

static void put_name(struct slx_buf *b, size_t from, struct slx_str part)
{
	if (b->n > from)
		slx_buf_u8(b, '_');
	for (size_t i = 0; i < part.n; i++) {
		char c = part.p[i], l = (char)(c | 0x20);
		bool plain = (l >= 'a' && l <= 'z') || c == '_' || c == ':' || (slx_is_digit(c) && b->n > from);
		if (((uint8_t)c & 0xc0) != 0x80)
			slx_buf_u8(b, plain ? (uint8_t)c : '_');
	}
}

/* Name and labels of a path without its tags. The name is written to base.text from `from` on. */
static bool read_path(struct graphite_decoder *g, struct slx_str path, size_t from)
{
	struct slx_decoder *d = &g->base;
	struct slx_str template = template_of(g, path), role, part;
	const char *t = template.p ? template.p : "metric*", *t_end = template.p ? template.p + template.n : t + 7, *p = path.p;
	bool rest = false;
	while (next_part(&p, path.p + path.n, &part)) {
		if (!rest && !next_part(&t, t_end, &role))
			role = SLX_STR("");
		rest = rest || slx_str_eq(role, SLX_STR("metric*"));
		if (rest || slx_str_eq(role, SLX_STR("metric")))
			put_name(&d->text, from, part);
		else if (role.n && part.n && !slx_decoder_label(d, role, part))
			return false;
	}
	return true;
}

/* ;key=value;key=value */
static const char *read_tags(struct slx_decoder *d, const char *p, const char *end)
{
	while (p < end) {
		const char *semicolon = memchr(p + 1, ';', (size_t)(end - p - 1)), *to = semicolon ? semicolon : end;
		const char *eq = memchr(p + 1, '=', (size_t)(to - p - 1));
		if (!eq || eq == p + 1)
			return "a tag as key=value";
		if (eq + 1 < to && !slx_decoder_label(d, (struct slx_str){ p + 1, (size_t)(eq - p - 1) }, (struct slx_str){ eq + 1, (size_t)(to - eq - 1) }))
			return "fewer tags";
		p = to;
	}
	return NULL;
}

static const char *build_labels(struct graphite_decoder *g, struct slx_str path)
{
	struct slx_decoder *d = &g->base;
	const char *semicolon = memchr(path.p, ';', path.n), *end = path.p + path.n;
	struct slx_str plain = { path.p, (size_t)((semicolon ? semicolon : end) - path.p) };
	slx_decoder_labels_reset(d);
	if (!slx_decoder_text_reserve(d, path.n * 2 + 16))
		return NULL;
	if (!read_path(g, plain, 0))
		return "fewer labels";
	if (d->text.n == 0)
		return "a path with a part that names the metric";
	if (!slx_decoder_label(d, SLX_METRIC_NAME, slx_decoder_text_since(d, 0)))
		return "fewer labels";
	return semicolon ? read_tags(d, semicolon, end) : NULL;
}

/* ---- lines ---- */

static struct slx_str next_word(const char **p, const char *end)
{
	while (*p < end && (**p == ' ' || **p == '\t'))
		++*p;
	const char *from = *p;
	while (*p < end && **p != ' ' && **p != '\t')
		++*p;
	return (struct slx_str){ from, (size_t)(*p - from) };
}

static bool read_time(struct slx_str w, struct slx_row *row)
{
	if (w.n == 0 || slx_str_eq(w, SLX_STR("-1")) || slx_str_eq(w, SLX_STR("N")))
		return true; /* now */
	row->has_time = true;
	return slx_decimal_time(w.p, w.n, SLX_UNIT_S, &row->t);
}

static void read_line(struct graphite_decoder *g, const char *line, const char *end)
{
	struct slx_decoder *d = &g->base;
	struct slx_row row = { .kind = SLX_KIND_FLOAT64 };
	struct slx_number number;
	const char *p = line;
	struct slx_str path = next_word(&p, end), value = next_word(&p, end), time = next_word(&p, end), more = next_word(&p, end);
	if (path.n == 0)
		return;
	enum slx_number_form form = slx_number_parse_special(value.p, value.n, &number);
	if (form != SLX_NUMBER_INT && form != SLX_NUMBER_FLOAT)
		return slx_decoder_error(d, line, value.p, "expected a number after the path");
	if (!read_time(time, &row))
		return slx_decoder_error(d, line, time.p, "expected a time in seconds, in the years 1677 to 2262");
	if (more.n)
		return slx_decoder_error(d, line, more.p, "expected the end of the line");
	row.bits = slx_f64_bits(number.f64);
	bool fresh;
	if (d->sink.known)
		row.series_key = slx_decoder_series(d, NULL, path.p, path.n, &row, &fresh);
	else
		row.series_key = slx_keymap_find(&g->series, path.p, path.n);
	if (!row.series_key || d->limits.labels_every_row) {
		const char *expected = slx_utf8_valid(path.p, path.n) ? build_labels(g, path) : "UTF-8";
		if (expected)
			return slx_decoder_error(d, line, path.p, "expected %s", expected);
		row.labels = d->labels;
		row.labels_n = d->labels_n;
	}
	if (!d->sink.known)
		row.series_key = slx_keymap_get(&g->series, path.p, path.n, &fresh);
	slx_decoder_emit(d, &row);
}

static size_t record(struct slx_decoder *d, const char *p, size_t n, bool final)
{
	const char *nl = memchr(p, '\n', n);
	if (!nl && !final)
		return 0;
	const char *end = nl ? nl : p + n;
	size_t used = (size_t)(end - p) + (nl != NULL);
	if (end > p && end[-1] == '\r')
		end--;
	read_line((struct graphite_decoder *)d, p, end);
	return used;
}

static const struct slx_decoder_ops ops = { .record = record, .destroy = destroy };

silex_status slx_decoder_graphite(struct slx_mem *m, const struct slx_graphite_options *o, const struct slx_decode_limits *limits,
	const struct slx_sink *sink, struct slx_decoder **ret, silex_error *err)
{
	struct slx_decoder *d;
	SLX_TRY(slx_decoder_new(m, sizeof(struct graphite_decoder), &ops, limits, sink, &d, err));
	struct graphite_decoder *g = (struct graphite_decoder *)d;
	if (o) {
		g->templates = o->templates;
		g->n_templates = o->n_templates;
	}
	slx_keymap_init(&g->series, m, d->limits.series_max, d->limits.cache_size_max);
	*ret = d;
	return SILEX_OK;
}
