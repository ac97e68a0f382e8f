/* A store of one's own: old blocks move to a "shelf", here a folder with one file an object, as they might move to tape, to a
 * blob column or over a bus.
 *
 *	cc custom_store.c $(pkg-config --cflags --libs silex)
 *	./a.out
 *
 * What to look at: the table of functions and the struct that begins with silex_store; the type with its scheme, which opens
 * the url; the named store in silex_options; and that queries read the same numbers after the blocks have moved. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <silex/silex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { POINTS = 20000, PATH_SIZE = 512 };

#define BEGIN  INT64_C(1714521600000000000) /* May 2024: older than any age */
#define SECOND INT64_C(1000000000)

static silex_error err;

/* --- the store --------------------------------------------------------------------------------------------------- */

struct shelf {
	silex_store base; /* first: Silex hands out a pointer to this */
	char dir[PATH_SIZE / 2];
};

struct parcel { /* an object on its way */
	FILE *file;
	char path[PATH_SIZE], under_way[PATH_SIZE + 4];
};

static const struct shelf *shelf_of(const silex_store *s) { return (const struct shelf *)s; }

static void path_of(const silex_store *s, const char *name, char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, "%s/%s", shelf_of(s)->dir, name);
}

/* What is amiss may be well again later. */
static silex_status failed(const char *what, silex_error *e)
{
	silex_status st = SILEX_UNAVAILABLE;
	if (e) {
		e->code = st;
		snprintf(e->message, sizeof e->message, "%.300s: %s", what, strerror(errno));
	}
	return st;
}

/* NOT_FOUND is for an object alone: when the whole shelf is away, its objects are not lost. */
static silex_status absent(silex_store *s, const char *name, silex_error *e)
{
	bool missing = errno == ENOENT;
	silex_status st = failed(name, e);
	if (!missing || access(shelf_of(s)->dir, F_OK) != 0)
		return st;
	if (e)
		e->code = SILEX_NOT_FOUND;
	return SILEX_NOT_FOUND;
}

static silex_status shelf_begin(silex_store *s, const char *name, void **ret_writer, silex_error *e)
{
	struct parcel *p = calloc(1, sizeof *p);
	if (!p)
		return failed(name, e);
	path_of(s, name, p->path);
	snprintf(p->under_way, sizeof p->under_way, "%s.up", p->path);
	if (access(p->path, F_OK) == 0) {
		free(p);
		if (e)
			e->code = SILEX_CONFLICT, snprintf(e->message, sizeof e->message, "%s is there already", name);
		return SILEX_CONFLICT;
	}
	p->file = fopen(p->under_way, "wb");
	if (!p->file) {
		free(p);
		return failed(name, e);
	}
	*ret_writer = p;
	return SILEX_OK;
}

static silex_status shelf_append(silex_store *s, void *writer, const void *bytes, size_t n, silex_error *e)
{
	struct parcel *p = writer;
	(void)s;
	return fwrite(bytes, 1, n, p->file) == n ? SILEX_OK : failed(p->path, e);
}

static void shelf_abort(silex_store *s, void *writer)
{
	struct parcel *p = writer;
	(void)s;
	fclose(p->file);
	unlink(p->under_way);
	free(p);
}

/* All of it is there, durably, or nothing: written, synced, then renamed. */
static silex_status shelf_commit(silex_store *s, void *writer, silex_error *e)
{
	struct parcel *p = writer;
	if (fflush(p->file) != 0 || fsync(fileno(p->file)) != 0 || rename(p->under_way, p->path) != 0) {
		silex_status st = failed(p->path, e);
		shelf_abort(s, p);
		return st;
	}
	fclose(p->file);
	free(p);
	int dir = open(shelf_of(s)->dir, O_RDONLY | O_DIRECTORY);
	silex_status st = dir >= 0 && fsync(dir) == 0 ? SILEX_OK : failed(shelf_of(s)->dir, e);
	if (dir >= 0)
		close(dir);
	return st;
}

static silex_status shelf_get_range(silex_store *s, const char *name, uint64_t offset, void *buf, size_t n, silex_error *e)
{
	char path[PATH_SIZE];
	path_of(s, name, path);
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return absent(s, name, e);
	ssize_t got = pread(fd, buf, n, (off_t)offset);
	close(fd);
	if (got == (ssize_t)n)
		return SILEX_OK;
	if (e)
		e->code = SILEX_CORRUPT, snprintf(e->message, sizeof e->message, "%s: short read", name);
	return SILEX_CORRUPT;
}

static silex_status shelf_size(silex_store *s, const char *name, uint64_t *ret_size, silex_error *e)
{
	char path[PATH_SIZE];
	struct stat st;
	path_of(s, name, path);
	if (stat(path, &st) != 0)
		return absent(s, name, e);
	*ret_size = (uint64_t)st.st_size;
	return SILEX_OK;
}

static silex_status shelf_list(silex_store *s, const char *prefix, silex_store_name_fn each, void *arg, silex_error *e)
{
	DIR *d = opendir(shelf_of(s)->dir);
	if (!d)
		return failed(shelf_of(s)->dir, e);
	for (struct dirent *x; (x = readdir(d));)
		if (strncmp(x->d_name, prefix, strlen(prefix)) == 0 && !strstr(x->d_name, ".up") && !each(arg, x->d_name))
			break;
	closedir(d);
	return SILEX_OK;
}

static silex_status shelf_remove(silex_store *s, const char *name, silex_error *e)
{
	char path[PATH_SIZE];
	path_of(s, name, path);
	return unlink(path) == 0 ? SILEX_OK : absent(s, name, e);
}

static void shelf_close(silex_store *s) { free(s); }

static const silex_store_ops shelf_ops = {
	.struct_size = sizeof(silex_store_ops),
	.begin = shelf_begin,
	.append = shelf_append,
	.commit = shelf_commit,
	.abort = shelf_abort,
	.get_range = shelf_get_range,
	.size = shelf_size,
	.list = shelf_list,
	.remove = shelf_remove,
	.close = shelf_close,
};

/* "shelf:/some/folder" */
static silex_status shelf_open(void *ctx, const silex_store_config *config, const silex_env *env, silex_store **ret, silex_error *e)
{
	struct shelf *s = calloc(1, sizeof *s);
	(void)ctx;
	(void)env;
	if (!s)
		return failed(config->url, e);
	s->base.ops = &shelf_ops;
	snprintf(s->dir, sizeof s->dir, "%s", strchr(config->url, ':') + 1);
	*ret = &s->base;
	return SILEX_OK;
}

static const silex_store_type shelf_type = { .struct_size = sizeof(silex_store_type), .scheme = "shelf", .open = shelf_open };

/* --- a database that uses it -------------------------------------------------------------------------------------- */

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, err.message);
	return 1;
}

static silex_status fill(silex_db *db)
{
	static const silex_label labels[] = { { "__name__", "room_temperature" }, { "room", "7" } };
	static int64_t times[POINTS];
	static silex_value values[POINTS];
	silex_series *s;
	for (int i = 0; i < POINTS; i++) {
		times[i] = BEGIN + i * SECOND;
		values[i] = silex_float(20 + (i / 600) % 5 * 0.1);
	}
	silex_status st = silex_series_open(db, NULL, labels, 2, &s, &err);
	if (st != SILEX_OK)
		return st;
	st = silex_append_values(s, times, values, POINTS, &err);
	silex_series_close(s);
	return st == SILEX_OK ? silex_checkpoint(db, &err) : st;
}

static silex_status sum_of(silex_db *db, double *ret)
{
	const char *selectors[] = { "room_temperature" };
	silex_query q;
	silex_cursor *c;
	silex_batch b;
	*ret = 0;
	silex_query_init(&q);
	q.selectors = selectors;
	q.n_selectors = 1;
	q.start = SILEX_TIME_MIN;
	q.end = SILEX_TIME_MAX;
	silex_status st = silex_query_run(db, &q, &c, &err);
	if (st != SILEX_OK)
		return st;
	while ((st = silex_cursor_next(c, &b, &err)) == SILEX_OK && b.n)
		for (size_t i = 0; i < b.n; i++)
			*ret += b.values[i];
	silex_cursor_close(c);
	return st;
}

int main(void)
{
	static const silex_store_type *const types[] = { &shelf_type };
	char dir[] = "/tmp/silex-shelf-XXXXXX", data[64], shelf[64], url[80];
	double before, after;
	silex_tier_options move;
	silex_tier_report moved;
	silex_options o;
	silex_db *db;
	if (!mkdtemp(dir))
		return 1;
	snprintf(data, sizeof data, "%s/data", dir);
	snprintf(shelf, sizeof shelf, "%s/shelf", dir);
	snprintf(url, sizeof url, "shelf:%s", shelf);
	mkdir(shelf, 0700);

	const silex_store_config stores[] = { { .struct_size = sizeof(silex_store_config), .name = "archive", .url = url } };
	silex_options_init(&o);
	o.stores = stores;
	o.n_stores = 1;
	o.store_types = types;
	o.n_store_types = 1;
	if (silex_options_set(&o, "cold_store", "archive", &err) != SILEX_OK || silex_options_set(&o, "cold_after", "30d", &err) != SILEX_OK)
		return fail("options");
	if (silex_open(data, &o, &db, &err) != SILEX_OK)
		return fail("open");
	if (fill(db) != SILEX_OK || sum_of(db, &before) != SILEX_OK)
		return fail("fill");
	silex_tier_options_init(&move);
	if (silex_tier_move(db, &move, &moved, &err) != SILEX_OK)
		return fail("move");
	printf("%llu blocks, %llu bytes moved to the shelf\n", (unsigned long long)moved.blocks, (unsigned long long)moved.bytes);
	silex_close(db, NULL);

	if (silex_open(data, &o, &db, &err) != SILEX_OK || sum_of(db, &after) != SILEX_OK)
		return fail("read");
	printf("sum %.1f before, %.1f from the shelf\n", before, after);
	silex_close(db, NULL);

	snprintf(url, sizeof url, "%s/away", dir);
	rename(shelf, url); /* the shelf is taken away */
	snprintf(url, sizeof url, "shelf:%s", shelf);
	double nothing;
	if (silex_open(data, &o, &db, &err) != SILEX_OK) /* opens all the same */
		return fail("open without the shelf");
	silex_status st = sum_of(db, &nothing);
	printf("without the shelf: %s: %s\n", silex_status_text(st), st != SILEX_OK ? err.message : "");
	silex_close(db, NULL);
	return moved.blocks == 0 || before != after || st == SILEX_OK;
}
