/* The small things that everything stands on: status, memory, arena, buffer, bytes, hashes, envelope. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/envelope.h"
#include "base/hash.h"
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static silex_status fails(silex_error *err) { return slx_err(err, SILEX_CORRUPT, "offset %d", 7); }

static silex_status tries(silex_error *err)
{
	SLX_TRY(fails(err));
	return SILEX_OK;
}

static void test_status(void **state)
{
	silex_error err = { 0 };
	assert_int_equal(tries(&err), SILEX_CORRUPT);
	assert_int_equal(tries(NULL), SILEX_CORRUPT);
	assert_int_equal(slx_err_wrap(&err, "file %s", "a"), SILEX_CORRUPT);
	assert_string_equal(err.message, "file a: offset 7");
	assert_int_equal(err.code, SILEX_CORRUPT);
	assert_int_equal(slx_err_errno(&err, ENOSPC, "write x"), SILEX_RESOURCE_EXHAUSTED);
	assert_non_null(strstr(err.message, "write x: "));
	assert_int_equal(slx_err_errno(NULL, EROFS, ""), SILEX_PERMISSION_DENIED);
	assert_int_equal(slx_err_errno(NULL, ENOENT, ""), SILEX_NOT_FOUND);
	assert_int_equal(slx_err_errno(NULL, EIO, ""), SILEX_UNAVAILABLE);
	assert_int_equal(slx_err_oom(NULL), SILEX_RESOURCE_EXHAUSTED);
	assert_string_equal(silex_status_text(SILEX_OK), "ok");
	assert_string_equal(silex_status_text((silex_status)999), "unknown status");

	/* A message that is too long is cut, never overrun. */
	char longest[2 * sizeof err.message];
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	slx_err(&err, SILEX_INVALID, "%s", longest);
	assert_int_equal(strlen(err.message), sizeof err.message - 1);
	slx_err_wrap(&err, "%s", longest);
	assert_int_equal(strlen(err.message), sizeof err.message - 1);
}

static void test_memory(void **state)
{
	struct slx_mem m;
	slx_mem_init(&m, NULL);
	char *p = slx_calloc(&m, SLX_MEM_HEAD, 100);
	assert_int_equal(p[99], 0);
	p = slx_realloc(&m, SLX_MEM_HEAD, p, 100, 300);
	uint8_t *slab = slx_slab_alloc(&m, SLX_MEM_CACHE, 1 << 16);
	assert_int_equal((uintptr_t)slab % 4096, 0);
	assert_int_equal(slab[65535], 0);
	assert_int_equal(m.used[SLX_MEM_HEAD], 300);
	assert_int_equal(slx_mem_total(&m), 300 + 65536);
	slx_mem_book(&m, SLX_MEM_QUERY, 5);
	slx_mem_book(&m, SLX_MEM_QUERY, -5);
	slx_free(&m, SLX_MEM_HEAD, p, 300);
	slx_free(&m, SLX_MEM_HEAD, NULL, 300);
	slx_slab_free(&m, SLX_MEM_CACHE, slab, 1 << 16);
	assert_int_equal(slx_mem_total(&m), 0);
}

static int allowed;

static void *few_alloc(void *ctx, size_t n) { return allowed-- > 0 ? malloc(n) : NULL; }

static void *few_realloc(void *ctx, void *p, size_t old_size, size_t n) { return allowed-- > 0 ? realloc(p, n) : NULL; }

static void few_free(void *ctx, void *p, size_t n) { free(p); }

static void test_out_of_memory(void **state)
{
	const silex_allocator few = { NULL, few_alloc, few_realloc, few_free };
	struct slx_mem m;
	struct slx_arena a;
	struct slx_buf b;
	slx_mem_init(&m, &few);
	allowed = 0;
	assert_null(slx_alloc(&m, SLX_MEM_HEAD, 1));
	assert_null(slx_slab_alloc(&m, SLX_MEM_HEAD, 4096));
	slx_arena_init(&a, &m, SLX_MEM_HEAD, 4096);
	assert_null(slx_arena_alloc(&a, 10, 8));
	slx_buf_init(&b, &m, SLX_MEM_OTHER, 1000);
	allowed = 1;
	slx_buf_u8(&b, 1);
	for (int i = 0; i < 300; i++)
		slx_buf_u8(&b, 2);
	assert_true(b.failed);
	assert_int_equal(b.n, 256);
	slx_buf_free(&b);
	assert_int_equal(slx_mem_total(&m), 0);
}

static void test_arena(void **state)
{
	struct slx_mem m;
	struct slx_arena a;
	slx_mem_init(&m, NULL);
	slx_arena_init(&a, &m, SLX_MEM_HEAD, 1 << 17);
	for (size_t n = 0; n < 3000; n++) {
		size_t align = (size_t)1 << n % 7;
		uint8_t *p = slx_arena_alloc(&a, n, align);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % align, 0);
		memset(p, 0xaa, n); /* the sanitizer watches the ends */
	}
	uint8_t *large = slx_arena_alloc(&a, 1 << 20, 64), *after = slx_arena_alloc(&a, 8, 8);
	memset(large, 1, 1 << 20);
	memset(after, 2, 8);
	assert_int_equal(large[(1 << 20) - 1], 1);
	for (size_t less = 0; less < 9000; less++)
		assert_null(slx_arena_alloc(&a, SIZE_MAX - less, 8));
	assert_int_equal(slx_mem_total(&m), a.total);
	slx_arena_clear(&a);
	assert_int_equal(slx_mem_total(&m), 0);
}

static void test_buffer_and_reader(void **state)
{
	static const uint64_t values[] = { 0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX / 2, UINT64_MAX };
	struct slx_mem m;
	struct slx_buf b;
	slx_mem_init(&m, NULL);
	slx_buf_init(&b, &m, SLX_MEM_OTHER, 4096);
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		slx_buf_varint(&b, values[i]);
	slx_buf_u8(&b, 1);
	slx_buf_u16(&b, 2);
	slx_buf_u32(&b, 3);
	slx_buf_u64(&b, 4);
	assert_false(b.failed);
	struct slx_rd r = slx_rd_init(b.p, b.n);
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		assert_true(slx_rd_varint(&r) == values[i]);
	assert_int_equal(slx_rd_u8(&r), 1);
	assert_int_equal(slx_rd_u16(&r), 2);
	assert_int_equal(slx_rd_u32(&r), 3);
	assert_int_equal(slx_rd_left(&r), 8);
	assert_int_equal(slx_rd_u64(&r), 4);
	assert_false(r.bad);
	assert_int_equal(slx_rd_u8(&r), 0);
	assert_true(r.bad);

	/* Every shorter input ends in `bad`, not beyond its end. */
	for (size_t n = 0; n < b.n; n++) {
		uint8_t *exact = malloc(n ? n : 1);
		memcpy(exact, b.p, n);
		r = slx_rd_init(exact, n);
		for (size_t i = 0; i < sizeof values / sizeof *values; i++)
			slx_rd_varint(&r);
		slx_rd_bytes(&r, 15);
		assert_true(r.bad);
		free(exact);
	}
	static const uint8_t too_long[] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 2 };
	r = slx_rd_init(too_long, sizeof too_long);
	slx_rd_varint(&r);
	assert_true(r.bad);

	static const uint8_t zeros[5000];
	slx_buf_put(&b, zeros, sizeof zeros); /* above the ceiling */
	assert_true(b.failed);
	slx_buf_u8(&b, 1);
	slx_buf_reset(&b);
	slx_buf_put(&b, zeros, 4096);
	assert_false(b.failed);
	assert_int_equal(b.n, 4096);
	slx_buf_free(&b);
	assert_int_equal(slx_mem_total(&m), 0);
	for (int64_t v = -70; v < 70; v++)
		assert_int_equal(slx_unzigzag(slx_zigzag(v)), v);
	assert_int_equal(slx_unzigzag(slx_zigzag(INT64_MIN)), INT64_MIN);
}

static void test_hashes(void **state)
{
	uint8_t bytes[300];
	uint64_t seed = 1;
	assert_int_equal(slx_crc32c(0, "123456789", 9), 0xE3069283u); /* the check value of CRC-32C */
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)slx_rng_next(&seed);
	for (size_t n = 0; n < sizeof bytes; n++) {
		uint32_t whole = slx_crc32c(0, bytes, n);
		assert_int_equal(whole, slx_crc32c_scalar(0, bytes, n));
		assert_int_equal(whole, slx_crc32c(slx_crc32c(0, bytes, n / 3), bytes + n / 3, n - n / 3));
	}
	assert_true(slx_hash64("", 0) == 0x2d06800538d394c2u); /* XXH3 of nothing, from its test vectors */
	struct slx_hash128 h = slx_hash128("abc", 3, 0);
	assert_true(slx_hash128_eq(h, slx_hash128("abc", 3, 0)));
	assert_false(slx_hash128_eq(h, slx_hash128("abc", 3, 1)));
	assert_false(slx_hash128_eq(h, slx_hash128("abd", 3, 0)));
}

static void test_envelope(void **state)
{
	uint8_t bytes[SLX_ENVELOPE_SIZE + 40], zeros[SLX_ENVELOPE_SIZE] = { 0 };
	const struct slx_envelope e = { .length = 40, .kind = 9, .format = 2, .seq = 77, .version = UINT64_MAX };
	struct slx_envelope found = { 0 };
	const uint8_t *stored = NULL;
	memset(bytes, 'x', sizeof bytes);
	slx_envelope_encode(&e, slx_crc32c(0, bytes + SLX_ENVELOPE_SIZE, 40), bytes);
	assert_true(slx_envelope_decode(bytes, sizeof bytes, 40, &found, &stored));
	assert_true(
		found.length == 40 && found.kind == 9 && found.format == 2 && found.seq == 77 && found.version == UINT64_MAX);
	assert_ptr_equal(stored, bytes + SLX_ENVELOPE_SIZE);
	assert_false(slx_envelope_decode(bytes, sizeof bytes, 39, &found, &stored));
	for (size_t n = 0; n < sizeof bytes; n++)
		assert_false(slx_envelope_decode(bytes, n, 1000, &found, &stored));
	for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(slx_envelope_decode(bytes, sizeof bytes, 1000, &found, &stored));
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_false(slx_envelope_decode(zeros, sizeof zeros, 1000, &found, &stored));

	/* An encrypted one holds a nonce and a tag at least. */
	struct slx_envelope secret = { .length = 27, .kind = 9, .key_id = 1 };
	slx_envelope_encode(&secret, slx_crc32c(0, bytes + SLX_ENVELOPE_SIZE, 27), bytes);
	assert_false(slx_envelope_decode(bytes, sizeof bytes, 1000, &found, &stored));
	secret.length = 28;
	slx_envelope_encode(&secret, slx_crc32c(0, bytes + SLX_ENVELOPE_SIZE, 28), bytes);
	assert_true(slx_envelope_decode(bytes, sizeof bytes, 1000, &found, &stored));
}

static void test_clock_and_random(void **state)
{
	silex_clock clock;
	silex_random random;
	uint8_t a[16] = { 0 }, b[16] = { 0 };
	slx_clock_init(&clock, NULL);
	slx_random_init(&random, NULL);
	assert_true(slx_wall_ns(&clock) > 1500000000000000000);
	int64_t before = slx_monotonic_ns(&clock);
	assert_true(slx_monotonic_ns(&clock) >= before);
	random.fill(random.ctx, a, sizeof a);
	random.fill(random.ctx, b, sizeof b);
	assert_memory_not_equal(a, b, sizeof a);
	assert_true(slx_cpu_seconds() >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_buffer_and_reader),
		cmocka_unit_test(test_hashes),
		cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_clock_and_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
