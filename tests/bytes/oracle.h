/* Values that are bytes for tests whose samples are 64 bits: made from those bits and turned back into them, written through the
 * engine and read from a scan, since the C API has no such kinds. Golden directories (tests/compat) hold such values: how they are made never changes. */
#ifndef BYTES_ORACLE_H
#define BYTES_ORACLE_H

#include "api/api.h"

#include <silex/silex.h>

/* Kinds beside those of silex_kind. */
#define ORACLE_HISTOGRAM ((silex_kind)100)
#define ORACLE_BYTES     ((silex_kind)101)

static inline bool oracle_is_bytes(silex_kind k) { return k == ORACLE_HISTOGRAM || k == ORACLE_BYTES; }

struct oracle_sample {
	int64_t t;
	silex_kind kind; /* one of the above */
	uint64_t bits;
};

/* Writes samples of one series and one kind. As silex_append_values. */
silex_status oracle_write(silex_db *db, const char *tenant, const silex_label *labels, size_t n_labels, silex_kind kind, const int64_t *times,
	const uint64_t *bits, size_t n, silex_error *err);

/* All such samples of the series that `selector` takes, in time from..to, series after series; those of other kinds are passed over.
 * Ends with CORRUPT when one's bytes are not what its bits make. */
typedef bool oracle_fn(void *arg, struct slx_labels labels, const struct oracle_sample *x);
silex_status oracle_read(silex_db *db, const char *tenant, const char *selector, int64_t from, int64_t to, oracle_fn *each, void *arg, silex_error *err);

#endif
