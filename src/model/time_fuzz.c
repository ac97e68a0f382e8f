/* Times and durations as text: what parses, formats, and parses to the same again. */
#include "model/time.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *s = (const char *)data;
	int64_t t, again;
	for (int unit = SLX_UNIT_AUTO; unit <= SLX_UNIT_S; unit++)
		if (slx_time_parse(s, size, (enum slx_time_unit)unit, 1000, &t, NULL) == SILEX_OK) {
			char text[SLX_TIME_TEXT_SIZE];
			size_t n = slx_time_format(t, text);
			check(slx_time_legal(t));
			check(slx_time_parse(text, n, SLX_UNIT_AUTO, 0, &again, NULL) == SILEX_OK && again == t);
		}
	if (slx_duration_parse(s, size, &t, NULL) == SILEX_OK) {
		char text[SLX_DURATION_TEXT_SIZE];
		size_t n = slx_duration_format(t, text);
		check(slx_duration_parse(text, n, &again, NULL) == SILEX_OK && again == t);
	}
	return 0;
}
