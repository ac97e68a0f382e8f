/* Snapshots, backups, restore, and the log's archive: what include/silex/backup.h says, on an engine.
 *
 *     snapshot   an image (engine/image.h) as a folder, or as one portable file (portable.h)
 *     backup     an image at a target (storage/store): an object a block, and a manifest object that names them (record.h)
 *     archive    log segments at the target as they grow, so that a restore may go on from a backup to any moment
 *     restore    any of these into a staging folder, verified there, then moved into place
 *
 * docs/format/snapshot.md and docs/format/backup.md have the bytes. */
#ifndef SLX_BACKUP_BACKUP_H
#define SLX_BACKUP_BACKUP_H

#include "engine/engine.h"

#include <silex/backup.h>

silex_status slx_backup_snapshot(struct slx_engine *e, const char *path, const silex_snapshot_options *o, silex_snapshot_info *ret, silex_error *err);

/* The portable file as a stream. */
silex_status slx_backup_stream(struct slx_engine *e, bool skip_head, silex_status (*put)(void *arg, const void *p, size_t n, silex_error *err), void *arg,
	silex_error *err);

/* o->db is not NULL and has been validated. */
silex_status slx_backup_restore(const char *from, const char *dir, const silex_restore_options *o, silex_restore_info *ret, silex_error *err);
/* Names of tenants have been checked; o->tenant_from and o->tenant_to are set. */
silex_status slx_backup_restore_into(const char *from, struct slx_engine *e, const silex_restore_options *o, silex_restore_info *ret, silex_error *err);

silex_status slx_backup_create(struct slx_engine *e, const char *target, const silex_backup_options *o, silex_backup_info *ret, silex_error *err);
/* db: validated. */
silex_status slx_backup_list(const char *target, const silex_options *db, silex_backup_fn each, void *arg, silex_error *err);
silex_status slx_backup_verify(const char *target, const silex_options *db, const char *id, silex_progress_fn progress, silex_text_fn fault, void *arg,
	silex_backup_report *ret, silex_error *err);
silex_status slx_backup_prune(const char *target, const silex_options *db, unsigned keep, bool dry_run, silex_prune_report *ret, silex_error *err);

struct slx_archive;
silex_status slx_archive_open(struct slx_engine *e, const char *target, uint64_t keep_bytes, struct slx_archive **ret, silex_error *err);
silex_status slx_archive_ship(struct slx_archive *a, silex_archive_info *ret, silex_error *err);
void slx_archive_close(struct slx_archive *a);
silex_status slx_archive_end(struct slx_engine *e, silex_error *err);

#endif
