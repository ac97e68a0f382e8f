/* Label sets: what names a series.
 *
 * A label set is a sorted list of (name, value): names unique, ascending bytewise, values never empty (an empty value
 * means "absent", so canonicalisation drops it). The metric name is the label `__name__`. Strings are UTF-8.
 *
 * Canonical bytes (docs/format/identity.md):
 *
 *     varint count, then per label: varint name length, name, varint value length, value
 *
 * Varints are shortest-form LEB128, so that equal sets have equal bytes. `struct slx_labels` is a view of such bytes:
 * whoever made them (builder, slx_labels_parse) has checked them, and the accessors below trust them. */
#ifndef SLX_MODEL_LABELS_H
#define SLX_MODEL_LABELS_H

#include "base/buf.h"
#include "base/hash.h"
#include "base/status.h"

/* Borrowed bytes, not terminated. */
struct slx_str {
	const char *p;
	size_t n;
};

#define SLX_STR(literal) ((struct slx_str){ (literal), sizeof(literal) - 1 })
#define SLX_METRIC_NAME  SLX_STR("__name__")

static inline struct slx_str slx_str(const char *z) { return (struct slx_str){ z, strlen(z) }; }
static inline bool slx_str_eq(struct slx_str a, struct slx_str b) { return a.n == b.n && memcmp(a.p, b.p, a.n) == 0; }
int slx_str_cmp(struct slx_str a, struct slx_str b); /* bytewise, a prefix is less */

/* True when the n bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool slx_utf8_valid(const char *p, size_t n);

struct slx_label {
	struct slx_str name, value;
};

/* Ceilings in bytes (counts for labels_max); each violation is INVALID and names the label. */
struct slx_label_limits {
	size_t labels_max;
	size_t name_size_max;
	size_t value_size_max;
	size_t size_max; /* of the canonical bytes */
};

/* 128 labels, names of 1024, values of 8192, 64 KiB in all. */
extern const struct slx_label_limits slx_label_limits_default;

/* ---- view ---- */

struct slx_labels {
	const uint8_t *p;
	size_t n;
};

/* Checks n foreign bytes fully; they must be one label set exactly. CORRUPT names the byte offset. limits NULL:
 * default. The view points into p. */
silex_status slx_labels_parse(
	const void *p, size_t n, const struct slx_label_limits *limits, struct slx_labels *ret, silex_error *err);

struct slx_labels_iter {
	const uint8_t *p;
	size_t left; /* labels */
};

struct slx_labels_iter slx_labels_iter(struct slx_labels l);
bool slx_labels_next(struct slx_labels_iter *it, struct slx_label *ret); /* false at the end */

size_t slx_labels_count(struct slx_labels l);
struct slx_str slx_labels_get(struct slx_labels l, struct slx_str name); /* {"", 0} when absent */

static inline bool slx_labels_eq(struct slx_labels a, struct slx_labels b)
{
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

/* The order of series in blocks: labels compared pair by pair, name before value, bytewise; a prefix is less.
 * (`__name__` has no special place: it sorts where its bytes fall, before lower-case names.) */
int slx_labels_cmp(struct slx_labels a, struct slx_labels b);

/* Sorts by slx_labels_cmp, made for millions. */
struct slx_labels_item {
	struct slx_labels labels;
	void *owner;  /* the caller's */
	uint64_t key; /* the sort's */
};
void slx_labels_sort(struct slx_labels_item *v, size_t n);

/* Appends `name{a="b",c="d"}`: a metric name or label name outside [a-zA-Z_:][a-zA-Z0-9_:]* (labels without the colon)
 * is quoted, a quoted metric name goes inside the braces; \ " and newline in quotes are escaped. */
void slx_labels_format(struct slx_labels l, struct slx_buf *out);
/* The same as a set, as Prometheus' errors have it: `{__name__="name", a="b", c="d"}`. */
void slx_labels_format_set(struct slx_labels l, struct slx_buf *out);

/* ---- builder: labels in any order -> canonical bytes. Reuse it: after the first few sets it allocates nothing. */

enum { SLX_LABELS_ORDERED_MAX = 48 };

struct slx_labels_builder {
	struct slx_mem *mem;
	enum slx_mem_use use;
	struct slx_label_limits limits;
	struct slx_label *pairs; /* borrowed strings */
	size_t n, cap;
	uint8_t order[SLX_LABELS_ORDERED_MAX]; /* of the last set, which had ordered_n pairs: the next has mostly its names */
	size_t ordered_n;
	bool failed; /* out of memory while adding; told by finish */
	struct slx_buf out;
	struct slx_buf text; /* unescaped strings of slx_labels_parse_text */
};

void slx_labels_builder_init(struct slx_labels_builder *b, struct slx_mem *m, enum slx_mem_use use,
	const struct slx_label_limits *limits); /* limits NULL: default */
void slx_labels_builder_free(struct slx_labels_builder *b);
void slx_labels_builder_reset(struct slx_labels_builder *b);

bool slx_labels_builder_grow(struct slx_labels_builder *b);

/* Borrows both strings until finish. Nothing is checked here. */
static inline void slx_labels_builder_add(struct slx_labels_builder *b, struct slx_str name, struct slx_str value)
{
	if (b->n < b->cap || slx_labels_builder_grow(b))
		b->pairs[b->n++] = (struct slx_label){ name, value };
}

/* Checks, sorts and encodes. INVALID names the label: empty name, bad UTF-8, a duplicate, a limit. *ret points into the
 * builder and lives until its next reset, finish or free. The empty set is legal here (one byte, 0). */
silex_status slx_labels_builder_finish(struct slx_labels_builder *b, struct slx_labels *ret, silex_error *err);

/* Resets b, then reads the text form (see slx_labels_format; `{"my.metric", "odd name"="b"}` and blanks are accepted,
 * as are '..' and `..` quotes) and finishes. INVALID gives the column, from 1, in bytes. */
silex_status slx_labels_parse_text(
	struct slx_labels_builder *b, struct slx_str text, struct slx_labels *ret, silex_error *err);

/* ---- identity ---- */

/* XXH3-128, seed 0, of: tenant name, one 0 byte, canonical label bytes (docs/format/identity.md). */
struct slx_hash128 slx_series_id(struct slx_str tenant, struct slx_labels l);

#endif
