/* Scraping: scrape_configs of Prometheus, from the server's configuration.
 *
 * One thread owns the jobs and their targets and fetches with libcurl's multi interface; what arrives is decoded (formats/exposition),
 * relabelled once per series (the result is cached per target), written through intake, and followed by up, scrape_duration_seconds,
 * scrape_samples_scraped, scrape_samples_post_metric_relabeling and scrape_series_added. A series that a target no longer shows gets a
 * stale marker; so do all series of a target that fails or goes.
 *
 * Of a job: job_name, scrape_interval, scrape_timeout, metrics_path, scheme, params, honor_labels, honor_timestamps, basic_auth,
 * authorization, bearer_token(_file), tls_config, follow_redirects, static_configs, file_sd_configs, http_sd_configs, relabel_configs,
 * metric_relabel_configs, sample_limit, label_limit, body_size_limit, and Silex' own `tenant`. */
#ifndef SLX_SERVER_SCRAPE_H
#define SLX_SERVER_SCRAPE_H

#include "server/core/core.h"
#include "server/intake/intake.h"

struct slx_scrape;

/* INVALID "file:line: ..." when the scrape_configs of c cannot be used. For --check-config and before a reload. */
silex_status slx_scrape_check(struct slx_mem *m, const struct slx_config *c, silex_error *err);

/* Starts scraping what core->config says. intake must outlive it. */
silex_status slx_scrape_start(struct slx_core *core, struct slx_intake *intake, struct slx_scrape **ret, silex_error *err);
/* Takes over the configuration in force now; targets that stay keep their series. */
void slx_scrape_reload(struct slx_scrape *s);
void slx_scrape_stop(struct slx_scrape *s); /* ends with stale markers for all; there are no targets any more. NULL is fine */
void slx_scrape_free(struct slx_scrape *s); /* after stop, when nobody asks for targets any more; NULL is fine */

/* JSON for /api/v1/targets and /api/v1/targets/metadata (struct slx_prom_targets); ctx is the struct slx_scrape. */
void slx_scrape_targets_json(void *ctx, struct slx_str state, struct slx_str scrape_pool, struct slx_buf *out);
void slx_scrape_metadata_json(void *ctx, struct slx_str match_target, struct slx_str metric, uint64_t limit, struct slx_buf *out);

#endif
