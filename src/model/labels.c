#include "model/labels.h"

#include <stdlib.h>

const struct slx_label_limits slx_label_limits_default = {
	.labels_max = 128,
	.name_size_max = 1024,
	.value_size_max = 8192,
	.size_max = 65536,
};

enum { NAME_SHOWN_MAX = 64 }; /* bytes of a name or value that a message repeats */

#define SHOWN(s) (int)((s).n < NAME_SHOWN_MAX ? (s).n : NAME_SHOWN_MAX), (s).p

int slx_str_cmp(struct slx_str a, struct slx_str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;
	return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* ---- view ---- */

static size_t varint_size(uint64_t v)
{
	size_t n = 1;
	while (v >= 128) {
		v >>= 7;
		n++;
	}
	return n;
}

/* A varint of bytes that were checked. */
static inline size_t trusted_varint(const uint8_t **p)
{
	size_t v = *(*p)++;
	if (v < 128)
		return v;
	v &= 127;
	for (unsigned shift = 7;; shift += 7) {
		uint8_t b = *(*p)++;
		v |= (size_t)(b & 127) << shift;
		if (b < 128)
			return v;
	}
}

static inline struct slx_str trusted_str(const uint8_t **p)
{
	size_t n = trusted_varint(p);
	struct slx_str s = { (const char *)*p, n };
	*p += n;
	return s;
}

struct slx_labels_iter slx_labels_iter(struct slx_labels l)
{
	struct slx_labels_iter it = { l.p, 0 };
	if (l.n)
		it.left = trusted_varint(&it.p);
	return it;
}

bool slx_labels_next(struct slx_labels_iter *it, struct slx_label *ret)
{
	if (it->left == 0)
		return false;
	it->left--;
	ret->name = trusted_str(&it->p);
	ret->value = trusted_str(&it->p);
	return true;
}

size_t slx_labels_count(struct slx_labels l) { return slx_labels_iter(l).left; }

struct slx_str slx_labels_get(struct slx_labels l, struct slx_str name)
{
	struct slx_label label;
	for (struct slx_labels_iter it = slx_labels_iter(l); slx_labels_next(&it, &label);)
		if (slx_str_eq(label.name, name))
			return label.value;
	return SLX_STR("");
}

/* How many bytes two texts have in common at their beginning. */
static size_t common_prefix(const uint8_t *a, const uint8_t *b, size_t n)
{
	size_t i = 0;
	for (; i + 8 <= n; i += 8) {
		uint64_t x, y;
		memcpy(&x, a + i, 8);
		memcpy(&y, b + i, 8);
		if (x != y)
			return i + (size_t)__builtin_ctzll(x ^ y) / 8;
	}
	while (i < n && a[i] == b[i])
		i++;
	return i;
}

/* Series that are sorted share most of their labels: what both sets have in common is found in their bytes, and only the first
 * pair beyond it is compared as texts. */
int slx_labels_cmp(struct slx_labels a, struct slx_labels b)
{
	struct slx_labels_iter ia = slx_labels_iter(a), ib = slx_labels_iter(b);
	const uint8_t *start = ia.p;
	size_t a_n = (size_t)(a.p + a.n - ia.p), b_n = (size_t)(b.p + b.n - ib.p);
	size_t common = common_prefix(ia.p, ib.p, a_n < b_n ? a_n : b_n);
	struct slx_label la, lb;
	for (;;) {
		const uint8_t *at = ia.p;
		bool more_a = slx_labels_next(&ia, &la);
		if (more_a && ib.left && (size_t)(ia.p - start) <= common) {
			ib.p += ia.p - at;
			ib.left--;
			continue;
		}
		bool more_b = slx_labels_next(&ib, &lb);
		if (!more_a || !more_b)
			return (int)more_a - (int)more_b;
		int c = slx_str_cmp(la.name, lb.name);
		return c ? c : slx_str_cmp(la.value, lb.value);
	}
}

/* ---- foreign bytes ---- */

/* A varint in its shortest form. */
static uint64_t read_varint(struct slx_rd *r)
{
	const uint8_t *start = r->p;
	uint64_t v = slx_rd_varint(r);
	if (!r->bad && (size_t)(r->p - start) != varint_size(v))
		r->bad = true;
	return v;
}

static struct slx_str read_str(struct slx_rd *r, size_t size_max)
{
	uint64_t n = read_varint(r);
	if (n == 0 || n > size_max)
		r->bad = true;
	struct slx_str s = { (const char *)slx_rd_bytes(r, n), n };
	if (s.p && !slx_utf8_valid(s.p, s.n))
		r->bad = true;
	return s;
}

silex_status slx_labels_parse(
	const void *p, size_t n, const struct slx_label_limits *limits, struct slx_labels *ret, silex_error *err)
{
	const struct slx_label_limits *max = limits ? limits : &slx_label_limits_default;
	if (n > max->size_max)
		return slx_err(err, SILEX_CORRUPT, "label set of %zu bytes; expected at most %zu", n, max->size_max);
	struct slx_rd r = slx_rd_init(p, n);
	uint64_t count = read_varint(&r);
	if (r.bad || count > max->labels_max)
		return slx_err(
			err, SILEX_CORRUPT, "label set: offset 0: expected a label count of at most %zu", max->labels_max);
	struct slx_str before = { "", 0 };
	for (uint64_t i = 0; i < count; i++) {
		size_t offset = n - slx_rd_left(&r);
		struct slx_str name = read_str(&r, max->name_size_max);
		read_str(&r, max->value_size_max);
		if (r.bad)
			return slx_err(err, SILEX_CORRUPT,
				"label set: offset %zu: expected a name of 1 to %zu and a value of 1 to %zu bytes of UTF-8", offset,
				max->name_size_max, max->value_size_max);
		if (slx_str_cmp(before, name) >= 0)
			return slx_err(err, SILEX_CORRUPT, "label set: offset %zu: name \"%.*s\" does not come after \"%.*s\"",
				offset, SHOWN(name), SHOWN(before));
		before = name;
	}
	if (slx_rd_left(&r))
		return slx_err(err, SILEX_CORRUPT, "label set: offset %zu: expected the end, found %zu more bytes",
			n - slx_rd_left(&r), slx_rd_left(&r));
	*ret = (struct slx_labels){ p, n };
	return SILEX_OK;
}

/* ---- builder ---- */

void slx_labels_builder_init(
	struct slx_labels_builder *b, struct slx_mem *m, enum slx_mem_use use, const struct slx_label_limits *limits)
{
	*b = (struct slx_labels_builder){ .mem = m, .use = use };
	b->limits = limits ? *limits : slx_label_limits_default;
	slx_buf_init(&b->out, m, use, b->limits.size_max);
	slx_buf_init(&b->text, m, use, SIZE_MAX);
}

void slx_labels_builder_free(struct slx_labels_builder *b)
{
	slx_free(b->mem, b->use, b->pairs, b->cap * sizeof *b->pairs);
	slx_buf_free(&b->out);
	slx_buf_free(&b->text);
	b->pairs = NULL;
	b->n = b->cap = 0;
}

void slx_labels_builder_reset(struct slx_labels_builder *b)
{
	b->n = 0;
	b->failed = false;
	slx_buf_reset(&b->out);
	slx_buf_reset(&b->text);
}

bool slx_labels_builder_grow(struct slx_labels_builder *b)
{
	size_t cap = b->cap ? b->cap * 2 : 16;
	struct slx_label *p = slx_realloc(b->mem, b->use, b->pairs, b->cap * sizeof *p, cap * sizeof *p);
	if (!p) {
		b->failed = true;
		return false;
	}
	b->pairs = p;
	b->cap = cap;
	return true;
}

static int by_name(const void *a, const void *b)
{
	return slx_str_cmp(((const struct slx_label *)a)->name, ((const struct slx_label *)b)->name);
}

/* Most names differ in the first byte, and a comparison of bytes costs a call. */
static bool after(struct slx_str a, struct slx_str b)
{
	if (a.n && b.n && a.p[0] != b.p[0])
		return (unsigned char)a.p[0] > (unsigned char)b.p[0];
	return slx_str_cmp(a, b) > 0;
}

/* There are a dozen labels, and rows of a batch name them alike: insertion, begun with the order of the last set. */
static void sort_pairs(struct slx_labels_builder *b)
{
	if (b->n > SLX_LABELS_ORDERED_MAX) {
		qsort(b->pairs, b->n, sizeof *b->pairs, by_name);
		return;
	}
	for (size_t i = 0; i < b->n && b->ordered_n != b->n; i++)
		b->order[i] = (uint8_t)i;
	b->ordered_n = b->n;
	for (size_t i = 1; i < b->n; i++) {
		uint8_t x = b->order[i];
		size_t j = i;
		for (; j > 0 && after(b->pairs[b->order[j - 1]].name, b->pairs[x].name); j--)
			b->order[j] = b->order[j - 1];
		b->order[j] = x;
	}
}

/* Label i in the order of names. */
static inline const struct slx_label *sorted(const struct slx_labels_builder *b, size_t i)
{
	return &b->pairs[b->n > SLX_LABELS_ORDERED_MAX ? i : b->order[i]];
}

/* Says what is wrong with a label; only called when something is. */
static silex_status refuse_label(const struct slx_label_limits *max, const struct slx_label *l, silex_error *err)
{
	if (l->name.n == 0)
		return slx_err(err, SILEX_INVALID, "label name is empty (its value is \"%.*s\")", SHOWN(l->value));
	if (l->name.n > max->name_size_max)
		return slx_err(err, SILEX_INVALID, "label name \"%.*s...\" has %zu bytes; expected at most %zu", SHOWN(l->name),
			l->name.n, max->name_size_max);
	if (!slx_utf8_valid(l->name.p, l->name.n))
		return slx_err(err, SILEX_INVALID, "label name of %zu bytes is not valid UTF-8", l->name.n);
	if (l->value.n > max->value_size_max)
		return slx_err(err, SILEX_INVALID, "value of label \"%.*s\" has %zu bytes; expected at most %zu",
			SHOWN(l->name), l->value.n, max->value_size_max);
	return slx_err(err, SILEX_INVALID, "value of label \"%.*s\" is not valid UTF-8", SHOWN(l->name));
}

/* Checks the lengths; counts the labels with a value and their bytes. */
static silex_status measure(const struct slx_labels_builder *b, size_t *ret_n, size_t *ret_size, silex_error *err)
{
	size_t n = 0, size = 0;
	for (size_t i = 0; i < b->n; i++) {
		const struct slx_label *l = sorted(b, i);
		if (l->name.n - 1 >= b->limits.name_size_max || l->value.n > b->limits.value_size_max)
			return refuse_label(&b->limits, l, err);
		if (l->value.n == 0)
			continue;
		size += varint_size(l->name.n) + l->name.n + varint_size(l->value.n) + l->value.n;
		n++;
	}
	*ret_n = n;
	*ret_size = size + varint_size(n);
	return SILEX_OK;
}

/* Copies n > 0 bytes and returns them all or-ed together, in any position: whether one has its high bit, for the price
 * of the copy. Loads and stores may overlap. */
static inline uint64_t copy_text(uint8_t *to, const uint8_t *p, size_t n)
{
	uint64_t any, last;
	if (n < 4) {
		any = p[0] | p[n / 2] | p[n - 1];
		uint8_t mid = p[n / 2], end = p[n - 1];
		to[0] = p[0];
		to[n / 2] = mid;
		to[n - 1] = end;
		return any;
	}
	if (n < 8) {
		any = slx_load32(p);
		last = slx_load32(p + n - 4);
		slx_store32(to, (uint32_t)any);
		slx_store32(to + n - 4, (uint32_t)last);
		return any | last;
	}
	any = last = slx_load64(p + n - 8);
	for (size_t i = 0; i + 8 < n; i += 8) {
		uint64_t w = slx_load64(p + i);
		slx_store64(to + i, w);
		any |= w;
	}
	slx_store64(to + n - 8, last);
	return any;
}

static inline uint8_t *put_text(uint8_t *to, struct slx_str s, uint64_t *any)
{
	to = slx_put_varint(to, s.n);
	*any |= copy_text(to, (const uint8_t *)s.p, s.n);
	return to + s.n;
}

/* Encodes the labels with a value, which were measured; checks the text of all and that no name comes twice. */
static silex_status encode(const struct slx_labels_builder *b, uint8_t *to, silex_error *err)
{
	struct slx_str before = { "", 0 };
	for (size_t i = 0; i < b->n; i++) {
		const struct slx_label *l = sorted(b, i);
		uint64_t any = 0;
		if (l->value.n)
			to = put_text(put_text(to, l->name, &any), l->value, &any);
		bool ascii = l->value.n && !(any & UINT64_C(0x8080808080808080));
		if (!ascii && !(slx_utf8_valid(l->name.p, l->name.n) && slx_utf8_valid(l->value.p, l->value.n)))
			return refuse_label(&b->limits, l, err);
		if (slx_str_eq(before, l->name))
			return slx_err(err, SILEX_INVALID, "label \"%.*s\" is given twice", SHOWN(l->name));
		before = l->name;
	}
	return SILEX_OK;
}

silex_status slx_labels_builder_finish(struct slx_labels_builder *b, struct slx_labels *ret, silex_error *err)
{
	if (b->failed)
		return slx_err_oom(err);
	if (b->n > b->limits.labels_max)
		return slx_err(err, SILEX_INVALID, "%zu labels; expected at most %zu", b->n, b->limits.labels_max);
	sort_pairs(b);
	size_t n = 0, size = 0;
	SLX_TRY(measure(b, &n, &size, err));
	if (size > b->limits.size_max)
		return slx_err(err, SILEX_INVALID, "label set of %zu bytes; expected at most %zu", size, b->limits.size_max);
	slx_buf_reset(&b->out);
	uint8_t *to = slx_buf_reserve(&b->out, size);
	if (!to)
		return slx_err_oom(err);
	SLX_TRY(encode(b, slx_put_varint(to, n), err));
	b->out.n = size;
	*ret = (struct slx_labels){ b->out.p, size };
	return SILEX_OK;
}
