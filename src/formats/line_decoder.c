/* Line protocol points -> rows.
 *
 * Each numeric or boolean field of a point is a sample of its own series: the metric is measurement_field (measurement
 * alone for the field "value"), the tags are labels. String fields are no samples; they are counted and skipped.
 *
 * Finding the series is two look-ups in byte strings as written: "measurement,tags" gives a number (and says once
 * whether the tags are sound), that number and the field key give the series key. Fields mostly come in the order of
 * their first line, whose keys were given one after the other: so the key after the last one is tried first, which
 * saves nearly all of the second look-ups. Nothing is unescaped for a series that was seen before. With sink->known both
 * are hashes: of "measurement,tags", and of that hash joined with the field key's, which is kept from line to line. */
#include "formats/formats_int.h"
#include "formats/lineprotocol.h"

#include <stdio.h>

enum { MAP_KEY_PREFIX = sizeof(uint32_t) };

struct line_decoder {
	struct slx_decoder base;
	enum slx_time_unit precision;
	struct slx_line_reader reader;
	struct slx_keymap tagsets; /* "measurement,tags" as written */
	struct slx_keymap series;  /* tag set number (u32), field key as written */
	uint32_t *first_keys;      /* series key of the first field of tag set 1, 2...; 0: none yet */
	uint32_t first_keys_cap;
	struct slx_buf key; /* one key of `series` */
	struct {
		uint64_t id; /* of the field key */
		struct slx_hash128 hash;
	} field_hash[SLX_LINE_PLACES]; /* with sink->known */
};

static void destroy(struct slx_decoder *d)
{
	struct line_decoder *l = (struct line_decoder *)d;
	slx_line_reader_free(&l->reader);
	slx_keymap_free(&l->tagsets);
	slx_keymap_free(&l->series);
	slx_free(d->mem, SLX_MEM_OTHER, l->first_keys, l->first_keys_cap * sizeof *l->first_keys);
	slx_buf_free(&l->key);
}

static struct slx_str unescaped(struct slx_decoder *d, struct slx_line_token t)
{
	if (!t.escapes)
		return (struct slx_str){ t.p, t.n };
	size_t from = d->text.n;
	slx_line_unescape(&d->text, t, SLX_LINE_ESC_KEY);
	return slx_decoder_text_since(d, from);
}

static struct slx_str metric_name(struct slx_decoder *d, const struct slx_line_point *pt, struct slx_line_token field)
{
	size_t from = d->text.n;
	slx_line_unescape(&d->text, pt->name, SLX_LINE_ESC_MEASUREMENT);
	if (field.n != 5 || memcmp(field.p, "value", 5) != 0) {
		slx_buf_u8(&d->text, '_');
		slx_line_unescape(&d->text, field, SLX_LINE_ESC_KEY);
	}
	return slx_decoder_text_since(d, from);
}

static bool build_labels(struct slx_decoder *d, const struct slx_line_point *pt, struct slx_line_token field)
{
	slx_decoder_labels_reset(d);
	if (!slx_decoder_text_reserve(d, (size_t)(pt->series_end - pt->name.p) + 1 + field.n) ||
		!slx_decoder_label(d, SLX_METRIC_NAME, metric_name(d, pt, field)))
		return false;
	for (uint32_t i = 0; i < pt->tags_n; i++)
		if (!slx_decoder_label(d, unescaped(d, pt->tags[i].key), unescaped(d, pt->tags[i].value)))
			return false;
	return true;
}

/* Where the first key of a tag set stands; NULL without memory. */
static uint32_t *first_key(struct line_decoder *l, uint32_t tagset)
{
	if (tagset > l->first_keys_cap) {
		uint32_t cap = tagset * 2 + 64;
		uint32_t *p =
			slx_realloc(l->base.mem, SLX_MEM_OTHER, l->first_keys, l->first_keys_cap * sizeof *p, cap * sizeof *p);
		if (!p)
			return NULL;
		memset(p + l->first_keys_cap, 0, (cap - l->first_keys_cap) * sizeof *p);
		l->first_keys = p;
		l->first_keys_cap = cap;
	}
	return &l->first_keys[tagset - 1];
}

static bool is_series(const struct line_decoder *l, uint32_t key, uint32_t tagset, struct slx_line_token field)
{
	struct slx_str s = slx_keymap_string(&l->series, key);
	return s.n == MAP_KEY_PREFIX + field.n && slx_load32(s.p) == tagset &&
		memcmp(s.p + MAP_KEY_PREFIX, field.p, field.n) == 0;
}

/* The series key of a field, 0 when the tables are full. guess: a key that may be it. */
static uint32_t series_key(
	struct line_decoder *l, uint32_t tagset, struct slx_line_token field, uint32_t guess, bool *ret_new)
{
	*ret_new = false;
	if (!tagset)
		return 0;
	if (guess && is_series(l, guess, tagset, field))
		return guess;
	slx_buf_reset(&l->key);
	slx_buf_u32(&l->key, tagset);
	slx_buf_put(&l->key, field.p, field.n);
	return l->key.failed ? 0 : slx_keymap_get(&l->series, (const char *)l->key.p, l->key.n, ret_new);
}

/* The hash of the key of field i. */
static struct slx_hash128 field_hash(struct line_decoder *l, uint32_t i, const struct slx_line_field *f)
{
	if (!f->key_id)
		return slx_hash128(f->key.p, f->key.n, 0);
	if (l->field_hash[i].id != f->key_id) {
		l->field_hash[i].hash = slx_hash128(f->key.p, f->key.n, 0);
		l->field_hash[i].id = f->key_id;
	}
	return l->field_hash[i].hash;
}

/* Two hashes to one that depends on which is which. */
static struct slx_hash128 join_hashes(struct slx_hash128 tags, struct slx_hash128 field)
{
	return (struct slx_hash128){ .lo = tags.lo + field.lo * UINT64_C(0x9e3779b97f4a7c15), .hi = tags.hi + field.hi * UINT64_C(0xc2b2ae3d27d4eb4f) };
}

static bool field_value(struct slx_decoder *d, const struct slx_line_field *f, struct slx_row *row)
{
	switch (f->type) {
	case SLX_LINE_FLOAT:
		row->kind = SLX_KIND_FLOAT64;
		row->bits = slx_f64_bits(f->value.f64);
		return true;
	case SLX_LINE_INT:
		row->kind = SLX_KIND_INT64;
		row->bits = (uint64_t)f->value.i64;
		return true;
	case SLX_LINE_UINT:
		row->kind = SLX_KIND_INT64;
		row->bits = f->value.u64;
		if (f->value.u64 > INT64_MAX) {
			row->kind = SLX_KIND_FLOAT64;
			row->bits = slx_f64_bits((double)f->value.u64);
			d->stats.rounded++;
		}
		return true;
	case SLX_LINE_BOOL:
		row->kind = SLX_KIND_BOOL;
		row->bits = f->value.b;
		return true;
	case SLX_LINE_STRING:
		d->stats.skipped++;
		return false;
	}
	return false;
}

/* What depends on the tags alone and is asked once per tag set. */
static bool tags_sound(struct slx_line_reader *r)
{
	const struct slx_line_point *pt = &r->point;
	if (!slx_line_check_tags(r))
		return false;
	for (uint32_t i = 0; i < pt->tags_n; i++) {
		struct slx_line_token k = pt->tags[i].key;
		if (k.n == 8 && memcmp(k.p, "__name__", 8) == 0) {
			r->bad = k.p;
			snprintf(r->message, sizeof r->message, "tag key __name__ is reserved for the metric name");
			return false;
		}
	}
	return true;
}

/* The fields of a point whose series the caller keeps. */
static void give_known(struct line_decoder *l, const char *record, struct slx_row *row)
{
	struct slx_decoder *d = &l->base;
	struct slx_line_reader *r = &l->reader;
	const struct slx_line_point *pt = &r->point;
	struct slx_hash128 tags = slx_hash128(pt->name.p, (size_t)(pt->series_end - pt->name.p), 0);
	bool sound = false;
	for (uint32_t i = 0; i < pt->fields_n; i++) {
		const struct slx_line_field *f = &pt->fields[i];
		if (!field_value(d, f, row))
			continue;
		row->key = join_hashes(tags, field_hash(l, i, f));
		row->series_key = d->sink.known(d->sink.arg, row->key);
		row->labels_n = 0;
		if (!row->series_key || d->limits.labels_every_row) {
			if (!sound && !tags_sound(r)) {
				slx_decoder_error(d, record, r->bad, "%s", r->message);
				return;
			}
			sound = true;
			if (!build_labels(d, pt, f->key))
				return;
			row->labels = d->labels;
			row->labels_n = d->labels_n;
		}
		if (!slx_decoder_emit(d, row))
			return;
	}
}

static void give_point(struct line_decoder *l, const char *record)
{
	struct slx_decoder *d = &l->base;
	struct slx_line_reader *r = &l->reader;
	const struct slx_line_point *pt = &r->point;
	struct slx_row row = { .has_time = pt->has_time };
	if (pt->has_time && slx_time_from_unit(pt->time, l->precision, &row.t, NULL) != SILEX_OK) {
		slx_decoder_error(d, record, pt->fields[pt->fields_n - 1].key.p,
			"timestamp %lld lies outside the years 1677 to 2262", (long long)pt->time);
		return;
	}
	if (d->sink.known) {
		give_known(l, record, &row);
		return;
	}
	bool fresh;
	size_t tags_size = (size_t)(pt->series_end - pt->name.p);
	uint32_t tagset = slx_keymap_find(&l->tagsets, pt->name.p, tags_size);
	if (!tagset) {
		if (!tags_sound(r)) {
			slx_decoder_error(d, record, r->bad, "%s", r->message);
			return;
		}
		tagset = slx_keymap_get(&l->tagsets, pt->name.p, tags_size, &fresh);
	}
	uint32_t *first = tagset ? first_key(l, tagset) : NULL, guess = first ? *first : 0;
	for (uint32_t i = 0; i < pt->fields_n; i++) {
		const struct slx_line_field *f = &pt->fields[i];
		if (!field_value(d, f, &row))
			continue;
		row.series_key = series_key(l, tagset, f->key, guess, &fresh);
		guess = row.series_key ? row.series_key + 1 : 0;
		if (first && !*first)
			*first = row.series_key;
		row.labels_n = 0;
		if (fresh || !row.series_key || d->limits.labels_every_row) {
			if (!build_labels(d, pt, f->key))
				return;
			row.labels = d->labels;
			row.labels_n = d->labels_n;
		}
		if (!slx_decoder_emit(d, &row))
			return;
	}
}

static size_t record(struct slx_decoder *d, const char *p, size_t n, bool final)
{
	struct line_decoder *l = (struct line_decoder *)d;
	size_t used = 0;
	switch (slx_line_read(&l->reader, p, n, final, &used)) {
	case SLX_LINE_POINT:
		give_point(l, p);
		break;
	case SLX_LINE_BAD:
		slx_decoder_error(d, p, l->reader.bad, "%s", l->reader.message);
		break;
	case SLX_LINE_OOM:
		slx_decoder_oom(d);
		return 0;
	case SLX_LINE_BLANK:
	case SLX_LINE_MORE:
		break;
	}
	slx_decoder_count_lines(d, p, used);
	return used;
}

static const struct slx_decoder_ops ops = { .record = record, .destroy = destroy };

silex_status slx_decoder_line_protocol(struct slx_mem *m, const struct slx_line_options *o,
	const struct slx_decode_limits *limits, const struct slx_sink *sink, struct slx_decoder **ret, silex_error *err)
{
	struct slx_decoder *d;
	SLX_TRY(slx_decoder_new(m, sizeof(struct line_decoder), &ops, limits, sink, &d, err));
	struct line_decoder *l = (struct line_decoder *)d;
	l->precision = o && o->precision != SLX_UNIT_AUTO ? o->precision : SLX_UNIT_NS;
	slx_line_reader_init(&l->reader, m, d->limits.labels_max - 1, d->limits.fields_max);
	slx_keymap_init(&l->tagsets, m, d->limits.series_max, d->limits.cache_size_max / 2);
	slx_keymap_init(&l->series, m, d->limits.series_max, d->limits.cache_size_max / 2);
	slx_buf_init(&l->key, m, SLX_MEM_OTHER, MAP_KEY_PREFIX + d->limits.line_size_max);
	*ret = d;
	return SILEX_OK;
}
