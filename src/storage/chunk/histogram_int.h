/* Native histograms as columns: what the encoder and the decoder share. See histogram.c. */
#ifndef SLX_CHUNK_HISTOGRAM_INT_H
#define SLX_CHUNK_HISTOGRAM_INT_H

#include "model/histogram.h"
#include "storage/chunk/bytes_int.h"

enum { SLX_HCOUNT, SLX_HSUM, SLX_HZERO, SLX_HSTART, SLX_HFIXED };
enum {
	SLX_HVALUES_MAX = 2 << 20, /* of all columns; also buckets of all layouts */
	SLX_HSLAB = 64 << 10,
};

struct slx_hclass {
	int8_t schema;
	double threshold;
	const double *custom;
	uint32_t custom_n;
};

struct slx_hside {
	const struct slx_span *spans;
	uint32_t spans_n, buckets;
};

struct slx_hlayout {
	uint32_t class;
	uint8_t flags;
	struct slx_hside side[2];
	uint32_t *columns; /* of its buckets, positive side first */
	uint32_t samples;
};

struct slx_hshape {
	struct slx_arena arena;
	struct slx_hclass *classes;
	struct slx_hlayout *layouts;
	uint32_t classes_n, layouts_n, columns_n;
	uint32_t *of; /* sample to layout */
	size_t n;
	size_t *first;    /* column to its place in v, and the end */
	bool *doubles;    /* of each column; others are int64 */
	uint64_t *v;
	uint64_t *bucket; /* values of one histogram, while it is put together */
	double *counts;
};

/* Numbers the columns that follow from layouts and their samples and makes room for them: first, doubles (false), v. *ret_fits
 * false: too many values to hold. */
silex_status slx_shape_columns(struct slx_hshape *s, bool *ret_fits, silex_error *err);
size_t slx_shape_size(const struct slx_hshape *s, uint32_t column);
size_t slx_shape_buckets(const struct slx_hlayout *l);
/* Where each column's next value is, at first. NULL: out of memory. */
size_t *slx_shape_places(struct slx_hshape *s);
/* The values of sample i's buckets, as they lie in the columns, into s->bucket; steps over them; returns how many. */
size_t slx_shape_take(const struct slx_hshape *s, size_t i, size_t *at);

#endif
