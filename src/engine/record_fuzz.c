/* Foreign bytes as the payload of a log frame. Input: u8 kind of record, then the payload. What decodes as samples is
 * encoded and decoded again and must be the same. */
#include "engine/engine_int.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static silex_status on_def(void *arg, uint32_t ref, struct slx_str tenant, struct slx_labels l, silex_error *err)
{
	slx_record_def(arg, ref, tenant, l);
	return SILEX_OK;
}

static void again(struct slx_mem *mem, const struct slx_record_samples *s)
{
	struct slx_record_reader reader;
	struct slx_record_samples back;
	struct slx_buf frame, none, seen;
	struct slx_sx_hint hint = { 0 };
	slx_buf_init(&frame, mem, SLX_MEM_OTHER, SLX_WAL_FRAME_SIZE_MAX);
	slx_buf_init(&none, mem, SLX_MEM_OTHER, 16);
	slx_buf_init(&seen, mem, SLX_MEM_OTHER, 16);
	if (slx_record_reader_init(&reader, mem, NULL) != SILEX_OK)
		abort();
	slx_record_samples_encode(&frame, &none, 0, s, &hint);
	if (frame.failed || slx_record_samples_decode(&reader, frame.p, frame.n, on_def, &seen, &back, NULL) != SILEX_OK || back.n != s->n ||
	    memcmp(back.ts, s->ts, s->n * sizeof *s->ts) != 0 || memcmp(back.refs, s->refs, s->n * sizeof *s->refs) != 0)
		abort();
	for (size_t i = 0; i < s->n; i++)
		if (!slx_values_equal(s->kind, back.bits[i], s->bits[i]))
			abort();
	slx_record_reader_free(&reader);
	slx_buf_free(&frame);
}

static void samples(struct slx_mem *mem, const uint8_t *data, size_t size)
{
	struct slx_record_reader reader;
	struct slx_record_samples s;
	struct slx_buf defs;
	slx_buf_init(&defs, mem, SLX_MEM_OTHER, 16 << 20);
	if (slx_record_reader_init(&reader, mem, NULL) != SILEX_OK)
		abort();
	if (slx_record_samples_decode(&reader, data, size, on_def, &defs, &s, NULL) == SILEX_OK)
		again(mem, &s);
	slx_record_reader_free(&reader);
	slx_buf_free(&defs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slx_mem mem;
	struct slx_str tenant, text;
	struct slx_time_range range;
	uint32_t number;
	uint64_t a, b;
	slx_mem_init(&mem, NULL);
	if (size == 0)
		return 0;
	switch (data[0] % 4) {
	case 0:
		samples(&mem, data + 1, size - 1);
		break;
	case 1:
		slx_record_delete_decode(data + 1, size - 1, &tenant, &text, &range, NULL);
		break;
	case 2:
		slx_record_state_decode(data + 1, size - 1, &tenant, &number, &text, NULL);
		break;
	default:
		slx_record_limits_decode(data + 1, size - 1, &tenant, &a, &b, NULL);
	}
	if (slx_mem_total(&mem) != 0)
		abort();
	return 0;
}
