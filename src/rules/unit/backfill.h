/* Recording rules of a file over the past of a database. */
#ifndef SLX_RULES_BACKFILL_H
#define SLX_RULES_BACKFILL_H

#include <silex/silex.h>

#include <stdbool.h>

/* What the rules would have recorded between from and to (ns) is written, at the times that a server with this file evaluates them; no
 * alert changes. tenant NULL: "default". INVALID: "file:line:column: ...", or the range. */
silex_status slx_rules_backfill(silex_db *db, const char *tenant, const char *path, bool experimental, int64_t from, int64_t to,
	silex_progress_fn progress, void *arg, uint64_t *ret_samples, silex_error *err);

#endif
