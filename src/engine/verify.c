/* Verify and inspect: the engine opened read-only, looked at from the inside. */
#include "engine/engine_int.h"

#include <stdarg.h>
#include <stdio.h>

/* --- verify -------------------------------------------------------------------------------------------------------------------- */

struct faults {
	silex_text_fn fault;
	void *arg;
	uint64_t n;
	const char *where;
};

static bool fault_line(void *arg, const char *line)
{
	struct faults *f = arg;
	char text[1024];
	f->n++;
	snprintf(text, sizeof text, "%s%s", f->where, line);
	return !f->fault || f->fault(f->arg, text);
}

static silex_status verify_block(struct slx_engine *e, struct slx_used_block *b, struct faults *f, silex_verify_report *r)
{
	uint64_t pages = 0, points = 0;
	silex_error own = { 0 };
	if (b->upload && !e->opt.verify_cold) { /* its stub was checked when it was opened */
		r->files++;
		return SILEX_OK;
	}
	silex_status status = slx_block_verify(b->block, &e->codecs, fault_line, f, &pages, &points, &own);
	r->files++;
	r->pages += pages;
	r->points += points;
	r->chunks += b->info.chunks;
	if (status != SILEX_OK && status != SILEX_CORRUPT)
		fault_line(f, own.message);
	return status == SILEX_CORRUPT || status == SILEX_UNAVAILABLE ? SILEX_OK : status;
}

/* Open has read the whole log; it kept the places of damage. Further damaged frames passed their checksum and said nonsense. */
static void verify_log(struct slx_engine *e, struct faults *f)
{
	const struct slx_wal_report *w = &e->replayed;
	f->where = "wal/";
	for (size_t i = 0; i < w->damage_count && i < SLX_WAL_DAMAGE_MAX; i++) {
		char text[SLX_DAMAGE_TEXT_SIZE];
		slx_engine_damage_text(&w->damage[i], text);
		fault_line(f, text);
	}
	for (uint64_t i = w->damage_count < SLX_WAL_DAMAGE_MAX ? w->damage_count : SLX_WAL_DAMAGE_MAX; i < atomic_load(&e->damaged_frames); i++)
		fault_line(f, "a frame that cannot be read: see the messages of open");
}

silex_status slx_engine_verify(struct slx_engine *e, silex_progress_fn progress, silex_text_fn fault, void *arg, silex_verify_report *ret, silex_error *err)
{
	struct faults f = { .fault = fault, .arg = arg, .where = "blocks/" };
	struct slx_view *v = slx_view_get(e);
	struct slx_wal_stats w;
	silex_status status = SILEX_OK;
	memset(ret, 0, sizeof *ret);
	for (size_t i = 0; i < v->n_blocks && status == SILEX_OK; i++) {
		status = verify_block(e, v->blocks[i], &f, ret);
		if (progress && !progress(arg, "verify", i + 1, v->n_blocks))
			status = slx_err(err, SILEX_CANCELED, "verify canceled");
	}
	for (const struct slx_lost_block *l = e->lost; l; l = l->next) {
		char text[160];
		snprintf(text, sizeof text, "%s: cannot be opened", l->info.name);
		fault_line(&f, text);
	}
	slx_wal_stats(e->wal, &w);
	ret->files += w.segments;
	ret->frames = w.last_seq > e->checkpoint_seq ? w.last_seq - e->checkpoint_seq : 0;
	ret->points += atomic_load(&e->points_head);
	verify_log(e, &f);
	ret->faults = f.n;
	slx_view_unref(v);
	if (status != SILEX_OK)
		return status;
	return f.n ? slx_err(err, SILEX_CORRUPT, "%llu faults", (unsigned long long)f.n) : SILEX_OK;
}

/* --- inspect ------------------------------------------------------------------------------------------------------------------- */

struct inspect {
	silex_text_fn line;
	void *arg;
	int depth;
	struct slx_mem mem;
	struct slx_record_reader reader;
};

__attribute__((format(printf, 2, 3))) static bool say(struct inspect *in, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return in->line(in->arg, text);
}

static silex_status say_def(void *arg, uint32_t ref, struct slx_str tenant, struct slx_labels l, silex_error *err)
{
	struct inspect *in = arg;
	struct slx_buf text;
	if (in->depth < 2)
		return SILEX_OK;
	slx_buf_init(&text, &in->mem, SLX_MEM_OTHER, 1 << 20);
	slx_labels_format(l, &text);
	say(in, "    series %u = %.*s %.*s", ref, (int)tenant.n, tenant.p, (int)text.n, text.p ? (char *)text.p : "");
	slx_buf_free(&text);
	return SILEX_OK;
}

static silex_status say_samples(struct inspect *in, const struct slx_wal_frame *f, silex_error *err)
{
	struct slx_record_samples s;
	char t[SLX_TIME_TEXT_SIZE];
	SLX_TRY(slx_record_samples_decode(&in->reader, f->payload, f->n, say_def, in, &s, err));
	say(in, "    %zu samples of %s", s.n, slx_kind_name(s.kind));
	for (size_t i = 0; in->depth >= 3 && i < s.n; i++) {
		slx_time_format(s.ts[i], t);
		if (slx_kind_is_bytes(s.kind))
			say(in, "      %u %s %zu bytes", s.refs[i], t, slx_value_bytes(s.bits[i]).n);
		else
			say(in, "      %u %s %.17g", s.refs[i], t, slx_bits_number(s.kind, s.bits[i]));
	}
	return SILEX_OK;
}

static silex_status say_frame(void *arg, const struct slx_wal_frame *f, silex_error *err)
{
	static const char *const names[] = { "samples", "delete", "states", "limits" };
	struct inspect *in = arg;
	unsigned kind = (unsigned)(f->kind - SLX_RECORD_SAMPLES);
	silex_error own = { 0 };
	if (in->depth < 1)
		return SILEX_OK;
	say(in, "  frame seq %llu version %llu segment %llu %s %zu bytes", (unsigned long long)f->seq, (unsigned long long)f->version,
		(unsigned long long)f->segment, kind < 4 ? names[kind] : "unknown", f->n);
	if (f->kind == SLX_RECORD_SAMPLES && say_samples(in, f, &own) != SILEX_OK)
		say(in, "    %s", own.message);
	if (f->kind == SLX_RECORD_DELETE) {
		struct slx_str tenant, selector;
		struct slx_time_range range;
		if (slx_record_delete_decode(f->payload, f->n, &tenant, &selector, &range, &own) == SILEX_OK)
			say(in, "    %.*s %.*s from %lld to %lld", (int)tenant.n, tenant.p, (int)selector.n, selector.p, (long long)range.from, (long long)range.to);
	}
	return SILEX_OK;
}

static silex_status inspect_log(struct inspect *in, const char *dir, silex_error *err)
{
	silex_clock clock;
	silex_random rnd;
	struct slx_wal *w;
	struct slx_wal_report report = { 0 };
	slx_clock_init(&clock, NULL);
	slx_random_init(&rnd, NULL);
	struct slx_wal_options o = { .vfs = slx_vfs_posix(), .mem = &in->mem, .clock = &clock, .random = &rnd, .dir = dir, .read_only = true };
	SLX_TRY(slx_record_reader_init(&in->reader, &in->mem, err));
	silex_status status = slx_wal_open_file(&o, &w, err);
	if (status == SILEX_OK) {
		status = slx_wal_replay(w, 0, say_frame, in, &report, err);
		say(in, "log: %llu frames, seq %llu to %llu, %llu bytes, %s%s", (unsigned long long)report.frames, (unsigned long long)report.first_seq,
			(unsigned long long)report.last_seq, (unsigned long long)report.bytes, report.clean ? "closed in order" : "not closed in order",
			report.torn_bytes ? ", torn at its end" : "");
		for (size_t i = 0; i < report.damage_count && i < SLX_WAL_DAMAGE_MAX; i++)
			say(in, "log: damage in %s at offset %llu, %llu bytes", report.damage[i].file, (unsigned long long)report.damage[i].offset,
				(unsigned long long)report.damage[i].size);
		slx_wal_close(w, NULL);
	}
	slx_record_reader_free(&in->reader);
	return status;
}

static silex_status inspect_block(struct inspect *in, const char *dir, const char *name, silex_error *err)
{
	struct slx_codec_choice codecs = { .codec = -1 };
	struct slx_store *store;
	struct slx_cache *cache = NULL;
	struct slx_block *b = NULL;
	SLX_TRY(slx_store_open_folder(slx_vfs_posix(), &in->mem, dir, 0, true, &store, err));
	silex_status status = slx_cache_new(&in->mem, 8 << 20, &cache, err);
	if (status == SILEX_OK)
		status = slx_block_open(store, name, cache, &in->mem, &b, err);
	if (status == SILEX_OK)
		status = slx_block_inspect(b, &codecs, in->depth, in->line, in->arg, err);
	slx_block_unref(b);
	if (cache)
		slx_cache_free(cache);
	slx_store_close(store);
	return status;
}

static silex_status inspect_directory(struct inspect *in, const char *path, silex_error *err)
{
	struct slx_engine *e;
	silex_options o = { .size = sizeof o, .read_only = true, .wal = SILEX_WAL_FILE, .sync = SILEX_SYNC_ALWAYS, .block_duration_ms = 7200000,
		.memory_limit = UINT64_C(4) << 30, .threads = 1 };
	SLX_TRY(slx_engine_open(path, &o, &e, err));
	struct slx_view *v = slx_view_get(e);
	char from[SLX_TIME_TEXT_SIZE], to[SLX_TIME_TEXT_SIZE];
	say(in, "%s: format 0 (experimental), checkpoint at log seq %llu, %zu blocks, %zu tombstones", path, (unsigned long long)e->checkpoint_seq, v->n_blocks,
		v->n_tombs);
	say(in, "log since the checkpoint: %llu points of %llu series", (unsigned long long)atomic_load(&e->points_head),
		(unsigned long long)slx_head_series_count(v->active));
	for (size_t i = 0; i < v->n_blocks; i++) {
		const struct slx_block_info *b = &v->blocks[i]->info;
		slx_time_format(b->tmin, from);
		slx_time_format(b->tmax, to);
		say(in, "block %s level %u  %s .. %s  %llu points %llu series %llu bytes%s%s", b->name, b->level, from, to, (unsigned long long)b->points,
			(unsigned long long)b->series, (unsigned long long)b->size, v->blocks[i]->upload ? "  in store " : "",
			v->blocks[i]->upload ? v->blocks[i]->upload->place->name : "");
		if (in->depth > 0) {
			silex_error own;
			if (slx_block_inspect(v->blocks[i]->block, &e->codecs, in->depth, in->line, in->arg, &own) != SILEX_OK)
				say(in, "  %s", own.message);
		}
	}
	for (size_t i = 0; i < v->n_tombs; i++)
		say(in, "tombstone %.*s %.*s from %lld to %lld version %llu", (int)v->tombs[i]->tenant.n, v->tombs[i]->tenant.p, (int)v->tombs[i]->text_n,
			v->tombs[i]->text, (long long)v->tombs[i]->range.from, (long long)v->tombs[i]->range.to, (unsigned long long)v->tombs[i]->version);
	slx_view_unref(v);
	SLX_TRY(slx_engine_close(e, err));
	if (in->depth == 0)
		return SILEX_OK;
	char wal[4096];
	snprintf(wal, sizeof wal, "%s/wal", path);
	return inspect_log(in, wal, err);
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);
	return n >= k && strcmp(s + n - k, end) == 0;
}

silex_status slx_engine_inspect(const char *path, int depth, silex_text_fn line, void *arg, silex_error *err)
{
	struct inspect in = { .line = line, .arg = arg, .depth = depth };
	char dir[4096];
	slx_mem_init(&in.mem, NULL);
	const char *slash = strrchr(path, '/');
	snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	if (ends_with(path, ".slx"))
		return inspect_block(&in, dir, slash ? slash + 1 : path, err);
	if (ends_with(path, ".wal")) {
		if (in.depth < 1)
			in.depth = 1;
		return inspect_log(&in, dir, err);
	}
	return inspect_directory(&in, path, err);
}
