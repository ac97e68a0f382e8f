/* The rows of the command table. */
#ifndef SLX_APP_COMMANDS_H
#define SLX_APP_COMMANDS_H

#include "app/app.h"

extern const struct app_command app_import, app_export, app_query, app_series, app_labels_command, app_delete,
	app_stats, app_digest, app_snapshot, app_restore, app_backup, app_compact, app_retention_command, app_rollup_command, app_checkpoint, app_inspect, app_verify,
	app_upgrade, app_tier, app_compression, app_rules, app_serve, app_bench, app_demo,
	app_shell, app_completion, app_version;

#endif
