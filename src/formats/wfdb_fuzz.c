/* The input is a header up to the first line that says "==", then the signal file. */
#include "formats/fuzz_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static silex_status make(struct slx_mem *m, const struct slx_decode_limits *limits, const struct slx_sink *sink,
	const void *arg, struct slx_decoder **ret)
{
	const struct slx_str *header = arg;
	struct slx_wfdb_options o = { .has_start = header->n % 2, .start = 1 };
	return slx_decoder_wfdb(m, header->p, header->n, &o, limits, sink, ret, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *mark = memmem(data, size, "==\n", 3);
	size_t n = mark ? (size_t)(mark - data) : size;
	char *exact = malloc(n ? n : 1); /* a copy of its own size, so that a sanitizer sees overreads */
	if (!exact)
		abort();
	memcpy(exact, data, n);
	struct slx_str header = { exact, n };
	size_t at = mark ? n + 3 : size;
	fuzz_decode(make, &header, data + at, size - at);
	free(exact);
	return 0;
}
