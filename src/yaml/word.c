/* Words as values. */
#include "yaml/yaml.h"

#include <errno.h>
#include <stdlib.h>

bool slx_word_bool(const char *s, bool *ret)
{
	*ret = strcmp(s, "true") == 0 || strcmp(s, "yes") == 0 || strcmp(s, "on") == 0 || strcmp(s, "1") == 0;
	return *ret || strcmp(s, "false") == 0 || strcmp(s, "no") == 0 || strcmp(s, "off") == 0 || strcmp(s, "0") == 0;
}

bool slx_word_count(const char *s, uint64_t *ret)
{
	static const char units[] = "kmgt";
	char *end;
	errno = 0;
	unsigned long long v = strtoull(s, &end, 10);
	if (end == s || errno || *s < '0' || *s > '9')
		return false;
	const char *u = *end ? strchr(units, *end | 32) : NULL;
	uint64_t scale = u ? UINT64_C(1) << (10 * (u - units + 1)) : 1;
	end += u != NULL;
	end += *end == 'i';
	end += *end == 'B' || *end == 'b';
	return *end == 0 && !__builtin_mul_overflow((uint64_t)v, scale, ret);
}
