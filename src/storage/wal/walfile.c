#include "storage/wal/walfile.h"
#include "storage/wal/segment.h"

#include <string.h>

_Static_assert((int)SLX_WALFILE_HEADER_SIZE == (int)SLX_WALSEG_HEADER_SIZE, "one header");

static silex_status decode(const uint8_t *from, const char *what, struct slx_walseg_header *ret, silex_error *err)
{
	if (!slx_walseg_decode(from, ret))
		return slx_err(err, SILEX_CORRUPT, "%s: offset 0: not the header of a log segment, or damaged", what);
	if (ret->format > SLX_WALSEG_FORMAT)
		return slx_err(err, SILEX_UNSUPPORTED, "%s: log format %u; this release reads up to %d: use a newer silex", what, ret->format, SLX_WALSEG_FORMAT);
	return SILEX_OK;
}

silex_status slx_walfile_header_decode(
	const uint8_t from[SLX_WALFILE_HEADER_SIZE], const char *what, struct slx_walfile_header *ret, silex_error *err)
{
	struct slx_walseg_header h;
	SLX_TRY(decode(from, what, &h, err));
	*ret = (struct slx_walfile_header){ .number = h.number, .scope = h.scope, .first_seq = h.first_seq, .version = h.version,
		.continuation = h.flags & SLX_WALSEG_CONTINUATION };
	memcpy(ret->log_uuid, h.log_uuid, sizeof ret->log_uuid);
	memcpy(ret->uuid, h.uuid, sizeof ret->uuid);
	return SILEX_OK;
}

silex_status slx_walfile_header_renumber(uint8_t header[SLX_WALFILE_HEADER_SIZE], uint64_t number, uint64_t scope, silex_error *err)
{
	struct slx_walseg_header h;
	SLX_TRY(decode(header, "log segment", &h, err));
	h.number = number;
	h.scope = scope;
	slx_walseg_encode(&h, header);
	return SILEX_OK;
}

/* false: the walk ends before this frame. Marks have no number of their own. */
static bool take(struct slx_walfile_run *run, const struct slx_walseg_frame *f, uint64_t seq_max, uint64_t version_max)
{
	const struct slx_envelope *e = &f->envelope;
	run->limited = e->seq > seq_max || e->version > version_max;
	if (run->limited)
		return false;
	if (e->kind != SLX_WALSEG_KIND_MARK) {
		if (run->frames && e->seq != run->last_seq + 1)
			return false;
		if (!run->frames)
			run->first_seq = e->seq;
		run->frames++;
		run->last_seq = e->seq;
		run->last_version = e->version;
	}
	run->end = f->end;
	return true;
}

silex_status slx_walfile_walk(struct slx_mem *m, struct slx_file *f, uint64_t offset, uint64_t seq_max, uint64_t version_max,
	struct slx_walfile_run *ret, silex_error *err)
{
	struct slx_walseg_reader r = { .mem = m, .file = f };
	struct slx_walfile_run run = { .end = offset };
	struct slx_walseg_frame frame;
	bool found = true;
	silex_status st = slx_file_size(f, &r.size, err);
	while (st == SILEX_OK && found) {
		st = slx_walseg_frame_at(&r, run.end, &frame, &found, err);
		found = st == SILEX_OK && found && take(&run, &frame, seq_max, version_max);
	}
	if (st == SILEX_OK)
		st = run.end < r.size ? slx_walseg_only_zeros(&r, run.end, &run.clean, err) : (run.clean = true, SILEX_OK);
	slx_free(m, SLX_MEM_WAL, r.buf, r.cap); /* the file stays the caller's */
	if (st == SILEX_OK)
		*ret = run;
	return st;
}
