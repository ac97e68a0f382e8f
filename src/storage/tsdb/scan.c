/* The merge of the engine (scan.h).
 *
 * Problem. A series lies in many places: sealed chunks and tails of one or two heads, out-of-order chunks, blocks. Most
 * of the time these follow one another and a chunk can be handed on unopened; now and then they overlap, and then every
 * timestamp must come from the source of greatest rank, less what tombstones hide.
 *
 * Approach. Each part has a cursor that stands on one piece: a chunk, or up to SLX_CHUNK_MAX samples of a raw part. The
 * cursors form a heap, ordered by the least time that they may still give, then by rank, greatest first. A piece is
 * closed (only its header was looked at) or open (its visible samples of the range are at hand).
 *
 *     top closed, ends before any other cursor begins, in range, not hidden:  give it whole
 *     top closed otherwise:                                                  open it, put it in its place
 *     top open: its samples up to where the next cursor begins win. A long stretch is given where it lies, short ones
 *               are gathered in `out` until that is full, the kind changes or the next piece can be given whole.
 *
 * Invariants
 *   1. All samples given have times <= done; a sample at or before `done` that turns up later was beaten and is
 *      skipped.
 *   2. A closed piece is never below `done` on the heap except at equality (its first sample may have been beaten), so
 *      it is whole only when tmin > done.
 *   3. Values that are bytes live as long as the buffer that they were decoded with; samples in `out` point there. So a
 *      buffer with such values is parked until the call after the one that was done with it.
 *   4. The cursor that gave the last run stays on top, untouched, until the next call settles it: that is what keeps
 *      the arrays and the header of a run alive.
 *
 * What may fail: memory (the call may be repeated), a damaged chunk (its cursor steps over it, so that the next call
 * goes on behind it; samples gathered before it are given first). */
#include "storage/tsdb/scan.h"

#include <assert.h>
#include <string.h>

enum {
	IN_PLACE_MIN = 64,       /* shorter stretches are gathered */
	VALUES_KEPT = 256 << 10, /* a free buffer keeps no more memory than this for values */
};

/* Decoded samples; two sizes, so that a freed one always fits. */
struct buffer {
	struct buffer *next; /* in the free list of its size, or parked */
	bool large;
	struct slx_buf values; /* what the bits point to when the values are bytes */
	uint64_t columns[];    /* ts, then bits */
};

struct cursor {
	const struct slx_part *part;
	int64_t time;       /* key of the heap: nothing earlier comes from here */
	int64_t tmin, tmax; /* of the piece */
	uint32_t chunk;     /* number of the piece */
	size_t next;        /* chunk, or sample of a raw part, where the next piece begins */
	bool open;
	enum slx_kind kind;
	size_t pos, n; /* open: samples left are pos..n-1; closed: n is the header's */
	const int64_t *ts;
	const uint64_t *bits;
	struct buffer *buf;           /* behind ts and bits when they are decoded */
	const int64_t *tmins, *tmaxs; /* block parts: columns of the section */
};

struct slx_scan {
	struct slx_mem *mem;
	const struct slx_codec_choice *codecs;
	struct slx_chunk_work *work;
	struct buffer *free_small, *free_large;
	struct buffer *parked; /* done with, but samples gathered in `out` may point to their values: free at the next call */

	const struct slx_part *parts;
	size_t n_parts;
	const struct slx_hide *hides;
	size_t n_hides;
	struct slx_time_range range;
	bool started, given; /* given: the top of the heap gave the last run */

	struct cursor *cursors;
	size_t cursors_cap;
	struct cursor **heap;
	size_t n;
	int64_t done;

	struct buffer *out;
	size_t out_n;
	enum slx_kind out_kind;

	struct thinning {
		int64_t interval, to; /* interval 0: none; to: of the range asked for */
		struct buffer *out;   /* what is given */
		size_t n;
		bool holds, waits;
		int64_t t;            /* holds: the latest sample of its interval so far */
		uint64_t bits;
		enum slx_kind kind;
		struct slx_buf value[2]; /* its bytes when it has such, and those of the one that is given */
		unsigned turn;
		struct slx_run run;   /* waits: not looked at yet */
	} thin;

	/* The run given whole, while the caller looks inside. */
	struct slx_payload payload;
	const uint8_t *bytes;
	struct buffer *whole;

	struct slx_scan_stats stats;
};

/* ---- buffers ---- */

static size_t buffer_samples(bool large) { return large ? SLX_CHUNK_MAX : SLX_HOT_MAX; }

static size_t buffer_size(bool large) { return sizeof(struct buffer) + buffer_samples(large) * 2 * sizeof(uint64_t); }

static int64_t *buffer_ts(struct buffer *b) { return (int64_t *)b->columns; }

static uint64_t *buffer_bits(struct buffer *b) { return b->columns + buffer_samples(b->large); }

static struct buffer *buffer_take(struct slx_scan *s, size_t n)
{
	bool large = n > SLX_HOT_MAX;
	struct buffer **list = large ? &s->free_large : &s->free_small, *b = *list;
	if (b) {
		*list = b->next;
		return b;
	}
	b = slx_alloc(s->mem, SLX_MEM_QUERY, buffer_size(large));
	if (b) {
		b->large = large;
		slx_buf_init(&b->values, s->mem, SLX_MEM_QUERY, SIZE_MAX);
	}
	return b;
}

static void buffer_give_back(struct slx_scan *s, struct buffer **b)
{
	if (!*b)
		return;
	struct buffer **list = (*b)->values.n ? &s->parked : (*b)->large ? &s->free_large : &s->free_small;
	(*b)->next = *list;
	*list = *b;
	*b = NULL;
}

static void unpark(struct slx_scan *s)
{
	while (s->parked) {
		struct buffer *b = s->parked;
		s->parked = b->next;
		slx_buf_reset(&b->values);
		if (b->values.cap > VALUES_KEPT)
			slx_buf_free(&b->values);
		buffer_give_back(s, &b);
	}
}

static void buffers_free(struct slx_scan *s, struct buffer *list)
{
	while (list) {
		struct buffer *next = list->next;
		slx_buf_free(&list->values);
		slx_free(s->mem, SLX_MEM_QUERY, list, buffer_size(list->large));
		list = next;
	}
}

/* ---- searching in columns ---- */

/* First index in lo..n-1 with v[i] >= t, n if none. Gallops: the answer is often near. */
static size_t lower_bound(const int64_t *v, size_t lo, size_t n, int64_t t)
{
	size_t step = 1, hi = lo;
	while (hi < n && v[hi] < t) {
		lo = hi + 1;
		hi += step;
		step *= 2;
	}
	if (hi > n)
		hi = n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (v[mid] < t)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* First index in lo..n-1 with v[i] > t. */
static size_t upper_bound(const int64_t *v, size_t lo, size_t n, int64_t t)
{
	return t == INT64_MAX ? n : lower_bound(v, lo, n, t + 1);
}

/* First chunk of a memory part that ends at or after t. */
static size_t memory_from(const struct slx_part *p, int64_t t)
{
	size_t lo = 0, hi = p->memory.n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (p->memory.chunks[mid]->meta.tmax < t)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* ---- tombstones ---- */

static bool hide_applies(const struct slx_hide *h, const struct slx_part *p) { return h->version > p->floor; }

static bool hidden_partly(const struct slx_scan *s, const struct cursor *c)
{
	struct slx_time_range piece = { c->tmin, c->tmax };
	for (size_t i = 0; i < s->n_hides; i++)
		if (hide_applies(&s->hides[i], c->part) && slx_range_overlaps(s->hides[i].range, piece))
			return true;
	return false;
}

static bool hidden_wholly(const struct slx_scan *s, const struct cursor *c)
{
	struct slx_time_range piece = { c->tmin, c->tmax };
	for (size_t i = 0; i < s->n_hides; i++)
		if (hide_applies(&s->hides[i], c->part) && slx_range_covers(s->hides[i].range, piece))
			return true;
	return false;
}

/* Takes the hidden samples out of ts and bits; returns how many are left. */
static size_t drop_hidden(const struct slx_scan *s, const struct slx_part *p, int64_t *ts, uint64_t *bits, size_t n)
{
	for (size_t i = 0; i < s->n_hides && n > 0; i++) {
		const struct slx_hide *h = &s->hides[i];
		if (!hide_applies(h, p) || slx_range_empty(h->range))
			continue;
		size_t from = lower_bound(ts, 0, n, h->range.from), to = upper_bound(ts, from, n, h->range.to);
		memmove(ts + from, ts + to, (n - to) * sizeof *ts);
		memmove(bits + from, bits + to, (n - to) * sizeof *bits);
		n -= to - from;
	}
	return n;
}

/* ---- the pieces of a cursor ---- */

/* Fills tmin, tmax, n and kind of the piece that begins at c->next and steps over it; false at the end of the part. */
static bool next_piece(struct cursor *c)
{
	const struct slx_part *p = c->part;
	switch (p->type) {
	case SLX_PART_MEMORY: {
		if (c->next >= p->memory.n)
			return false;
		const struct slx_chunk_meta *m = &p->memory.chunks[c->next]->meta;
		c->tmin = m->tmin, c->tmax = m->tmax, c->n = m->n, c->kind = (enum slx_kind)m->kind;
		c->chunk = (uint32_t)c->next++;
		return true;
	}
	case SLX_PART_BLOCK:
		if (c->next >= (size_t)p->block.first + p->block.n)
			return false;
		c->tmin = c->tmins[c->next], c->tmax = c->tmaxs[c->next];
		c->chunk = (uint32_t)c->next++;
		return true;
	default: { /* SLX_PART_RAW */
		size_t left = p->raw.n - c->next;
		if (left == 0)
			return false;
		c->n = left < SLX_CHUNK_MAX ? left : SLX_CHUNK_MAX;
		c->ts = p->raw.ts + c->next, c->bits = p->raw.bits + c->next, c->kind = p->raw.kind;
		c->tmin = c->ts[0], c->tmax = c->ts[c->n - 1];
		c->next += c->n;
		return true;
	}
	}
}

/* Puts the cursor, closed, on its next piece with a sample that could be given; false when there is none. */
static bool advance(struct slx_scan *s, struct cursor *c)
{
	buffer_give_back(s, &c->buf);
	c->open = false;
	c->pos = 0;
	do {
		if (!next_piece(c) || c->tmin > s->range.to)
			return false;
	} while (c->tmax < s->range.from || (s->n_hides > 0 && hidden_wholly(s, c)));
	c->time = c->tmin > s->range.from ? c->tmin : s->range.from;
	s->stats.chunks += c->part->type != SLX_PART_RAW;
	return true;
}

static bool cursor_begin(struct slx_scan *s, struct cursor *c, const struct slx_part *p)
{
	*c = (struct cursor){ .part = p };
	if (p->type == SLX_PART_MEMORY) {
		c->next = memory_from(p, s->range.from);
	} else if (p->type == SLX_PART_RAW) {
		c->next = lower_bound(p->raw.ts, 0, p->raw.n, s->range.from);
	} else {
		struct slx_section_columns columns;
		slx_section_columns(p->block.section, &columns);
		c->tmins = columns.tmin, c->tmaxs = columns.tmax;
		c->next = lower_bound(c->tmaxs, p->block.first, (size_t)p->block.first + p->block.n, s->range.from);
	}
	return advance(s, c);
}

/* Names the chunk of the cursor in err. Lack of memory is not the chunk's fault. */
static silex_status at_chunk(const struct cursor *c, silex_status st, silex_error *err)
{
	if (!err || st == SILEX_RESOURCE_EXHAUSTED)
		return st;
	if (c->part->type == SLX_PART_BLOCK)
		slx_err_wrap(
			err, "block %s, chunk %u", slx_block_info(slx_section_block(c->part->block.section))->name, c->chunk);
	else
		slx_err_wrap(err, "chunk %u in memory", c->chunk);
	return st;
}

/* Header and bytes of a closed cursor's chunk. *payload is to be released. */
static silex_status load(struct slx_scan *s, const struct cursor *c, struct slx_chunk_meta *ret_meta,
	struct slx_payload *payload, const uint8_t **ret_bytes, silex_error *err)
{
	const struct slx_part *p = c->part;
	if (p->type == SLX_PART_MEMORY) {
		*ret_meta = p->memory.chunks[c->chunk]->meta;
		*ret_bytes = p->memory.chunks[c->chunk]->bytes;
	} else {
		slx_section_meta(p->block.section, c->chunk, ret_meta);
		silex_status st = slx_section_load(p->block.section, c->chunk, payload, err);
		if (st != SILEX_OK)
			return at_chunk(c, st, err);
		*ret_bytes = payload->bytes;
		s->stats.bytes_read += ret_meta->size;
	}
	s->stats.chunks_decoded++;
	return SILEX_OK;
}

/* Decodes the samples of `range` of a closed cursor's chunk into a buffer. */
static silex_status decode(struct slx_scan *s, const struct cursor *c, struct slx_time_range range, struct buffer **ret,
	size_t *ret_n, enum slx_kind *ret_kind, silex_error *err)
{
	struct slx_payload payload = { 0 };
	struct slx_chunk_meta meta;
	const uint8_t *bytes;
	SLX_TRY(load(s, c, &meta, &payload, &bytes, err));
	assert(meta.n <= SLX_CHUNK_MAX);
	struct buffer *b = buffer_take(s, meta.n);
	silex_status st = b
		? slx_chunk_decode(s->work, s->codecs, &meta, bytes, range, buffer_ts(b), buffer_bits(b), &b->values, ret_n, err)
		: slx_err_oom(err);
	slx_payload_release(&payload);
	if (st != SILEX_OK) {
		buffer_give_back(s, &b);
		return at_chunk(c, st, err);
	}
	*ret = b;
	*ret_kind = (enum slx_kind)meta.kind;
	return SILEX_OK;
}

/* A raw piece lies open already; only hidden samples make a copy of it necessary. */
static silex_status open_raw(struct slx_scan *s, struct cursor *c, silex_error *err)
{
	c->pos = lower_bound(c->ts, 0, c->n, s->range.from);
	c->n = upper_bound(c->ts, c->pos, c->n, s->range.to);
	if (s->n_hides > 0 && hidden_partly(s, c)) {
		size_t n = c->n - c->pos;
		c->buf = buffer_take(s, n);
		if (!c->buf)
			return slx_err_oom(err);
		memcpy(buffer_ts(c->buf), c->ts + c->pos, n * sizeof *c->ts);
		memcpy(buffer_bits(c->buf), c->bits + c->pos, n * sizeof *c->bits);
		c->ts = buffer_ts(c->buf), c->bits = buffer_bits(c->buf), c->pos = 0;
		c->n = drop_hidden(s, c->part, buffer_ts(c->buf), buffer_bits(c->buf), n);
	}
	c->open = true;
	return SILEX_OK;
}

static silex_status open_piece(struct slx_scan *s, struct cursor *c, silex_error *err)
{
	if (c->part->type == SLX_PART_RAW)
		return open_raw(s, c, err);
	struct slx_time_range range = { s->done >= s->range.from ? s->done + 1 : s->range.from, s->range.to };
	size_t n;
	SLX_TRY(decode(s, c, range, &c->buf, &n, &c->kind, err));
	c->ts = buffer_ts(c->buf), c->bits = buffer_bits(c->buf);
	c->n = drop_hidden(s, c->part, buffer_ts(c->buf), buffer_bits(c->buf), n);
	c->open = true;
	return SILEX_OK;
}

/* ---- the heap ---- */

static bool before(const struct cursor *a, const struct cursor *b)
{
	if (a->time != b->time)
		return a->time < b->time;
	return a->part->rank != b->part->rank ? a->part->rank > b->part->rank : a->part > b->part;
}

static void sift_down(struct slx_scan *s, size_t i)
{
	struct cursor *c = s->heap[i];
	for (size_t child; (child = 2 * i + 1) < s->n; i = child) {
		if (child + 1 < s->n && before(s->heap[child + 1], s->heap[child]))
			child++;
		if (!before(s->heap[child], c))
			break;
		s->heap[i] = s->heap[child];
	}
	s->heap[i] = c;
}

/* The cursor that comes after the top, NULL when the top is alone. */
static const struct cursor *second(const struct slx_scan *s)
{
	if (s->n < 2)
		return NULL;
	return s->n > 2 && before(s->heap[2], s->heap[1]) ? s->heap[2] : s->heap[1];
}

/* Steps the top over its piece. */
static void pop_piece(struct slx_scan *s)
{
	if (!advance(s, s->heap[0]))
		s->heap[0] = s->heap[--s->n];
	if (s->n > 0)
		sift_down(s, 0);
}

/* The top is open and has lost samples from its front: steps over what was beaten and puts it in its place. */
static void restore_top(struct slx_scan *s)
{
	struct cursor *top = s->heap[0];
	if (top->pos < top->n && top->ts[top->pos] <= s->done)
		top->pos = upper_bound(top->ts, top->pos, top->n, s->done);
	if (top->pos >= top->n) {
		pop_piece(s);
		return;
	}
	top->time = top->ts[top->pos];
	sift_down(s, 0);
}

static silex_status begin(struct slx_scan *s, silex_error *err)
{
	if (s->n_parts > s->cursors_cap) {
		size_t cap = s->n_parts < 8 ? 8 : s->n_parts, each = sizeof *s->cursors + sizeof *s->heap;
		void *p = slx_alloc(s->mem, SLX_MEM_QUERY, cap * each);
		if (!p)
			return slx_err_oom(err);
		slx_free(s->mem, SLX_MEM_QUERY, s->cursors, s->cursors_cap * each);
		s->cursors = p;
		s->heap = (struct cursor **)(s->cursors + cap);
		s->cursors_cap = cap;
	}
	if (!slx_range_empty(s->range))
		for (size_t i = 0; i < s->n_parts; i++)
			if (cursor_begin(s, &s->cursors[s->n], &s->parts[i])) {
				s->heap[s->n] = &s->cursors[s->n];
				s->n++;
			}
	for (size_t i = s->n / 2; i-- > 0;)
		sift_down(s, i);
	s->started = true;
	return SILEX_OK;
}

/* Ends the life of the last run. */
static void settle(struct slx_scan *s)
{
	slx_payload_release(&s->payload);
	s->payload = (struct slx_payload){ 0 };
	s->bytes = NULL;
	buffer_give_back(s, &s->whole);
	if (!s->given)
		return;
	s->given = false;
	if (s->heap[0]->open)
		restore_top(s);
	else
		pop_piece(s);
}

/* ---- giving runs ---- */

static bool can_pass_whole(const struct slx_scan *s, const struct cursor *top, const struct cursor *other)
{
	return s->thin.interval == 0 && top->part->type != SLX_PART_RAW && (!other || other->time > top->tmax) && top->tmin > s->done &&
		top->tmin >= s->range.from && top->tmax <= s->range.to && (s->n_hides == 0 || !hidden_partly(s, top));
}

static void give_whole(struct slx_scan *s, struct slx_run *ret)
{
	const struct cursor *top = s->heap[0];
	ret->whole = true;
	if (top->part->type == SLX_PART_MEMORY)
		ret->meta = top->part->memory.chunks[top->chunk]->meta;
	else
		slx_section_meta(top->part->block.section, top->chunk, &ret->meta);
	ret->kind = (enum slx_kind)ret->meta.kind;
	ret->n = ret->meta.n;
	ret->ts = NULL;
	ret->bits = NULL;
	s->done = ret->meta.tmax;
	s->given = true;
}

static void set_decoded(struct slx_run *ret, enum slx_kind kind, const int64_t *ts, const uint64_t *bits, size_t n)
{
	ret->kind = kind;
	ret->whole = false;
	ret->n = n;
	ret->ts = ts;
	ret->bits = bits;
}

/* How many samples of the open top come before anything of the others. */
static size_t stretch(const struct cursor *top, const struct cursor *other)
{
	if (!other)
		return top->n - top->pos;
	bool wins_tie =
		top->part->rank > other->part->rank || (top->part->rank == other->part->rank && top->part > other->part);
	size_t end = wins_tie ? upper_bound(top->ts, top->pos, top->n, other->time)
						  : lower_bound(top->ts, top->pos, top->n, other->time);
	return end - top->pos;
}

/* Moves up to n samples of the open top to `out`. */
static silex_status gather(struct slx_scan *s, size_t n, silex_error *err)
{
	struct cursor *top = s->heap[0];
	if (!s->out && !(s->out = buffer_take(s, SLX_CHUNK_MAX)))
		return slx_err_oom(err);
	if (n > SLX_CHUNK_MAX - s->out_n)
		n = SLX_CHUNK_MAX - s->out_n;
	memcpy(buffer_ts(s->out) + s->out_n, top->ts + top->pos, n * sizeof *top->ts);
	memcpy(buffer_bits(s->out) + s->out_n, top->bits + top->pos, n * sizeof *top->bits);
	s->out_kind = top->kind;
	s->out_n += n;
	top->pos += n;
	s->done = buffer_ts(s->out)[s->out_n - 1];
	restore_top(s);
	return SILEX_OK;
}

/* Does one step of the merge at the top. *ret_stop: a run is ready, in *ret or (ret->n 0) gathered in `out`. */
static silex_status step(struct slx_scan *s, struct slx_run *ret, bool *ret_stop, silex_error *err)
{
	struct cursor *top = s->heap[0];
	const struct cursor *other = second(s);
	*ret_stop = true;
	if (!top->open) {
		bool whole = can_pass_whole(s, top, other);
		if (whole && s->out_n > 0)
			return SILEX_OK;
		if (whole) {
			give_whole(s, ret);
			return SILEX_OK;
		}
		silex_status st = open_piece(s, top, s->out_n > 0 ? NULL : err);
		if (st != SILEX_OK && s->out_n > 0)
			return SILEX_OK; /* and the next call fails */
		if (st == SILEX_CORRUPT || st == SILEX_UNSUPPORTED)
			pop_piece(s);
		if (st != SILEX_OK)
			return st;
		restore_top(s);
		*ret_stop = false;
		return SILEX_OK;
	}
	if (top->time <= s->done) { /* beaten */
		*ret_stop = false;
		restore_top(s);
		return SILEX_OK;
	}
	if (s->out_n == SLX_CHUNK_MAX || (s->out_n > 0 && top->kind != s->out_kind))
		return SILEX_OK;
	size_t n = stretch(top, other);
	assert(n > 0);
	if (s->out_n == 0 && (n >= IN_PLACE_MIN || !other)) {
		set_decoded(ret, top->kind, top->ts + top->pos, top->bits + top->pos, n);
		top->pos += n;
		s->done = top->ts[top->pos - 1];
		s->given = true;
		return SILEX_OK;
	}
	*ret_stop = false;
	return gather(s, n, err);
}

static silex_status next_run(struct slx_scan *s, struct slx_run *ret, bool *ret_more, silex_error *err)
{
	if (!s->started)
		SLX_TRY(begin(s, err));
	settle(s);
	unpark(s);
	s->out_n = 0;
	ret->n = 0;
	for (bool stop = false; s->n > 0 && !stop;)
		SLX_TRY(step(s, ret, &stop, err));
	if (ret->n == 0 && s->out_n > 0)
		set_decoded(ret, s->out_kind, buffer_ts(s->out), buffer_bits(s->out), s->out_n);
	*ret_more = ret->n > 0;
	return SILEX_OK;
}

/* ---- dedup ---- */

/* The held sample is the latest of its interval. */
static void give_held(struct thinning *h)
{
	h->holds = false;
	if (h->t > h->to)
		return;
	buffer_ts(h->out)[h->n] = h->t;
	buffer_bits(h->out)[h->n++] = h->bits;
	h->turn ^= 1; /* its bytes stay where they are while it is given */
}

static silex_status hold(struct thinning *h, enum slx_kind kind, int64_t t, uint64_t bits, silex_error *err)
{
	h->t = t;
	h->bits = bits;
	h->kind = kind;
	if (slx_kind_is_bytes(kind)) {
		struct slx_buf *b = &h->value[h->turn];
		slx_buf_reset(b);
		slx_buf_put(b, (const void *)(uintptr_t)bits, slx_value_stored(bits));
		if (b->failed)
			return slx_err_oom(err);
		h->bits = (uint64_t)(uintptr_t)b->p;
	}
	h->holds = true;
	return SILEX_OK;
}

/* Gives what a run decides: the held sample, if the run begins in another interval, and all of the run that are followed by one of
 * another interval. Its last one is held. */
static silex_status thin_run(struct thinning *h, const struct slx_run *run, silex_error *err)
{
	int64_t last = slx_dedup_last(run->ts[0], h->interval);
	if (h->holds && slx_dedup_last(h->t, h->interval) != last)
		give_held(h);
	h->holds = false;
	for (size_t i = 0; i + 1 < run->n; i++) {
		if (run->ts[i + 1] <= last)
			continue;
		last = slx_dedup_last(run->ts[i + 1], h->interval);
		if (run->ts[i] > h->to)
			continue;
		buffer_ts(h->out)[h->n] = run->ts[i];
		buffer_bits(h->out)[h->n++] = run->bits[i];
	}
	return hold(h, run->kind, run->ts[run->n - 1], run->bits[run->n - 1], err);
}

static silex_status next_thinned(struct slx_scan *s, struct slx_run *ret, bool *ret_more, silex_error *err)
{
	struct thinning *h = &s->thin;
	if (!h->out && !(h->out = buffer_take(s, SLX_CHUNK_MAX)))
		return slx_err_oom(err);
	h->n = 0;
	for (bool more = true; more && h->n == 0;) {
		enum slx_kind kind = h->kind;
		if (!h->waits)
			SLX_TRY(next_run(s, &h->run, &more, err));
		h->waits = more && h->holds && h->run.kind != kind && slx_dedup_last(h->t, h->interval) != slx_dedup_last(h->run.ts[0], h->interval);
		if (h->waits || (!more && h->holds)) {
			give_held(h); /* by itself: what follows is of another kind, or nothing */
		} else if (more) {
			kind = h->run.kind;
			SLX_TRY(thin_run(h, &h->run, err));
		}
		set_decoded(ret, kind, buffer_ts(h->out), buffer_bits(h->out), h->n);
	}
	*ret_more = h->n > 0;
	return SILEX_OK;
}

silex_status slx_scan_next(struct slx_scan *s, struct slx_run *ret, bool *ret_more, silex_error *err)
{
	return s->thin.interval ? next_thinned(s, ret, ret_more, err) : next_run(s, ret, ret_more, err);
}

/* ---- looking inside a whole run ---- */

/* Bytes of the chunk that was given last. */
static silex_status whole_bytes(struct slx_scan *s, silex_error *err)
{
	assert(s->given && !s->heap[0]->open);
	if (s->bytes)
		return SILEX_OK;
	struct slx_chunk_meta meta;
	return load(s, s->heap[0], &meta, &s->payload, &s->bytes, err);
}

silex_status slx_scan_decode(struct slx_scan *s, struct slx_run *run, silex_error *err)
{
	if (run->ts)
		return SILEX_OK;
	SLX_TRY(whole_bytes(s, err));
	struct buffer *b = buffer_take(s, run->meta.n);
	if (!b)
		return slx_err_oom(err);
	size_t n;
	silex_status st =
		slx_chunk_decode(s->work, s->codecs, &run->meta, s->bytes, SLX_TIME_ALL, buffer_ts(b), buffer_bits(b), &b->values, &n, err);
	if (st != SILEX_OK) {
		buffer_give_back(s, &b);
		return at_chunk(s->heap[0], st, err);
	}
	s->whole = b;
	run->ts = buffer_ts(b);
	run->bits = buffer_bits(b);
	run->n = n;
	return SILEX_OK;
}

silex_status slx_scan_bytes(struct slx_scan *s, const struct slx_run *run, const uint8_t **ret, silex_error *err)
{
	assert(run->whole);
	SLX_TRY(whole_bytes(s, err));
	*ret = s->bytes;
	return SILEX_OK;
}

silex_status slx_scan_fold(struct slx_scan *s, const struct slx_run *run, int64_t origin, uint64_t step,
	slx_chunk_window_fn each, void *arg, silex_error *err)
{
	assert(run->whole);
	SLX_TRY(whole_bytes(s, err));
	silex_status st =
		slx_chunk_aggregate(s->work, s->codecs, &run->meta, s->bytes, SLX_TIME_ALL, origin, step, each, arg, err);
	return st == SILEX_OK ? st : at_chunk(s->heap[0], st, err);
}

/* ---- life ---- */

silex_status slx_scan_new(struct slx_mem *m, const struct slx_codec_choice *c, struct slx_scan **ret, silex_error *err)
{
	struct slx_scan *s = slx_calloc(m, SLX_MEM_QUERY, sizeof *s);
	if (!s)
		return slx_err_oom(err);
	s->mem = m;
	s->codecs = c;
	s->started = true; /* over nothing, until start */
	for (int i = 0; i < 2; i++)
		slx_buf_init(&s->thin.value[i], m, SLX_MEM_QUERY, SLX_VALUE_STORED_MAX);
	silex_status st = slx_chunk_work_new(m, SLX_MEM_QUERY, &s->work, err);
	if (st != SILEX_OK) {
		slx_scan_free(s);
		return st;
	}
	*ret = s;
	return SILEX_OK;
}

/* Gives back all that the scan under way holds. */
static void let_go(struct slx_scan *s)
{
	slx_payload_release(&s->payload);
	s->payload = (struct slx_payload){ 0 };
	s->bytes = NULL;
	buffer_give_back(s, &s->whole);
	for (size_t i = 0; i < s->n; i++)
		buffer_give_back(s, &s->heap[i]->buf);
	unpark(s);
	s->n = 0;
	s->given = false;
	s->thin.holds = s->thin.waits = false;
}

void slx_scan_free(struct slx_scan *s)
{
	if (!s)
		return;
	let_go(s);
	buffer_give_back(s, &s->out);
	buffer_give_back(s, &s->thin.out);
	for (int i = 0; i < 2; i++)
		slx_buf_free(&s->thin.value[i]);
	buffers_free(s, s->free_small);
	buffers_free(s, s->free_large);
	slx_free(s->mem, SLX_MEM_QUERY, s->cursors, s->cursors_cap * (sizeof *s->cursors + sizeof *s->heap));
	slx_chunk_work_free(s->work);
	slx_free(s->mem, SLX_MEM_QUERY, s, sizeof *s);
}

void slx_scan_start(struct slx_scan *s, const struct slx_part *parts, size_t n_parts, const struct slx_hide *hides,
	size_t n_hides, struct slx_time_range range)
{
	let_go(s);
	s->parts = parts;
	s->n_parts = n_parts;
	s->hides = hides;
	s->n_hides = n_hides;
	s->range.from = slx_time_clamp(range.from);
	s->range.to = slx_time_clamp(range.to);
	s->thin.interval = n_parts ? parts[0].dedup : 0;
	s->thin.to = s->range.to;
	if (slx_range_empty(range))
		s->range = (struct slx_time_range){ 1, 0 };
	else if (s->thin.interval)
		s->range.to = slx_dedup_last(s->range.to, s->thin.interval);
	s->done = INT64_MIN;
	s->started = false;
}

void slx_scan_stats(const struct slx_scan *s, struct slx_scan_stats *ret)
{
	*ret = s->stats;
	ret->chunks_by_header = ret->chunks - ret->chunks_decoded;
}
