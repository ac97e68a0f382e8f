/* Rows of the text decoders into a batch of intake, and the words of failure. */
#ifndef SLX_SERVER_INGEST_SINK_H
#define SLX_SERVER_INGEST_SINK_H

#include "formats/formats.h"
#include "server/intake/intake.h"

enum { SLX_INGEST_EXTRA_MAX = 32 };

/* The sink of a text decoder. Series numbers are those of the batch plus one. */
struct slx_ingest_sink {
	struct slx_sink sink;
	struct slx_intake_batch *batch;
	unsigned space;
	const struct slx_label *extra; /* put on every series that lacks the label; part of the cache key */
	size_t extra_n;
	uint64_t salt;   /* hash of extra */
	int64_t now;     /* of rows without time */
	uint32_t last;   /* series of the last row, plus one; 0: it was refused */
	uint64_t bad_lines;
	uint64_t first_line, first_column;
	char first[256]; /* message of the first bad line */

	struct { /* facts about the metric family that is being told */
		char name[256], type[32], unit[64], help[512];
		size_t name_n, type_n, unit_n, help_n;
	} family;
};

/* extra: lives as long as the sink. */
void slx_ingest_sink_init(struct slx_ingest_sink *s, struct slx_intake_batch *b, unsigned space, const struct slx_label *extra,
	size_t extra_n, int64_t now);
/* Hands over what metadata is still held back; call before commit. */
void slx_ingest_sink_end(struct slx_ingest_sink *s);

/* "3 of 10 samples refused: line 2, column 5: expected ..." into text. */
void slx_ingest_explain(const struct slx_ingest_sink *s, const struct slx_intake_result *r, char *text, size_t cap);

#endif
