/* Any bytes as a portable snapshot: parts come whole and in order, or not at all. */
#include "backup/portable.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *p;
	size_t n;
	uint64_t left;
	bool open;
};

static silex_status read_input(void *source, uint64_t offset, size_t n, void *to, silex_error *err)
{
	const struct input *in = source;
	if (offset > in->n || n > in->n - offset)
		abort(); /* the reader knows the size */
	memcpy(to, in->p + offset, n);
	return SILEX_OK;
}

static silex_status begin(void *arg, const char *name, uint64_t size, silex_error *err)
{
	struct input *in = arg;
	if (in->open || strlen(name) > SLX_PORTABLE_NAME_MAX || !name[0])
		abort();
	in->open = true;
	in->left = size;
	return SILEX_OK;
}

static silex_status take(void *arg, const uint8_t *bytes, size_t n, silex_error *err)
{
	struct input *in = arg;
	if (!in->open || n > in->left)
		abort();
	in->left -= n;
	return SILEX_OK;
}

static silex_status end(void *arg, silex_error *err)
{
	struct input *in = arg;
	if (!in->open || in->left)
		abort();
	in->open = false;
	return SILEX_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem mem;
	struct input in = { .p = data, .n = size };
	slx_mem_init(&mem, NULL);
	const struct slx_portable_sink sink = { begin, take, end, &in };
	if (slx_portable_read(&mem, read_input, &in, size, &sink, NULL) == SILEX_OK && in.open)
		abort();
	if (slx_mem_total(&mem) != 0)
		abort();
	return 0;
}
