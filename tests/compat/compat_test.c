/* Golden directories: a database as an earlier release left it, and what it holds as text (expected.txt beside it). Opened
 * read-only, it must say the same; a copy that is opened for writing, merged and flushed too.
 *
 *     compat_test DIR            test
 *     compat_test --make DIR     make DIR again (only while its format is experimental) */
#include "base/clock.h"
#include "engine/companion.h"
#include "oracle.h"

#include <dirent.h>
#include <ftw.h>
#include <silex/silex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fail(const char *what, const silex_error *err)
{
	printf("%s: %s\n", what, err->message);
	return false;
}

/* --- making ------------------------------------------------------------------------------------------------------------- */

static int64_t fixed_clock(void *ctx)
{
	return *(int64_t *)ctx += 1000000;
}

static void fixed_random(void *ctx, void *bytes, size_t n)
{
	for (uint8_t *p = bytes; n--; p++)
		*p = (uint8_t)slx_rng_next(ctx);
}

static silex_value draw(uint64_t *rng, int series, int i)
{
	static const char *const states[] = { "open", "closed", "ajar" };
	union { uint64_t u; double d; } any;
	switch (series) {
	case 0:
		return silex_float(70 + (double)(slx_rng_next(rng) % 400) / 10);
	case 1:
		return silex_int((int64_t)i * 1000 + (int64_t)(slx_rng_next(rng) % 50));
	case 2:
		return silex_bool(slx_rng_next(rng) % 5 == 0);
	case 3:
		return silex_state(states[slx_rng_next(rng) % 3]);
	case 4:
		any.u = slx_rng_next(rng); /* any bits: NaN payloads, infinities, subnormals */
		return silex_float(any.d);
	default:
		return i % 40 < 20 ? silex_float(i / 8.0) : silex_int(i); /* kinds that change */
	}
}

/* Histograms and bytes of one series each, and what is told beside the samples. */
static bool write_bytes(silex_db *db, const char *tenant, uint64_t *rng, int from, int to)
{
	static const char *const names[] = { "latency", "blob" };
	silex_error err;
	int64_t times[64];
	uint64_t bits[64];
	for (int s = 0; s < 2; s++) {
		silex_label labels[2] = { { "__name__", names[s] }, { "patient", "p1" } };
		for (int i = from; i < to; i++) {
			times[i - from] = INT64_C(1700000000000000000) + (int64_t)i * 10000000000;
			bits[i - from] = 1 + slx_rng_next(rng) % 1000000;
		}
		if (oracle_write(db, tenant, labels, 2, s ? ORACLE_BYTES : ORACLE_HISTOGRAM, times, bits, (size_t)(to - from), &err) != SILEX_OK)
			return fail("bytes", &err);
	}
	return true;
}

static bool write_companions(silex_db *db, const char *tenant, int from)
{
	static const uint8_t series[] = "\1\10__name__\7latency";
	struct slx_label labels[] = { { SLX_STR("trace_id"), SLX_STR("4bf92f3577b34da6") } };
	struct slx_exemplar_row x = { { series, sizeof series - 1 }, INT64_C(1700000000000000000) + from, 0.25 * from, labels, 1 };
	struct slx_metadata_row m = { SLX_STR("latency"), SLX_STR("histogram"), SLX_STR("seconds"), from ? SLX_STR("Now known") : SLX_STR("") };
	struct slx_tenant *t;
	silex_error err;
	struct slx_engine *e = slx_api_engine(db);
	if (slx_engine_tenant(e, slx_str(tenant), &t, &err) != SILEX_OK || slx_engine_exemplar_put(e, t, &x, 1, NULL, NULL, &err) != SILEX_OK ||
	    slx_engine_metadata_put(e, t, &m, 1, NULL, &err) != SILEX_OK)
		return fail("companions", &err);
	return true;
}

static bool write_some(silex_db *db, uint64_t *rng, int from, int to)
{
	static const char *const names[] = { "hr", "steps", "alarm", "door", "raw", "mixed" };
	static const char *const tenants[] = { "default", "ward-7" };
	silex_error err;
	for (int t = 0; t < 2; t++) {
		if (!write_bytes(db, tenants[t], rng, from, to) || !write_companions(db, tenants[t], from))
			return false;
		for (int s = 0; s < 6; s++)
			for (int i = from; i < to; i++) {
				silex_label labels[2] = { { "__name__", names[s] }, { "patient", t ? "p\xc3\xa9ter" : "p1" } };
				int64_t when = INT64_C(1700000000000000000) + (int64_t)i * 10000000000;
				if (i % 17 == 3)
					when -= 400000000000; /* late, and over what is there */
				if (silex_insert(db, tenants[t], labels, 2, when, draw(rng, s, i), &err) != SILEX_OK)
					return fail("insert", &err);
			}
	}
	return true;
}

static bool fill(silex_db *db, uint64_t *rng)
{
	silex_error err;
	silex_tenant_limits l;
	silex_tenant_limits_init(&l);
	l.series_max = 1000;
	return write_some(db, rng, 0, 60) && (silex_checkpoint(db, &err) == SILEX_OK || fail("checkpoint", &err)) && write_some(db, rng, 50, 100) &&
		(silex_delete(db, "ward-7", "{__name__=~\"hr|door\"}", INT64_C(1700000300000000000), INT64_C(1700000700000000000), NULL, &err) == SILEX_OK ||
			fail("delete", &err)) &&
		(silex_tenant_set_limits(db, "ward-7", &l, &err) == SILEX_OK || fail("limits", &err)) &&
		(silex_checkpoint(db, &err) == SILEX_OK || fail("checkpoint", &err)) &&
		(silex_delete(db, NULL, "steps", INT64_C(1700000100000000000), INT64_C(1700000200000000000), NULL, &err) == SILEX_OK || fail("delete", &err)) &&
		write_some(db, rng, 100, 110);
}

/* --- what a database holds, as text ---------------------------------------------------------------------------------------- */

struct dump {
	silex_db *db;
	FILE *out;
	bool ok;
	uint64_t series; /* of the last line */
};

/* A line with the labels begins a series; batches may be cut elsewhere in another release. */
static void dump_batch(struct dump *d, const char *tenant, const silex_batch *b)
{
	FILE *out = d->out;
	if (b->series != d->series) {
		fputs(tenant, out);
		for (size_t k = 0; k < b->n_labels; k++)
			fprintf(out, " %s=%s", b->labels[k].name, b->labels[k].value);
		fputc('\n', out);
	}
	d->series = b->series;
	for (size_t i = 0; i < b->n; i++) {
		uint64_t bits = 0;
		if (b->kind == SILEX_FLOAT64)
			memcpy(&bits, &b->values[i], sizeof bits);
		fprintf(out, " %lld ", (long long)b->times[i]);
		if (b->kind == SILEX_FLOAT64)
			fprintf(out, "f%016llx\n", (unsigned long long)bits);
		else if (b->kind == SILEX_ENUM)
			fprintf(out, "s%s\n", b->states[i]);
		else
			fprintf(out, "%c%lld\n", b->kind == SILEX_INT64 ? 'i' : 'b', (long long)b->ints[i]);
	}
}

static bool dump_bytes(void *arg, struct slx_labels l, const struct oracle_sample *x)
{
	struct slx_str name = slx_labels_get(l, SLX_METRIC_NAME);
	fprintf(((struct dump *)arg)->out, " %.*s %lld %c%llu\n", (int)name.n, name.p, (long long)x->t, x->kind == ORACLE_BYTES ? 'x' : 'h', (unsigned long long)x->bits);
	return true;
}

static bool dump_exemplar(void *arg, const struct slx_exemplar_row *x)
{
	fprintf(((struct dump *)arg)->out, " exemplar %lld %g", (long long)x->t, x->value);
	for (size_t i = 0; i < x->n_labels; i++)
		fprintf(((struct dump *)arg)->out, " %.*s=%.*s", (int)x->labels[i].name.n, x->labels[i].name.p, (int)x->labels[i].value.n, x->labels[i].value.p);
	fputc('\n', ((struct dump *)arg)->out);
	return true;
}

static bool dump_metadata(void *arg, const struct slx_metadata_row *m)
{
	fprintf(((struct dump *)arg)->out, " metadata %.*s %.*s %.*s %.*s\n", (int)m->metric.n, m->metric.p, (int)m->type.n, m->type.p, (int)m->unit.n, m->unit.p,
		(int)m->help.n, m->help.p);
	return true;
}

/* What the C API does not show. */
static bool dump_rest(struct dump *d, const char *tenant)
{
	struct slx_engine *e = slx_api_engine(d->db);
	silex_error err;
	if (oracle_read(d->db, tenant, "", SLX_TIME_MIN, SLX_TIME_MAX, dump_bytes, d, &err) != SILEX_OK ||
	    slx_engine_exemplars(e, slx_str(tenant), NULL, 0, SLX_TIME_ALL, dump_exemplar, d, &err) != SILEX_OK ||
	    slx_engine_metadata(e, slx_str(tenant), (struct slx_str){ 0 }, dump_metadata, d, &err) != SILEX_OK)
		return fail("the rest", &err);
	return true;
}

static bool dump_tenant(void *arg, const char *tenant)
{
	struct dump *d = arg;
	silex_error err;
	silex_query q;
	silex_cursor *c;
	silex_batch b;
	d->series = UINT64_MAX;
	silex_query_init(&q);
	q.tenant = tenant;
	q.start = SILEX_TIME_MIN;
	q.end = SILEX_TIME_MAX;
	if (silex_query_run(d->db, &q, &c, &err) != SILEX_OK)
		return d->ok = fail("query", &err);
	silex_status status;
	while ((status = silex_cursor_next(c, &b, &err)) == SILEX_OK && b.n > 0)
		dump_batch(d, tenant, &b);
	silex_cursor_close(c);
	return d->ok = (status == SILEX_OK || fail("cursor", &err)) && dump_rest(d, tenant);
}

static char *dump_all(silex_db *db, size_t *ret_n)
{
	char *text = NULL;
	silex_error err;
	struct dump d = { db, open_memstream(&text, ret_n), true, 0 };
	if (silex_list_tenants(db, dump_tenant, &d, &err) != SILEX_OK)
		d.ok = fail("tenants", &err);
	fclose(d.out);
	if (d.ok)
		return text;
	free(text);
	return NULL;
}

/* --- tests ---------------------------------------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	return remove(path);
}

static bool make(const char *dir)
{
	uint64_t rng = 20261121, random = 7;
	int64_t now = INT64_C(1700000000000000000);
	char path[512];
	silex_options o;
	silex_error err;
	silex_db *db;
	size_t n;
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	silex_options_init(&o);
	o.no_background = true;
	o.wal_segment_size = 4096;
	o.sync = SILEX_SYNC_NEVER;
	o.env.clock = (silex_clock){ &now, fixed_clock, fixed_clock };
	o.env.random = (silex_random){ &random, fixed_random };
	if (silex_open(dir, &o, &db, &err) != SILEX_OK)
		return fail("open", &err);
	bool ok = fill(db, &rng);
	char *text = ok ? dump_all(db, &n) : NULL;
	if (silex_close(db, &err) != SILEX_OK)
		return fail("close", &err);
	snprintf(path, sizeof path, "%s/LOCK", dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/expected.txt", dir);
	FILE *f = fopen(path, "w");
	ok = text && f && fwrite(text, 1, n, f) == n;
	if (f)
		fclose(f);
	free(text);
	return ok;
}

static char *read_file(const char *path, size_t *ret_n)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_n);
	for (int c; f && (c = getc(f)) != EOF;)
		putc(c, out);
	fclose(out);
	if (f)
		fclose(f);
	return text;
}

static bool same(silex_db *db, const char *what, const char *want, size_t want_n)
{
	size_t n = 0, at = 0;
	char *text = dump_all(db, &n);
	if (!text)
		return false;
	while (at < n && at < want_n && text[at] == want[at])
		at++;
	bool equal = n == want_n && at == n;
	if (!equal)
		printf("%s: differs at byte %zu of %zu: \"%.60s\", expected \"%.60s\"\n", what, at, n, at < n ? text + at : "", at < want_n ? want + at : "");
	free(text);
	return equal;
}

static bool copy_tree(const char *from, const char *to)
{
	DIR *d = opendir(from);
	bool ok = d && mkdir(to, 0755) == 0;
	for (struct dirent *e; ok && (e = readdir(d));) {
		char a[1024], b[1024];
		size_t n;
		if (e->d_name[0] == '.')
			continue;
		snprintf(a, sizeof a, "%s/%s", from, e->d_name);
		snprintf(b, sizeof b, "%s/%s", to, e->d_name);
		if (e->d_type == DT_DIR) {
			ok = copy_tree(a, b);
			continue;
		}
		char *bytes = read_file(a, &n);
		FILE *f = fopen(b, "w");
		ok = f && fwrite(bytes, 1, n, f) == n;
		if (f)
			fclose(f);
		free(bytes);
	}
	if (d)
		closedir(d);
	return ok;
}

static bool on_fault(void *arg, const char *line)
{
	printf("verify: %s\n", line);
	return true;
}

static bool test_read_only(const char *dir, const char *want, size_t n)
{
	silex_options o;
	silex_error err;
	silex_db *db;
	silex_verify_report report;
	silex_options_init(&o);
	o.read_only = true;
	if (silex_open(dir, &o, &db, &err) != SILEX_OK)
		return fail(dir, &err);
	bool ok = same(db, "read-only", want, n);
	silex_close(db, NULL);
	return (silex_verify(dir, NULL, NULL, on_fault, NULL, &report, &err) == SILEX_OK || fail("verify", &err)) && ok;
}

static bool test_rewritten(const char *dir, const char *want, size_t n)
{
	silex_compact_options c;
	silex_error err;
	silex_db *db;
	if (silex_open(dir, NULL, &db, &err) != SILEX_OK)
		return fail(dir, &err);
	silex_compact_options_init(&c);
	c.full = c.recode = true;
	bool ok = same(db, "a copy", want, n) && (silex_checkpoint(db, &err) == SILEX_OK || fail("checkpoint", &err)) &&
		(silex_compact(db, &c, &err) == SILEX_OK || fail("compact", &err)) && same(db, "the copy, rewritten", want, n);
	return (silex_close(db, &err) == SILEX_OK || fail("close", &err)) && ok;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--make") == 0)
		return make(argv[2]) ? 0 : 1;
	if (argc != 2)
		return fprintf(stderr, "compat_test DIR | --make DIR\n"), 2;
	char path[512], copy[] = "/tmp/silex-compat-XXXXXX";
	size_t n;
	snprintf(path, sizeof path, "%s/expected.txt", argv[1]);
	char *want = read_file(path, &n);
	if (n == 0 || !mkdtemp(copy))
		return printf("%s is empty\n", path), 1;
	snprintf(path, sizeof path, "%s/db", copy);
	bool ok = test_read_only(argv[1], want, n) && copy_tree(argv[1], path) && test_rewritten(path, want, n);
	nftw(copy, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(want);
	printf("%s: %s\n", argv[1], ok ? "ok" : "FAILED");
	return ok ? 0 : 1;
}
