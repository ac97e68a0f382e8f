/* What the two forms of the index share (private to storage/index): select, names and values are written once, in
 * select.c, over these few questions. Names and values have ids; a value's id means something only beside its name. */
#ifndef SLX_INDEX_INT_H
#define SLX_INDEX_INT_H

#include "storage/index/postings.h"

#define SLX_INDEX_NONE UINT32_MAX

struct slx_index_ops {
	uint32_t (*series)(const void *ix);
	uint32_t (*names)(const void *ix); /* ids are 0..names-1 */
	struct slx_str (*name_text)(const void *ix, uint32_t name);
	uint32_t (*name_find)(const void *ix, struct slx_str name); /* NONE when there is none */

	uint32_t (*values)(const void *ix, uint32_t name); /* ids are below this */
	struct slx_str (*value_text)(const void *ix, uint32_t name, uint32_t value);
	uint32_t (*value_find)(const void *ix, uint32_t name, struct slx_str value);
	/* Walk over the values that may start with prefix (others may come too); NONE at the end. */
	uint32_t (*value_first)(const void *ix, uint32_t name, struct slx_str prefix);
	uint32_t (*value_next)(const void *ix, uint32_t name, uint32_t value, struct slx_str prefix);

	/* About how many series have one of the n values. */
	uint64_t (*estimate)(const void *ix, uint32_t name, const uint32_t *values, size_t n);
	/* Appends those series to out, ascending. The values ascend. */
	silex_status (*collect)(
		const void *ix, uint32_t name, const uint32_t *values, size_t n, struct slx_ordinals *out, silex_error *err);
	/* Keeps of `o` the series that have one of the values (or, with `without`, those that have none of them). */
	silex_status (*filter)(const void *ix, uint32_t name, const uint32_t *values, size_t n, bool without,
		struct slx_ordinals *o, silex_error *err);

	/* Adds to counts[name] or counts[value] the series of `o` (NULL: all) that have it. */
	void (*count_names)(const void *ix, const struct slx_ordinals *o, uint32_t *counts);
	void (*count_values)(const void *ix, uint32_t name, const struct slx_ordinals *o, uint32_t *counts);
};

/* The builder of a section reads a memory index through these; its value ids are not in the order of their texts. */
extern const struct slx_index_ops slx_memindex_ops;

silex_status slx_index_select(const void *ix, const struct slx_index_ops *ops, struct slx_matcher *const *ms, size_t n,
	struct slx_mem *mem, struct slx_ordinals *ret, silex_error *err);
silex_status slx_index_names(const void *ix, const struct slx_index_ops *ops, struct slx_matcher *const *ms, size_t n,
	struct slx_mem *mem, struct slx_strings *ret, silex_error *err);
silex_status slx_index_values(const void *ix, const struct slx_index_ops *ops, struct slx_str name,
	struct slx_matcher *const *ms, size_t n, struct slx_mem *mem, struct slx_strings *ret, silex_error *err);

/* Makes room for `more` elements. */
silex_status slx_ordinals_reserve(struct slx_ordinals *o, size_t more, silex_error *err);

/* A set of small numbers. Zeroed memory from mem (QUERY); free with slx_bitset_free. */
struct slx_bitset {
	struct slx_mem *mem;
	uint64_t *words;
	size_t words_n;
};

silex_status slx_bitset_init(struct slx_bitset *b, struct slx_mem *mem, uint32_t numbers, silex_error *err);
void slx_bitset_free(struct slx_bitset *b);

static inline void slx_bitset_add(struct slx_bitset *b, uint32_t i) { b->words[i >> 6] |= UINT64_C(1) << (i & 63); }
static inline bool slx_bitset_has(const struct slx_bitset *b, uint32_t i) { return b->words[i >> 6] >> (i & 63) & 1; }

#endif
