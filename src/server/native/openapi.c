/* The description of this API, as it lies in docs/openapi.yaml: part of the program. */
#include "server/native/native_int.h"

__asm__(".pushsection .rodata\n"
		".global slx_native_openapi_text\n.hidden slx_native_openapi_text\nslx_native_openapi_text:\n.incbin \"" SLX_OPENAPI_FILE "\"\n"
		".global slx_native_openapi_end\n.hidden slx_native_openapi_end\nslx_native_openapi_end:\n"
		".popsection\n");
extern const char slx_native_openapi_text[] __attribute__((visibility("hidden")));
extern const char slx_native_openapi_end[] __attribute__((visibility("hidden")));

void slx_native_openapi(void *ctx, struct slx_http_exchange *x)
{
	struct slx_native *n = ctx;
	struct slx_buf b;
	slx_buf_init(&b, n->core->mem, SLX_MEM_OTHER, 1 << 20);
	slx_buf_put(&b, slx_native_openapi_text, (size_t)(slx_native_openapi_end - slx_native_openapi_text));
	slx_http_reply(x, 200, "application/yaml", &b);
}
