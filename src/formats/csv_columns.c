/* What the columns of a CSV file mean.
 *
 * Options decide where they say something; for the rest the first records are looked at:
 * - the first record is a header unless one of its cells is a number or a time;
 * - time is the first column with more than half of its cells written as times; else one of numbers with a name like
 *   "time"; else a first column of numbers that could be times after 1973;
 * - the other columns are values when nine of ten cells are numbers, true or false (empty ones do not count), and
 *   labels otherwise. */
#include "formats/csv.h"

#include <stdio.h>

static bool equals_nocase(struct slx_str s, const char *word)
{
	size_t i = 0;
	for (; i < s.n && word[i]; i++)
		if ((s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] | 0x20 : s.p[i]) != word[i])
			return false;
	return i == s.n && !word[i];
}

static bool named_like_time(struct slx_str name)
{
	static const char *const names[] = { "time", "timestamp", "date", "datetime", "ts", "t", "_time", "unix", "epoch",
		"time_ns", "time_us", "time_ms", "time_s" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (equals_nocase(name, names[i]))
			return true;
	return false;
}

static bool is_number(const struct slx_csv_cell *cell)
{
	struct slx_number number;
	enum slx_number_form form = slx_number_parse_special(cell->p, cell->n, &number);
	return form == SLX_NUMBER_INT || form == SLX_NUMBER_FLOAT;
}

/* ---- the sample ---- */

static void look_at_cell(struct slx_csv_decoder *c, struct slx_csv_column *col, const struct slx_csv_cell *cell)
{
	enum slx_kind kind;
	uint64_t bits;
	int64_t t;
	if (slx_csv_no_value(cell))
		return;
	col->cells++;
	bool number = is_number(cell), time = slx_field_time(cell->p, cell->n, c->options.time_unit, &t);
	col->values += number || slx_csv_value(cell, &kind, &bits);
	col->time_texts += time && !number;
	col->time_numbers +=
		time && number && (c->options.time_unit != SLX_UNIT_AUTO || t >= INT64_C(100000000) * SLX_SECOND);
}

static bool looks_like_header(const struct slx_csv_decoder *c)
{
	int64_t t;
	for (uint32_t i = 0; i < c->cells_n; i++)
		if (is_number(&c->cells[i]) || slx_field_time(c->cells[i].p, c->cells[i].n, SLX_UNIT_AUTO, &t))
			return false;
	return true;
}

static const char *put_name(struct slx_csv_decoder *c, struct slx_str base, uint32_t number, struct slx_str *ret)
{
	char *z = slx_arena_alloc(&c->arena, base.n + 16, 1);
	if (!z)
		return NULL;
	memcpy(z, base.p, base.n);
	int n = number ? snprintf(z + base.n, 16, "_%u", number) : 0;
	*ret = (struct slx_str){ z, base.n + (size_t)n };
	return z;
}

/* Names from the cells of the first record; a name that is missing or stands twice gets the column's number. */
static bool name_columns(struct slx_csv_decoder *c, bool header)
{
	for (uint32_t i = 0; i < c->columns_n; i++) {
		struct slx_str name = header ? slx_csv_text(c, &c->cells[i]) : (struct slx_str){ "", 0 };
		bool twice = name.n == 0;
		for (uint32_t k = 0; k < i && !twice; k++)
			twice = slx_str_eq(c->columns[k].name, name);
		if (!put_name(c, name.n ? name : SLX_STR("column"), twice ? i + 1 : 0, &c->columns[i].name))
			return false;
	}
	return true;
}

static bool make_columns(struct slx_csv_decoder *c, const struct slx_csv_record *r)
{
	bool header =
		c->options.header == SLX_CSV_HEADER_YES || (c->options.header == SLX_CSV_HEADER_AUTO && looks_like_header(c));
	size_t size = c->cells_n * sizeof *c->columns;
	c->header_line = header ? r->line : 0;
	c->columns_n = c->cells_n;
	c->columns = slx_arena_alloc(&c->arena, size, 8);
	if (!c->columns)
		return false;
	memset(c->columns, 0, size);
	return slx_decoder_text_reserve(&c->base, r->n) && name_columns(c, header);
}

/* Makes the columns from the first record and counts what the others hold. *ret_rows: how many there are. */
static bool look_at_sample(struct slx_csv_decoder *c, uint32_t *ret_rows)
{
	struct slx_csv_record r;
	*ret_rows = 0;
	for (size_t at = 0, used; slx_csv_sample_next(c, &at, &r);) {
		const char *bad, *expected;
		if (slx_csv_cut(c, r.p, r.n, true, &used, &bad, &expected) != SLX_CSV_RECORD)
			continue;
		if (!c->columns && !make_columns(c, &r)) {
			slx_decoder_oom(&c->base);
			return false;
		}
		if (r.line == c->header_line || c->cells_n != c->columns_n)
			continue;
		++*ret_rows;
		for (uint32_t i = 0; i < c->columns_n; i++)
			look_at_cell(c, &c->columns[i], &c->cells[i]);
	}
	return true;
}

/* ---- roles ---- */

/* A column by name or by "#number". */
static bool find_column(struct slx_csv_decoder *c, struct slx_str spec, uint32_t *ret)
{
	int64_t number;
	bool range;
	if (spec.n > 1 && spec.p[0] == '#' && slx_int64_parse(spec.p + 1, spec.n - 1, &number, &range) && number >= 1 &&
		number <= c->columns_n) {
		*ret = (uint32_t)number - 1;
		return true;
	}
	for (uint32_t i = 0; i < c->columns_n; i++)
		if (slx_str_eq(c->columns[i].name, spec)) {
			*ret = i;
			return true;
		}
	slx_decoder_fatal(&c->base, "there is no column \"%.*s\" among %u (#1 is \"%.*s\")",
		(int)(spec.n < 60 ? spec.n : 60), spec.p, c->columns_n,
		(int)(c->columns[0].name.n < 60 ? c->columns[0].name.n : 60), c->columns[0].name.p);
	return false;
}

static bool give_roles(struct slx_csv_decoder *c, const char *list, enum slx_csv_role role)
{
	for (const char *p = list, *end; list && *p; p = *end ? end + 1 : end) {
		end = strchrnul(p, ',');
		struct slx_str spec = { p, (size_t)(end - p) };
		for (; spec.n && spec.p[0] == ' '; spec.n--)
			spec.p++;
		while (spec.n && spec.p[spec.n - 1] == ' ')
			spec.n--;
		uint32_t i;
		if (spec.n == 0)
			continue;
		if (!find_column(c, spec, &i))
			return false;
		if (c->columns[i].role != SLX_CSV_IGNORED) {
			slx_decoder_fatal(&c->base, "column \"%.*s\" is named for two purposes", (int)spec.n, spec.p);
			return false;
		}
		c->columns[i].role = role;
	}
	return true;
}

/* A few bad cells do not change what a column is: they become errors later. */
static bool most(uint32_t some, const struct slx_csv_column *col)
{
	return col->cells > 0 && (uint64_t)some * 10 >= (uint64_t)col->cells * 9;
}

static bool mostly_times(uint32_t some, const struct slx_csv_column *col) { return some > col->cells / 2; }

/* Of the columns that the options leave free. */
static bool guess_time_column(struct slx_csv_decoder *c, uint32_t *ret)
{
	uint32_t named = c->columns_n;
	for (uint32_t i = 0; i < c->columns_n; i++) {
		const struct slx_csv_column *col = &c->columns[i];
		if (col->role != SLX_CSV_IGNORED)
			continue;
		*ret = i;
		if (mostly_times(col->time_texts, col))
			return true;
		if (named == c->columns_n && most(col->values, col) && named_like_time(col->name))
			named = i;
	}
	*ret = named < c->columns_n ? named : 0;
	return named < c->columns_n ||
		(c->columns[0].role == SLX_CSV_IGNORED && mostly_times(c->columns[0].time_numbers, &c->columns[0]));
}

static bool choose_roles(struct slx_csv_decoder *c)
{
	if (!give_roles(c, c->options.value_columns, SLX_CSV_VALUE) ||
		!give_roles(c, c->options.label_columns, SLX_CSV_LABEL))
		return false;
	if (c->options.time_column) {
		if (!find_column(c, slx_str(c->options.time_column), &c->time_column))
			return false;
	} else if (!guess_time_column(c, &c->time_column)) {
		slx_decoder_fatal(
			&c->base, "found no column of times in the first %u records; name the time column", c->sample_records);
		return false;
	}
	c->columns[c->time_column].role = SLX_CSV_TIME;
	for (uint32_t i = 0; i < c->columns_n; i++) {
		struct slx_csv_column *col = &c->columns[i];
		bool value = col->cells == 0 || most(col->values, col);
		if (col->role == SLX_CSV_IGNORED && value && !c->options.value_columns)
			col->role = SLX_CSV_VALUE;
		if (col->role == SLX_CSV_IGNORED && !value && !c->options.label_columns)
			col->role = SLX_CSV_LABEL;
		c->values_n += col->role == SLX_CSV_VALUE;
		c->labels_n += col->role == SLX_CSV_LABEL;
	}
	if (c->values_n == 0)
		slx_decoder_fatal(&c->base, "found no column of numbers; name the value columns");
	return c->values_n > 0;
}

/* ---- metric names ---- */

static bool fill_template(struct slx_csv_decoder *c, const char *z, struct slx_csv_column *col)
{
	struct slx_buf b;
	const char *metric = c->options.metric ? c->options.metric : "csv";
	slx_buf_init(&b, c->base.mem, SLX_MEM_OTHER, 1 << 16);
	while (*z) {
		if (strncmp(z, "{column}", 8) == 0) {
			slx_buf_put(&b, col->name.p, col->name.n);
			z += 8;
		} else if (strncmp(z, "{metric}", 8) == 0) {
			slx_buf_put(&b, metric, strlen(metric));
			z += 8;
		} else {
			slx_buf_u8(&b, (uint8_t)*z++);
		}
	}
	bool ok = !b.failed && put_name(c, (struct slx_str){ (const char *)b.p, b.n }, 0, &col->metric);
	slx_buf_free(&b);
	if (!ok)
		slx_decoder_oom(&c->base);
	return ok;
}

static bool name_metrics(struct slx_csv_decoder *c)
{
	for (uint32_t i = 0; i < c->columns_n; i++) {
		struct slx_csv_column *col = &c->columns[i];
		bool plain = c->values_n == 1 && (!c->header_line || equals_nocase(col->name, "value"));
		const char *z = c->options.name_template;
		if (!z)
			z = plain || c->options.field_label ? "{metric}" : "{column}";
		if (col->role == SLX_CSV_VALUE && !fill_template(c, z, col))
			return false;
	}
	return true;
}

bool slx_csv_decide(struct slx_csv_decoder *c)
{
	uint32_t rows;
	if (!look_at_sample(c, &rows))
		return false;
	if (!c->columns || (rows == 0 && c->sample_records_max > 1))
		return true; /* nothing but a header */
	return choose_roles(c) && name_metrics(c);
}
