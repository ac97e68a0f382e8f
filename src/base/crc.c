/* CRC-32C: hardware instruction where there is one, slicing-by-8 tables (Kounavis and Berry, 2005) elsewhere. */
#include "base/bytes.h"
#include "base/hash.h"

#include <pthread.h>

static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ 0x82F63B78u : c >> 1;
		table[0][i] = c;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int t = 1; t < 8; t++)
			table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 255];
}

uint32_t slx_crc32c_scalar(uint32_t crc, const void *data, size_t n)
{
	const uint8_t *p = data;
	pthread_once(&table_once, make_table);
	crc = ~crc;
	for (; n >= 8; n -= 8, p += 8) {
		uint64_t v = slx_load64(p) ^ crc;
		crc = 0;
		for (int t = 0; t < 8; t++)
			crc ^= table[7 - t][v >> (8 * t) & 255];
	}
	while (n--)
		crc = crc >> 8 ^ table[0][(crc ^ *p++) & 255];
	return ~crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc_hw(uint32_t crc, const void *data, size_t n)
{
	const uint8_t *p = data;
	uint64_t c = ~crc;
	for (; n >= 8; n -= 8, p += 8)
		c = _mm_crc32_u64(c, slx_load64(p));
	while (n--)
		c = _mm_crc32_u8((uint32_t)c, *p++);
	return ~(uint32_t)c;
}

uint32_t slx_crc32c(uint32_t crc, const void *p, size_t n)
{
	return __builtin_cpu_supports("sse4.2") ? crc_hw(crc, p, n) : slx_crc32c_scalar(crc, p, n);
}
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>

#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif

__attribute__((target("+crc"))) static uint32_t crc_hw(uint32_t crc, const void *data, size_t n)
{
	const uint8_t *p = data;
	uint32_t c = ~crc;
	for (; n >= 8; n -= 8, p += 8)
		c = __crc32cd(c, slx_load64(p));
	while (n--)
		c = __crc32cb(c, *p++);
	return ~c;
}

uint32_t slx_crc32c(uint32_t crc, const void *p, size_t n)
{
	return getauxval(AT_HWCAP) & HWCAP_CRC32 ? crc_hw(crc, p, n) : slx_crc32c_scalar(crc, p, n);
}
#else
uint32_t slx_crc32c(uint32_t crc, const void *p, size_t n)
{
	return slx_crc32c_scalar(crc, p, n);
}
#endif
