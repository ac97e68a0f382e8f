/* A sink that writes down what it is told, for tests and fuzz targets, and a driver that feeds blocks cut at random. */
#ifndef SLX_FORMATS_COLLECT_H
#define SLX_FORMATS_COLLECT_H

#include "base/clock.h"
#include "formats/formats_int.h"

#include <stdio.h>
#include <stdlib.h>

struct collect {
	struct slx_mem *mem;
	struct slx_buf text; /* "name{a="b"} value [time]" or "#key value [time]"; "! line:column message" */
	uint32_t keys;       /* series keys seen */
	bool strict;         /* stop at the first error */
	const char *broken;  /* a promise of formats.h that a row broke */
};

static inline bool collect_row(void *arg, const struct slx_row *row)
{
	struct collect *c = arg;
	char head[32];
	if (row->series_key > c->keys + 1)
		c->broken = "series keys are dense";
	if ((row->series_key == 0 || row->series_key == c->keys + 1) && row->labels_n == 0)
		c->broken = "a new key comes with labels";
	if (row->series_key == c->keys + 1)
		c->keys++;
	if (row->has_time && !slx_time_legal(row->t))
		c->broken = "times are legal";
	if (row->kind > SLX_KIND_BOOL || (row->kind == SLX_KIND_BOOL && row->bits > 1))
		c->broken = "kinds are float64, int64, bool";
	for (uint32_t i = 0; i < row->labels_n; i++)
		if (row->labels[i].value.n == 0 || row->labels[i].name.n == 0)
			c->broken = "labels are not empty";
	if (row->labels_n) {
		slx_encode_exposition(&c->text, row, true);
		return true;
	}
	slx_buf_put(&c->text, head, (size_t)snprintf(head, sizeof head, "#%u ", row->series_key));
	struct slx_row bare = *row;
	slx_encode_exposition(&c->text, &bare, true);
	return true;
}

static inline bool collect_error(void *arg, uint64_t line, uint64_t column, const char *message)
{
	struct collect *c = arg;
	char head[64];
	slx_buf_put(&c->text, head,
		(size_t)snprintf(head, sizeof head, "! %llu:%llu ", (unsigned long long)line, (unsigned long long)column));
	slx_buf_put(&c->text, message, strlen(message));
	slx_buf_u8(&c->text, '\n');
	return !c->strict;
}

static inline void collect_init(struct collect *c, struct slx_mem *m)
{
	*c = (struct collect){ .mem = m };
	slx_buf_init(&c->text, m, SLX_MEM_OTHER, (size_t)1 << 30);
}

static inline void collect_free(struct collect *c) { slx_buf_free(&c->text); }

static inline struct slx_sink collect_sink(struct collect *c)
{
	return (struct slx_sink){ .arg = c, .row = collect_row, .error = collect_error };
}

/* Feeds the input whole (seed 0) or in blocks of random sizes, each in memory of exactly its size, and finishes. */
static inline silex_status collect_feed(struct slx_decoder *d, const char *p, size_t n, uint64_t seed)
{
	silex_status st = SILEX_OK;
	for (size_t at = 0, take; at < n && st == SILEX_OK; at += take) {
		take = n - at;
		if (seed) {
			uint64_t r = slx_rng_next(&seed);
			size_t most = r % 4 == 0 ? 3 : r % 4 == 1 ? 40 : 5000;
			take = 1 + (r >> 8) % most < take ? 1 + (r >> 8) % most : take;
		}
		char *block = malloc(take);
		if (!block)
			abort();
		memcpy(block, p + at, take);
		st = slx_decoder_feed(d, block, take, NULL);
		free(block);
	}
	return st == SILEX_OK ? slx_decoder_finish(d, NULL) : st;
}

#endif
