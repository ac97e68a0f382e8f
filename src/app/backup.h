/* What `silex snapshot` and `silex backup` do with a server (remote_backup.c). Exit statuses, after saying what went wrong. */
#ifndef SLX_APP_BACKUP_H
#define SLX_APP_BACKUP_H

#include "app/app.h"

#include <silex/backup.h>

int app_remote_snapshot(struct app *a, const char *path, bool one_file, bool skip_head);
int app_remote_backup(struct app *a, const char *verb, bool full, const char *target);

/* --- backup.c --- */
struct app_table;
void app_backup_table(struct app_table *t); /* its columns */
bool app_backup_row(void *table, const silex_backup_info *i); /* a silex_backup_fn */
void app_say_backup(struct app *a, const silex_backup_info *i);

#endif
