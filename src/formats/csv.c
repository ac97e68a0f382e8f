/* CSV and TSV (RFC 4180) -> rows.
 *
 * The first records are kept until there are enough of them to say what the columns are (csv_columns.c), then they are
 * decoded like all others. In each record the time cell gives the time, the label cells the label set, each value cell
 * a sample. A label set is recognised by its cells as written, so repeated ones cost one look-up. */
#include "formats/csv.h"

#include <stdio.h>

enum { SAMPLE_RECORDS = 100, SAMPLE_SIZE = 256 * 1024 };

static struct slx_csv_decoder *csv(struct slx_decoder *d) { return (struct slx_csv_decoder *)d; }

static void destroy(struct slx_decoder *d)
{
	struct slx_csv_decoder *c = csv(d);
	slx_arena_clear(&c->arena);
	slx_buf_free(&c->sample);
	slx_buf_free(&c->labelset_key);
	slx_keymap_free(&c->labelsets);
	slx_free(d->mem, SLX_MEM_OTHER, c->keys, c->keys_cap * sizeof *c->keys);
	slx_free(d->mem, SLX_MEM_OTHER, c->cells, c->cells_cap * sizeof *c->cells);
}

/* ---- records -> cells ---- */

static bool add_cell(struct slx_csv_decoder *c, struct slx_csv_cell cell)
{
	if (c->cells_n == c->cells_cap) {
		uint32_t cap = c->cells_cap ? c->cells_cap * 2 : 16;
		void *p =
			slx_realloc(c->base.mem, SLX_MEM_OTHER, c->cells, c->cells_cap * sizeof *c->cells, cap * sizeof *c->cells);
		if (!p)
			return false;
		c->cells = p;
		c->cells_cap = cap;
	}
	c->cells[c->cells_n++] = cell;
	return true;
}

struct cut {
	const char *p, *end; /* p stops at a delimiter, at a newline or at the end */
	char delimiter;
	bool final;
	const char *bad, *expected;
};

static enum slx_csv_result bad_cut(struct cut *t, const char *at, const char *expected)
{
	t->bad = at;
	t->expected = expected;
	return SLX_CSV_BAD;
}

/* p is at the opening quote. */
static enum slx_csv_result quoted_cell(struct cut *t, struct slx_csv_cell *cell)
{
	const char *open = t->p, *p = open + 1, *quote, *end = t->end;
	*cell = (struct slx_csv_cell){ .p = p, .quoted = true };
	while ((quote = memchr(p, '"', (size_t)(end - p))) && quote + 1 < end && quote[1] == '"') {
		cell->doubled = true;
		p = quote + 2;
	}
	if (!quote)
		return t->final ? bad_cut(t, open, "a closing quote") : SLX_CSV_MORE;
	cell->n = (uint32_t)(quote - cell->p);
	p = quote + 1;
	if (p < end && *p == '\r' && (p + 1 == end || p[1] == '\n'))
		p++;
	if (p == end && !t->final)
		return SLX_CSV_MORE;
	if (p < end && *p != t->delimiter && *p != '\n')
		return bad_cut(t, p, "a delimiter or the end of the line after a closing quote");
	t->p = p;
	return SLX_CSV_RECORD;
}

static bool is_blank(char ch, char delimiter) { return (ch == ' ' || ch == '\t') && ch != delimiter; }

static enum slx_csv_result plain_cell(struct cut *t, struct slx_csv_cell *cell)
{
	const char *start = t->p, *p = start, *end = t->end, *stop;
	while (p < end && *p != t->delimiter && *p != '\n')
		p++;
	if (p == end && !t->final)
		return SLX_CSV_MORE;
	t->p = stop = p;
	if ((p == end || *p == '\n') && stop > start && stop[-1] == '\r')
		stop--;
	while (stop > start && is_blank(stop[-1], t->delimiter))
		stop--;
	while (start < stop && is_blank(*start, t->delimiter))
		start++;
	*cell = (struct slx_csv_cell){ .p = start, .n = (uint32_t)(stop - start) };
	return SLX_CSV_RECORD;
}

static enum slx_csv_result cut_cells(struct slx_csv_decoder *c, struct cut *t)
{
	c->cells_n = 0;
	for (;; t->p++) {
		struct slx_csv_cell cell;
		enum slx_csv_result result = t->p < t->end && *t->p == '"' ? quoted_cell(t, &cell) : plain_cell(t, &cell);
		if (result != SLX_CSV_RECORD)
			return result;
		if (c->cells_n == c->base.limits.fields_max)
			return bad_cut(t, cell.p, "fewer cells");
		if (!add_cell(c, cell))
			return SLX_CSV_OOM;
		if (t->p == t->end || *t->p == '\n')
			break;
	}
	return c->cells_n == 1 && c->cells[0].n == 0 && !c->cells[0].quoted ? SLX_CSV_BLANK : SLX_CSV_RECORD;
}

enum slx_csv_result slx_csv_cut(struct slx_csv_decoder *c, const char *p, size_t n, bool final, size_t *ret_used,
	const char **ret_bad, const char **ret_expected)
{
	struct cut t = { .p = p, .end = p + n, .delimiter = c->options.delimiter, .final = final };
	enum slx_csv_result result = cut_cells(c, &t);
	if (result == SLX_CSV_MORE || result == SLX_CSV_OOM)
		return result;
	if (result == SLX_CSV_BAD) {
		const char *nl = memchr(t.bad, '\n', (size_t)(t.end - t.bad));
		if (!nl && !final)
			return SLX_CSV_MORE;
		t.p = nl ? nl : t.end;
		*ret_bad = t.bad;
		*ret_expected = t.expected;
	}
	*ret_used = (size_t)(t.p + (t.p < t.end) - p);
	return result;
}

/* ---- cells -> values ---- */

static bool is_word(const struct slx_csv_cell *cell, const char *word)
{
	size_t i = 0;
	for (; i < cell->n && word[i]; i++)
		if ((cell->p[i] | 0x20) != word[i])
			return false;
	return i == cell->n && !word[i];
}

bool slx_csv_no_value(const struct slx_csv_cell *cell)
{
	return cell->n == 0 || is_word(cell, "null") || is_word(cell, "na");
}

bool slx_csv_value(const struct slx_csv_cell *cell, enum slx_kind *ret_kind, uint64_t *ret_bits)
{
	struct slx_number number;
	enum slx_number_form form = slx_number_parse_special(cell->p, cell->n, &number);
	*ret_kind = SLX_KIND_FLOAT64;
	if (form == SLX_NUMBER_INT && slx_needs_int64(number.i64)) {
		*ret_kind = SLX_KIND_INT64;
		*ret_bits = (uint64_t)number.i64;
		return true;
	}
	if (form == SLX_NUMBER_INT || form == SLX_NUMBER_FLOAT) {
		*ret_bits = slx_f64_bits(number.f64);
		return true;
	}
	*ret_kind = SLX_KIND_BOOL;
	*ret_bits = is_word(cell, "true");
	return *ret_bits || is_word(cell, "false");
}

struct slx_str slx_csv_text(struct slx_csv_decoder *c, const struct slx_csv_cell *cell)
{
	if (!cell->doubled)
		return (struct slx_str){ cell->p, cell->n };
	size_t from = c->base.text.n;
	for (uint32_t i = 0; i < cell->n; i++) {
		slx_buf_u8(&c->base.text, (uint8_t)cell->p[i]);
		i += cell->p[i] == '"';
	}
	return slx_decoder_text_since(&c->base, from);
}

/* ---- cells -> rows ---- */

/* The number of this record's label set: 1 when there are no label columns, 0 when it cannot be kept. */
static uint32_t label_set(struct slx_csv_decoder *c)
{
	bool fresh;
	if (!c->labels_n)
		return 1;
	slx_buf_reset(&c->labelset_key);
	for (uint32_t i = 0; i < c->columns_n; i++)
		if (c->columns[i].role == SLX_CSV_LABEL) {
			slx_buf_u32(&c->labelset_key, c->cells[i].n);
			slx_buf_put(&c->labelset_key, c->cells[i].p, c->cells[i].n);
		}
	if (c->labelset_key.failed)
		return 0;
	return slx_keymap_get(&c->labelsets, (const char *)c->labelset_key.p, c->labelset_key.n, &fresh);
}

/* Where the series key of (label set, value column) stands; NULL when it cannot be kept. */
static uint32_t *key_slot(struct slx_csv_decoder *c, uint32_t set, uint32_t value)
{
	size_t i = ((size_t)set - 1) * c->values_n + value;
	if (set == 0)
		return NULL;
	if (i >= c->keys_cap) {
		size_t cap = c->keys_cap ? c->keys_cap * 2 : 64;
		while (cap <= i)
			cap *= 2;
		if (cap * sizeof *c->keys > c->base.limits.cache_size_max)
			return NULL;
		uint32_t *p = slx_realloc(c->base.mem, SLX_MEM_OTHER, c->keys, c->keys_cap * sizeof *p, cap * sizeof *p);
		if (!p)
			return NULL;
		memset(p + c->keys_cap, 0, (cap - c->keys_cap) * sizeof *p);
		c->keys = p;
		c->keys_cap = cap;
	}
	if (!c->keys[i] && c->keys_n == c->base.limits.series_max)
		return NULL;
	return &c->keys[i];
}

static bool has_label(const struct slx_decoder *d, struct slx_str name)
{
	for (uint32_t i = 0; i < d->labels_n; i++)
		if (slx_str_eq(d->labels[i].name, name))
			return true;
	return false;
}

/* Label cells, then the metric name unless a cell gave it, then what the options add unless a cell gave it. */
static bool build_labels(struct slx_csv_decoder *c, const struct slx_csv_column *value)
{
	struct slx_decoder *d = &c->base;
	slx_decoder_labels_reset(d);
	for (uint32_t i = 0; i < c->columns_n; i++) {
		if (c->columns[i].role != SLX_CSV_LABEL || c->cells[i].n == 0)
			continue;
		if (!slx_decoder_label(d, c->columns[i].name, slx_csv_text(c, &c->cells[i])))
			return false;
	}
	if (!has_label(d, SLX_METRIC_NAME) && !slx_decoder_label(d, SLX_METRIC_NAME, value->metric))
		return false;
	if (c->options.field_label && !has_label(d, slx_str(c->options.field_label)) &&
		!slx_decoder_label(d, slx_str(c->options.field_label), value->name))
		return false;
	for (uint32_t i = 0; i < c->options.constant_labels_n; i++)
		if (!has_label(d, c->constant[i].name) && !slx_decoder_label(d, c->constant[i].name, c->constant[i].value))
			return false;
	return true;
}

/* With sink->known a slot holds the caller's number, found by the labels that were just built. */
static struct slx_hash128 label_key(struct slx_csv_decoder *c)
{
	struct slx_decoder *d = &c->base;
	slx_buf_reset(&c->labelset_key);
	for (uint32_t i = 0; i < d->labels_n; i++) {
		const struct slx_str parts[] = { d->labels[i].name, d->labels[i].value };
		for (size_t k = 0; k < 2; k++) {
			slx_buf_u32(&c->labelset_key, (uint32_t)parts[k].n);
			slx_buf_put(&c->labelset_key, parts[k].p, parts[k].n);
		}
	}
	return slx_hash128(c->labelset_key.p, c->labelset_key.n, 0);
}

/* A row of a series whose number the caller has not told yet. */
static bool give_keyed(struct slx_csv_decoder *c, uint32_t *slot, struct slx_row *row)
{
	struct slx_decoder *d = &c->base;
	row->key = label_key(c);
	if (c->labelset_key.failed) {
		slx_decoder_oom(d);
		return false;
	}
	row->series_key = d->sink.known(d->sink.arg, row->key);
	if (row->series_key && !d->limits.labels_every_row)
		row->labels_n = 0;
	bool ok = slx_decoder_emit(d, row);
	if (slot && ok)
		*slot = row->series_key ? row->series_key : d->sink.known(d->sink.arg, row->key);
	return ok;
}

static bool give_value(
	struct slx_csv_decoder *c, const struct slx_csv_column *value, uint32_t *slot, struct slx_row *row)
{
	struct slx_decoder *d = &c->base;
	bool fresh = !slot || !*slot;
	row->series_key = 0;
	row->labels_n = 0;
	if (fresh || d->limits.labels_every_row) {
		if (!build_labels(c, value))
			return false;
		row->labels = d->labels;
		row->labels_n = d->labels_n;
		if (fresh && d->sink.known)
			return give_keyed(c, slot, row);
	}
	if (slot) {
		*slot = fresh ? ++c->keys_n : *slot;
		row->series_key = *slot;
	}
	return slx_decoder_emit(d, row);
}

static int shown(uint32_t n) { return (int)(n < 60 ? n : 60); }

static void give_record(struct slx_csv_decoder *c, const char *record, size_t size)
{
	struct slx_decoder *d = &c->base;
	struct slx_row row = { .has_time = true };
	const struct slx_csv_cell *time = &c->cells[c->time_column];
	if (c->cells_n != c->columns_n) {
		slx_decoder_error(d, record, record, "expected %u cells, found %u", c->columns_n, c->cells_n);
		return;
	}
	if (!slx_field_time(time->p, time->n, c->options.time_unit, &row.t)) {
		slx_decoder_error(
			d, record, time->p, "expected a time in the years 1677 to 2262, found \"%.*s\"", shown(time->n), time->p);
		return;
	}
	if (!slx_decoder_text_reserve(d, size))
		return;
	uint32_t set = label_set(c);
	for (uint32_t i = 0, value = 0; i < c->columns_n; i++) {
		const struct slx_csv_column *col = &c->columns[i];
		const struct slx_csv_cell *cell = &c->cells[i];
		if (col->role != SLX_CSV_VALUE)
			continue;
		uint32_t v = value++;
		if (slx_csv_no_value(cell)) {
			d->stats.skipped++;
			continue;
		}
		if (!slx_csv_value(cell, &row.kind, &row.bits)) {
			slx_decoder_error(d, record, cell->p, "expected a number in column \"%.*s\", found \"%.*s\"",
				shown((uint32_t)col->name.n), col->name.p, shown(cell->n), cell->p);
			continue;
		}
		d->text.n = 0;
		if (!give_value(c, col, key_slot(c, set, v), &row)) {
			if (d->status == SILEX_OK)
				slx_decoder_error(d, record, record, "expected fewer labels");
			return;
		}
	}
}

/* ---- records ---- */

static size_t decode_record(struct slx_csv_decoder *c, const char *p, size_t n, bool final)
{
	struct slx_decoder *d = &c->base;
	size_t used = 0;
	const char *bad, *expected;
	switch (slx_csv_cut(c, p, n, final, &used, &bad, &expected)) {
	case SLX_CSV_RECORD:
		give_record(c, p, used);
		break;
	case SLX_CSV_BAD:
		slx_decoder_error(d, p, bad, "expected %s", expected);
		break;
	case SLX_CSV_OOM:
		slx_decoder_oom(d);
		break;
	case SLX_CSV_BLANK:
	case SLX_CSV_MORE:
		break;
	}
	slx_decoder_count_lines(d, p, used);
	return used;
}

bool slx_csv_sample_next(const struct slx_csv_decoder *c, size_t *at, struct slx_csv_record *ret)
{
	struct slx_rd r = slx_rd_init(c->sample.p + *at, c->sample.n - *at);
	if (slx_rd_left(&r) == 0)
		return false;
	ret->line = slx_rd_u64(&r);
	ret->n = slx_rd_u64(&r);
	ret->p = (const char *)slx_rd_bytes(&r, ret->n);
	*at = c->sample.n - slx_rd_left(&r);
	return true;
}

/* Decides the columns, then decodes the sample under its own line numbers. */
static void use_sample(struct slx_csv_decoder *c)
{
	struct slx_decoder *d = &c->base;
	struct slx_csv_record r;
	uint64_t line = d->line, lines = d->record_lines;
	c->decided = true;
	if (c->sample.n && slx_csv_decide(c))
		for (size_t at = 0; d->status == SILEX_OK && slx_csv_sample_next(c, &at, &r);) {
			d->line = r.line;
			if (r.line != c->header_line)
				decode_record(c, r.p, r.n, true);
		}
	d->line = line;
	d->record_lines = lines;
	slx_buf_free(&c->sample);
}

/* The most frequent of the candidates in the first line; a comma when there is none. */
static char find_delimiter(const char *p, size_t n)
{
	static const char candidates[] = ",;\t|";
	size_t counts[4] = { 0 }, best = 0;
	bool quoted = false;
	for (size_t i = 0; i < n && p[i] != '\n'; i++) {
		const char *at = strchr(candidates, p[i]);
		quoted ^= p[i] == '"';
		if (p[i] && at && !quoted)
			counts[at - candidates]++;
	}
	for (size_t k = 1; k < 4; k++)
		if (counts[k] > counts[best])
			best = k;
	return candidates[best];
}

/* Keeps one record for the sample. */
static size_t keep_record(struct slx_csv_decoder *c, const char *p, size_t n, bool final)
{
	struct slx_decoder *d = &c->base;
	const char *bad, *expected;
	size_t used = 0;
	if (c->sample.n == 0 && n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark */
		d->record_lines = 0;
		return 3;
	}
	if (n < 3 && !final)
		return 0;
	if (!c->options.delimiter) {
		if (!memchr(p, '\n', n) && !final)
			return 0;
		c->options.delimiter = find_delimiter(p, n);
	}
	enum slx_csv_result result = slx_csv_cut(c, p, n, final, &used, &bad, &expected);
	if (result == SLX_CSV_OOM)
		slx_decoder_oom(d);
	if (!used)
		return 0;
	slx_decoder_count_lines(d, p, used);
	slx_buf_u64(&c->sample, d->line);
	slx_buf_u64(&c->sample, used);
	slx_buf_put(&c->sample, p, used);
	if (c->sample.failed)
		slx_decoder_oom(d);
	c->sample_records += result == SLX_CSV_RECORD;
	if (d->status == SILEX_OK && (c->sample_records >= c->sample_records_max || c->sample.n >= SAMPLE_SIZE))
		use_sample(c);
	return used;
}

static size_t record(struct slx_decoder *d, const char *p, size_t n, bool final)
{
	struct slx_csv_decoder *c = csv(d);
	return c->decided ? decode_record(c, p, n, final) : keep_record(c, p, n, final);
}

static void finish(struct slx_decoder *d)
{
	if (!csv(d)->decided)
		use_sample(csv(d));
}

static const struct slx_decoder_ops ops = { .record = record, .finish = finish, .destroy = destroy };

static silex_status copy_text(struct slx_arena *a, const char **z, silex_error *err)
{
	if (!*z)
		return SILEX_OK;
	size_t n = strlen(*z) + 1;
	char *copy = slx_arena_alloc(a, n, 1);
	if (!copy)
		return slx_err_oom(err);
	*z = memcpy(copy, *z, n);
	return SILEX_OK;
}

static silex_status copy_options(struct slx_csv_decoder *c, const struct slx_csv_options *o, silex_error *err)
{
	c->options = *o;
	SLX_TRY(copy_text(&c->arena, &c->options.time_column, err));
	SLX_TRY(copy_text(&c->arena, &c->options.value_columns, err));
	SLX_TRY(copy_text(&c->arena, &c->options.label_columns, err));
	SLX_TRY(copy_text(&c->arena, &c->options.name_template, err));
	SLX_TRY(copy_text(&c->arena, &c->options.metric, err));
	SLX_TRY(copy_text(&c->arena, &c->options.field_label, err));
	return slx_copy_labels(&c->arena, o->constant_labels, o->constant_labels_n, &c->constant, err);
}

silex_status slx_decoder_csv(struct slx_mem *m, const struct slx_csv_options *o, const struct slx_decode_limits *limits,
	const struct slx_sink *sink, struct slx_decoder **ret, silex_error *err)
{
	struct slx_decoder *d;
	if (o && (o->delimiter == '\n' || o->delimiter == '\r' || o->delimiter == '"'))
		return slx_err(err, SILEX_INVALID, "delimiter cannot be a quote or a line end");
	SLX_TRY(slx_decoder_new(m, sizeof(struct slx_csv_decoder), &ops, limits, sink, &d, err));
	struct slx_csv_decoder *c = csv(d);
	slx_arena_init(&c->arena, m, SLX_MEM_OTHER, 64 * 1024);
	slx_buf_init(&c->sample, m, SLX_MEM_OTHER, SAMPLE_SIZE + d->limits.line_size_max);
	slx_buf_init(&c->labelset_key, m, SLX_MEM_OTHER, SIZE_MAX / 2);
	slx_keymap_init(&c->labelsets, m, d->limits.series_max, d->limits.cache_size_max);
	static const struct slx_csv_options none;
	silex_status st = copy_options(c, o ? o : &none, err);
	if (st != SILEX_OK) {
		slx_decoder_free(d);
		return st;
	}
	/* nothing to find out beyond the names: the first record is enough */
	bool told = c->options.header == SLX_CSV_HEADER_YES && c->options.time_column && c->options.value_columns &&
		c->options.label_columns;
	c->sample_records_max = told ? 1 : SAMPLE_RECORDS;
	*ret = d;
	return SILEX_OK;
}
