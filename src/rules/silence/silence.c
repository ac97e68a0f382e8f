/* The table of silences and acknowledgements in force. What is asked for each alert and notification (slx_silences_mute) looks
 * only here; changes go to the journal first. `change_lock` makes read-check-write one step and is held over the log; `lock`
 * guards the two lists and is held for moments. */
#include "rules/silence/silence.h"

#include "base/clock.h"
#include "rules/silence/silence_int.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#define KIND_SILENCE SLX_STR("silence")
#define KIND_ACK     SLX_STR("ack")

enum { SILENCES_MAX = 10000, NOTE_MAX = 60 << 10, FORGET_MAX = 64 };

struct kept_silence {
	struct kept_silence *next;
	struct slx_silence x; /* strings lie behind */
	struct slx_selector match;
	size_t size;
};

struct kept_ack {
	struct kept_ack *next;
	struct slx_ack x;
	size_t size;
};

struct slx_silences {
	struct slx_alerts *alerts;
	struct slx_mem *mem;
	const silex_clock *clock;
	void (*changed)(void *arg); /* set before others use it */
	void *changed_arg;
	pthread_mutex_t change_lock; /* one change at a time; counter */
	uint64_t counter;
	pthread_mutex_t lock;           /* the lists */
	struct kept_silence *silences;  /* newest first */
	struct kept_ack *acks;
	size_t n_silences;
};

/* ---- rows ---- */

static struct slx_str copy_str(char **to, struct slx_str s)
{
	char *at = *to;
	if (s.n)
		memcpy(at, s.p, s.n);
	*to += s.n;
	return (struct slx_str){ at, s.n };
}

static void silence_free(struct slx_silences *s, struct kept_silence *k)
{
	if (!k)
		return;
	slx_selector_free(&k->match);
	slx_free(s->mem, SLX_MEM_OTHER, k, k->size);
}

static silex_status silence_new(struct slx_silences *s, const struct slx_silence *x, struct kept_silence **ret, silex_error *err)
{
	size_t size = sizeof(struct kept_silence) + x->tenant.n + x->id.n + x->match.n + x->author.n + x->comment.n;
	struct kept_silence *k = slx_alloc(s->mem, SLX_MEM_OTHER, size);
	if (!k)
		return slx_err_oom(err);
	char *to = (char *)(k + 1);
	*k = (struct kept_silence){ .x = *x, .size = size };
	k->x.tenant = copy_str(&to, x->tenant);
	k->x.id = copy_str(&to, x->id);
	k->x.match = copy_str(&to, x->match);
	k->x.author = copy_str(&to, x->author);
	k->x.comment = copy_str(&to, x->comment);
	silex_status st = slx_selector_parse(s->mem, k->x.match, &k->match, err);
	if (st != SILEX_OK) {
		slx_free(s->mem, SLX_MEM_OTHER, k, size);
		return slx_err_wrap(err, "match");
	}
	*ret = k;
	return SILEX_OK;
}

static silex_status ack_new(struct slx_silences *s, const struct slx_ack *x, struct kept_ack **ret, silex_error *err)
{
	size_t size = sizeof(struct kept_ack) + x->tenant.n + x->author.n + x->comment.n;
	struct kept_ack *k = slx_alloc(s->mem, SLX_MEM_OTHER, size);
	if (!k)
		return slx_err_oom(err);
	char *to = (char *)(k + 1);
	*k = (struct kept_ack){ .x = *x, .size = size };
	k->x.tenant = copy_str(&to, x->tenant);
	k->x.author = copy_str(&to, x->author);
	k->x.comment = copy_str(&to, x->comment);
	*ret = k;
	return SILEX_OK;
}

/* Under the lock. */
static struct kept_silence **find_silence(struct slx_silences *s, struct slx_str tenant, struct slx_str id)
{
	struct kept_silence **at = &s->silences;
	while (*at && !(slx_str_eq((*at)->x.tenant, tenant) && slx_str_eq((*at)->x.id, id)))
		at = &(*at)->next;
	return at;
}

static struct kept_ack **find_ack(struct slx_silences *s, struct slx_str tenant, struct slx_hash128 fingerprint)
{
	struct kept_ack **at = &s->acks;
	while (*at && !(slx_hash128_eq((*at)->x.fingerprint, fingerprint) && slx_str_eq((*at)->x.tenant, tenant)))
		at = &(*at)->next;
	return at;
}

static void take_silence_out(struct slx_silences *s, struct kept_silence **at)
{
	struct kept_silence *old = *at;
	if (!old)
		return;
	*at = old->next;
	s->n_silences--;
	silence_free(s, old);
}

static void take_ack_out(struct slx_silences *s, struct kept_ack **at)
{
	struct kept_ack *old = *at;
	if (!old)
		return;
	*at = old->next;
	slx_free(s->mem, SLX_MEM_OTHER, old, old->size);
}

/* In place of one of the same id; newest first. */
static void put_silence(struct slx_silences *s, struct kept_silence *k)
{
	pthread_mutex_lock(&s->lock);
	take_silence_out(s, find_silence(s, k->x.tenant, k->x.id));
	struct kept_silence **at = &s->silences;
	while (*at && (*at)->x.updated_ns > k->x.updated_ns)
		at = &(*at)->next;
	k->next = *at;
	*at = k;
	s->n_silences++;
	pthread_mutex_unlock(&s->lock);
}

static void put_ack(struct slx_silences *s, struct kept_ack *k)
{
	pthread_mutex_lock(&s->lock);
	take_ack_out(s, find_ack(s, k->x.tenant, k->x.fingerprint));
	k->next = s->acks;
	s->acks = k;
	pthread_mutex_unlock(&s->lock);
}

/* ---- the journal ---- */

static void hex_of(struct slx_hash128 h, char ret[SLX_SILENCE_ID_SIZE + 1])
{
	snprintf(ret, SLX_SILENCE_ID_SIZE + 1, "%016" PRIx64 "%016" PRIx64, h.hi, h.lo);
}

static bool of_hex(struct slx_str s, struct slx_hash128 *ret)
{
	char text[SLX_SILENCE_ID_SIZE + 1];
	int end = 0;
	if (s.n != SLX_SILENCE_ID_SIZE)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	return sscanf(text, "%16" SCNx64 "%16" SCNx64 "%n", &ret->hi, &ret->lo, &end) == 2 && end == SLX_SILENCE_ID_SIZE;
}

static silex_status write_note(struct slx_silences *s, struct slx_str tenant, struct slx_str kind, struct slx_str id, int64_t at, const struct slx_buf *bytes,
	silex_error *err)
{
	if (bytes && bytes->failed)
		return slx_err_oom(err);
	struct slx_note note = { .kind = kind, .id = id, .at_ns = at, .bytes = { bytes ? (const char *)bytes->p : "", bytes ? bytes->n : 0 } };
	return slx_alerts_put_notes(s->alerts, tenant, &note, 1, err);
}

struct loading {
	struct slx_silences *s;
	silex_status st;
	silex_error *err;
};

static bool load_silence(void *arg, struct slx_str tenant, const struct slx_note *note)
{
	struct loading *l = arg;
	struct slx_silence x = { .tenant = tenant, .id = note->id };
	struct kept_silence *k;
	l->st = slx_silence_decode(note->bytes, &x, l->err);
	if (l->st == SILEX_OK)
		l->st = silence_new(l->s, &x, &k, l->err);
	if (l->st == SILEX_OK)
		put_silence(l->s, k);
	return l->st == SILEX_OK;
}

static bool load_ack(void *arg, struct slx_str tenant, const struct slx_note *note)
{
	struct loading *l = arg;
	struct slx_ack x = { .tenant = tenant };
	struct kept_ack *k;
	l->st = of_hex(note->id, &x.fingerprint) ? slx_ack_decode(note->bytes, &x, l->err)
											 : slx_err(l->err, SILEX_CORRUPT, "acknowledgement: \"%.*s\" is no fingerprint", (int)note->id.n, note->id.p);
	if (l->st == SILEX_OK)
		l->st = ack_new(l->s, &x, &k, l->err);
	if (l->st == SILEX_OK)
		put_ack(l->s, k);
	return l->st == SILEX_OK;
}

static silex_status load(struct slx_silences *s, silex_error *err)
{
	struct loading l = { .s = s, .err = err };
	SLX_TRY(slx_alerts_notes(s->alerts, (struct slx_str){ "", 0 }, KIND_SILENCE, load_silence, &l, err));
	if (l.st != SILEX_OK)
		return l.st;
	SLX_TRY(slx_alerts_notes(s->alerts, (struct slx_str){ "", 0 }, KIND_ACK, load_ack, &l, err));
	return l.st;
}

silex_status slx_silences_new(struct slx_alerts *alerts, struct slx_silences **ret, silex_error *err)
{
	struct slx_engine *e = slx_alerts_engine(alerts);
	struct slx_silences *s = slx_calloc(slx_engine_mem(e), SLX_MEM_OTHER, sizeof *s);
	if (!s)
		return slx_err_oom(err);
	s->alerts = alerts;
	s->mem = slx_engine_mem(e);
	s->clock = slx_engine_clock(e);
	pthread_mutex_init(&s->change_lock, NULL);
	pthread_mutex_init(&s->lock, NULL);
	silex_status st = load(s, err);
	if (st == SILEX_OK)
		*ret = s;
	else
		slx_silences_free(s);
	return st;
}

void slx_silences_free(struct slx_silences *s)
{
	if (!s)
		return;
	while (s->silences)
		take_silence_out(s, &s->silences);
	while (s->acks)
		take_ack_out(s, &s->acks);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->change_lock);
	slx_free(s->mem, SLX_MEM_OTHER, s, sizeof *s);
}

void slx_silences_on_change(struct slx_silences *s, void (*fn)(void *arg), void *arg)
{
	s->changed = fn;
	s->changed_arg = arg;
}

static void tell(struct slx_silences *s)
{
	if (s->changed)
		s->changed(s->changed_arg);
}

/* ---- silences ---- */

static silex_status check_words(struct slx_str author, struct slx_str comment, silex_error *err)
{
	if (!author.n || author.n > SLX_SILENCE_AUTHOR_MAX || !slx_utf8_valid(author.p, author.n))
		return slx_err(err, SILEX_INVALID, "author: expected 1 to %d bytes of UTF-8: who answers for it", SLX_SILENCE_AUTHOR_MAX);
	if (comment.n > SLX_SILENCE_COMMENT_MAX || !slx_utf8_valid(comment.p, comment.n))
		return slx_err(err, SILEX_INVALID, "comment: expected at most %d bytes of UTF-8", SLX_SILENCE_COMMENT_MAX);
	return SILEX_OK;
}

/* One matcher at least must say something: a silence of everything by a slip would be found out too late. */
static silex_status check_match(const struct slx_selector *match, silex_error *err)
{
	for (size_t i = 0; i < match->n; i++)
		if (!match->matchers[i]->matches_empty)
			return SILEX_OK;
	return slx_err(err, SILEX_INVALID, "match: it matches every alert; expected at least one label with a value, as {alertname=\"HighTemperature\"}");
}

static silex_status check_silence(struct slx_silences *s, const struct slx_silence *x, int64_t now, silex_error *err)
{
	SLX_TRY(check_words(x->author, x->comment, err));
	if (!slx_time_legal(x->starts_ns) || !slx_time_legal(x->ends_ns) || x->ends_ns <= x->starts_ns)
		return slx_err(err, SILEX_INVALID, "ends_at: expected a time after starts_at");
	if (x->ends_ns <= now)
		return slx_err(err, SILEX_INVALID, "ends_at: expected a time to come");
	return x->match.n <= NOTE_MAX ? SILEX_OK : slx_err(err, SILEX_INVALID, "match: longer than %d bytes", NOTE_MAX);
}

/* Those that ended long ago go, from the journal too; under change_lock. What cannot be written now goes another time. */
static void forget_old(struct slx_silences *s, int64_t now)
{
	for (;;) {
		char id[SLX_SILENCE_ID_SIZE + 1], tenant[SLX_TENANT_SIZE_MAX + 1];
		struct slx_silence old = { 0 };
		pthread_mutex_lock(&s->lock);
		for (struct kept_silence *k = s->silences; k && !old.id.n; k = k->next)
			if (k->x.ends_ns < now - SLX_SILENCE_KEEP && k->x.id.n < sizeof id && k->x.tenant.n < sizeof tenant) {
				old = k->x;
				old.id = (struct slx_str){ memcpy(id, k->x.id.p, k->x.id.n), k->x.id.n };
				old.tenant = (struct slx_str){ memcpy(tenant, k->x.tenant.p, k->x.tenant.n), k->x.tenant.n };
			}
		pthread_mutex_unlock(&s->lock);
		int64_t at = now > old.updated_ns ? now : old.updated_ns + 1;
		if (!old.id.n || write_note(s, old.tenant, KIND_SILENCE, old.id, at, NULL, NULL) != SILEX_OK)
			return;
		pthread_mutex_lock(&s->lock);
		take_silence_out(s, find_silence(s, old.tenant, old.id));
		pthread_mutex_unlock(&s->lock);
	}
}

/* What there is of an id; false when there is none. */
static bool times_of(struct slx_silences *s, struct slx_str tenant, struct slx_str id, int64_t *ret_updated, int64_t *ret_ends)
{
	pthread_mutex_lock(&s->lock);
	const struct kept_silence *k = *find_silence(s, tenant, id);
	if (k) {
		*ret_updated = k->x.updated_ns;
		*ret_ends = k->x.ends_ns;
	}
	pthread_mutex_unlock(&s->lock);
	return k;
}

/* Under change_lock. */
static silex_status store_silence(struct slx_silences *s, struct slx_silence *x, silex_error *err)
{
	struct kept_silence *k;
	struct slx_buf bytes;
	SLX_TRY(silence_new(s, x, &k, err));
	silex_status st = check_match(&k->match, err);
	slx_buf_init(&bytes, s->mem, SLX_MEM_OTHER, SLX_VALUE_SIZE_MAX);
	slx_silence_encode(x, &bytes);
	if (st == SILEX_OK)
		st = write_note(s, x->tenant, KIND_SILENCE, x->id, x->updated_ns, &bytes, err);
	slx_buf_free(&bytes);
	if (st == SILEX_OK)
		put_silence(s, k);
	else
		silence_free(s, k);
	return st;
}

static silex_status put_locked(struct slx_silences *s, const struct slx_silence *from, char ret_id[SLX_SILENCE_ID_SIZE + 1], silex_error *err)
{
	struct slx_silence x = *from;
	char id[SLX_SILENCE_ID_SIZE + 1];
	int64_t ends;
	x.updated_ns = slx_wall_ns(s->clock);
	SLX_TRY(check_silence(s, &x, x.updated_ns, err));
	if (x.id.n) {
		int64_t before;
		if (x.id.n != SLX_SILENCE_ID_SIZE || !times_of(s, x.tenant, x.id, &before, &ends))
			return slx_err(err, SILEX_NOT_FOUND, "no silence has the id \"%.*s\"", (int)(x.id.n < 64 ? x.id.n : 64), x.id.p);
		x.updated_ns = x.updated_ns > before ? x.updated_ns : before + 1;
		snprintf(id, sizeof id, "%.*s", (int)x.id.n, x.id.p);
	} else {
		int64_t seed[2] = { x.updated_ns, (int64_t)++s->counter };
		hex_of(slx_hash128(seed, sizeof seed, slx_hash64(x.match.p, x.match.n)), id);
		x.id = slx_str(id);
		if (s->n_silences >= SILENCES_MAX)
			return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "%d silences are there already; end some", SILENCES_MAX);
	}
	SLX_TRY(store_silence(s, &x, err));
	memcpy(ret_id, id, sizeof id);
	return SILEX_OK;
}

silex_status slx_silence_put(struct slx_silences *s, const struct slx_silence *x, char ret_id[SLX_SILENCE_ID_SIZE + 1], silex_error *err)
{
	pthread_mutex_lock(&s->change_lock);
	forget_old(s, slx_wall_ns(s->clock));
	silex_status st = put_locked(s, x, ret_id, err);
	pthread_mutex_unlock(&s->change_lock);
	if (st == SILEX_OK)
		tell(s);
	return st;
}

static silex_status end_locked(struct slx_silences *s, struct slx_str tenant, struct slx_str id, silex_error *err)
{
	struct slx_silence x = { 0 };
	struct kept_silence *k = NULL;
	int64_t now = slx_wall_ns(s->clock);
	silex_status st = SILEX_NOT_FOUND;
	pthread_mutex_lock(&s->lock);
	const struct kept_silence *old = *find_silence(s, tenant, id);
	if (old && old->x.ends_ns > now) {
		x = old->x;
		st = silence_new(s, &x, &k, err); /* a copy: its strings are needed without the lock */
	}
	pthread_mutex_unlock(&s->lock);
	if (st == SILEX_NOT_FOUND)
		return slx_err(err, SILEX_NOT_FOUND, "no silence that has not ended has the id \"%.*s\"", (int)(id.n < 64 ? id.n : 64), id.p);
	if (st != SILEX_OK)
		return st;
	k->x.ends_ns = now;
	k->x.starts_ns = k->x.starts_ns < now ? k->x.starts_ns : now;
	k->x.updated_ns = now > x.updated_ns ? now : x.updated_ns + 1;
	st = store_silence(s, &k->x, err);
	silence_free(s, k);
	return st;
}

silex_status slx_silence_end(struct slx_silences *s, struct slx_str tenant, struct slx_str id, silex_error *err)
{
	pthread_mutex_lock(&s->change_lock);
	silex_status st = end_locked(s, tenant, id, err);
	pthread_mutex_unlock(&s->change_lock);
	if (st == SILEX_OK)
		tell(s);
	return st;
}

void slx_silences_list(struct slx_silences *s, struct slx_str tenant, bool (*each)(void *arg, const struct slx_silence *x), void *arg)
{
	bool more = true;
	pthread_mutex_lock(&s->lock);
	for (const struct kept_silence *k = s->silences; k && more; k = k->next)
		if (slx_str_eq(k->x.tenant, tenant))
			more = each(arg, &k->x);
	pthread_mutex_unlock(&s->lock);
}

/* ---- acknowledgements ---- */

static bool take_active(void *arg, const struct slx_alert *a)
{
	struct slx_ack *x = arg;
	x->active_ns = a->state == SLX_ALERT_INACTIVE || !slx_str_eq(a->rule->tenant, x->tenant) ? 0 : a->active_ns;
	return false;
}

static bool holds(const struct slx_ack *x, const struct slx_alert *a, int64_t now)
{
	return x->active_ns == a->active_ns && now < x->ends_ns && slx_hash128_eq(x->fingerprint, a->fingerprint) && slx_str_eq(x->tenant, a->rule->tenant);
}

static silex_status unack_locked(struct slx_silences *s, struct slx_str tenant, struct slx_hash128 fingerprint, silex_error *err);

/* Acknowledgements that hold no more go, from the journal too: of the oldest FORGET_MAX; under change_lock. */
static void forget_acks(struct slx_silences *s, int64_t now)
{
	struct {
		struct slx_ack x;
		char tenant[SLX_TENANT_SIZE_MAX];
	} old[FORGET_MAX];
	size_t n = 0;
	pthread_mutex_lock(&s->lock);
	for (const struct kept_ack *k = s->acks; k; k = k->next) { /* newest first: the last ones stay in the ring */
		old[n % FORGET_MAX].x = k->x;
		memcpy(old[n++ % FORGET_MAX].tenant, k->x.tenant.p, k->x.tenant.n);
	}
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < n && i < FORGET_MAX; i++) {
		struct slx_ack now_is = { .tenant = { old[i].tenant, old[i].x.tenant.n } };
		if (now < old[i].x.ends_ns && slx_alerts_find(s->alerts, old[i].x.fingerprint, take_active, &now_is) && now_is.active_ns == old[i].x.active_ns)
			continue;
		unack_locked(s, now_is.tenant, old[i].x.fingerprint, NULL); /* what cannot be written now goes another time */
	}
}

static silex_status ack_locked(struct slx_silences *s, const struct slx_ack *from, silex_error *err)
{
	struct slx_ack x = *from;
	struct kept_ack *k;
	struct slx_buf bytes;
	char id[SLX_SILENCE_ID_SIZE + 1];
	x.at_ns = slx_wall_ns(s->clock);
	x.active_ns = 0;
	forget_acks(s, x.at_ns);
	SLX_TRY(check_words(x.author, x.comment, err));
	if (x.ends_ns <= x.at_ns || !slx_time_legal(x.ends_ns))
		return slx_err(err, SILEX_INVALID, "ends_at: expected a time to come");
	if (!slx_alerts_find(s->alerts, x.fingerprint, take_active, &x) || !x.active_ns)
		return slx_err(err, SILEX_NOT_FOUND, "no active alert has this fingerprint");
	hex_of(x.fingerprint, id);
	pthread_mutex_lock(&s->lock);
	const struct kept_ack *old = *find_ack(s, x.tenant, x.fingerprint);
	x.at_ns = old && old->x.at_ns >= x.at_ns ? old->x.at_ns + 1 : x.at_ns;
	pthread_mutex_unlock(&s->lock);
	SLX_TRY(ack_new(s, &x, &k, err));
	slx_buf_init(&bytes, s->mem, SLX_MEM_OTHER, SLX_VALUE_SIZE_MAX);
	slx_ack_encode(&x, &bytes);
	silex_status st = write_note(s, x.tenant, KIND_ACK, slx_str(id), x.at_ns, &bytes, err);
	slx_buf_free(&bytes);
	if (st == SILEX_OK)
		put_ack(s, k);
	else
		slx_free(s->mem, SLX_MEM_OTHER, k, k->size);
	return st;
}

silex_status slx_ack_put(struct slx_silences *s, const struct slx_ack *x, silex_error *err)
{
	pthread_mutex_lock(&s->change_lock);
	silex_status st = ack_locked(s, x, err);
	pthread_mutex_unlock(&s->change_lock);
	if (st == SILEX_OK)
		tell(s);
	return st;
}

static silex_status unack_locked(struct slx_silences *s, struct slx_str tenant, struct slx_hash128 fingerprint, silex_error *err)
{
	char id[SLX_SILENCE_ID_SIZE + 1];
	int64_t at = slx_wall_ns(s->clock);
	pthread_mutex_lock(&s->lock);
	const struct kept_ack *old = *find_ack(s, tenant, fingerprint);
	if (old)
		at = old->x.at_ns >= at ? old->x.at_ns + 1 : at;
	pthread_mutex_unlock(&s->lock);
	if (!old)
		return slx_err(err, SILEX_NOT_FOUND, "this alert is not acknowledged");
	hex_of(fingerprint, id);
	SLX_TRY(write_note(s, tenant, KIND_ACK, slx_str(id), at, NULL, err));
	pthread_mutex_lock(&s->lock);
	take_ack_out(s, find_ack(s, tenant, fingerprint));
	pthread_mutex_unlock(&s->lock);
	return SILEX_OK;
}

silex_status slx_ack_remove(struct slx_silences *s, struct slx_str tenant, struct slx_hash128 fingerprint, silex_error *err)
{
	pthread_mutex_lock(&s->change_lock);
	silex_status st = unack_locked(s, tenant, fingerprint, err);
	pthread_mutex_unlock(&s->change_lock);
	if (st == SILEX_OK)
		tell(s);
	return st;
}

/* ---- looking ---- */

static bool silences(const struct slx_silence *x, const struct slx_selector *match, const struct slx_alert *a, int64_t now)
{
	bool yes = false;
	return now >= x->starts_ns && now < x->ends_ns && slx_str_eq(x->tenant, a->rule->tenant) &&
		slx_matchers_test(match->matchers, match->n, a->labels, &yes, NULL) == SILEX_OK && yes;
}

bool slx_silences_mute(struct slx_silences *s, const struct slx_alert *a, int64_t now, struct slx_mute *ret)
{
	*ret = (struct slx_mute){ 0 };
	pthread_mutex_lock(&s->lock);
	for (const struct kept_silence *k = s->silences; k; k = k->next) {
		if (k->x.ends_ns <= ret->silenced_until || !silences(&k->x, &k->match, a, now))
			continue;
		ret->silenced = true; /* of several the one that ends last */
		ret->silenced_until = k->x.ends_ns;
		snprintf(ret->silence_id, sizeof ret->silence_id, "%.*s", (int)k->x.id.n, k->x.id.p);
		snprintf(ret->silenced_by, sizeof ret->silenced_by, "%.*s", (int)k->x.author.n, k->x.author.p);
	}
	for (const struct kept_ack *k = a->state != SLX_ALERT_INACTIVE ? s->acks : NULL; k; k = k->next) {
		if (!holds(&k->x, a, now))
			continue;
		ret->acknowledged = true;
		ret->acknowledged_until = k->x.ends_ns;
		snprintf(ret->acknowledged_by, sizeof ret->acknowledged_by, "%.*s", (int)k->x.author.n, k->x.author.p);
	}
	pthread_mutex_unlock(&s->lock);
	return ret->silenced || ret->acknowledged;
}
