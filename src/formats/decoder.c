/* The frame around every decoder: cutting blocks into records.
 *
 * A format's record() sees a window of at most line_size_max bytes and either takes one record off its start or says
 * that the record is not complete. Incomplete bytes wait in `carry`; the next block is appended to it line by line,
 * until the record is whole, and then work goes on in the block itself, without copying. A record that fills the window
 * without ending is too long: it is reported and skipped up to its first newline. Because the window is the same
 * wherever the blocks were cut, so are the rows.
 *
 * A carried record is tried again only when a newline or the end arrives, so one long line in many small blocks costs
 * no more than its bytes. */
#include "formats/formats_int.h"

#include <stdio.h>

static void default_limits(struct slx_decode_limits *l)
{
	l->line_size_max = l->line_size_max ? l->line_size_max : (size_t)1 << 20;
	l->labels_max = l->labels_max ? l->labels_max : 256;
	l->fields_max = l->fields_max ? l->fields_max : 65536;
	l->series_max = l->series_max ? l->series_max : 1u << 20;
	l->cache_size_max = l->cache_size_max ? l->cache_size_max : (size_t)64 << 20;
}

silex_status slx_decoder_new(struct slx_mem *m, size_t size, const struct slx_decoder_ops *ops,
	const struct slx_decode_limits *limits, const struct slx_sink *sink, struct slx_decoder **ret, silex_error *err)
{
	struct slx_decoder *d = slx_calloc(m, SLX_MEM_OTHER, size);
	if (!d)
		return slx_err_oom(err);
	d->ops = ops;
	d->mem = m;
	d->sink = *sink;
	d->size = size;
	d->line = 1;
	if (limits)
		d->limits = *limits;
	default_limits(&d->limits);
	slx_buf_init(&d->carry, m, SLX_MEM_OTHER, d->limits.line_size_max);
	slx_buf_init(&d->text, m, SLX_MEM_OTHER, SIZE_MAX / 2);
	*ret = d;
	return SILEX_OK;
}

void slx_decoder_free(struct slx_decoder *d)
{
	if (!d)
		return;
	if (d->ops->destroy)
		d->ops->destroy(d);
	slx_buf_free(&d->carry);
	slx_buf_free(&d->text);
	slx_free(d->mem, SLX_MEM_OTHER, d->labels, d->labels_cap * sizeof *d->labels);
	slx_free(d->mem, SLX_MEM_OTHER, d, d->size);
}

const struct slx_decode_stats *slx_decoder_stats(const struct slx_decoder *d) { return &d->stats; }

uint64_t slx_decoder_line(const struct slx_decoder *d) { return d->line; }

void slx_decoder_oom(struct slx_decoder *d)
{
	if (d->status == SILEX_OK)
		d->status = SILEX_RESOURCE_EXHAUSTED;
}

void slx_decoder_fatal(struct slx_decoder *d, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(d->fatal, sizeof d->fatal, fmt, ap);
	va_end(ap);
	if (d->status == SILEX_OK)
		d->status = SILEX_INVALID;
}

void slx_decoder_error(struct slx_decoder *d, const char *record, const char *at, const char *fmt, ...)
{
	char message[400];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);

	uint64_t line = d->line;
	for (const char *nl; record && (nl = memchr(record, '\n', (size_t)(at - record))); record = nl + 1)
		line++;
	d->stats.errors++;
	if (d->status == SILEX_OK && !d->sink.error(d->sink.arg, line, record ? (uint64_t)(at - record) + 1 : 0, message))
		d->status = SILEX_CANCELED;
}

void slx_decoder_count_lines(struct slx_decoder *d, const char *record, size_t used)
{
	const char *end = record + used, *nl;
	d->record_lines = 0;
	for (const char *p = record; p < end; p = nl ? nl + 1 : end) {
		nl = memchr(p, '\n', (size_t)(end - p));
		d->record_lines++;
	}
}

bool slx_decoder_emit(struct slx_decoder *d, const struct slx_row *row)
{
	if (d->status != SILEX_OK)
		return false;
	d->stats.rows++;
	if (!d->sink.row(d->sink.arg, row))
		d->status = SILEX_CANCELED;
	return d->status == SILEX_OK;
}

uint32_t slx_decoder_series(struct slx_decoder *d, struct slx_keymap *own, const void *p, size_t n, struct slx_row *row, bool *ret_new)
{
	if (!d->sink.known)
		return slx_keymap_get(own, p, n, ret_new);
	row->key = slx_hash128(p, n, 0);
	uint32_t key = d->sink.known(d->sink.arg, row->key);
	*ret_new = key == 0;
	return key;
}

bool slx_decoder_label(struct slx_decoder *d, struct slx_str name, struct slx_str value)
{
	if (d->labels_n >= d->limits.labels_max)
		return false;
	if (d->labels_n == d->labels_cap) {
		uint32_t cap = d->labels_cap ? d->labels_cap * 2 : 16;
		void *p =
			slx_realloc(d->mem, SLX_MEM_OTHER, d->labels, d->labels_cap * sizeof *d->labels, cap * sizeof *d->labels);
		if (!p) {
			slx_decoder_oom(d);
			return false;
		}
		d->labels = p;
		d->labels_cap = cap;
	}
	d->labels[d->labels_n++] = (struct slx_label){ name, value };
	return true;
}

static bool copy_str(struct slx_arena *a, struct slx_str s, struct slx_str *ret)
{
	char *p = slx_arena_alloc(a, s.n ? s.n : 1, 1);
	if (!p)
		return false;
	memcpy(p, s.p, s.n);
	*ret = (struct slx_str){ p, s.n };
	return true;
}

silex_status slx_copy_labels(
	struct slx_arena *a, const struct slx_label *labels, uint32_t n, struct slx_label **ret, silex_error *err)
{
	struct slx_label *copy = slx_arena_alloc(a, (n ? n : 1) * sizeof *copy, 8);
	if (!copy)
		return slx_err_oom(err);
	for (uint32_t i = 0; i < n; i++)
		if (!copy_str(a, labels[i].name, &copy[i].name) || !copy_str(a, labels[i].value, &copy[i].value))
			return slx_err_oom(err);
	*ret = copy;
	return SILEX_OK;
}

bool slx_decoder_text_reserve(struct slx_decoder *d, size_t n)
{
	slx_buf_reset(&d->text);
	if (slx_buf_reserve(&d->text, n ? n : 1))
		return true;
	slx_decoder_oom(d);
	return false;
}

/* Consumes the rest of a record that was too long, up to the newline. Returns the bytes taken. */
static size_t skip_line(struct slx_decoder *d, const char *p, size_t n)
{
	const char *nl = memchr(p, '\n', n);
	d->skipping = !nl;
	d->line += nl != NULL;
	d->stats.lines += nl != NULL;
	return nl ? (size_t)(nl + 1 - p) : n;
}

/* Takes records off the start of [p, p + n) until none is whole. Returns the bytes taken. */
static size_t take_records(struct slx_decoder *d, const char *p, size_t n, bool final)
{
	size_t at = 0;
	while (at < n && d->status == SILEX_OK) {
		if (d->skipping) {
			at += skip_line(d, p + at, n - at);
			continue;
		}
		size_t left = n - at, window = left < d->limits.line_size_max ? left : d->limits.line_size_max;
		d->record_lines = 1;
		size_t used = d->ops->record(d, p + at, window, final && window == left);
		if (used) {
			at += used;
			d->line += d->record_lines;
			d->stats.lines += d->record_lines;
		} else if (window == d->limits.line_size_max) {
			slx_decoder_error(d, p + at, p + at, "record is longer than %zu bytes (is a quote left open?); skipped",
				d->limits.line_size_max);
			d->skipping = true;
		} else {
			break;
		}
	}
	return at;
}

/* Drops the first `used` bytes of the carry. */
static void carry_drop(struct slx_decoder *d, size_t used)
{
	d->carry.n -= used;
	memmove(d->carry.p, d->carry.p + used, d->carry.n);
}

/* How much of the block may end the carried record: up to the next newline, or a few bytes of a binary format. */
static size_t next_piece(const struct slx_decoder *d, const char *p, size_t n, bool *ret_try)
{
	enum { BINARY_PIECE = 16 };
	const char *nl = d->ops->binary ? NULL : memchr(p, '\n', n);
	*ret_try = nl || d->ops->binary;
	if (d->ops->binary)
		return n < BINARY_PIECE ? n : BINARY_PIECE;
	return nl ? (size_t)(nl + 1 - p) : n;
}

/* Appends pieces of the block to the carry until the carried record is whole. Returns the bytes taken. */
static size_t fill_carry(struct slx_decoder *d, const char *p, size_t n)
{
	size_t at = 0;
	while (at < n && d->carry.n && d->status == SILEX_OK) {
		bool try;
		size_t take = next_piece(d, p + at, n - at, &try), room = d->limits.line_size_max - d->carry.n;
		if (take > room) {
			take = room;
			try = false;
		}
		slx_buf_put(&d->carry, p + at, take);
		if (d->carry.failed) {
			slx_decoder_oom(d);
			break;
		}
		at += take;
		if (try || d->carry.n == d->limits.line_size_max)
			carry_drop(d, take_records(d, (const char *)d->carry.p, d->carry.n, false));
	}
	return at;
}

static silex_status result(const struct slx_decoder *d, silex_error *err)
{
	if (d->status == SILEX_RESOURCE_EXHAUSTED)
		return slx_err_oom(err);
	if (d->status == SILEX_CANCELED)
		return slx_err(err, SILEX_CANCELED, "stopped at line %llu", (unsigned long long)d->line);
	return d->status == SILEX_OK ? SILEX_OK : slx_err(err, d->status, "%s", d->fatal);
}

silex_status slx_decoder_feed(struct slx_decoder *d, const void *p, size_t n, silex_error *err)
{
	const char *s = p;
	if (d->status != SILEX_OK || d->finished)
		return d->finished ? slx_err(err, SILEX_INVALID, "decoder is finished") : result(d, err);
	d->stats.bytes += n;
	size_t at = d->carry.n ? fill_carry(d, s, n) : 0;
	if (!d->carry.n && d->status == SILEX_OK)
		at += take_records(d, s + at, n - at, false);
	if (at < n && d->status == SILEX_OK) {
		slx_buf_put(&d->carry, s + at, n - at);
		if (d->carry.failed)
			slx_decoder_oom(d);
	}
	return result(d, err);
}

silex_status slx_decoder_finish(struct slx_decoder *d, silex_error *err)
{
	if (d->finished)
		return result(d, err);
	d->finished = true;
	if (d->carry.n && d->status == SILEX_OK)
		carry_drop(d, take_records(d, (const char *)d->carry.p, d->carry.n, true));
	if (d->ops->finish && d->status == SILEX_OK)
		d->ops->finish(d);
	return result(d, err);
}
