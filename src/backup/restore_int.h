/* The parts of a restore. Private to the room. */
#ifndef SLX_BACKUP_RESTORE_INT_H
#define SLX_BACKUP_RESTORE_INT_H

#include "backup/backup_int.h"

/* --- restore_from.c --- */
/* What `from` holds (a snapshot's folder or file, a backup target) as a database in the folder `staging`, which is empty. */
silex_status slx_stage(struct slx_place *p, const char *from, const char *staging, const silex_restore_options *o, silex_restore_info *info,
	silex_error *err);

/* --- restore_backup.c --- */
silex_status slx_stage_backup(struct slx_place *p, const char *target, const char *staging, const silex_restore_options *o, silex_restore_info *info,
	silex_error *err);

/* --- tenant.c --- */
/* All samples of a tenant, with its exemplars and metadata, into a tenant of another database. Adds to info->points. */
silex_status slx_tenant_copy(struct slx_engine *from, const char *tenant_from, struct slx_engine *to, const char *tenant_to, struct slx_progress *progress,
	silex_restore_info *info, silex_error *err);

#endif
