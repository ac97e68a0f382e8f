#include "model/labels.h"

/* Length of the well-formed sequence at p (RFC 3629, table 3-7 of Unicode), 0 when there is none. */
static size_t sequence_size(const unsigned char *p, size_t n)
{
	unsigned c = p[0];
	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	size_t size = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (n < size)
		return 0;
	unsigned low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;  /* no overlong forms */
	unsigned high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf; /* no surrogates, nothing above U+10FFFF */
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < size; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return size;
}

/* Most strings are short and ASCII: decided by one or two loads that may overlap. */
static bool is_ascii(const unsigned char *p, size_t n)
{
	const uint64_t high = UINT64_C(0x8080808080808080);
	uint64_t any = 0;
	if (n >= 8) {
		for (size_t i = 0; i + 8 <= n; i += 8)
			any |= slx_load64(p + i);
		any |= slx_load64(p + n - 8);
	} else if (n >= 4) {
		any = slx_load32(p) | slx_load32(p + n - 4);
	} else {
		for (size_t i = 0; i < n; i++)
			any |= p[i];
	}
	return !(any & high);
}

bool slx_utf8_valid(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + n;
	if (is_ascii(p, n))
		return true;
	while (p < end) {
		size_t size = sequence_size(p, (size_t)(end - p));
		if (size == 0)
			return false;
		p += size;
	}
	return true;
}
