#include "rules/watch/track.h"

#include <assert.h>
#include <math.h>

enum { BLOCK = 32, BLOCKS_MAX = 2048 };

#define NO_TIME (SLX_TIME_MIN - 1)

/* Count, extremes, mean and squared deviations of values, joined as Chan, Golub and LeVeque do (1979). */
struct sums {
	uint32_t n;
	double min, max, sum, mean, m2;
};

struct slx_track_block {
	struct slx_machine before; /* the machine before the first sample */
	struct sums sums;
	uint32_t n;
	int64_t t[BLOCK];
	double v[BLOCK];
};

/* ---- sums ---- */

static void sums_add(struct sums *s, double v)
{
	double d = v - s->mean;
	s->min = s->n == 0 || v < s->min ? v : s->min;
	s->max = s->n == 0 || v > s->max ? v : s->max;
	s->n++;
	s->sum += v;
	s->mean += d / s->n;
	s->m2 += d * (v - s->mean);
}

static void sums_join(struct sums *s, const struct sums *o)
{
	if (s->n == 0 || o->n == 0) {
		*s = s->n ? *s : *o;
		return;
	}
	double d = o->mean - s->mean, n = (double)s->n + o->n;
	s->min = o->min < s->min ? o->min : s->min;
	s->max = o->max > s->max ? o->max : s->max;
	s->sum += o->sum;
	s->mean += d * o->n / n;
	s->m2 += o->m2 + d * d * ((double)s->n * o->n / n);
	s->n += o->n;
}

static void block_sum(struct slx_track_block *b)
{
	b->sums = (struct sums){ 0 };
	for (uint32_t i = 0; i < b->n; i++)
		sums_add(&b->sums, b->v[i]);
}

/* ---- moves ---- */

void slx_moves_free(struct slx_moves *m)
{
	slx_free(m->mem, SLX_MEM_OTHER, m->v, m->cap * sizeof *m->v);
	*m = (struct slx_moves){ .mem = m->mem };
}

static void move(struct slx_moves *out, enum slx_alert_state to, int64_t at, const struct slx_machine *m)
{
	if (out->n == out->cap) {
		size_t cap = out->cap ? out->cap * 2 : 16;
		struct slx_move *v = slx_realloc(out->mem, SLX_MEM_OTHER, out->v, out->cap * sizeof *v, cap * sizeof *v);
		if (!v) {
			out->failed = true;
			return;
		}
		out->v = v;
		out->cap = cap;
	}
	out->v[out->n++] = (struct slx_move){ to, at, m->active, m->value };
}

/* ---- the machine ---- */

static enum slx_alert_state state_of(const struct slx_machine *m)
{
	return m->phase == SLX_PHASE_IDLE ? SLX_ALERT_INACTIVE : m->phase == SLX_PHASE_RISING ? SLX_ALERT_PENDING : SLX_ALERT_FIRING;
}

/* The next moment at which time alone changes something; INT64_MAX: none. */
static int64_t deadline(const struct slx_machine *m, const struct slx_track_rule *r)
{
	int64_t d = INT64_MAX;
	if (m->phase == SLX_PHASE_RISING)
		d = slx_time_add(m->since, r->on_ns);
	else if (m->phase == SLX_PHASE_FALLING)
		d = slx_time_add(m->since, r->off_ns);
	if (r->missing_ns && !m->missing && m->last_t != NO_TIME) {
		int64_t gone = slx_time_add(m->last_t, r->missing_ns);
		d = gone < d ? gone : d;
	}
	return d;
}

static void go_idle(struct slx_machine *m, int64_t at, struct slx_moves *out)
{
	m->phase = SLX_PHASE_IDLE;
	move(out, SLX_ALERT_INACTIVE, at, m);
}

static void fire(struct slx_machine *m, int64_t at, struct slx_moves *out)
{
	m->phase = SLX_PHASE_FIRING;
	move(out, SLX_ALERT_FIRING, at, m);
}

static void end_delay(struct slx_machine *m, int64_t at, struct slx_moves *out)
{
	if (m->phase == SLX_PHASE_RISING)
		fire(m, at, out);
	else
		go_idle(m, at, out);
}

static void miss(struct slx_machine *m, const struct slx_track_rule *r, int64_t at, struct slx_moves *out)
{
	m->missing = true;
	if (r->missing == SLX_MISSING_CLEAR && m->phase != SLX_PHASE_IDLE)
		go_idle(m, at, out);
	if (r->missing != SLX_MISSING_FIRE)
		return;
	if (m->phase == SLX_PHASE_FALLING) {
		m->phase = SLX_PHASE_FIRING;
	} else if (m->phase != SLX_PHASE_FIRING) {
		m->active = m->phase == SLX_PHASE_RISING ? m->active : at;
		m->value = NAN;
		fire(m, at, out);
	}
}

/* Delays that end up to `to`. */
static void pass(struct slx_machine *m, const struct slx_track_rule *r, int64_t to, struct slx_moves *out)
{
	for (int64_t d; (d = deadline(m, r)) <= to;) {
		bool delay = (m->phase == SLX_PHASE_RISING && slx_time_add(m->since, r->on_ns) == d) ||
			(m->phase == SLX_PHASE_FALLING && slx_time_add(m->since, r->off_ns) == d);
		m->asof = d > m->asof ? d : m->asof;
		if (delay)
			end_delay(m, d, out);
		else
			miss(m, r, d, out);
	}
}

/* What was compared has the value x from t on. */
static void compare(struct slx_machine *m, const struct slx_track_rule *r, int64_t t, double x, struct slx_moves *out)
{
	bool enters = slx_band_has(&r->enter, x), stays = enters || slx_band_has(&r->stay, x);
	m->value = x;
	switch (m->phase) {
	case SLX_PHASE_IDLE:
		if (!enters)
			return;
		m->since = m->active = t;
		if (r->on_ns == 0) {
			fire(m, t, out);
			return;
		}
		m->phase = SLX_PHASE_RISING;
		move(out, SLX_ALERT_PENDING, t, m);
		return;
	case SLX_PHASE_RISING:
		if (!stays)
			go_idle(m, t, out);
		return;
	case SLX_PHASE_FIRING:
		if (stays)
			return;
		m->since = t;
		m->phase = SLX_PHASE_FALLING;
		if (r->off_ns == 0)
			go_idle(m, t, out);
		return;
	default:
		if (enters)
			m->phase = SLX_PHASE_FIRING;
	}
}

static void step(struct slx_machine *m, const struct slx_track_rule *r, int64_t t, double x, struct slx_moves *out)
{
	if (deadline(m, r) <= t)
		pass(m, r, t, out);
	m->last_t = m->asof = t;
	m->missing = false;
	if (!isnan(x))
		compare(m, r, t, x, out);
}

/* ---- kept samples ---- */

static struct slx_track_block **blocks(const struct slx_track *k) { return k->blocks + k->first; }

static void drop_first(struct slx_track *k, struct slx_track_room *room)
{
	slx_free(room->mem, SLX_MEM_OTHER, blocks(k)[0], sizeof(struct slx_track_block));
	atomic_fetch_sub_explicit(&room->used, (int64_t)sizeof(struct slx_track_block), memory_order_relaxed);
	k->first++;
	k->n--;
}

static bool array_room(struct slx_track *k, struct slx_mem *m)
{
	if (k->first + k->n < k->cap)
		return true;
	if (k->first > k->n) {
		memmove(k->blocks, blocks(k), k->n * sizeof *k->blocks);
	} else {
		uint32_t cap = k->n ? 2 * k->n : 2;
		struct slx_track_block **p = slx_alloc(m, SLX_MEM_OTHER, cap * sizeof *p);
		if (!p)
			return false;
		if (k->n)
			memcpy(p, blocks(k), k->n * sizeof *p);
		slx_free(m, SLX_MEM_OTHER, k->blocks, k->cap * sizeof *p);
		k->blocks = p;
		k->cap = cap;
	}
	k->first = 0;
	return true;
}

/* A block at place `at`, empty. NULL: no room. */
static struct slx_track_block *add_block(struct slx_track *k, struct slx_track_room *room, uint32_t at)
{
	int64_t size = sizeof(struct slx_track_block);
	bool over = atomic_fetch_add_explicit(&room->used, size, memory_order_relaxed) + size > room->used_max;
	struct slx_track_block *b = over || !array_room(k, room->mem) ? NULL : slx_alloc(room->mem, SLX_MEM_OTHER, sizeof *b);
	if (!b) {
		atomic_fetch_sub_explicit(&room->used, size, memory_order_relaxed);
		return NULL;
	}
	memmove(blocks(k) + at + 1, blocks(k) + at, (k->n - at) * sizeof *k->blocks);
	blocks(k)[at] = b;
	k->n++;
	b->n = 0;
	b->sums = (struct sums){ 0 };
	return b;
}

/* Lets go of blocks that nothing needs any more. The machine may run again from the first sample of the block that a late sample
 * falls into, and that sample's window must be whole. */
static void drop_old(struct slx_track *k, const struct slx_track_rule *r, struct slx_track_room *room, int64_t newest)
{
	int64_t oldest = slx_time_sub(newest, r->lateness_ns);
	uint32_t at = 0;
	while (at + 1 < k->n && blocks(k)[at + 1]->t[0] <= oldest)
		at++;
	int64_t need = slx_time_sub(blocks(k)[at]->t[0], r->window_ns);
	while (at-- > 0 && blocks(k)[1]->t[0] <= need)
		drop_first(k, room);
	while (k->n >= BLOCKS_MAX)
		drop_first(k, room);
}

/* The block for one more sample at the end; NULL: no room at all. */
static struct slx_track_block *last_block(struct slx_track *k, const struct slx_track_rule *r, struct slx_track_room *room, int64_t t)
{
	struct slx_track_block *b = k->n ? blocks(k)[k->n - 1] : NULL;
	if (b && b->n < BLOCK)
		return b;
	if (b)
		drop_old(k, r, room, t);
	b = add_block(k, room, k->n);
	while (!b && k->n) {
		drop_first(k, room);
		b = add_block(k, room, k->n);
	}
	if (b)
		b->before = k->m;
	return b;
}

/* ---- windows ---- */

static uint32_t first_after(const struct slx_track_block *b, uint32_t n, int64_t t)
{
	uint32_t from = 0;
	while (from < n && b->t[from] <= t)
		from++;
	return from;
}

static double change_rate(const struct slx_track *k, uint32_t at, uint32_t i, int64_t from)
{
	const struct slx_track_block *b = blocks(k)[at], *f = b;
	for (uint32_t j = at; j > 0 && blocks(k)[j - 1]->t[blocks(k)[j - 1]->n - 1] > from; j--)
		f = blocks(k)[j - 1];
	uint32_t first = first_after(f, f->n, from);
	double seconds = (double)(b->t[i] - f->t[first]) / 1e9;
	return seconds > 0 ? (b->v[i] - f->v[first]) / seconds : NAN;
}

/* What the rule compares at sample i of block `at`. */
static double input(const struct slx_track *k, const struct slx_track_rule *r, uint32_t at, uint32_t i)
{
	struct slx_track_block *b = blocks(k)[at];
	if (r->input == SLX_WATCH_LAST)
		return b->v[i];
	int64_t from = slx_time_sub(b->t[i], r->window_ns);
	if (r->input == SLX_WATCH_RATE)
		return change_rate(k, at, i, from);
	struct sums s = { 0 };
	bool whole = i + 1 == b->n && b->t[0] > from;
	if (whole)
		s = b->sums;
	for (uint32_t j = whole ? i + 1 : first_after(b, i + 1, from); j <= i; j++)
		sums_add(&s, b->v[j]);
	for (uint32_t j = at; j > 0 && blocks(k)[j - 1]->t[blocks(k)[j - 1]->n - 1] > from; j--) {
		const struct slx_track_block *o = blocks(k)[j - 1];
		if (o->t[0] > from)
			sums_join(&s, &o->sums);
		else
			for (uint32_t x = first_after(o, o->n, from); x < o->n; x++)
				sums_add(&s, o->v[x]);
	}
	switch (r->input) {
	case SLX_WATCH_AVG:
		return s.mean;
	case SLX_WATCH_MIN:
		return s.min;
	case SLX_WATCH_MAX:
		return s.max;
	case SLX_WATCH_SUM:
		return s.sum;
	case SLX_WATCH_COUNT:
		return (double)s.n;
	default:
		return sqrt(s.m2 / s.n);
	}
}

/* ---- late ---- */

/* The machine over the blocks from `at` on and the time that passed since. */
static struct slx_machine run(struct slx_track *k, const struct slx_track_rule *r, uint32_t at, bool note, struct slx_moves *out)
{
	struct slx_machine m = blocks(k)[at]->before;
	for (uint32_t j = at; j < k->n; j++) {
		struct slx_track_block *b = blocks(k)[j];
		if (note)
			b->before = m;
		for (uint32_t i = 0; i < b->n; i++)
			step(&m, r, b->t[i], input(k, r, j, i), out);
	}
	pass(&m, r, k->m.asof, out);
	return m;
}

/* The block whose time it is. */
static uint32_t block_of(const struct slx_track *k, int64_t t)
{
	uint32_t at = k->n - 1;
	while (at > 0 && blocks(k)[at]->t[0] > t)
		at--;
	return at;
}

/* Full blocks are cut in two. false: no room. */
static bool put(struct slx_track *k, struct slx_track_room *room, uint32_t at, int64_t t, double v)
{
	struct slx_track_block *b = blocks(k)[at];
	if (b->n == BLOCK) {
		struct slx_track_block *half = add_block(k, room, at + 1);
		if (!half)
			return false;
		half->n = BLOCK / 2;
		b->n = BLOCK - half->n;
		memcpy(half->t, b->t + b->n, half->n * sizeof *b->t);
		memcpy(half->v, b->v + b->n, half->n * sizeof *b->v);
		block_sum(half);
		block_sum(b);
		if (t > half->t[0])
			b = half;
	}
	uint32_t i = first_after(b, b->n, t);
	memmove(b->t + i + 1, b->t + i, (b->n - i) * sizeof *b->t);
	memmove(b->v + i + 1, b->v + i, (b->n - i) * sizeof *b->v);
	b->t[i] = t;
	b->v[i] = v;
	b->n++;
	block_sum(b);
	return true;
}

static double *find(const struct slx_track *k, uint32_t at, int64_t t)
{
	struct slx_track_block *b = blocks(k)[at];
	for (uint32_t i = b->n; i-- > 0 && b->t[i] >= t;)
		if (b->t[i] == t)
			return &b->v[i];
	return NULL;
}

static void say(struct slx_moves *out, const struct slx_move *x, enum slx_alert_state *state)
{
	if (x->to == *state)
		return;
	struct slx_machine m = { .active = x->active, .value = x->value };
	*state = x->to;
	move(out, x->to, x->at, &m);
}

/* `was` has been told; `is` is right. t: of the sample that changed it. */
static void reconcile(const struct slx_moves *was, const struct slx_moves *is, enum slx_alert_state told, const struct slx_machine *m, int64_t t,
	struct slx_moves *out)
{
	size_t same = 0;
	bool fired = false;
	while (same < was->n && same < is->n && was->v[same].to == is->v[same].to && was->v[same].at == is->v[same].at)
		same++;
	for (size_t i = same; i < was->n; i++)
		fired |= was->v[i].to == SLX_ALERT_FIRING;
	for (size_t i = fired && is->n > same ? is->n - 1 : same; i < is->n; i++)
		say(out, &is->v[i], &told);
	struct slx_move end = { state_of(m), t, m->active, m->value };
	say(out, &end, &told);
}

static enum slx_taken late(struct slx_track *k, const struct slx_track_rule *r, struct slx_track_room *room, int64_t t, double v, struct slx_moves *moves)
{
	uint32_t at = k->n ? block_of(k, t) : 0;
	if (!k->n || blocks(k)[at]->before.asof >= t || t < slx_time_sub(k->m.last_t, r->lateness_ns))
		return SLX_TAKEN_NOT;
	double *there = find(k, at, t);
	if (there && *there == v)
		return SLX_TAKEN_AGAIN;
	struct slx_moves was = { .mem = moves->mem }, is = { .mem = moves->mem };
	enum slx_alert_state told = slx_track_state(k);
	enum slx_taken taken = SLX_TAKEN_NOT;
	run(k, r, at, false, &was);
	if (there) {
		*there = v;
		block_sum(blocks(k)[at]);
	}
	if (there || put(k, room, at, t, v)) {
		taken = SLX_TAKEN_LATE;
		k->m = run(k, r, at, true, &is);
		reconcile(&was, &is, told, &k->m, t, moves);
		moves->failed |= was.failed || is.failed;
	}
	slx_moves_free(&was);
	slx_moves_free(&is);
	return taken;
}

/* ---- outside ---- */

void slx_track_init(struct slx_track *k)
{
	*k = (struct slx_track){ .m = { .last_t = NO_TIME, .asof = NO_TIME } };
}

static void forget(struct slx_track *k, struct slx_track_room *room)
{
	while (k->n)
		drop_first(k, room);
	k->first = 0;
}

void slx_track_free(struct slx_track *k, struct slx_track_room *room)
{
	forget(k, room);
	slx_free(room->mem, SLX_MEM_OTHER, k->blocks, k->cap * sizeof *k->blocks);
	*k = (struct slx_track){ 0 };
}

enum slx_alert_state slx_track_state(const struct slx_track *k) { return state_of(&k->m); }

/* Puts a sample at the end and says what is compared there. Without room a window is that of the sample alone. */
static double keep(struct slx_track *k, const struct slx_track_rule *r, struct slx_track_room *room, int64_t t, double v)
{
	struct slx_track_block *b = last_block(k, r, room, t);
	if (!b)
		return r->input == SLX_WATCH_LAST ? v : NAN;
	b->t[b->n] = t;
	b->v[b->n++] = v;
	sums_add(&b->sums, v);
	return input(k, r, k->n - 1, b->n - 1);
}

enum slx_taken slx_track_sample(struct slx_track *k, const struct slx_track_rule *r, struct slx_track_room *room, int64_t now, int64_t t, double v,
	struct slx_moves *moves)
{
	int64_t bound = r->lateness_ns;
	if (isnan(v) || t < slx_time_sub(now, bound) || t > slx_time_add(now, bound))
		return SLX_TAKEN_NOT;
	if (t <= k->m.asof)
		return late(k, r, room, t, v, moves);
	step(&k->m, r, t, keep(k, r, room, t, v), moves);
	return SLX_TAKEN_IN_ORDER;
}

void slx_track_fill(struct slx_track *k, const struct slx_track_rule *r, struct slx_track_room *room, int64_t t, double v)
{
	if (isnan(v))
		return;
	keep(k, r, room, t, v);
	k->m.last_t = t;
	k->m.asof = t > k->m.asof ? t : k->m.asof;
}

void slx_track_restore(struct slx_track *k, enum slx_alert_state state, int64_t changed, int64_t active)
{
	k->m.phase = state == SLX_ALERT_FIRING ? SLX_PHASE_FIRING : state == SLX_ALERT_PENDING ? SLX_PHASE_RISING : SLX_PHASE_IDLE;
	k->m.active = k->m.since = active;
	k->m.asof = changed > k->m.asof ? changed : k->m.asof;
	if (k->m.last_t == NO_TIME)
		k->m.last_t = changed;
}

void slx_track_pass(struct slx_track *k, const struct slx_track_rule *r, int64_t asof, struct slx_moves *moves) { pass(&k->m, r, asof, moves); }

int64_t slx_track_deadline(const struct slx_track *k, const struct slx_track_rule *r) { return deadline(&k->m, r); }

void slx_track_set_back(struct slx_track *k, struct slx_track_room *room, int64_t t)
{
	if (k->m.asof < t)
		return;
	forget(k, room);
	k->m.last_t = k->m.asof = t - 1;
	k->m.since = t;
}

size_t slx_track_kept(const struct slx_track *k)
{
	size_t n = 0;
	for (uint32_t i = 0; i < k->n; i++)
		n += blocks(k)[i]->n;
	return n;
}
