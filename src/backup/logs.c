#include "backup/logs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEM_LENGTH = 4 + 32 + 1 + 16 + 1 + 32 };

void slx_log_uuid_text(const uint8_t uuid[SLX_WAL_UUID_SIZE], char to[SLX_LOG_UUID_TEXT])
{
	for (int i = 0; i < SLX_WAL_UUID_SIZE; i++)
		snprintf(to + 2 * i, 3, "%02x", uuid[i]);
}

void slx_log_stem(const struct slx_walfile_header *h, char to[SLX_LOG_STEM_SIZE])
{
	char log[SLX_LOG_UUID_TEXT], segment[SLX_LOG_UUID_TEXT];
	slx_log_uuid_text(h->log_uuid, log);
	slx_log_uuid_text(h->uuid, segment);
	snprintf(to, SLX_LOG_STEM_SIZE, "log-%s-%016llx-%s", log, (unsigned long long)h->first_seq, segment);
}

void slx_log_part_name(const char *stem, uint64_t offset, char to[SLX_LOG_NAME_SIZE])
{
	snprintf(to, SLX_LOG_NAME_SIZE, "%s-%012llx.part", stem, (unsigned long long)offset);
}

void slx_log_whole_name(const char *stem, char to[SLX_LOG_NAME_SIZE]) { snprintf(to, SLX_LOG_NAME_SIZE, "%s.wal", stem); }

/* --- listing -------------------------------------------------------------------------------------------------------------------- */

static bool is_hex(const char *s, size_t n) { return strspn(s, "0123456789abcdef") >= n; }

/* Is this the name of a piece or of a whole segment? Others ("...damaged") are nobody's. */
static bool parse(const char *name, bool *ret_complete)
{
	if (strlen(name) <= STEM_LENGTH || !is_hex(name + 4, 32) || name[36] != '-' || !is_hex(name + 37, 16) || name[53] != '-' || !is_hex(name + 54, 32))
		return false;
	const char *rest = name + STEM_LENGTH;
	*ret_complete = strcmp(rest, ".wal") == 0;
	return *ret_complete || (rest[0] == '-' && is_hex(rest + 1, 12) && strcmp(rest + 13, ".part") == 0);
}

/* Pieces sort before the complete object of the same stem. */
static void add(struct slx_logs *l, size_t i, bool complete)
{
	const char *name = l->names.v[i];
	struct slx_log_segment *g = l->n ? &l->v[l->n - 1] : NULL;
	if (!g || strncmp(g->stem, name, STEM_LENGTH) != 0) {
		g = &l->v[l->n++];
		snprintf(g->stem, sizeof g->stem, "%.*s", STEM_LENGTH, name);
		snprintf(g->log, sizeof g->log, "%.32s", name + 4);
		g->first_seq = strtoull(name + 37, NULL, 16);
		g->first = i;
	}
	if (complete)
		g->first = i;
	g->complete = complete;
	g->n = i - g->first + 1;
}

silex_status slx_logs_list(struct slx_place *p, struct slx_store *s, const char *uuid, struct slx_logs *ret, silex_error *err)
{
	struct slx_logs l = { .n = 0 };
	char prefix[64];
	snprintf(prefix, sizeof prefix, "log-%s", uuid ? uuid : "");
	silex_status st = slx_target_names(p, s, prefix, &l.names, err);
	if (st == SILEX_OK && l.names.n && !(l.v = slx_calloc(p->mem, SLX_MEM_OTHER, l.names.n * sizeof *l.v)))
		st = slx_err_oom(err);
	if (st != SILEX_OK) {
		slx_logs_free(&l);
		return st;
	}
	for (size_t i = 0; i < l.names.n; i++) {
		bool complete;
		if (parse(l.names.v[i], &complete))
			add(&l, i, complete);
	}
	*ret = l;
	return SILEX_OK;
}

void slx_logs_free(struct slx_logs *l)
{
	if (l->names.mem)
		slx_free(l->names.mem, SLX_MEM_OTHER, l->v, l->v ? l->names.n * sizeof *l->v : 0);
	slx_names_free(&l->names);
	l->v = NULL;
	l->n = 0;
}

/* --- one segment ------------------------------------------------------------------------------------------------------------------ */

silex_status slx_log_header(struct slx_store *s, const struct slx_logs *l, const struct slx_log_segment *g, struct slx_walfile_header *ret, silex_error *err)
{
	uint8_t bytes[SLX_WALFILE_HEADER_SIZE];
	const char *name = l->names.v[g->first];
	SLX_TRY(slx_store_get_range(s, name, 0, sizeof bytes, bytes, err));
	return slx_walfile_header_decode(bytes, name, ret, err);
}

silex_status slx_log_size(struct slx_store *s, const struct slx_logs *l, const struct slx_log_segment *g, uint64_t *ret, silex_error *err)
{
	*ret = 0;
	for (size_t i = g->first; i < g->first + g->n; i++) {
		uint64_t size;
		SLX_TRY(slx_store_size(s, l->names.v[i], &size, err));
		*ret += size;
	}
	return SILEX_OK;
}

silex_status slx_log_fetch(struct slx_place *p, struct slx_store *s, const struct slx_logs *l, const struct slx_log_segment *g, struct slx_growing *to,
	struct slx_progress *progress, silex_error *err)
{
	for (size_t i = g->first; i < g->first + g->n; i++) {
		struct slx_object o = { s, l->names.v[i] };
		uint64_t size;
		if (!g->complete && strtoull(o.name + STEM_LENGTH + 1, NULL, 16) != to->size)
			return slx_err(err, SILEX_CORRUPT, "%s: the piece before it is missing: bytes from %llu on", o.name, (unsigned long long)to->size);
		SLX_TRY(slx_store_size(s, o.name, &size, err));
		SLX_TRY(slx_pump(p, slx_object_read, &o, size, slx_file_sink, to, progress, NULL, err));
	}
	return SILEX_OK;
}
