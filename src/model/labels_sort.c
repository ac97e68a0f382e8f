/* Sorting label sets (slx_labels_cmp's order) when there are too many of them for the processor's caches.
 *
 * Comparing two sets fetches the bytes of both, log2 n times for each set: that is what a sort of a million sets waits for. Here a
 * group of sets that begin alike is sorted by the eight bytes behind what they share, kept beside the pointers; sets whose eight
 * bytes are equal are a group again. So the bytes of a set are fetched a few times for each place where names or values fork.
 * Source: Ng, Kakehi, "Cache efficient radix sort for string sorting" (2007), after Bentley, Sedgewick, "Fast algorithms for
 * sorting and searching strings" (1997). */
#include "base/bytes.h"
#include "model/labels.h"

#include <stdlib.h>

enum { GROUP_MIN = 16, DEPTH_MAX = 64, AHEAD = 8 };

static int by_labels(const void *a, const void *b)
{
	return slx_labels_cmp(((const struct slx_labels_item *)a)->labels, ((const struct slx_labels_item *)b)->labels);
}

static int by_key(const void *a, const void *b)
{
	uint64_t x = ((const struct slx_labels_item *)a)->key, y = ((const struct slx_labels_item *)b)->key;
	return (x > y) - (x < y);
}

/* The name or value at a place of a set's bytes, moved behind it; none at the end. */
static struct slx_str next_text(const uint8_t **at, const uint8_t *end)
{
	size_t n = 0;
	const uint8_t *p = *at;
	for (unsigned shift = 0; p < end; shift += 7) {
		n |= (size_t)(*p & 0x7f) << shift;
		if (!(*p++ & 0x80))
			break;
	}
	*at = p + n;
	return (struct slx_str){ (const char *)p, n };
}

static struct slx_str text_at(const struct slx_labels_item *x, size_t at)
{
	const uint8_t *p = slx_labels_iter(x->labels).p + at;
	return next_text(&p, x->labels.p + x->labels.n);
}

/* Sets lie anywhere: the one that comes up soon is on its way meanwhile. */
static inline void fetch_ahead(const struct slx_labels_item *v, size_t i, size_t n, size_t at)
{
	if (i + AHEAD >= n)
		return;
	__builtin_prefetch(v[i + AHEAD].labels.p);
	__builtin_prefetch(v[i + AHEAD].labels.p + at);
}

static size_t common(const void *a, const void *b, size_t n)
{
	const uint8_t *p = a, *q = b;
	size_t i = 0;
	while (i + 8 <= n && slx_load64(p + i) == slx_load64(q + i))
		i += 8;
	while (i < n && p[i] == q[i])
		i++;
	return i;
}

/* Where the first text begins that not all sets of the group share; all share what lies before `at`. */
static size_t fork_of(const struct slx_labels_item *v, size_t n, size_t at)
{
	const uint8_t *first = slx_labels_iter(v->labels).p, *end = v->labels.p + v->labels.n;
	size_t shared = (size_t)(end - first);
	for (size_t i = 1; i < n; i++) {
		fetch_ahead(v, i, n, at);
		const uint8_t *p = slx_labels_iter(v[i].labels).p;
		size_t size = (size_t)(v[i].labels.p + v[i].labels.n - p);
		size_t most = size < shared ? size : shared;
		shared = at < most ? at + common(first + at, p + at, most - at) : most;
	}
	for (const uint8_t *p = first + at; p < end; at = (size_t)(p - first)) {
		next_text(&p, end);
		if ((size_t)(p - first) > shared)
			break;
	}
	return at;
}

/* Fills in the keys: eight bytes of the text at `at`, from the first that not all share. */
static void set_keys(struct slx_labels_item *v, size_t n, size_t at)
{
	struct slx_str first = text_at(v, at);
	size_t shared = first.n;
	for (size_t i = 1; i < n; i++) {
		fetch_ahead(v, i, n, at);
		struct slx_str s = text_at(&v[i], at);
		shared = common(first.p, s.p, s.n < shared ? s.n : shared);
	}
	for (size_t i = 0; i < n; i++) {
		fetch_ahead(v, i, n, at);
		struct slx_str s = text_at(&v[i], at);
		uint64_t key = 0;
		for (size_t k = 0; k < 8; k++)
			key = key << 8 | (shared + k < s.n ? (uint8_t)s.p[shared + k] : 0);
		v[i].key = key;
	}
}

static void sort(struct slx_labels_item *v, size_t n, size_t at, unsigned depth)
{
	if (n < GROUP_MIN || depth == DEPTH_MAX) {
		qsort(v, n, sizeof *v, by_labels);
		return;
	}
	at = fork_of(v, n, at);
	set_keys(v, n, at);
	qsort(v, n, sizeof *v, by_key);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && v[end].key == v[i].key;)
			end++;
		/* Nothing told them apart (the end of a set): one look at each pair will. */
		sort(v + i, end - i, at, end - i == n ? DEPTH_MAX : depth + 1);
	}
}

void slx_labels_sort(struct slx_labels_item *v, size_t n) { sort(v, n, 0, 0); }
