/* Replay: the log since the checkpoint goes into the head at open. References of a segment are resolved to handles as its
 * definitions come by; samples take the write path without logging; deletes, states and limits are applied as they were.
 * When the head grows large it is flushed as in normal work, so a long log replays within the memory limit. */
#include "engine/engine_int.h"

#include <stdio.h>

enum { REPLAY_FLUSH = 400 }; /* per mille of the memory limit in the head before replay flushes */

/* References of one log segment to handles; open addressing. They were given out one after the other and a frame names
 * them in that order, so their own low bits spread them best and keep neighbours together. */
struct refs {
	struct { uint32_t ref; struct slx_handle *h; } *slot;
	size_t n, cap;
};

struct replay {
	struct slx_engine *e;
	struct slx_record_reader reader;
	uint64_t segment;
	struct refs refs;
	struct slx_handle **row_handles;
	uint64_t frames;
};

static bool refs_set(struct replay *r, uint32_t ref, struct slx_handle *h)
{
	struct refs *t = &r->refs;
	if (t->n * 2 >= t->cap) {
		struct refs to = { .cap = t->cap ? t->cap * 2 : 1024, .n = t->n };
		to.slot = slx_calloc(&r->e->mem, SLX_MEM_WAL, to.cap * sizeof *to.slot);
		if (!to.slot)
			return false;
		for (size_t i = 0; i < t->cap; i++)
			if (t->slot[i].h) {
				size_t k = t->slot[i].ref & (to.cap - 1);
				while (to.slot[k].h)
					k = (k + 1) & (to.cap - 1);
				to.slot[k] = t->slot[i];
			}
		slx_free(&r->e->mem, SLX_MEM_WAL, t->slot, t->cap * sizeof *t->slot);
		*t = to;
	}
	size_t k = ref & (t->cap - 1);
	while (t->slot[k].h && t->slot[k].ref != ref)
		k = (k + 1) & (t->cap - 1);
	if (t->slot[k].h)
		slx_handle_free(t->slot[k].h);
	else
		t->n++;
	t->slot[k].ref = ref;
	t->slot[k].h = h;
	return true;
}

static struct slx_handle *refs_get(const struct replay *r, uint32_t ref)
{
	const struct refs *t = &r->refs;
	if (!t->cap)
		return NULL;
	size_t k = ref & (t->cap - 1);
	while (t->slot[k].h && t->slot[k].ref != ref)
		k = (k + 1) & (t->cap - 1);
	return t->slot[k].h;
}

static void refs_clear(struct replay *r)
{
	for (size_t i = 0; i < r->refs.cap; i++)
		slx_handle_free(r->refs.slot[i].h);
	slx_free(&r->e->mem, SLX_MEM_WAL, r->refs.slot, r->refs.cap * sizeof *r->refs.slot);
	r->refs = (struct refs){ 0 };
}

static silex_status replay_def(void *arg, uint32_t ref, struct slx_str tenant, struct slx_labels l, silex_error *err)
{
	struct replay *r = arg;
	struct slx_tenant *t;
	struct slx_handle *h;
	SLX_TRY(slx_engine_tenant(r->e, tenant, &t, err));
	SLX_TRY(slx_handle_new(r->e, t, l, NULL, &h, err));
	if (refs_set(r, ref, h))
		return SILEX_OK;
	slx_handle_free(h);
	return slx_err_oom(err);
}

static silex_status replay_samples(struct replay *r, const struct slx_wal_frame *f, silex_error *err)
{
	struct slx_record_samples s;
	SLX_TRY(slx_record_samples_decode(&r->reader, f->payload, f->n, replay_def, r, &s, err));
	if (f->covered)
		return SILEX_OK;
	size_t n = 0;
	uint64_t missing = 0;
	for (size_t i = 0; i < s.n; i++) {
		struct slx_handle *h = refs_get(r, s.refs[i]);
		if (!h) {
			missing++;
			continue;
		}
		r->row_handles[n] = h;
		r->reader.ts[n] = s.ts[i];
		r->reader.bits[n++] = s.bits[i];
	}
	if (missing) { /* its definition lay in a damaged frame */
		slx_engine_log(r->e, 3, "log frame %llu: %llu samples of series whose definition is lost", (unsigned long long)f->seq, (unsigned long long)missing);
		atomic_fetch_add(&r->e->damaged_frames, 1);
	}
	s.n = n;
	return n ? slx_engine_apply(r->e, r->row_handles, &s, err) : SILEX_OK;
}

static silex_status replay_delete(struct replay *r, const struct slx_wal_frame *f, silex_error *err)
{
	struct slx_str tenant, selector;
	struct slx_time_range range;
	SLX_TRY(slx_record_delete_decode(f->payload, f->n, &tenant, &selector, &range, err));
	if (f->covered)
		return SILEX_OK;
	struct slx_tombstone *t = slx_tombstone_new(r->e, tenant, selector, range, f->version, err);
	if (!t)
		return err ? err->code : SILEX_CORRUPT;
	struct slx_view *v = slx_view_copy(r->e, 0, 1);
	silex_status status = v ? slx_engine_bury(r->e, v, t, err) : slx_err_oom(err); /* nobody else runs yet: no locks to take */
	slx_tombstone_unref(r->e, t);
	return status;
}

static silex_status replay_state(struct replay *r, const struct slx_wal_frame *f, silex_error *err)
{
	struct slx_str tenant, text;
	struct slx_tenant *t;
	uint32_t number;
	SLX_TRY(slx_record_state_decode(f->payload, f->n, &tenant, &number, &text, err));
	SLX_TRY(slx_engine_tenant(r->e, tenant, &t, err));
	return slx_states_set(r->e, t, number, text, err);
}

static silex_status replay_limits(struct replay *r, const struct slx_wal_frame *f, silex_error *err)
{
	struct slx_str tenant;
	struct slx_tenant *t;
	uint64_t series_max, head_bytes_max;
	SLX_TRY(slx_record_limits_decode(f->payload, f->n, &tenant, &series_max, &head_bytes_max, err));
	SLX_TRY(slx_engine_tenant(r->e, tenant, &t, err));
	atomic_store(&t->series_max, series_max);
	atomic_store(&t->head_bytes_max, head_bytes_max);
	atomic_store(&t->limits_set, true);
	return SILEX_OK;
}

/* Replay keeps to the memory limit by flushing as it goes, later than usual: nobody queries yet, and a flush after the
 * open is in the background. A frame that passed its checksum and still cannot be read is damage of that frame: named,
 * counted, and the rest goes on. */
static silex_status replay_frame(void *arg, const struct slx_wal_frame *f, silex_error *err)
{
	struct replay *r = arg;
	struct slx_engine *e = r->e;
	if (f->segment != r->segment) {
		refs_clear(r);
		r->segment = f->segment;
	}
	silex_status status = SILEX_OK;
	silex_error own = { 0 };
	switch (f->kind) {
	case SLX_RECORD_SAMPLES:
		status = replay_samples(r, f, &own);
		break;
	case SLX_RECORD_DELETE:
		status = replay_delete(r, f, &own);
		break;
	case SLX_RECORD_STATES:
		status = replay_state(r, f, &own);
		break;
	case SLX_RECORD_LIMITS:
		status = replay_limits(r, f, &own);
		break;
	default:
		status = slx_err(&own, SILEX_UNSUPPORTED, "record kind %u is not known to this release: use a newer silex", f->kind);
	}
	if (status == SILEX_CORRUPT) {
		slx_engine_log(e, 3, "log frame %llu: %s", (unsigned long long)f->seq, own.message);
		atomic_fetch_add(&e->damaged_frames, 1);
	} else if (status != SILEX_OK) {
		return slx_err(err, status, "log frame %llu: %s", (unsigned long long)f->seq, own.message);
	}
	uint64_t head = slx_head_bytes(atomic_load_explicit(&e->active, memory_order_relaxed));
	if (++r->frames % 16 == 0 && !e->opt.read_only && head >= e->opt.memory_limit / 1000 * REPLAY_FLUSH)
		return slx_engine_flush_at(e, f->seq, f->version, false, err);
	return SILEX_OK;
}

void slx_engine_damage_text(const struct slx_wal_damage *d, char ret[SLX_DAMAGE_TEXT_SIZE])
{
	unsigned long long first = d->first_seq, last = d->last_seq, offset = d->offset, size = d->size;
	int n = size ? snprintf(ret, SLX_DAMAGE_TEXT_SIZE, "%s: offset %llu: %llu bytes that no valid frame covers", d->file, offset, size) :
		       snprintf(ret, SLX_DAMAGE_TEXT_SIZE, "%s: offset %llu: what belongs before is missing", d->file, offset);
	if (first <= last)
		snprintf(ret + n, SLX_DAMAGE_TEXT_SIZE - (size_t)n, ", frames %llu to %llu lost", first, last);
}

static void report_replay(struct slx_engine *e, const struct slx_wal_report *w)
{
	for (size_t i = 0; i < w->damage_count && i < SLX_WAL_DAMAGE_MAX; i++) {
		char text[SLX_DAMAGE_TEXT_SIZE];
		slx_engine_damage_text(&w->damage[i], text);
		slx_engine_log(e, 3, "log %s; the rest was replayed, the original is kept", text);
	}
	if (w->torn_bytes)
		slx_engine_log(e, 1, "log: %llu bytes of a torn write cut from its end", (unsigned long long)w->torn_bytes);
	atomic_fetch_add(&e->damaged_frames, w->damage_count);
	atomic_store(&e->torn_bytes, w->torn_bytes);
}

silex_status slx_engine_replay(struct slx_engine *e, silex_error *err)
{
	struct replay r = { .e = e };
	SLX_TRY(slx_record_reader_init(&r.reader, &e->mem, err));
	r.row_handles = slx_alloc(&e->mem, SLX_MEM_WAL, SLX_GROUP_MAX * sizeof *r.row_handles);
	silex_status status = r.row_handles ? slx_wal_replay(e->wal, e->checkpoint_seq, replay_frame, &r, &e->replayed, err) : slx_err_oom(err);
	refs_clear(&r);
	slx_free(&e->mem, SLX_MEM_WAL, r.row_handles, r.row_handles ? SLX_GROUP_MAX * sizeof *r.row_handles : 0);
	slx_record_reader_free(&r.reader);
	report_replay(e, &e->replayed);
	return status;
}
