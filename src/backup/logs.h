/* Log segments at a target. A segment that is complete is one object, STEM.wal; one that still grows is pieces, STEM-OFFSET.part, cut
 * between frames. STEM is log-LOGUUID-FIRSTSEQ-SEGMENTUUID, so that names sort by log and sequence. docs/format/backup.md */
#ifndef SLX_BACKUP_LOGS_H
#define SLX_BACKUP_LOGS_H

#include "backup/backup_int.h"
#include "storage/wal/walfile.h"

enum { SLX_LOG_STEM_SIZE = 96, SLX_LOG_NAME_SIZE = 128, SLX_LOG_UUID_TEXT = 33 };

void slx_log_uuid_text(const uint8_t uuid[SLX_WAL_UUID_SIZE], char to[SLX_LOG_UUID_TEXT]);
void slx_log_stem(const struct slx_walfile_header *h, char to[SLX_LOG_STEM_SIZE]);
void slx_log_part_name(const char *stem, uint64_t offset, char to[SLX_LOG_NAME_SIZE]);
void slx_log_whole_name(const char *stem, char to[SLX_LOG_NAME_SIZE]);

struct slx_log_segment {
	char stem[SLX_LOG_STEM_SIZE];
	char log[SLX_LOG_UUID_TEXT]; /* uuid of the log, as text */
	uint64_t first_seq;
	size_t first, n; /* its objects among the names; of a complete one n is 1, whatever pieces are left beside it */
	bool complete;
};
struct slx_logs {
	struct slx_names names;
	struct slx_log_segment *v; /* by log, then sequence */
	size_t n;
};

/* uuid NULL: of all logs. */
silex_status slx_logs_list(struct slx_place *p, struct slx_store *s, const char *uuid, struct slx_logs *ret, silex_error *err);
void slx_logs_free(struct slx_logs *l);

/* The header of a segment. */
silex_status slx_log_header(struct slx_store *s, const struct slx_logs *l, const struct slx_log_segment *g, struct slx_walfile_header *ret, silex_error *err);
/* Its bytes into a file; CORRUPT when a piece is missing. */
silex_status slx_log_fetch(struct slx_place *p, struct slx_store *s, const struct slx_logs *l, const struct slx_log_segment *g, struct slx_growing *to,
	struct slx_progress *progress, silex_error *err);
/* Size of all its objects. */
silex_status slx_log_size(struct slx_store *s, const struct slx_logs *l, const struct slx_log_segment *g, uint64_t *ret, silex_error *err);

#endif
