#include "server/ingest/otlp_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct slx_mem mem;

static void check(enum slx_otlp_translation t, const char *name, const char *unit, enum slx_otlp_type type, bool monotonic, const char *expected)
{
	struct slx_otlp_metric m = { .name = slx_str(name), .unit = slx_str(unit), .type = type, .monotonic = monotonic };
	struct slx_buf b;
	slx_buf_init(&b, &mem, SLX_MEM_OTHER, 1 << 16);
	slx_otlp_metric_name(t, &m, &b);
	slx_buf_u8(&b, 0);
	assert_string_equal((char *)b.p, expected);
	slx_buf_free(&b);
}

static void metrics(void **state)
{
	enum slx_otlp_translation u = SLX_OTLP_UNDERSCORES_SUFFIXES;
	check(u, "http.server.duration", "s", SLX_OTLP_HISTOGRAM, false, "http_server_duration_seconds");
	check(u, "http.server.duration.seconds", "s", SLX_OTLP_HISTOGRAM, false, "http_server_duration_seconds");
	check(u, "system.network.io", "By", SLX_OTLP_SUM, true, "system_network_io_bytes_total");
	check(u, "total.requests", "1", SLX_OTLP_SUM, true, "requests_total");
	check(u, "requests.total", "{request}", SLX_OTLP_SUM, true, "requests_total");
	check(u, "cpu.utilization", "1", SLX_OTLP_GAUGE, false, "cpu_utilization_ratio");
	check(u, "speed", "m/s", SLX_OTLP_GAUGE, false, "speed_meters_per_second");
	check(u, "drops", "{packet}/s", SLX_OTLP_GAUGE, false, "drops_per_second");
	check(u, "2xx--responses", "", SLX_OTLP_GAUGE, false, "_2xx_responses");
	check(u, "level:x", "", SLX_OTLP_GAUGE, false, "level:x");
	check(u, "power", "kW.h", SLX_OTLP_GAUGE, false, "power_kW_h");
	check(SLX_OTLP_UNDERSCORES, "system.network.io", "By", SLX_OTLP_SUM, true, "system_network_io");
	check(SLX_OTLP_UTF8_SUFFIXES, "system.network.io", "By", SLX_OTLP_SUM, true, "system.network.io_bytes_total");
	check(SLX_OTLP_AS_IS, "system.network.io", "By", SLX_OTLP_SUM, true, "system.network.io");
}

static void labels(void **state)
{
	static const char *const cases[][2] = { { "service.name", "service_name" }, { "2nd", "key_2nd" }, { "_x", "key_x" }, { "__x", "__x" },
		{ "\xc3\xa4:b", "key__b" }, { "ok_1", "ok_1" } };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct slx_buf b;
		slx_buf_init(&b, &mem, SLX_MEM_OTHER, 1 << 16);
		slx_otlp_label_name(SLX_OTLP_UNDERSCORES, slx_str(cases[i][0]), &b);
		slx_buf_u8(&b, 0);
		assert_string_equal((char *)b.p, cases[i][1]);
		slx_buf_reset(&b);
		slx_otlp_label_name(SLX_OTLP_AS_IS, slx_str(cases[i][0]), &b);
		slx_buf_u8(&b, 0);
		assert_string_equal((char *)b.p, cases[i][0]);
		slx_buf_free(&b);
	}
}

int main(void)
{
	slx_mem_init(&mem, NULL);
	const struct CMUnitTest tests[] = { cmocka_unit_test(metrics), cmocka_unit_test(labels) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
