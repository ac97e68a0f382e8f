/* Label index: from matchers to series, over dense 32-bit ordinals.
 *
 * Two forms with the same questions: `slx_memindex` grows in memory for one tenant's head, `slx_labelindex` is the
 * immutable, checked bytes in a block section (docs/format/index.md). Both answer with Prometheus' semantics: a missing
 * label has the empty value. */
#ifndef SLX_INDEX_POSTINGS_H
#define SLX_INDEX_POSTINGS_H

#include "base/arena.h"
#include "model/matcher.h"

/* An answer of select: ascending, unique. Owned by the caller, who frees it. */
struct slx_ordinals {
	struct slx_mem *mem; /* accounted as SLX_MEM_QUERY */
	uint32_t *p;
	size_t n;
	size_t cap; /* elements allocated */
};

void slx_ordinals_free(struct slx_ordinals *o); /* a zeroed one is fine */

/* Names or values, sorted bytewise, unique, copied. Owned by the caller, who frees it. */
struct slx_strings {
	struct slx_mem *mem; /* accounted as SLX_MEM_QUERY */
	struct slx_str *p;
	uint32_t *counts; /* series of each (of those selected) */
	size_t n;
	void *block; /* the one allocation behind all of it */
	size_t block_size;
};

void slx_strings_free(struct slx_strings *s); /* a zeroed one is fine */

/* ---- in memory: one tenant within one head generation ----
 *
 * Threads: the caller holds a lock, exclusive for add, shared for everything else.
 * Memory: all of it comes from the arena given to new and goes with it; there is no free. */

struct slx_memindex;

/* NULL when out of memory. The arena is used by new and add only. */
struct slx_memindex *slx_memindex_new(struct slx_arena *a);

/* Adds a series and gives it the next ordinal (0, 1, 2...). It does not look for an equal one: that is the series map's
 * work. RESOURCE_EXHAUSTED when memory is out or 2^32-1 series are reached; the index is then as before. */
silex_status slx_memindex_add(struct slx_memindex *ix, struct slx_labels l, uint32_t *ret_ordinal, silex_error *err);

uint32_t slx_memindex_count(const struct slx_memindex *ix);
size_t slx_memindex_bytes(const struct slx_memindex *ix); /* taken from the arena so far */

/* Appends the canonical label bytes of a series (ordinal < count) to out. */
void slx_memindex_labels(const struct slx_memindex *ix, uint32_t ordinal, struct slx_buf *out);

/* Is this the series' label set? Without building its bytes. */
bool slx_memindex_equals(const struct slx_memindex *ix, uint32_t ordinal, struct slx_labels l);

/* The value of one label of a series; empty when absent. Points into the index. */
struct slx_str slx_memindex_value(const struct slx_memindex *ix, uint32_t ordinal, struct slx_str name);

/* The series for which all n matchers hold (n 0: all). */
silex_status slx_memindex_select(const struct slx_memindex *ix, struct slx_matcher *const *ms, size_t n,
	struct slx_mem *mem, struct slx_ordinals *ret, silex_error *err);

/* Names of labels, and values of one label, among the series selected. */
silex_status slx_memindex_names(const struct slx_memindex *ix, struct slx_matcher *const *ms, size_t n,
	struct slx_mem *mem, struct slx_strings *ret, silex_error *err);
silex_status slx_memindex_values(const struct slx_memindex *ix, struct slx_str name, struct slx_matcher *const *ms,
	size_t n, struct slx_mem *mem, struct slx_strings *ret, silex_error *err);

/* ---- in a block section: up to 65,536 series in the order of slx_labels_cmp ---- */

enum { SLX_LABELINDEX_SERIES_MAX = 65536 };

struct slx_labelindex_builder;

silex_status slx_labelindex_builder_new(struct slx_mem *m, struct slx_labelindex_builder **ret, silex_error *err);
void slx_labelindex_builder_free(struct slx_labelindex_builder *b); /* NULL is fine */

/* Series are added in ascending order; INVALID otherwise. The bytes are copied. */
silex_status slx_labelindex_builder_add(struct slx_labelindex_builder *b, struct slx_labels l, silex_error *err);

/* Appends the section's bytes to out. The builder is then empty and may be used again. */
silex_status slx_labelindex_builder_finish(struct slx_labelindex_builder *b, struct slx_buf *out, silex_error *err);

struct slx_labelindex;

/* Checks the n bytes fully (CORRUPT names the offset within them); what is asked later needs no more checks. Keeps the
 * pointer: the bytes must outlive the handle. Any thread may ask. */
silex_status slx_labelindex_open(
	const void *p, size_t n, struct slx_mem *m, enum slx_mem_use use, struct slx_labelindex **ret, silex_error *err);
void slx_labelindex_close(struct slx_labelindex *ix); /* NULL is fine */

uint32_t slx_labelindex_count(const struct slx_labelindex *ix);
void slx_labelindex_labels(const struct slx_labelindex *ix, uint32_t ordinal, struct slx_buf *out);
struct slx_str slx_labelindex_value(const struct slx_labelindex *ix, uint32_t ordinal, struct slx_str name);

/* As slx_memindex_*. */
silex_status slx_labelindex_select(const struct slx_labelindex *ix, struct slx_matcher *const *ms, size_t n,
	struct slx_mem *mem, struct slx_ordinals *ret, silex_error *err);
silex_status slx_labelindex_names(const struct slx_labelindex *ix, struct slx_matcher *const *ms, size_t n,
	struct slx_mem *mem, struct slx_strings *ret, silex_error *err);
silex_status slx_labelindex_values(const struct slx_labelindex *ix, struct slx_str name, struct slx_matcher *const *ms,
	size_t n, struct slx_mem *mem, struct slx_strings *ret, silex_error *err);

#endif
