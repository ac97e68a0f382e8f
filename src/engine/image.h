/* An image: what a consistent copy of the database consists of at one moment, held so that it can be copied while the database
 * goes on. Everything acknowledged before the call is in it.
 *
 * It is a manifest (of a database whose log has not begun yet), the blocks that this names, which stay while the image does,
 * and the other documents of the database. Put into an empty folder (blocks/NAME, meta/KEY) it is a database. */
#ifndef SLX_ENGINE_IMAGE_H
#define SLX_ENGINE_IMAGE_H

#include "engine/engine.h"
#include "storage/meta/meta.h"
#include "storage/tsdb/block.h"
#include "storage/wal/wal.h"

struct slx_image_block {
	const struct slx_block_info *info;
	struct slx_store *store; /* where it lies */
	bool local;              /* ... which is the folder blocks/ of slx_engine_path */
};

struct slx_image_doc {
	char key[SLX_META_KEY_SIZE_MAX + 1]; /* the first is MANIFEST */
	uint8_t *p;
	size_t n;
};

struct slx_image {
	struct slx_engine *engine;
	struct slx_view *view;
	struct slx_image_block *blocks;
	size_t n_blocks;
	struct slx_image_doc *docs;
	size_t n_docs, docs_cap;
	uint8_t log_uuid[SLX_WAL_UUID_SIZE]; /* of the database's log, in which */
	uint64_t checkpoint;                 /* frames up to this one are in the blocks */
	uint64_t version;                    /* nothing in the image is of a later version (hybrid clock, storage/wal) */
	uint64_t points, bytes;              /* of the blocks */
};

/* skip_head: what is in blocks already, without a flush. CORRUPT names a block that is lost: a copy without it would not be one. */
silex_status slx_engine_image(struct slx_engine *e, bool skip_head, struct slx_image **ret, silex_error *err);
void slx_image_free(struct slx_image *i); /* NULL is fine */

const char *slx_engine_path(const struct slx_engine *e); /* NULL: in memory */
struct slx_vfs *slx_engine_vfs(struct slx_engine *e);
const silex_options *slx_engine_options(const struct slx_engine *e);
struct slx_wal *slx_engine_log_of(struct slx_engine *e);
const silex_random *slx_engine_random(struct slx_engine *e);

#endif
