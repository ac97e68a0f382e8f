/* Native histograms as columns (docs/format/chunk.md).
 *
 * Problem. The histograms of a series are alike: the same buckets, each count a little more than the one before. As bytes, one
 * after the other, that is invisible to a general compressor.
 *
 * Approach. What seldom changes is told once: a class is schema, zero threshold and custom bounds; a layout is a class, the
 * spans and the flags of a histogram. Each sample has the number of its layout, and its numbers go to columns: count, sum,
 * zero count, start, and one for each bucket that any layout of the class has, whatever its spans, so that a bucket more
 * does not break the others' columns. Whole columns of integers are coded as such, the others as doubles. Where all counts
 * are integers, the column of counts has what is left after zero count and buckets are taken off: nothing, mostly.
 *
 *     varint classes, each: zigzag schema, f64 zero threshold, varint n, n x f64 custom bounds
 *     varint layouts, each: varint class, u8 integer | reset << 1, then for the positive and the negative side
 *         varint spans, each: zigzag offset, varint length
 *     with more than one layout: varint size, run lengths of the samples' layouts
 *     u8      1: counts are less zero counts and buckets
 *     a bit for each column, low bit first: it is of doubles
 *     columns of integers: varint size, int64 block
 *     columns of doubles, each vector of 512 or the rest: varint size, SX vector
 *
 * The order of columns: the four, then buckets by class, side and index. Empty columns are left out of all but the bits.
 *
 * What may fail: histograms whose bytes are not canonical, or with too many buckets to be held at once, do not come back
 * from columns as they were; the encoder declines them, and they are stored as bytes. */
#include "storage/chunk/histogram_int.h"

/* ---- encode: histograms to columns ---- */

/* The histogram in `value`, if it comes back from its fields as it is. */
static bool parse(struct slx_hshape *s, uint64_t value, struct slx_buf *again, struct slx_histogram *ret)
{
	struct slx_str v = slx_value_bytes(value);
	if (slx_histogram_decode((const uint8_t *)v.p, v.n, &s->arena, ret, NULL) != SILEX_OK)
		return false;
	slx_buf_reset(again);
	slx_histogram_encode(ret, again);
	return !again->failed && again->n == v.n && memcmp(again->p, v.p, v.n) == 0;
}

static bool same_class(const struct slx_hclass *c, const struct slx_histogram *h)
{
	return c->schema == h->schema && slx_f64_bits(c->threshold) == slx_f64_bits(h->zero_threshold) && c->custom_n == h->custom_n &&
		(h->custom_n == 0 || memcmp(c->custom, h->custom, h->custom_n * sizeof *h->custom) == 0);
}

static bool same_side(const struct slx_hside *a, const struct slx_span *spans, uint32_t n)
{
	return a->spans_n == n && (n == 0 || memcmp(a->spans, spans, n * sizeof *spans) == 0);
}

static uint8_t flags_of(const struct slx_histogram *h) { return (uint8_t)(h->integer | h->reset << 1); }

static bool same_layout(const struct slx_hshape *s, const struct slx_hlayout *l, const struct slx_histogram *h)
{
	return l->flags == flags_of(h) && same_side(&l->side[0], h->positive_spans, h->positive_spans_n) &&
		same_side(&l->side[1], h->negative_spans, h->negative_spans_n) && same_class(&s->classes[l->class], h);
}

static uint32_t class_of(struct slx_hshape *s, const struct slx_histogram *h)
{
	uint32_t i = s->classes_n;
	while (i > 0 && !same_class(&s->classes[i - 1], h))
		i--;
	if (i > 0)
		return i - 1;
	s->classes[s->classes_n] = (struct slx_hclass){ h->schema, h->zero_threshold, h->custom, h->custom_n };
	return s->classes_n++;
}

/* The number of the histogram's layout, found from the newest on. */
static uint32_t layout_of(struct slx_hshape *s, const struct slx_histogram *h)
{
	uint32_t i = s->layouts_n;
	while (i > 0 && !same_layout(s, &s->layouts[i - 1], h))
		i--;
	if (i > 0)
		return i - 1;
	s->layouts[s->layouts_n] = (struct slx_hlayout){
		.class = class_of(s, h),
		.flags = flags_of(h),
		.side = { { h->positive_spans, h->positive_spans_n, h->positive_n }, { h->negative_spans, h->negative_spans_n, h->negative_n } },
	};
	return s->layouts_n++;
}

/* Layouts of the n histograms; *ret_all false when one has no canonical form. */
static silex_status read_all(struct slx_hshape *s, const uint64_t *bits, struct slx_histogram *all, bool *ret_all, silex_error *err)
{
	struct slx_buf again;
	slx_buf_init(&again, s->arena.mem, s->arena.use, SIZE_MAX);
	size_t i = 0;
	for (; i < s->n && parse(s, bits[i], &again, &all[i]); i++) {
		s->of[i] = layout_of(s, &all[i]);
		s->layouts[s->of[i]].samples++;
	}
	slx_buf_free(&again);
	*ret_all = i == s->n;
	return SILEX_OK;
}

/* The double, if it is a whole number, as such. */
static bool whole(uint64_t bits, int64_t *ret)
{
	double d = slx_bits_f64(bits);
	if (!(d > -0x1p63 && d < 0x1p63))
		return false;
	*ret = (int64_t)d;
	return slx_f64_bits((double)*ret) == bits;
}

static void to_integers(struct slx_hshape *s, uint32_t column)
{
	uint64_t *v = s->v + s->first[column];
	size_t n = slx_shape_size(s, column);
	int64_t x = 0;
	for (size_t i = 0; i < n && !s->doubles[column]; i++)
		s->doubles[column] = !whole(v[i], &x);
	for (size_t i = 0; i < n && !s->doubles[column]; i++) {
		whole(v[i], &x);
		v[i] = (uint64_t)x;
	}
}

static silex_status fill_columns(struct slx_hshape *s, const struct slx_histogram *all, silex_error *err)
{
	size_t *at = slx_shape_places(s);
	if (!at)
		return slx_err_oom(err);
	for (size_t i = 0; i < s->n; i++) {
		const struct slx_histogram *h = &all[i];
		const uint32_t *column = s->layouts[s->of[i]].columns;
		s->v[at[SLX_HCOUNT]++] = slx_f64_bits(h->count);
		s->v[at[SLX_HSUM]++] = slx_f64_bits(h->sum);
		s->v[at[SLX_HZERO]++] = slx_f64_bits(h->zero_count);
		s->v[at[SLX_HSTART]++] = (uint64_t)h->start;
		for (uint32_t k = 0; k < h->positive_n; k++)
			s->v[at[*column++]++] = slx_f64_bits(h->positive[k]);
		for (uint32_t k = 0; k < h->negative_n; k++)
			s->v[at[*column++]++] = slx_f64_bits(h->negative[k]);
	}
	for (uint32_t c = 0; c < s->columns_n; c++)
		if (c != SLX_HSTART)
			to_integers(s, c);
	return SILEX_OK;
}

/* Counts less zero counts and buckets, when all are integers. */
static silex_status take_off(struct slx_hshape *s, bool *ret_done, silex_error *err)
{
	*ret_done = false;
	for (uint32_t c = 0; c < s->columns_n; c++)
		if (c != SLX_HSUM && s->doubles[c])
			return SILEX_OK;
	size_t *at = slx_shape_places(s);
	if (!at)
		return slx_err_oom(err);
	for (size_t i = 0; i < s->n; i++) {
		uint64_t *count = &s->v[s->first[SLX_HCOUNT] + i];
		*count -= s->v[s->first[SLX_HZERO] + i];
		for (size_t n = slx_shape_take(s, i, at); n > 0; n--)
			*count -= s->bucket[n - 1];
	}
	*ret_done = true;
	return SILEX_OK;
}

/* ---- encode: columns to bytes ---- */

static void put_f64s(struct slx_buf *b, const double *v, uint32_t n)
{
	slx_buf_put(b, v, n * sizeof *v);
}

static void put_shape(const struct slx_hshape *s, struct slx_buf *b)
{
	slx_buf_varint(b, s->classes_n);
	for (uint32_t i = 0; i < s->classes_n; i++) {
		slx_buf_varint(b, slx_zigzag(s->classes[i].schema));
		put_f64s(b, &s->classes[i].threshold, 1);
		slx_buf_varint(b, s->classes[i].custom_n);
		put_f64s(b, s->classes[i].custom, s->classes[i].custom_n);
	}
	slx_buf_varint(b, s->layouts_n);
	for (uint32_t i = 0; i < s->layouts_n; i++) {
		slx_buf_varint(b, s->layouts[i].class);
		slx_buf_u8(b, s->layouts[i].flags);
		for (const struct slx_hside *side = s->layouts[i].side; side < s->layouts[i].side + 2; side++) {
			slx_buf_varint(b, side->spans_n);
			for (uint32_t k = 0; k < side->spans_n; k++) {
				slx_buf_varint(b, slx_zigzag(side->spans[k].offset));
				slx_buf_varint(b, side->spans[k].length);
			}
		}
	}
}

/* Moves the `size` bytes behind room for a varint in front of them, which is put there. */
static void put_sized(struct slx_buf *b, uint8_t *room, size_t size)
{
	uint8_t *p = slx_put_varint(room, size);
	memmove(p, room + SLX_VARINT_SIZE_MAX, size);
	b->n += (size_t)(p - room) + size;
}

static void put_layouts(const struct slx_hshape *s, struct slx_buf *b)
{
	uint8_t *p = slx_buf_reserve(b, SLX_VARINT_SIZE_MAX + slx_rle_bound(s->n));
	if (p)
		put_sized(b, p, slx_rle_encode(s->of, s->n, p + SLX_VARINT_SIZE_MAX, slx_rle_bound(s->n)));
}

static void put_bits(const struct slx_hshape *s, struct slx_buf *b)
{
	for (uint32_t c = 0; c < s->columns_n; c += 8) {
		unsigned byte = 0;
		for (uint32_t k = c; k < s->columns_n && k < c + 8; k++)
			byte |= (unsigned)s->doubles[k] << (k - c);
		slx_buf_u8(b, (uint8_t)byte);
	}
}

static void put_integers(const struct slx_hshape *s, struct slx_buf *b)
{
	for (uint32_t c = 0; c < s->columns_n; c++) {
		size_t n = slx_shape_size(s, c), bound = slx_i64_bound(n);
		uint8_t *p = s->doubles[c] || n == 0 ? NULL : slx_buf_reserve(b, SLX_VARINT_SIZE_MAX + bound);
		if (p)
			put_sized(b, p, slx_i64_encode((const int64_t *)(s->v + s->first[c]), n, p + SLX_VARINT_SIZE_MAX, bound));
	}
}

static void put_doubles(const struct slx_hshape *s, struct slx_buf *b)
{
	for (uint32_t c = 0; c < s->columns_n; c++)
		for (size_t at = s->first[c]; s->doubles[c] && at < s->first[c + 1]; at += SLX_VECTOR_MAX) {
			size_t n = s->first[c + 1] - at < SLX_VECTOR_MAX ? s->first[c + 1] - at : SLX_VECTOR_MAX;
			uint8_t *p = slx_buf_reserve(b, SLX_VARINT_SIZE_MAX + slx_sx_bound(n));
			if (p)
				put_sized(b, p, slx_sx_encode((const double *)(s->v + at), n, NULL, SLX_SCALE_NONE, p + SLX_VARINT_SIZE_MAX, slx_sx_bound(n)));
		}
}

static silex_status put_body(struct slx_hshape *s, struct slx_buf *b, silex_error *err)
{
	bool rest;
	SLX_TRY(take_off(s, &rest, err));
	put_shape(s, b);
	if (s->layouts_n > 1)
		put_layouts(s, b);
	slx_buf_u8(b, rest);
	put_bits(s, b);
	put_integers(s, b);
	put_doubles(s, b);
	return b->failed ? slx_err_oom(err) : SILEX_OK;
}

static silex_status shape_of(struct slx_hshape *s, const uint64_t *bits, bool *ret_fits, silex_error *err)
{
	struct slx_histogram *all = slx_arena_alloc(&s->arena, s->n * sizeof *all, 8);
	s->of = slx_arena_alloc(&s->arena, s->n * sizeof *s->of, 4);
	s->classes = slx_arena_alloc(&s->arena, s->n * sizeof *s->classes, 8);
	s->layouts = slx_arena_alloc(&s->arena, s->n * sizeof *s->layouts, 8);
	if (!all || !s->of || !s->classes || !s->layouts)
		return slx_err_oom(err);
	SLX_TRY(read_all(s, bits, all, ret_fits, err));
	if (*ret_fits)
		SLX_TRY(slx_shape_columns(s, ret_fits, err));
	return *ret_fits ? fill_columns(s, all, err) : SILEX_OK;
}

silex_status slx_histograms_encode(const uint64_t *bits, size_t n, enum slx_wrap wrap, struct slx_buf *out, bool *ret_done, silex_error *err)
{
	struct slx_hshape s = { .n = n };
	struct slx_buf body;
	bool fits = false;
	slx_arena_init(&s.arena, out->mem, out->use, SLX_HSLAB);
	slx_buf_init(&body, out->mem, out->use, SIZE_MAX);
	silex_status st = shape_of(&s, bits, &fits, err);
	if (st == SILEX_OK && fits)
		st = put_body(&s, &body, err);
	fits = fits && body.n <= SLX_CHUNK_BYTES_MAX;
	if (st == SILEX_OK && fits)
		st = slx_body_put(&body, wrap, out, err);
	slx_buf_free(&body);
	slx_arena_clear(&s.arena);
	*ret_done = fits;
	return st;
}
