/* WFDB signal files: frames of one sample per signal -> rows.
 *
 *     format 16    int16 little-endian, signals interleaved                     missing: -32768
 *     format 212   two samples of 12 bits in 3 bytes, signals interleaved       missing: -2048
 *                  byte 0: low 8 bits of a; byte 1: high 4 bits of a (low nibble) and of b; byte 2: low 8 bits of b
 *
 * Frame i lies at start + i / rate, rounded to the nearest nanosecond. With rate = n/d that is floor((i*d*1e9 + n/2) /
 * n), kept as a quotient and a remainder that grow by a constant, so nothing drifts. A value is (sample - baseline) /
 * gain, one correctly rounded division, hence the double nearest to the decimal that a gain of 10 or 200 stands for.
 *
 * The header's initial values and checksums (16-bit sums of all samples) are compared; differences are reported. */
#include "formats/wfdb.h"

#include <stdio.h>

enum { MISSING_16 = -32768, MISSING_212 = -2048 };

struct channel {
	uint16_t sum;               /* of the samples so far */
	uint32_t key;               /* series key; 0: no sample yet */
	struct slx_label labels[4]; /* name, record, signal, unit */
	uint32_t labels_n;
};

struct wfdb_decoder {
	struct slx_decoder base;
	struct slx_wfdb_header header;
	struct slx_label *constant;
	uint32_t constant_n;
	struct channel *channels;
	uint64_t offset_left; /* bytes to skip before the first frame */
	uint32_t next;        /* signal of the next sample */
	uint32_t keys;
	uint64_t frames;                    /* whole ones so far */
	int64_t t;                          /* of the current frame */
	uint64_t remainder, step_remainder; /* of n */
	int64_t step;
	bool done; /* past the header's number of frames, or the end of time */
};

static void destroy(struct slx_decoder *d) { slx_wfdb_header_free(&((struct wfdb_decoder *)d)->header); }

/* ---- names ---- */

/* Leads of the electrocardiogram as PhysioNet's headers call them. */
static bool is_ecg_lead(const char *s)
{
	static const char *const leads[] = { "I", "II", "III", "MLI", "MLII", "MLIII", "AVR", "AVL", "AVF", "aVR", "aVL",
		"aVF", "V", "V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "V9", "MCL", "MCL1", "MV2", "MV5", "ECG", "ECG1",
		"ECG2" };
	for (size_t i = 0; i < sizeof leads / sizeof *leads; i++)
		if (strcmp(s, leads[i]) == 0)
			return true;
	return false;
}

/* ecg_mv for leads in mV, else the description with everything outside [A-Za-z0-9_] as _. */
static bool metric_name(struct slx_arena *a, const struct slx_wfdb_signal *s, uint32_t i, struct slx_str *ret)
{
	if (is_ecg_lead(s->description) && strcmp(s->unit, "mV") == 0) {
		*ret = SLX_STR("ecg_mv");
		return true;
	}
	size_t size = strlen(s->description) + 24, n = 0;
	char *z = slx_arena_alloc(a, size, 1);
	if (!z)
		return false;
	if (slx_is_digit(s->description[0]))
		z[n++] = '_';
	for (const char *p = s->description; *p; p++) {
		char l = (char)(*p | 0x20);
		z[n++] = (l >= 'a' && l <= 'z') || slx_is_digit(*p) ? *p : '_';
	}
	if (n == 0)
		n = (size_t)snprintf(z, size, "signal_%u", i + 1);
	*ret = (struct slx_str){ z, n };
	return true;
}

static bool name_channel(struct wfdb_decoder *w, uint32_t i)
{
	struct slx_wfdb_header *h = &w->header;
	const struct slx_wfdb_signal *s = &h->signals[i];
	struct channel *c = &w->channels[i];
	struct slx_str name;
	if (!metric_name(&h->arena, s, i, &name))
		return false;
	c->labels[c->labels_n++] = (struct slx_label){ SLX_METRIC_NAME, name };
	c->labels[c->labels_n++] = (struct slx_label){ SLX_STR("record"), slx_str(h->record) };
	/* signals of one name are told apart by their number */
	struct slx_str signal = slx_str(s->description);
	bool twice = signal.n == 0;
	for (uint32_t k = 0; k < h->signals_n && !twice; k++)
		twice = k != i && strcmp(h->signals[k].description, s->description) == 0;
	if (twice) {
		char *z = slx_arena_alloc(&h->arena, signal.n + 16, 1);
		if (!z)
			return false;
		int n = snprintf(z, signal.n + 16, "%s%s%u", s->description, signal.n ? " " : "", i + 1);
		signal = (struct slx_str){ z, (size_t)n };
	}
	c->labels[c->labels_n++] = (struct slx_label){ SLX_STR("signal"), signal };
	c->labels[c->labels_n++] = (struct slx_label){ SLX_STR("unit"), slx_str(s->unit) };
	return true;
}

/* ---- samples ---- */

static void end_frame(struct wfdb_decoder *w)
{
	w->frames++;
	if (w->header.frames && w->frames == w->header.frames)
		w->done = true;
	w->remainder += w->step_remainder;
	int64_t step = w->step;
	if (w->remainder >= w->header.rate_n) {
		w->remainder -= w->header.rate_n;
		step++;
	}
	if (__builtin_add_overflow(w->t, step, &w->t) || !slx_time_legal(w->t)) {
		if (!w->done)
			slx_decoder_error(
				&w->base, NULL, NULL, "frame %llu lies outside the years 1677 to 2262", (unsigned long long)w->frames);
		w->done = true;
	}
}

static bool channel_labels(struct wfdb_decoder *w, const struct channel *c)
{
	struct slx_decoder *d = &w->base;
	slx_decoder_labels_reset(d);
	for (uint32_t i = 0; i < c->labels_n; i++)
		if (!slx_decoder_label(d, c->labels[i].name, c->labels[i].value))
			return false;
	for (uint32_t i = 0; i < w->constant_n; i++)
		if (!slx_decoder_label(d, w->constant[i].name, w->constant[i].value))
			return false;
	return true;
}

static void give_sample(struct wfdb_decoder *w, int32_t v)
{
	struct slx_decoder *d = &w->base;
	const struct slx_wfdb_signal *s = &w->header.signals[w->next];
	struct channel *c = &w->channels[w->next];
	struct slx_row row = { .t = w->t, .has_time = true, .kind = SLX_KIND_FLOAT64 };
	if (!c->key || d->limits.labels_every_row) {
		if (!channel_labels(w, c))
			return;
		row.labels = d->labels;
		row.labels_n = d->labels_n;
	}
	if (!c->key)
		c->key = ++w->keys;
	row.series_key = c->key;
	row.bits = slx_f64_bits((double)((int64_t)v - s->baseline) / s->gain);
	slx_decoder_emit(d, &row);
}

static void take_sample(struct wfdb_decoder *w, int32_t v, int32_t missing)
{
	const struct slx_wfdb_check *check = &w->header.checks[w->next];
	if (w->done)
		return;
	if (w->frames == 0 && check->has_initial && check->initial != v)
		slx_decoder_error(&w->base, NULL, NULL, "signal %s: the first sample is %d; the header says %d",
			w->header.signals[w->next].description, v, check->initial);
	w->channels[w->next].sum += (uint16_t)v;
	if (v != missing)
		give_sample(w, v);
	if (++w->next == w->header.signals_n) {
		w->next = 0;
		end_frame(w);
	}
}

static int32_t sign12(unsigned v) { return (int32_t)(v ^ 0x800) - 0x800; }

static size_t record(struct slx_decoder *d, const char *p, size_t n, bool final)
{
	struct wfdb_decoder *w = (struct wfdb_decoder *)d;
	const uint8_t *b = (const uint8_t *)p;
	size_t at = 0;
	d->record_lines = 0;
	if (w->offset_left) {
		at = w->offset_left < n ? w->offset_left : n;
		w->offset_left -= at;
	}
	if (w->header.signals[0].format == 16) {
		for (; n - at >= 2 && d->status == SILEX_OK; at += 2)
			take_sample(w, (int16_t)slx_load16(b + at), MISSING_16);
	} else {
		for (; n - at >= 3 && d->status == SILEX_OK; at += 3) {
			take_sample(w, sign12(b[at] | (b[at + 1] & 15u) << 8), MISSING_212);
			take_sample(w, sign12(b[at + 2] | (b[at + 1] >> 4) << 8u), MISSING_212);
		}
		if (final && n - at == 2) { /* an odd number of samples ends in two bytes */
			take_sample(w, sign12(b[at] | (b[at + 1] & 15u) << 8), MISSING_212);
			at += 2;
		}
	}
	if (final && at < n && d->status == SILEX_OK) {
		slx_decoder_error(d, NULL, NULL, "the file ends inside a sample");
		at = n;
	}
	return at;
}

static void finish(struct slx_decoder *d)
{
	struct wfdb_decoder *w = (struct wfdb_decoder *)d;
	const struct slx_wfdb_header *h = &w->header;
	if (w->next)
		slx_decoder_error(d, NULL, NULL, "the file ends inside frame %llu", (unsigned long long)w->frames + 1);
	if (h->frames && w->frames < h->frames) {
		slx_decoder_error(d, NULL, NULL, "the file holds %llu frames; the header says %llu",
			(unsigned long long)w->frames, (unsigned long long)h->frames);
		return; /* the sums cannot agree */
	}
	for (uint32_t i = 0; i < h->signals_n && d->status == SILEX_OK; i++)
		if (h->checks[i].has_checksum && (int16_t)w->channels[i].sum != h->checks[i].checksum)
			slx_decoder_error(d, NULL, NULL, "signal %s: the checksum is %d; the header says %d",
				h->signals[i].description, (int16_t)w->channels[i].sum, h->checks[i].checksum);
}

static const struct slx_decoder_ops ops = { .binary = true, .record = record, .finish = finish, .destroy = destroy };

static silex_status prepare(struct wfdb_decoder *w, silex_error *err)
{
	struct slx_wfdb_header *h = &w->header;
	size_t size = h->signals_n * sizeof *w->channels;
	w->channels = slx_arena_alloc(&h->arena, size, 8);
	if (!w->channels)
		return slx_err_oom(err);
	memset(w->channels, 0, size);
	for (uint32_t i = 0; i < h->signals_n; i++)
		if (!name_channel(w, i))
			return slx_err_oom(err);

	/* a frame lasts d * 1e9 / n nanoseconds; d < 2^60, so the product needs 128 bits */
	unsigned __int128 period = (unsigned __int128)h->rate_d * SLX_SECOND;
	if (period / h->rate_n > (uint64_t)SLX_TIME_MAX)
		return slx_err(err, SILEX_INVALID, "header: the sampling frequency is too low");
	w->step = (int64_t)(period / h->rate_n);
	w->step_remainder = (uint64_t)(period % h->rate_n);
	w->remainder = h->rate_n / 2;
	w->t = h->start;
	w->offset_left = h->offset;
	w->base.line = 0; /* a binary file has no lines */
	return slx_time_legal(w->t) ? SILEX_OK
								: slx_err(err, SILEX_INVALID, "start time lies outside the years 1677 to 2262");
}

silex_status slx_decoder_wfdb(struct slx_mem *m, const void *header, size_t header_n, const struct slx_wfdb_options *o,
	const struct slx_decode_limits *limits, const struct slx_sink *sink, struct slx_decoder **ret, silex_error *err)
{
	struct slx_decoder *d;
	SLX_TRY(slx_decoder_new(m, sizeof(struct wfdb_decoder), &ops, limits, sink, &d, err));
	struct wfdb_decoder *w = (struct wfdb_decoder *)d;
	silex_status st = slx_wfdb_header_parse(m, header, header_n, o, d->limits.fields_max, &w->header, err);
	if (st == SILEX_OK && o)
		st = slx_copy_labels(&w->header.arena, o->constant_labels, o->constant_labels_n, &w->constant, err);
	if (st == SILEX_OK) {
		w->constant_n = o ? o->constant_labels_n : 0;
		st = prepare(w, err);
	}
	if (st != SILEX_OK) {
		slx_decoder_free(d);
		return st;
	}
	*ret = d;
	return SILEX_OK;
}

const char *slx_wfdb_file(const struct slx_decoder *d)
{
	return d->ops == &ops ? ((const struct wfdb_decoder *)d)->header.signals[0].file : NULL;
}

const struct slx_wfdb_signal *slx_wfdb_signals(const struct slx_decoder *d, uint32_t *ret_n)
{
	if (d->ops != &ops)
		return NULL;
	*ret_n = ((const struct wfdb_decoder *)d)->header.signals_n;
	return ((const struct wfdb_decoder *)d)->header.signals;
}
