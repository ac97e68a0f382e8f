/* Backups of a server: by schedule and when somebody asks, and the log's archive, to the target of the configuration. */
#ifndef SLX_SERVER_BACKUP_H
#define SLX_SERVER_BACKUP_H

#include "server/core/core.h"

#include <silex/backup.h>

struct slx_backups;

/* The database is open. Without backup.target there is nothing to do but to answer so. */
silex_status slx_backups_start(struct slx_core *core, struct slx_backups **ret, silex_error *err);
/* What runs is canceled; a last time the log is shipped. NULL is fine. */
void slx_backups_stop(struct slx_backups *b);
void slx_backups_free(struct slx_backups *b); /* NULL is fine */

/* The target and the options to reach it with. INVALID names the key that is not set. */
silex_status slx_backups_target(struct slx_backups *b, const char **ret, const silex_options **ret_options, silex_error *err);
/* Now, and beside the schedule; returns when it is done. Any thread; CONFLICT while another one runs. */
silex_status slx_backups_create(struct slx_backups *b, bool full, silex_backup_info *ret, silex_error *err);

/* A snapshot of the database below DATA/snapshots. name NULL or empty: one is made up. INVALID when it is no plain name. */
enum { SLX_SNAPSHOT_NAME_SIZE = 128 };
silex_status slx_snapshots_create(struct slx_core *core, const char *name, bool skip_head, char ret_name[SLX_SNAPSHOT_NAME_SIZE],
	silex_snapshot_info *ret, silex_error *err);

#endif
