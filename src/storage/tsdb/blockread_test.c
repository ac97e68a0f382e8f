/* The proof of docs/format: scripts/blockread.py, written from those pages alone, reads what the writer wrote. */
#include "storage/tsdb/block_fixture.h"

#include <inttypes.h>
#include <math.h>
#include <unistd.h>

static void print_value(char *to, size_t cap, enum slx_kind kind, uint64_t bits)
{
	double v = slx_bits_f64(bits);
	if (slx_kind_is_bytes(kind)) {
		struct slx_str value = slx_value_bytes(bits);
		int n = snprintf(to, cap, "x");
		for (size_t i = 0; i < value.n; i++)
			n += snprintf(to + n, cap - (size_t)n, "%02x", (unsigned char)value.p[i]);
	} else if (kind != SLX_KIND_FLOAT64) {
		snprintf(to, cap, "%" PRId64, (int64_t)bits);
	} else if (isnan(v)) {
		snprintf(to, cap, "nan:%016" PRIx64, bits);
	} else {
		snprintf(to, cap, "%.17g", v);
	}
}

/* The next line of the reader must be `want`. */
static void expect_line(FILE *from, const char *want)
{
	char line[2048];
	if (!fgets(line, sizeof line, from))
		fail_msg("the reader ended before \"%s\"", want);
	line[strcspn(line, "\n")] = 0;
	assert_string_equal(line, want);
}

static void expect_series(FILE *from, const struct model_series *s)
{
	char name[600], want[1600], value[900];
	int n = snprintf(name, sizeof name, "%s {", s->tenant);
	struct slx_label label;
	struct slx_labels_iter it = slx_labels_iter((struct slx_labels){ s->labels, s->labels_size });
	for (bool first = true; slx_labels_next(&it, &label); first = false)
		n += snprintf(name + n, sizeof name - (size_t)n, "%s%.*s=\"%.*s\"", first ? "" : ",", (int)label.name.n,
			label.name.p, (int)label.value.n, label.value.p);
	snprintf(name + n, sizeof name - (size_t)n, "}");
	for (size_t k = 0; k < s->n; k++) {
		const struct model_chunk *c = &s->chunks[k];
		for (size_t i = 0; i < c->n; i++) {
			print_value(value, sizeof value, c->kind, c->bits[i]);
			snprintf(want, sizeof want, "%s %" PRId64 " %s", name, c->ts[i], value);
			expect_line(from, want);
		}
	}
}

static void check_block(struct fixture *f, const struct model_series *s, size_t n)
{
	struct slx_block_info info = model_write(f, s, n);
	uint8_t *p = malloc(info.size);
	OK(slx_store_get_range(f->store, info.name, 0, info.size, p, err));
	char path[] = "/tmp/blockread_test.XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, info.size), info.size);
	close(fd);
	free(p);
	char command[256];
	snprintf(command, sizeof command, "python3 %s/scripts/blockread.py %s", SLX_SOURCE_DIR, path);
	FILE *from = popen(command, "r");
	assert_non_null(from);
	for (size_t i = 0; i < n; i++)
		expect_series(from, &s[i]);
	assert_int_equal(fgetc(from), EOF);
	assert_int_equal(pclose(from), 0);
	unlink(path);
}

/* Random series under each codec that the reader knows. */
static void test_random_blocks(void **state)
{
	static const struct slx_codec_choice codecs[] = { { .codec = -1 }, { .codec = SLX_CODEC_SX },
		{ .codec = SLX_CODEC_RAW }, { .codec = -1, .wrap = SLX_WRAP_LZ4 } };
	for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++) {
		struct fixture f;
		fixture_begin(&f, 40 + i);
		f.codecs = codecs[i];
		struct model_series *s = model_new(&f, 25, 4, 300);
		check_block(&f, s, 25);
		model_free(s, 25);
		fixture_end(&f);
	}
}

/* Large chunks of the shapes that the cold codecs are made for, cut into parts at hours; the pages are several. */
static void test_long_chunks(void **state)
{
	struct fixture f;
	fixture_begin(&f, 7);
	struct model_series *s = calloc(5, sizeof *s);
	static const int64_t steps[] = { SLX_SECOND, 10 * SLX_SECOND, SLX_MINUTE, 2777778, 15 * SLX_SECOND };
	for (size_t i = 0; i < 5; i++) {
		char text[40];
		snprintf(text, sizeof text, "m{shape=\"%zu\"}", i);
		snprintf(s[i].tenant, sizeof s[i].tenant, "t");
		model_labels(&s[i], &f.mem, text);
		s[i].n = 1;
		struct model_chunk *c = &s[i].chunks[0];
		model_chunk(&f, c, i == 1 ? SLX_KIND_INT64 : SLX_KIND_FLOAT64, 1500 + 100 * i, 0);
		double v = 50;
		for (size_t k = 0; k < c->n; k++) {
			c->ts[k] = INT64_C(1700000000) * SLX_SECOND - 20 * SLX_YEAR * (i == 2) * 3 + (int64_t)k * steps[i] +
				(i == 4 ? (int64_t)below(&f, 9) * SLX_MS : 0);
			v += (double)below(&f, 3) - 1;
			double odd = k % 3 ? 0.1 * (double)(k % 7) + 1e-17 : 98.6; /* few distinct values: a dictionary */
			c->bits[k] = i == 1 ? (uint64_t)(int64_t)(v * 1e6) : slx_f64_bits(i == 0 ? v : i == 3 ? odd : v / 100);
		}
	}
	check_block(&f, s, 5);
	model_free(s, 5);
	fixture_end(&f);
}

int main(void)
{
	if (system("python3 -c pass") != 0)
		return 77;
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random_blocks), cmocka_unit_test(test_long_chunks) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
