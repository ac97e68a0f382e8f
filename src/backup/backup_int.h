/* Inside of the room. */
#ifndef SLX_BACKUP_BACKUP_INT_H
#define SLX_BACKUP_BACKUP_INT_H

#include "backup/backup.h"
#include "backup/place.h"
#include "engine/image.h"

/* The engine's files, memory, clock. */
void slx_place_of(struct slx_engine *e, struct slx_place *ret);

/* --- snapshot.c --- */
/* Documents into dir/meta; the first one last. */
silex_status slx_docs_put(struct slx_place *p, const char *dir, const struct slx_image_doc *docs, size_t n, silex_error *err);

/* --- target.c --- */
/* url: a folder, "folder:PATH" (a writable one is made when absent), "store:NAME" of the options, or a store's url. */
silex_status slx_target_open(struct slx_place *p, const char *url, bool writable, struct slx_store **ret, silex_error *err);
/* Names that begin with prefix, sorted. */
silex_status slx_target_names(struct slx_place *p, struct slx_store *s, const char *prefix, struct slx_names *ret, silex_error *err);

/* Who may change a target: an object that says so, renewed while the work goes on. */
struct slx_lease {
	struct slx_place *place;
	struct slx_store *store;
	char name[64];
	char id[17];
	int64_t renewed_ms;
};
/* CONFLICT names who holds it. */
silex_status slx_lease_take(struct slx_place *p, struct slx_store *s, struct slx_lease *ret, silex_error *err);
/* Opens a target to change it, with its lease. A folder's opening for writing removes what others are writing: the lease is asked first. */
silex_status slx_target_change(struct slx_place *p, const char *url, struct slx_store **ret, struct slx_lease *ret_lease, silex_error *err);
silex_status slx_lease_renew(struct slx_lease *l, silex_error *err); /* when it is time; call it often */
/* CONFLICT when it was taken away, because we were silent for too long. */
silex_status slx_lease_check(struct slx_lease *l, silex_error *err);
void slx_lease_end(struct slx_lease *l);

#endif
