/* The body of a decoder's fuzz target: the input whole and cut at random gives the same rows and errors, and every row
 * keeps the promises of formats.h. */
#ifndef SLX_FORMATS_FUZZ_DECODE_H
#define SLX_FORMATS_FUZZ_DECODE_H

#include "formats/collect.h"

typedef silex_status (*fuzz_make)(struct slx_mem *m, const struct slx_decode_limits *limits,
	const struct slx_sink *sink, const void *arg, struct slx_decoder **ret);

static inline void fuzz_once(fuzz_make make, const void *arg, const uint8_t *data, size_t size, uint64_t seed,
	struct slx_mem *m, struct collect *ret)
{
	/* small limits, so that their edges are met */
	static const struct slx_decode_limits limits = {
		.line_size_max = 2000, .labels_max = 20, .fields_max = 50, .series_max = 40
	};
	struct slx_decoder *d;
	collect_init(ret, m);
	struct slx_sink sink = collect_sink(ret);
	if (make(m, &limits, &sink, arg, &d) != SILEX_OK)
		return;
	collect_feed(d, (const char *)data, size, seed);
	slx_decoder_free(d);
}

static inline void fuzz_decode(fuzz_make make, const void *arg, const uint8_t *data, size_t size)
{
	struct slx_mem m;
	struct collect whole, cut;
	slx_mem_init(&m, NULL);
	fuzz_once(make, arg, data, size, 0, &m, &whole);
	fuzz_once(make, arg, data, size, size * 2654435761u + (size ? data[size / 2] : 0) + 1, &m, &cut);
	if (whole.broken) {
		fprintf(stderr, "broken: %s\n", whole.broken);
		abort();
	}
	if (whole.text.n != cut.text.n || (whole.text.n && memcmp(whole.text.p, cut.text.p, cut.text.n) != 0)) {
		fprintf(stderr, "whole:\n%.*s\ncut:\n%.*s\n", (int)whole.text.n, (char *)whole.text.p, (int)cut.text.n,
			(char *)cut.text.p);
		abort();
	}
	collect_free(&whole);
	collect_free(&cut);
	if (slx_mem_total(&m) != 0) {
		fprintf(stderr, "%lld bytes leak\n", (long long)slx_mem_total(&m));
		abort();
	}
}

#endif
