/* Making a backup.
 *
 *     lease -> image -> blocks that the target has not -> manifest
 *
 * The manifest comes last and names all: what a crash leaves before it are blocks that no manifest names, which the next backup uses
 * when they are whole and prune removes. What is known of a block at the target (size, hash) comes from the newest manifest; a block never
 * changes, so that needs no second reading. With `full` nothing is trusted: each is read back. */
#include "backup/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct creation {
	struct slx_place place;
	struct slx_engine *engine;
	struct slx_store *store;
	struct slx_lease lease;
	struct slx_image *image;
	struct slx_backup_record last;  /* newest manifest at the target; empty: none */
	struct slx_names there;         /* blocks at the target */
	struct slx_backup_record made;
	struct slx_progress progress;
	bool full;
};

/* An unreadable newest manifest must not keep us from making a new one: then nothing is known. */
static silex_status learn(struct creation *c, silex_error *err)
{
	struct slx_names names;
	silex_status st = slx_target_names(&c->place, c->store, SLX_RECORD_PREFIX, &names, err);
	bool read = false;
	for (size_t i = names.n; i-- > 0 && st == SILEX_OK && !read;)
		read = slx_backup_record_get(&c->place, c->store, names.v[i], &c->last, NULL) == SILEX_OK;
	slx_names_free(&names);
	return st == SILEX_OK ? slx_target_names(&c->place, c->store, SLX_BLOCK_PREFIX, &c->there, err) : st;
}

static silex_status send(struct creation *c, const struct slx_image_block *b, struct slx_backup_block *to, silex_error *err)
{
	char object[SLX_BLOCK_OBJECT_SIZE];
	c->made.info.new_blocks++;
	c->made.info.new_bytes += to->size;
	return slx_object_copy(&c->place, b->store, to->name, to->size, c->store, slx_backup_object(to->name, object), NULL, &c->progress, &to->hash, err);
}

/* The hash of what is there; false when it cannot be read whole. */
static silex_status read_back(struct creation *c, const struct slx_backup_block *b, bool *ret_whole, struct slx_hash128 *ret, silex_error *err)
{
	char object[SLX_BLOCK_OBJECT_SIZE];
	struct slx_object o = { c->store, slx_backup_object(b->name, object) };
	struct slx_progress none = { 0 };
	silex_error own = { 0 };
	uint64_t size = 0;
	silex_status st = slx_store_size(c->store, o.name, &size, &own);
	if (st == SILEX_OK && size == b->size)
		st = slx_pump(&c->place, slx_object_read, &o, size, NULL, NULL, &none, ret, &own);
	*ret_whole = st == SILEX_OK && size == b->size;
	return st == SILEX_OK || st == SILEX_CORRUPT ? SILEX_OK : slx_err(err, st, "%s", own.message);
}

static silex_status local_hash(struct creation *c, const struct slx_image_block *b, struct slx_hash128 *ret, silex_error *err)
{
	struct slx_object o = { b->store, b->info->name };
	struct slx_progress none = { 0 };
	return slx_pump(&c->place, slx_object_read, &o, b->info->size, NULL, NULL, &none, ret, err);
}

/* An object of this name is there. known: its manifest's entry; NULL: left by a backup that did not end. */
static silex_status settle(struct creation *c, const struct slx_image_block *b, const struct slx_backup_block *known, struct slx_backup_block *to,
	silex_error *err)
{
	struct slx_hash128 found = { 0 };
	char object[SLX_BLOCK_OBJECT_SIZE];
	bool whole = true;
	if (known && !c->full) {
		to->hash = known->hash;
		return slx_progress_add(&c->progress, to->size, err);
	}
	if (known)
		to->hash = known->hash;
	else
		SLX_TRY(local_hash(c, b, &to->hash, err));
	SLX_TRY(read_back(c, to, &whole, &found, err));
	if (whole && slx_hash128_eq(found, to->hash))
		return slx_progress_add(&c->progress, to->size, err);
	SLX_TRY(slx_store_quarantine(c->store, slx_backup_object(to->name, object), err));
	return send(c, b, to, err);
}

static silex_status put_block(struct creation *c, const struct slx_image_block *b, struct slx_backup_block *to, silex_error *err)
{
	const struct slx_backup_block *known = slx_backup_record_find(&c->last, b->info->name);
	char object[SLX_BLOCK_OBJECT_SIZE];
	snprintf(to->name, sizeof to->name, "%s", b->info->name);
	to->size = b->info->size;
	if (known && known->size != to->size)
		known = NULL;
	return slx_names_have(&c->there, slx_backup_object(to->name, object)) ? settle(c, b, known, to, err) : send(c, b, to, err);
}

static int by_name(const void *a, const void *b) { return strcmp(((const struct slx_backup_block *)a)->name, ((const struct slx_backup_block *)b)->name); }

static silex_status put_blocks(struct creation *c, silex_error *err)
{
	const struct slx_image *i = c->image;
	struct slx_backup_record *r = &c->made;
	r->blocks = i->n_blocks ? slx_calloc(c->place.mem, SLX_MEM_OTHER, i->n_blocks * sizeof *r->blocks) : NULL;
	if (i->n_blocks && !r->blocks)
		return slx_err_oom(err);
	r->n_blocks = i->n_blocks;
	c->progress.total = i->bytes;
	for (size_t k = 0; k < i->n_blocks; k++) {
		SLX_TRY(put_block(c, &i->blocks[k], &r->blocks[k], err));
		SLX_TRY(slx_lease_renew(&c->lease, err));
	}
	if (r->n_blocks)
		qsort(r->blocks, r->n_blocks, sizeof *r->blocks, by_name);
	return SILEX_OK;
}

static void name_it(struct creation *c)
{
	silex_backup_info *i = &c->made.info;
	uint32_t random;
	struct tm tm;
	time_t s;
	c->place.random.fill(c->place.random.ctx, &random, sizeof random);
	i->time_ms = slx_place_now_ms(&c->place);
	s = i->time_ms / 1000;
	gmtime_r(&s, &tm);
	size_t n = strftime(i->id, sizeof i->id, "%Y%m%dT%H%M%S", &tm);
	snprintf(i->id + n, sizeof i->id - n, ".%03dZ-%08x", (int)(i->time_ms % 1000), random);
	gethostname(i->host, sizeof i->host - 1);
	i->full = c->full;
}

/* The documents go over to the record: the image keeps blocks only. */
static silex_status describe(struct creation *c, silex_error *err)
{
	struct slx_backup_record *r = &c->made;
	struct slx_image *i = c->image;
	memcpy(r->log_uuid, i->log_uuid, sizeof r->log_uuid);
	r->checkpoint = i->checkpoint;
	r->version = i->version;
	r->info.blocks = i->n_blocks;
	r->info.points = i->points;
	r->info.bytes = i->bytes;
	r->docs = slx_calloc(c->place.mem, SLX_MEM_OTHER, i->n_docs * sizeof *r->docs);
	if (!r->docs)
		return slx_err_oom(err);
	for (; r->n_docs < i->n_docs; r->n_docs++) {
		r->docs[r->n_docs] = i->docs[r->n_docs];
		i->docs[r->n_docs].p = NULL;
		i->docs[r->n_docs].n = 0;
	}
	return SILEX_OK;
}

static silex_status create(struct creation *c, silex_error *err)
{
	name_it(c);
	SLX_TRY(learn(c, err));
	SLX_TRY(slx_engine_image(c->engine, false, &c->image, err));
	SLX_TRY(put_blocks(c, err));
	SLX_TRY(describe(c, err));
	SLX_TRY(slx_lease_check(&c->lease, err));
	c->made.info.took_ms = slx_place_now_ms(&c->place) - c->made.info.time_ms;
	return slx_backup_record_put(&c->place, c->store, &c->made, err);
}

silex_status slx_backup_create(struct slx_engine *e, const char *target, const silex_backup_options *o, silex_backup_info *ret, silex_error *err)
{
	struct creation c = { .engine = e, .full = o->full, .progress = { o->progress, o->progress_arg, "backup", 0, 0 } };
	slx_place_of(e, &c.place);
	c.last.mem = c.made.mem = c.place.mem;
	slx_names_init(&c.there, c.place.mem);
	SLX_TRY(slx_target_change(&c.place, target, &c.store, &c.lease, err));
	silex_status st = create(&c, err);
	if (st == SILEX_OK && ret)
		*ret = c.made.info;
	slx_lease_end(&c.lease);
	slx_image_free(c.image);
	slx_backup_record_free(&c.last);
	slx_backup_record_free(&c.made);
	slx_names_free(&c.there);
	slx_store_close(c.store);
	return st;
}
