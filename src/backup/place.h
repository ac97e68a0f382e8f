/* What work on files and targets needs: the environment, folders, and bytes from one place to another with their hash and with
 * progress. Private to the room. */
#ifndef SLX_BACKUP_PLACE_H
#define SLX_BACKUP_PLACE_H

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/vfs.h"
#include "storage/store/store.h"

#include <silex/silex.h>

enum { SLX_PATH_SIZE = 4096 };

struct slx_place {
	struct slx_vfs *vfs;
	struct slx_mem *mem;
	silex_clock clock;
	silex_random random;
	const silex_options *options; /* whose stores and kinds of stores targets may name */
};

/* What the options say, with an account of memory of its own in `mem`. They have been validated and must outlive it. */
void slx_place_init(struct slx_place *p, struct slx_mem *mem, const silex_options *o);
int64_t slx_place_now_ms(const struct slx_place *p);

/* ---- progress ---- */

struct slx_progress {
	silex_progress_fn fn;
	void *arg;
	const char *stage;
	uint64_t done, total;
};
/* n more bytes; CANCELED when the application says so. */
silex_status slx_progress_add(struct slx_progress *p, uint64_t n, silex_error *err);

/* ---- folders ---- */

/* dir/name, or with name NULL a copy of dir. */
silex_status slx_place_path(char to[SLX_PATH_SIZE], const char *dir, const char *name, silex_error *err);

/* A sorted list of names. */
struct slx_names {
	struct slx_mem *mem;
	char **v;
	size_t n, cap;
	bool failed;
};
void slx_names_init(struct slx_names *n, struct slx_mem *m);
bool slx_names_add(void *names, const char *name); /* for list functions; false when out of memory */
void slx_names_sort(struct slx_names *n);
bool slx_names_have(const struct slx_names *n, const char *name); /* sorted */
void slx_names_free(struct slx_names *n);

/* Names in a folder, sorted; *ret_there false: there is no such folder. */
silex_status slx_place_list(struct slx_place *p, const char *dir, struct slx_names *ret, bool *ret_there, silex_error *err);
/* Removes a file, or a folder with what is in it; nothing there is fine. */
silex_status slx_place_remove(struct slx_place *p, const char *path, silex_error *err);
/* Moves every file of a folder into another (made when absent); the one called `last` after the others are durable. */
silex_status slx_place_move(struct slx_place *p, const char *from, const char *to, const char *last, silex_error *err);

/* ---- bytes ---- */

/* n bytes at offset of the source. */
typedef silex_status slx_source_fn(void *source, uint64_t offset, size_t n, void *to, silex_error *err);
typedef silex_status slx_sink_fn(void *sink, const void *p, size_t n, silex_error *err);

/* Copies size bytes (sink NULL: only reads them) and hashes them. */
silex_status slx_pump(struct slx_place *p, slx_source_fn *from, void *source, uint64_t size, slx_sink_fn *to, void *sink,
	struct slx_progress *progress, struct slx_hash128 *ret, silex_error *err);

/* An object of a store as source, and one being written as sink (a struct slx_store_writer). */
struct slx_object {
	struct slx_store *store;
	const char *name;
};
slx_source_fn slx_object_read;
slx_sink_fn slx_object_write;
slx_source_fn slx_file_source; /* a struct slx_file */
/* A file that grows from its start. */
struct slx_growing {
	struct slx_file *file;
	uint64_t size;
};
slx_sink_fn slx_file_sink;

/* Copies an object, which is whole and durable then; verified against expected when that is not NULL (CORRUPT, and nothing is
 * left). ret may be NULL. */
silex_status slx_object_copy(struct slx_place *p, struct slx_store *from, const char *name, uint64_t size, struct slx_store *to, const char *to_name,
	const struct slx_hash128 *expected, struct slx_progress *progress, struct slx_hash128 *ret, silex_error *err);
silex_status slx_object_put(struct slx_store *s, const char *name, const void *bytes, size_t n, silex_error *err);
/* A small object whole; the caller frees *ret (SLX_MEM_OTHER). CORRUPT above size_max. */
silex_status slx_object_get(struct slx_place *p, struct slx_store *s, const char *name, size_t size_max, uint8_t **ret, size_t *ret_n, silex_error *err);

/* An object of a store as a file that can be read. Freed by slx_file_close; the name is borrowed. */
silex_status slx_object_file(struct slx_place *p, struct slx_store *s, const char *name, struct slx_file **ret, silex_error *err);

#endif
