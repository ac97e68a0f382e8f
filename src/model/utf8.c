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

bool slx_utf8_valid(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + n;
	while (p < end) {
		if (end - p >= 8 && !(slx_load64(p) & UINT64_C(0x8080808080808080))) {
			p += 8;
			continue;
		}
		size_t size = sequence_size(p, (size_t)(end - p));
		if (size == 0)
			return false;
		p += size;
	}
	return true;
}
