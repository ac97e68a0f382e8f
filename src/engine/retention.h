/* Retention (include/silex/retention.h): the rules in force, what they hide, refuse and remove.
 *
 * Rules are one immutable, ref-counted object. A cutoff is the time before which the samples of a series are too old. It acts in
 * four places: a snapshot hides (retention.c), a write refuses (write.c), a merge leaves out (compact.c), and a pass drops whole
 * blocks and asks for merges (expire.c). So answers follow the rules at once and room follows when it pays. */
#ifndef SLX_ENGINE_RETENTION_H
#define SLX_ENGINE_RETENTION_H

#include "engine/engine.h"

#include <silex/retention.h>

silex_status slx_engine_set_retention(struct slx_engine *e, const silex_retention *r, silex_error *err);
/* In one allocation of slx_engine_mem; freed by slx_engine_retention_free. */
silex_status slx_engine_get_retention(struct slx_engine *e, silex_retention **ret, silex_error *err);
void slx_engine_retention_free(struct slx_engine *e, silex_retention *r);

/* As silex_apply_retention, times in ns. */
silex_status slx_engine_apply_retention(struct slx_engine *e, bool dry_run, silex_expired_fn each, silex_progress_fn progress, void *arg, silex_error *err);

#endif
