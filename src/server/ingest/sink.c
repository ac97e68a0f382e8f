#include "server/ingest/sink.h"

#include <stdio.h>

/* What a decoder's key becomes for the intake: labels from outside are part of the series, and spaces are apart. */
static struct slx_hash128 key_of(const struct slx_ingest_sink *s, struct slx_hash128 key)
{
	key.lo ^= s->salt;
	key.hi ^= s->space;
	return key;
}

static uint32_t on_known(void *arg, struct slx_hash128 key)
{
	struct slx_ingest_sink *s = arg;
	uint32_t series;
	return slx_intake_lookup(s->batch, key_of(s, key), &series) == SILEX_OK ? series + 1 : 0;
}

static bool has_name(const struct slx_label *labels, size_t n, struct slx_str name)
{
	for (size_t i = 0; i < n; i++)
		if (slx_str_eq(labels[i].name, name))
			return true;
	return false;
}

/* The row's labels and those from outside. Returns how many; they fit by the decoders' limits. */
static size_t join_labels(const struct slx_ingest_sink *s, const struct slx_row *row, struct slx_label *ret, size_t cap)
{
	size_t n = 0;
	for (uint32_t i = 0; i < row->labels_n && n < cap; i++)
		ret[n++] = row->labels[i];
	size_t own = n;
	for (size_t i = 0; i < s->extra_n && n < cap; i++)
		if (!has_name(ret, own, s->extra[i].name))
			ret[n++] = s->extra[i];
	return n;
}

/* Makes the series of a row with labels known; 0: refused, and counted. */
static uint32_t define(struct slx_ingest_sink *s, const struct slx_row *row)
{
	enum { LABELS_MAX = 256 + SLX_INGEST_EXTRA_MAX };
	struct slx_label labels[LABELS_MAX];
	silex_error err;
	uint32_t series;
	size_t n = join_labels(s, row, labels, LABELS_MAX);
	silex_status st = slx_intake_define(s->batch, key_of(s, row->key), labels, n, &series, &err);
	if (st == SILEX_OK)
		return series + 1;
	slx_intake_refuse(s->batch, 1, st, labels, n, err.message);
	return 0;
}

static bool on_row(void *arg, const struct slx_row *row)
{
	struct slx_ingest_sink *s = arg;
	s->last = row->labels_n ? define(s, row) : row->series_key;
	if (!s->last)
		return true;
	slx_intake_value(s->batch, s->last - 1, row->has_time ? row->t : s->now, row->kind, row->bits);
	return true;
}

static bool on_error(void *arg, uint64_t line, uint64_t column, const char *message)
{
	struct slx_ingest_sink *s = arg;
	if (s->bad_lines++ == 0) {
		s->first_line = line;
		s->first_column = column;
		snprintf(s->first, sizeof s->first, "%s", message);
	}
	return true;
}

static void on_exemplar(void *arg, const struct slx_exemplar *e)
{
	struct slx_ingest_sink *s = arg;
	if (s->last)
		slx_intake_exemplar(s->batch, s->last - 1, e->has_time ? e->t : s->now, e->value, e->labels, e->labels_n);
}

static size_t keep(char *to, size_t cap, struct slx_str s)
{
	size_t n = s.n < cap ? s.n : cap;
	while (n < s.n && n > 0 && ((uint8_t)s.p[n] & 0xc0) == 0x80) /* not in the middle of a character */
		n--;
	memcpy(to, s.p, n);
	return n;
}

static void give_family(struct slx_ingest_sink *s)
{
	if (s->family.name_n)
		slx_intake_metadata(s->batch, (struct slx_str){ s->family.name, s->family.name_n }, (struct slx_str){ s->family.type, s->family.type_n },
			(struct slx_str){ s->family.unit, s->family.unit_n }, (struct slx_str){ s->family.help, s->family.help_n });
	s->family.name_n = s->family.type_n = s->family.unit_n = s->family.help_n = 0;
}

static void on_metadata(void *arg, struct slx_str metric, struct slx_str type, struct slx_str unit, struct slx_str help)
{
	struct slx_ingest_sink *s = arg;
	if (!slx_str_eq(metric, (struct slx_str){ s->family.name, s->family.name_n })) {
		give_family(s);
		if (metric.n > sizeof s->family.name)
			return;
		s->family.name_n = keep(s->family.name, sizeof s->family.name, metric);
	}
	if (type.p)
		s->family.type_n = keep(s->family.type, sizeof s->family.type, type);
	if (unit.p)
		s->family.unit_n = keep(s->family.unit, sizeof s->family.unit, unit);
	if (help.p)
		s->family.help_n = keep(s->family.help, sizeof s->family.help, help);
}

void slx_ingest_sink_end(struct slx_ingest_sink *s) { give_family(s); }

static uint64_t salt_of(const struct slx_label *extra, size_t n)
{
	uint64_t salt = 0;
	for (size_t i = 0; i < n; i++) {
		salt = slx_hash128(extra[i].name.p, extra[i].name.n, salt + 1).lo;
		salt = slx_hash128(extra[i].value.p, extra[i].value.n, salt).lo;
	}
	return salt;
}

void slx_ingest_sink_init(struct slx_ingest_sink *s, struct slx_intake_batch *b, unsigned space, const struct slx_label *extra,
	size_t extra_n, int64_t now)
{
	*s = (struct slx_ingest_sink){
		.sink = { .arg = s, .row = on_row, .error = on_error, .known = on_known, .exemplar = on_exemplar, .metadata = on_metadata },
		.batch = b,
		.space = space,
		.extra = extra,
		.extra_n = extra_n,
		.salt = salt_of(extra, extra_n),
		.now = now,
	};
}

void slx_ingest_explain(const struct slx_ingest_sink *s, const struct slx_intake_result *r, char *text, size_t cap)
{
	int n = 0;
	if (s->bad_lines) {
		n = snprintf(text, cap, "%llu bad lines, the first: line %llu", (unsigned long long)s->bad_lines, (unsigned long long)s->first_line);
		if (s->first_column)
			n += snprintf(text + n, cap - (size_t)n, ", column %llu", (unsigned long long)s->first_column);
		n += snprintf(text + n, cap - (size_t)n, ": %s", s->first);
	}
	if (r->refused && (size_t)n < cap)
		n += snprintf(text + n, cap - (size_t)n, "%s%llu samples refused, the first of %s: %s", n ? "; " : "", (unsigned long long)r->refused,
			r->first_series[0] ? r->first_series : "an unnamed series", r->first_message);
	if ((size_t)n < cap)
		snprintf(text + n, cap - (size_t)n, "; %llu samples stored", (unsigned long long)r->samples);
}
