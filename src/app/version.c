#include "app/commands.h"

#include "codec/codec.h"

static int version_run(struct app *a, void *options, int argc, char **argv)
{
	fprintf(a->out,
		"silex %s\nlibrary %s\nformat  %lu (experimental: may change between releases)\n"
		"built   with %s for %s, %s\nsimd    %s in use\n",
		SILEX_VERSION_STRING, silex_version(), APP_STORE_FORMAT, "gcc " __VERSION__,
#if defined(__x86_64__)
		"x86-64",
#elif defined(__aarch64__)
		"arm64",
#else
		"an unknown processor",
#endif
#ifdef NDEBUG
		"release",
#else
		"with assertions",
#endif
		slx_codec_simd());
	return APP_OK;
}

const struct app_command app_version = {
	.name = "version",
	.args = "",
	.summary = "version, build, format, vector instructions in use",
	.text = "",
	.examples = "",
	.args_min = 0,
	.args_max = 0,
	.uses = APP_USES_OUTPUT,
	.run = version_run,
};
