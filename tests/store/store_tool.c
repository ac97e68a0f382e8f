/* One operation on a store, for tests that break the way to it: store_tool URL put NAME SIZE | get NAME OFFSET N | size NAME |
 * list [PREFIX] | remove NAME | stop. Prints the status, a colon and the message or what was found. */
#include "storage/store/store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct slx_mem mem;
static silex_error err;

static uint8_t byte_at(uint64_t i) { return (uint8_t)(i * 2654435761u >> 11); }

static silex_status put(struct slx_store *s, const char *name, uint64_t size)
{
	static uint8_t bytes[100000];
	struct slx_store_writer *w;
	silex_status st = slx_store_begin(s, name, &w, &err);
	if (st != SILEX_OK)
		return st;
	for (uint64_t at = 0; st == SILEX_OK && at < size;) {
		size_t n = size - at < sizeof bytes ? (size_t)(size - at) : sizeof bytes;
		for (size_t i = 0; i < n; i++)
			bytes[i] = byte_at(at + i);
		st = slx_store_append(w, bytes, n, &err);
		at += n;
	}
	if (st == SILEX_OK)
		return slx_store_commit(w, &err);
	slx_store_abort(w);
	return st;
}

static silex_status get(struct slx_store *s, const char *name, uint64_t offset, size_t n)
{
	uint8_t *p = malloc(n + 1);
	bool same = true;
	silex_status st = slx_store_get_range(s, name, offset, n, p, &err);
	for (size_t i = 0; st == SILEX_OK && i < n; i++)
		same = same && p[i] == byte_at(offset + i);
	free(p);
	snprintf(err.message, st == SILEX_OK ? sizeof err.message : 0, "%s", same ? "as put" : "other bytes");
	return st;
}

static bool show(void *arg, const char *name)
{
	printf("%s\n", name);
	return true;
}

static void *get_it(void *arg)
{
	static silex_status st;
	char byte;
	st = slx_store_get_range(arg, "a", 0, 1, &byte, &err);
	return &st;
}

/* A call that tries for long is ended from another thread. */
static silex_status stop(struct slx_store *s)
{
	pthread_t t;
	void *st;
	pthread_create(&t, NULL, get_it, s);
	usleep(300000);
	slx_store_stop(s);
	pthread_join(t, &st);
	return *(silex_status *)st;
}

static silex_status run(struct slx_store *s, char **v, int n)
{
	uint64_t size = 0;
	if (strcmp(v[0], "put") == 0 && n == 3)
		return put(s, v[1], strtoull(v[2], NULL, 10));
	if (strcmp(v[0], "get") == 0 && n == 4)
		return get(s, v[1], strtoull(v[2], NULL, 10), strtoul(v[3], NULL, 10));
	if (strcmp(v[0], "remove") == 0 && n == 2)
		return slx_store_remove(s, v[1], &err);
	if (strcmp(v[0], "list") == 0)
		return slx_store_list(s, n > 1 ? v[1] : "", show, NULL, &err);
	if (strcmp(v[0], "stop") == 0)
		return stop(s);
	silex_status st = slx_store_size(s, v[1], &size, &err);
	snprintf(err.message, st == SILEX_OK ? sizeof err.message : 0, "%llu", (unsigned long long)size);
	return st;
}

int main(int argc, char **argv)
{
	static const silex_store_type *const types[] = { &silex_s3_store };
	struct slx_store *s;
	if (argc < 3)
		return 2;
	slx_mem_init(&mem, NULL);
	const struct slx_store_env env = { .vfs = slx_vfs_posix(), .mem = &mem, .types = types, .n_types = 1 };
	const silex_store_config config = { .struct_size = sizeof config, .name = "archive", .url = argv[1] };
	silex_status st = slx_store_open(&env, &config, &s, &err);
	if (st == SILEX_OK) {
		st = run(s, argv + 2, argc - 2);
		slx_store_close(s);
	}
	printf("%s: %s\n", silex_status_text(st), err.message);
	return slx_mem_total(&mem) != 0 ? 3 : st != SILEX_OK;
}
