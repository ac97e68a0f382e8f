/* What every store must do, run over the urls given as arguments; without any over memory, a folder, and a store of the
 * application that keeps its objects in another one. Exits 1 at the first difference, which it names. */
#include "storage/store/store.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGE = (11 << 20) + 12345, THREADS = 4, ROUNDS = 8, MANY = 1003 };

static struct slx_mem mem;
static silex_error err;

#define CHECK(condition)                                                                                     \
	do {                                                                                                     \
		if (!(condition)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s does not hold; last error: %s\n", __FILE__, __LINE__, #condition, err.message); \
			exit(1);                                                                                         \
		}                                                                                                    \
	} while (0)

/* --- a store of an application: another of ours behind the public table --- */

struct own_store {
	silex_store base;
	struct slx_store *inner;
};

static struct slx_store *inner_of(silex_store *s) { return ((struct own_store *)s)->inner; }

static silex_status own_begin(silex_store *s, const char *name, void **ret, silex_error *e)
{
	return slx_store_begin(inner_of(s), name, (struct slx_store_writer **)ret, e);
}

static silex_status own_append(silex_store *s, void *w, const void *p, size_t n, silex_error *e) { return slx_store_append(w, p, n, e); }
static silex_status own_commit(silex_store *s, void *w, silex_error *e) { return slx_store_commit(w, e); }
static void own_abort(silex_store *s, void *w) { slx_store_abort(w); }

static silex_status own_get_range(silex_store *s, const char *name, uint64_t offset, void *buf, size_t n, silex_error *e)
{
	return slx_store_get_range(inner_of(s), name, offset, n, buf, e);
}

static silex_status own_size(silex_store *s, const char *name, uint64_t *ret, silex_error *e) { return slx_store_size(inner_of(s), name, ret, e); }

static silex_status own_list(silex_store *s, const char *prefix, silex_store_name_fn each, void *arg, silex_error *e)
{
	if (!each(arg, ".somebody/elses") || !each(arg, "not ours")) /* as may be in a bucket that others use */
		return SILEX_OK;
	return slx_store_list(inner_of(s), prefix, each, arg, e);
}

static silex_status own_remove(silex_store *s, const char *name, silex_error *e) { return slx_store_remove(inner_of(s), name, e); }

static void own_close(silex_store *s)
{
	slx_store_close(inner_of(s));
	free(s);
}

static const silex_store_ops own_ops = { sizeof(silex_store_ops), own_begin, own_append, own_commit, own_abort, own_get_range, own_size, own_list,
	own_remove, NULL, own_close };

static silex_status own_open(void *ctx, const silex_store_config *config, const silex_env *env, silex_store **ret, silex_error *e)
{
	struct own_store *s = calloc(1, sizeof *s);
	CHECK(s && slx_store_open_memory(&mem, &s->inner, e) == SILEX_OK);
	s->base.ops = &own_ops;
	*ret = &s->base;
	return SILEX_OK;
}

static const silex_store_type own_type = { sizeof(silex_store_type), "own", NULL, own_open };
static const silex_store_type *const types[] = { &own_type, &silex_s3_store };

/* --- pieces --- */

static struct slx_store *open_store(const char *url)
{
	const struct slx_store_env env = { .vfs = slx_vfs_posix(), .mem = &mem, .types = types, .n_types = 2 };
	const silex_store_config config = { .struct_size = sizeof config, .name = "archive", .url = url };
	struct slx_store *s = NULL;
	CHECK(slx_store_open(&env, &config, &s, &err) == SILEX_OK);
	return s;
}

/* Byte i of the object that is called name. */
static uint8_t byte_at(const char *name, uint64_t i) { return (uint8_t)(i * 2654435761u >> 13 ^ i ^ (uint8_t)name[0]); }

static silex_status put(struct slx_store *s, const char *name, uint64_t size, size_t piece, silex_error *e)
{
	struct slx_store_writer *w = NULL;
	silex_status st = slx_store_begin(s, name, &w, e);
	uint8_t *p = malloc(piece ? piece : 1);
	for (uint64_t at = 0; st == SILEX_OK && at < size;) {
		size_t n = size - at < piece ? (size_t)(size - at) : piece;
		for (size_t i = 0; i < n; i++)
			p[i] = byte_at(name, at + i);
		st = slx_store_append(w, p, n, e);
		at += n;
	}
	free(p);
	if (!w)
		return st;
	if (st == SILEX_OK)
		return slx_store_commit(w, e);
	slx_store_abort(w);
	return st;
}

static bool same(struct slx_store *s, const char *name, uint64_t offset, size_t n, silex_error *e)
{
	uint8_t *p = malloc(n ? n : 1);
	bool ok = slx_store_get_range(s, name, offset, n, p, e) == SILEX_OK;
	for (size_t i = 0; i < n && ok; i++)
		ok = p[i] == byte_at(name, offset + i);
	free(p);
	return ok;
}

static bool join(void *arg, const char *name)
{
	strcat(strcat(arg, name), " ");
	return strcmp(name, "stop") != 0;
}

static bool lists(struct slx_store *s, const char *prefix, const char *expected)
{
	char text[512] = "";
	return slx_store_list(s, prefix, join, text, &err) == SILEX_OK && strcmp(text, expected) == 0;
}

static bool count(void *arg, const char *name)
{
	++*(size_t *)arg;
	return true;
}

static bool collect(void *arg, const char *name)
{
	FILE *f = arg;
	fprintf(f, "%s\n", name);
	return true;
}

static void remove_all(struct slx_store *s)
{
	FILE *f = tmpfile();
	char name[256];
	CHECK(f && slx_store_list(s, "", collect, f, &err) == SILEX_OK);
	rewind(f);
	while (fscanf(f, "%255s", name) == 1)
		CHECK(slx_store_remove(s, name, &err) == SILEX_OK);
	fclose(f);
}

/* --- the suite --- */

static void absent(struct slx_store *s)
{
	uint64_t size;
	char byte;
	CHECK(slx_store_get_range(s, "a", 0, 1, &byte, &err) == SILEX_NOT_FOUND);
	CHECK(slx_store_size(s, "a", &size, &err) == SILEX_NOT_FOUND);
	CHECK(slx_store_remove(s, "a", &err) == SILEX_NOT_FOUND);
	CHECK(strncmp(err.message, "store archive: ", 15) == 0);
	CHECK(slx_store_quarantine(s, "a", &err) == SILEX_NOT_FOUND);
	CHECK(lists(s, "", ""));
}

static void ranges(struct slx_store *s)
{
	struct slx_store_writer *w = NULL;
	uint64_t size = 0;
	uint8_t buf[8];
	CHECK(slx_store_begin(s, "a", &w, &err) == SILEX_OK);
	for (unsigned i = 0; i < 30000; i++) {
		uint8_t four[4] = { byte_at("a", 4 * i), byte_at("a", 4 * i + 1), byte_at("a", 4 * i + 2), byte_at("a", 4 * i + 3) };
		CHECK(w->size == i * 4 && slx_store_append(w, four, 4, &err) == SILEX_OK);
	}
	CHECK(slx_store_get_range(s, "a", 0, 1, buf, &err) == SILEX_NOT_FOUND); /* not before it is whole */
	CHECK(lists(s, "", ""));
	CHECK(slx_store_commit(w, &err) == SILEX_OK);
	CHECK(slx_store_size(s, "a", &size, &err) == SILEX_OK && size == 120000);
	for (unsigned i = 0; i < 50; i++)
		CHECK(same(s, "a", i * 2357, i * 7, &err));
	CHECK(same(s, "a", 0, 120000, &err) && same(s, "a", 119999, 1, &err) && same(s, "a", 120000, 0, &err));
	CHECK(slx_store_get_range(s, "a", 119999, 2, buf, &err) == SILEX_CORRUPT && strstr(err.message, "a: short read"));
	CHECK(slx_store_get_range(s, "a", 120000, 1, buf, &err) == SILEX_CORRUPT);
	CHECK(slx_store_get_range(s, "a", UINT64_MAX / 4, 2, buf, &err) == SILEX_CORRUPT);
	CHECK(slx_store_begin(s, "a", &w, &err) == SILEX_CONFLICT);
}

static void names(struct slx_store *s)
{
	static const char *const bad[] = { "", ".", "..", ".x", "a/b", "a b", "x.tmp", "\xc3\xa4" };
	struct slx_store_writer *w = NULL;
	uint64_t size = 1;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(slx_store_begin(s, bad[i], &w, &err) == SILEX_INVALID);
	CHECK(slx_store_begin(s, "gone", &w, &err) == SILEX_OK);
	CHECK(slx_store_append(w, "abc", 3, &err) == SILEX_OK);
	slx_store_abort(w);
	CHECK(put(s, "empty", 0, 0, &err) == SILEX_OK);
	CHECK(slx_store_size(s, "empty", &size, &err) == SILEX_OK && size == 0);
	CHECK(slx_store_get_range(s, "empty", 1, 1, &size, &err) == SILEX_CORRUPT);
	CHECK(put(s, "stop", 1, 1, &err) == SILEX_OK && put(s, "zz_-.9", 1, 1, &err) == SILEX_OK);
	CHECK(lists(s, "", "a empty stop ") && lists(s, "z", "zz_-.9 ") && lists(s, "zz_-.99", "") && lists(s, "e", "empty "));
	CHECK(slx_store_quarantine(s, "zz_-.9", &err) == SILEX_OK);
	CHECK(lists(s, "z", "zz_-.9.damaged ") && same(s, "zz_-.9.damaged", 0, 0, &err));
	CHECK(slx_store_remove(s, "a", &err) == SILEX_OK && slx_store_remove(s, "a", &err) == SILEX_NOT_FOUND);
	CHECK(slx_store_free_space(s, &size, &err) == SILEX_OK && size > 0);
	remove_all(s);
	CHECK(lists(s, "", ""));
}

/* Larger than two parts of 5 MiB; borders of parts are read over. */
static void large(struct slx_store *s)
{
	struct slx_store_writer *w = NULL;
	static uint8_t zero[6 << 20];
	uint64_t size;
	CHECK(slx_store_begin(s, "left", &w, &err) == SILEX_OK);
	CHECK(slx_store_append(w, zero, sizeof zero, &err) == SILEX_OK && slx_store_append(w, zero, sizeof zero, &err) == SILEX_OK);
	slx_store_abort(w);
	CHECK(put(s, "large", LARGE, 700001, &err) == SILEX_OK);
	CHECK(put(s, "exact", 10 << 20, 1 << 20, &err) == SILEX_OK);
	CHECK(slx_store_size(s, "large", &size, &err) == SILEX_OK && size == LARGE);
	CHECK(slx_store_size(s, "exact", &size, &err) == SILEX_OK && size == 10 << 20);
	CHECK(same(s, "large", 0, LARGE, &err) && same(s, "exact", 0, 10 << 20, &err));
	CHECK(same(s, "large", (5 << 20) - 3, 7, &err) && same(s, "large", (10 << 20) - 1, 2, &err) && same(s, "large", LARGE - 1, 1, &err));
	CHECK(lists(s, "", "exact large "));
	remove_all(s);
}

struct worker {
	struct slx_store *s;
	unsigned number;
	_Atomic int *wrong;
};

static void *work(void *arg)
{
	struct worker *k = arg;
	char name[32];
	uint64_t size;
	silex_error e;
	for (unsigned i = 0; i < ROUNDS; i++) {
		snprintf(name, sizeof name, "t%u-%u", k->number, i);
		bool ok = put(k->s, name, 5000 + i, 999, &e) == SILEX_OK && same(k->s, name, 4000, 1000 + i, &e) && same(k->s, "shared", 10, 100, &e) &&
			slx_store_size(k->s, name, &size, &e) == SILEX_OK && size == 5000 + i;
		if (i % 2)
			ok = slx_store_remove(k->s, name, &e) == SILEX_OK && ok;
		if (!ok && atomic_fetch_add(k->wrong, 1) == 0)
			fprintf(stderr, "%s: %s\n", name, e.message);
	}
	return NULL;
}

static void threads(struct slx_store *s)
{
	struct worker k[THREADS];
	pthread_t t[THREADS];
	_Atomic int wrong = 0;
	CHECK(put(s, "shared", 1000, 1000, &err) == SILEX_OK);
	for (unsigned i = 0; i < THREADS; i++) {
		k[i] = (struct worker){ s, i, &wrong };
		CHECK(pthread_create(&t[i], NULL, work, &k[i]) == 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	CHECK(wrong == 0);
	CHECK(lists(s, "t1-", "t1-0 t1-2 t1-4 t1-6 "));
	remove_all(s);
}

/* More names than a page of S3's list holds. */
static void many(struct slx_store *s)
{
	char name[32];
	size_t n = 0;
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "m%04u", i);
		CHECK(put(s, name, 1, 1, &err) == SILEX_OK);
	}
	CHECK(slx_store_list(s, "m", count, &n, &err) == SILEX_OK && n == MANY);
	CHECK(lists(s, "m100", "m1000 m1001 m1002 "));
	remove_all(s);
}

static void run(const char *url)
{
	/* not in a folder, which syncs each, nor in a slow server */
	const bool few = getenv("SLX_STORE_FEW") || strchr(url, '/') == url || strncmp(url, "folder:", 7) == 0;
	struct slx_store *s = open_store(url);
	struct slx_store_stats stats;
	remove_all(s);
	absent(s);
	ranges(s);
	names(s);
	large(s);
	threads(s);
	if (!few)
		many(s);
	slx_store_stats(s, &stats);
	CHECK(stats.gets > 100 && stats.put_bytes > LARGE && stats.removes >= 4);
	slx_store_stop(s);
	slx_store_close(s);
	CHECK(slx_mem_total(&mem) == 0);
	printf("%.*s the store suite passes\n", (int)strcspn(url, "?"), url);
}

/* A folder whose disk is not mounted: no object is said to be absent, and it is there again when the disk is. */
static void away(const char *folder)
{
	uint64_t size;
	char byte;
	CHECK(rmdir(folder) == 0);
	char deep[128];
	snprintf(deep, sizeof deep, "%s/archive", folder);
	struct slx_store *s = open_store(deep);
	CHECK(slx_store_size(s, "a", &size, &err) == SILEX_UNAVAILABLE && strncmp(err.message, "store archive: ", 15) == 0);
	CHECK(mkdir(folder, 0700) == 0 && put(s, "a", 10, 10, &err) == SILEX_OK && same(s, "a", 0, 10, &err));
	CHECK(slx_store_remove(s, "a", &err) == SILEX_OK && rmdir(deep) == 0);
	CHECK(slx_store_size(s, "a", &size, &err) == SILEX_UNAVAILABLE && strstr(err.message, "mounted"));
	CHECK(slx_store_get_range(s, "a", 0, 1, &byte, &err) == SILEX_UNAVAILABLE && slx_store_remove(s, "a", &err) == SILEX_UNAVAILABLE);
	slx_store_close(s);
	CHECK(rmdir(folder) == 0);
}

int main(int argc, char **argv)
{
	char folder[64] = "/tmp/silex-store-XXXXXX";
	slx_mem_init(&mem, NULL);
	for (int i = 1; i < argc; i++)
		run(argv[i]);
	if (argc > 1)
		return 0;
	CHECK(mkdtemp(folder));
	run("memory:");
	run("own:whatever");
	run(folder);
	char url[80];
	snprintf(url, sizeof url, "folder:%s", folder);
	run(url);
	away(folder);
	return 0;
}
