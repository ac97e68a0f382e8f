/* Queries without an aggregate: the samples themselves.
 *
 * Histograms and bytes are passed over: rows are numbers and states.
 *
 * Ascending, a run of the scan is a batch: nothing is copied, one chunk is decoded at a time. Descending, a series is
 * read in stretches from its end: each begins where the last chunk of some part begins, so that a stretch holds at most
 * one chunk of every part; it is scanned upwards and turned round. */
#include "query/query_int.h"

enum { RAW_STRETCH = 256 }; /* samples of a raw part that make a stretch */

static void count_points(struct slx_query_cursor *c, size_t n)
{
	pthread_mutex_lock(&c->lock);
	c->stats.points += n;
	pthread_mutex_unlock(&c->lock);
}

/* Where the last piece of the part that begins at or before `to` begins; false when there is none. */
static bool last_begin(const struct slx_part *p, int64_t to, int64_t *ret)
{
	size_t n = 0;
	if (p->type == SLX_PART_MEMORY) {
		for (size_t hi = p->memory.n; n < hi;) {
			size_t mid = n + (hi - n) / 2;
			if (p->memory.chunks[mid]->meta.tmin <= to)
				n = mid + 1;
			else
				hi = mid;
		}
		if (n)
			*ret = p->memory.chunks[n - 1]->meta.tmin;
	} else if (p->type == SLX_PART_RAW) {
		n = slx_query_until(p->raw.ts, 0, p->raw.n, to);
		if (n)
			*ret = p->raw.ts[n > RAW_STRETCH ? n - RAW_STRETCH : 0];
	} else {
		struct slx_section_columns cols;
		slx_section_columns(p->block.section, &cols);
		n = slx_query_until(cols.tmin + p->block.first, 0, p->block.n, to);
		if (n)
			*ret = cols.tmin[p->block.first + n - 1];
	}
	return n > 0;
}

static silex_status stretch_add(
	struct slx_query_stretch *s, struct slx_query_memory *m, const struct slx_run *run, silex_error *err)
{
	size_t n = s->n + run->n;
	SLX_TRY(slx_query_grow(m, &s->ts, &s->ts_cap, sizeof *s->ts, n, err));
	SLX_TRY(slx_query_grow(m, &s->bits, &s->bits_cap, sizeof *s->bits, n, err));
	SLX_TRY(slx_query_grow(m, &s->kinds, &s->kinds_cap, sizeof *s->kinds, n, err));
	memcpy(s->ts + s->n, run->ts, run->n * sizeof *s->ts);
	memcpy(s->bits + s->n, run->bits, run->n * sizeof *s->bits);
	memset(s->kinds + s->n, run->kind, run->n);
	s->n = n;
	return SILEX_OK;
}

void slx_query_stretch_free(struct slx_query_stretch *s, struct slx_query_memory *m)
{
	slx_query_release(m, s->ts, s->ts_cap * sizeof *s->ts);
	slx_query_release(m, s->bits, s->bits_cap * sizeof *s->bits);
	slx_query_release(m, s->kinds, s->kinds_cap * sizeof *s->kinds);
	*s = (struct slx_query_stretch){ 0 };
}

silex_status slx_query_back(struct slx_query_cursor *c, struct slx_query_work *w, int64_t from, int64_t to,
	struct slx_query_stretch *s, int64_t *ret_from, bool *ret_more, silex_error *err)
{
	struct slx_parts *p = &w->parts;
	silex_status damage = SILEX_OK;
	int64_t begin = from, t;
	s->n = 0;
	*ret_more = false;
	for (size_t i = 0; i < p->n; i++)
		if (last_begin(&p->parts[i], to, &t)) {
			begin = t > begin ? t : begin;
			*ret_more = true;
		}
	*ret_from = begin;
	if (!*ret_more)
		return SILEX_OK;
	slx_scan_start(w->scan, p->parts, p->n, p->hides, p->n_hides, (struct slx_time_range){ begin, to });
	for (bool more = true; more;) {
		struct slx_run run;
		silex_error e;
		SLX_TRY(slx_query_check(c, err));
		silex_status st = slx_scan_next(w->scan, &run, &more, &e);
		if (st == SILEX_OK && more && slx_kind_is_bytes(run.kind))
			continue;
		if (st == SILEX_OK && more)
			st = slx_scan_decode(w->scan, &run, &e);
		if (st == SILEX_CORRUPT)
			damage = slx_err(err, st, "%s", e.message);
		else if (st != SILEX_OK)
			return slx_err(err, st, "%s", e.message);
		else if (more)
			SLX_TRY(stretch_add(s, &c->memory, &run, err));
	}
	return damage;
}

/* ---- batches ---- */

static silex_status begin_unit(struct slx_query_cursor *c, silex_error *err)
{
	if (!c->work)
		SLX_TRY(slx_query_work_take(c, &c->work, err));
	struct slx_parts *p = &c->work->parts;
	SLX_TRY(slx_query_collect(c, c->units[c->unit].first, c->windows.range, c->work, err));
	slx_scan_start(c->work->scan, p->parts, p->n, p->hides, p->n_hides, c->windows.range);
	c->scanning = true;
	c->unit_rows = 0;
	c->back_to = c->windows.range.to;
	c->stretch_left = 0;
	return SILEX_OK;
}

static void end_unit(struct slx_query_cursor *c)
{
	c->scanning = false;
	c->unit++;
}

static void give(struct slx_query_cursor *c, enum slx_kind kind, const int64_t *ts, const uint64_t *bits, size_t n,
	struct slx_query_rows *ret)
{
	if (c->limit_per_series && n > c->limit_per_series - c->unit_rows)
		n = (size_t)(c->limit_per_series - c->unit_rows);
	if (c->unit_rows == 0)
		c->series_given++;
	c->unit_rows += n;
	count_points(c, n);
	*ret = (struct slx_query_rows){ .series = c->series_given - 1,
		.labels = c->units[c->unit].labels,
		.kind = kind,
		.n = n,
		.times = ts,
		.bits = bits };
	if (c->limit_per_series && c->unit_rows >= c->limit_per_series)
		end_unit(c);
}

static silex_status next_up(struct slx_query_cursor *c, struct slx_query_rows *ret, silex_error *err)
{
	struct slx_run run;
	bool more;
	SLX_TRY(slx_scan_next(c->work->scan, &run, &more, err));
	if (!more) {
		end_unit(c);
		return SILEX_OK;
	}
	if (slx_kind_is_bytes(run.kind))
		return SILEX_OK;
	SLX_TRY(slx_scan_decode(c->work->scan, &run, err));
	give(c, run.kind, run.ts, run.bits, run.n, ret);
	return SILEX_OK;
}

static void turn_round(struct slx_query_stretch *s)
{
	for (size_t i = 0, k = s->n; i + 1 < k; i++) {
		k--;
		int64_t t = s->ts[i];
		uint64_t b = s->bits[i];
		uint8_t kind = s->kinds[i];
		s->ts[i] = s->ts[k], s->bits[i] = s->bits[k], s->kinds[i] = s->kinds[k];
		s->ts[k] = t, s->bits[k] = b, s->kinds[k] = kind;
	}
}

static silex_status next_down(struct slx_query_cursor *c, struct slx_query_rows *ret, silex_error *err)
{
	struct slx_query_stretch *s = &c->stretch;
	if (c->stretch_left == 0) {
		bool more = c->back_to >= c->windows.range.from;
		silex_status st = SILEX_OK;
		if (more)
			st = slx_query_back(c, c->work, c->windows.range.from, c->back_to, s, &c->back_to, &more, err);
		if (st != SILEX_OK && st != SILEX_CORRUPT)
			return st;
		if (!more) {
			end_unit(c);
			return SILEX_OK;
		}
		c->back_to--; /* the first legal time is not the least of the type */
		c->stretch_left = s->n;
		turn_round(s);
		return st;
	}
	size_t at = s->n - c->stretch_left, end = at + 1;
	while (end < s->n && s->kinds[end] == s->kinds[at])
		end++;
	c->stretch_left = s->n - end;
	give(c, (enum slx_kind)s->kinds[at], s->ts + at, s->bits + at, end - at, ret);
	return SILEX_OK;
}

silex_status slx_query_samples_next(struct slx_query_cursor *c, struct slx_query_rows *ret, silex_error *err)
{
	while (ret->n == 0 && c->unit < c->n_units) {
		SLX_TRY(slx_query_check(c, err));
		if (!c->scanning)
			SLX_TRY(begin_unit(c, err));
		SLX_TRY(c->descending ? next_down(c, ret, err) : next_up(c, ret, err));
	}
	return SILEX_OK;
}
