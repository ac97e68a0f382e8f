/* The outbox of webhooks is the alert journal itself: what a receiver has not had is what the journal has beyond its mark.
 *
 *     journal   every change of every alert, durable before anybody hears of it
 *     mark      per receiver and alert: the time up to which its events are done with (delivered, expired, held back)
 *
 * Events of one alert are sent in their order and have times that ascend, so one time says it all. Marks are notes of the journal
 * (kind "outbox", id "<receiver>.<fingerprint>"); they are written after the receiver's answer: a crash in between sends the
 * event again, with the same id. A receiver gets no events from before it was first configured (kind "receiver").
 *
 *     outbox     u8 1, u8 outcome, u64 lo, u64 hi of the event's id          (its time is the note's)
 *     receiver   u8 1, i64 since */
#include "base/clock.h"
#include "server/actions/actions_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define KIND_OUTBOX   SLX_STR("outbox")
#define KIND_RECEIVER SLX_STR("receiver")

enum { VERSION = 1, ID_SIZE = 160, FINGERPRINT_SIZE = 32 };

static silex_status put(struct slx_alerts *alerts, struct slx_str tenant, struct slx_str kind, const char *id, int64_t at, const uint8_t *bytes, size_t n,
	silex_error *err)
{
	struct slx_note note = { .kind = kind, .id = slx_str(id), .at_ns = at, .bytes = { (const char *)bytes, n } };
	return slx_alerts_put_notes(alerts, tenant, &note, 1, err);
}

silex_status act_outbox_mark(struct slx_alerts *alerts, const char *receiver, const struct act_note *n, enum act_outcome o, silex_error *err)
{
	const struct slx_alert_event *e = &n->event;
	char id[ID_SIZE];
	uint8_t bytes[18] = { VERSION, (uint8_t)o };
	slx_store64(bytes + 2, e->id.lo);
	slx_store64(bytes + 10, e->id.hi);
	snprintf(id, sizeof id, "%s.%016" PRIx64 "%016" PRIx64, receiver, e->alert.fingerprint.hi, e->alert.fingerprint.lo);
	return put(alerts, e->alert.rule->tenant, KIND_OUTBOX, id, e->at_ns, bytes, sizeof bytes, err);
}

/* ---- since when a receiver is there ---- */

struct since {
	struct slx_str receiver, tenant;
	int64_t since;
	bool found;
};

static bool take_since(void *arg, struct slx_str tenant, const struct slx_note *note)
{
	struct since *s = arg;
	struct slx_rd r = slx_rd_init((const void *)note->bytes.p, note->bytes.n);
	unsigned version = slx_rd_u8(&r);
	int64_t since = (int64_t)slx_rd_u64(&r);
	if (!slx_str_eq(note->id, s->receiver) || !slx_str_eq(tenant, s->tenant) || r.bad || version != VERSION)
		return true;
	s->since = since;
	s->found = true;
	return false;
}

silex_status act_outbox_begin(struct slx_alerts *alerts, struct slx_str tenant, const char *receiver, int64_t now, int64_t *ret_since, silex_error *err)
{
	struct since s = { .receiver = slx_str(receiver), .tenant = tenant, .since = now };
	uint8_t bytes[9] = { VERSION };
	SLX_TRY(slx_alerts_notes(alerts, tenant, KIND_RECEIVER, take_since, &s, err));
	slx_store64(bytes + 1, (uint64_t)now);
	if (!s.found)
		SLX_TRY(put(alerts, tenant, KIND_RECEIVER, receiver, now, bytes, sizeof bytes, err));
	*ret_since = s.since;
	return SILEX_OK;
}

/* ---- what is pending ---- */

struct mark {
	struct slx_hash128 fingerprint;
	int64_t at;
};

struct pending {
	struct slx_mem *mem;
	const struct act_filter *filter;
	char prefix[ID_SIZE]; /* "<receiver>." */
	struct mark *marks;   /* sorted by fingerprint */
	size_t marks_n, marks_cap;
	struct act_note **notes; /* a ring of the last n_max that came: the history goes backwards */
	size_t n_max, seen;
	bool failed; /* no memory */
};

static int cmp_mark(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;
	return x->fingerprint.hi != y->fingerprint.hi ? (x->fingerprint.hi < y->fingerprint.hi ? -1 : 1)
		: x->fingerprint.lo != y->fingerprint.lo  ? (x->fingerprint.lo < y->fingerprint.lo ? -1 : 1)
												  : 0;
}

static bool take_mark(void *arg, struct slx_str tenant, const struct slx_note *note)
{
	struct pending *p = arg;
	size_t prefix = strlen(p->prefix);
	char hex[FINGERPRINT_SIZE + 1] = { 0 };
	struct mark m = { .at = note->at_ns };
	if (note->id.n != prefix + FINGERPRINT_SIZE || memcmp(note->id.p, p->prefix, prefix) != 0)
		return true;
	memcpy(hex, note->id.p + prefix, FINGERPRINT_SIZE);
	if (sscanf(hex, "%16" SCNx64 "%16" SCNx64, &m.fingerprint.hi, &m.fingerprint.lo) != 2)
		return true;
	if (p->marks_n == p->marks_cap) {
		size_t cap = p->marks_cap ? 2 * p->marks_cap : 256;
		struct mark *grown = slx_realloc(p->mem, SLX_MEM_OTHER, p->marks, p->marks_cap * sizeof m, cap * sizeof m);
		p->failed = !grown;
		if (!grown)
			return false;
		p->marks = grown;
		p->marks_cap = cap;
	}
	p->marks[p->marks_n++] = m;
	return true;
}

static bool take_event(void *arg, const struct slx_alert_event *e)
{
	struct pending *p = arg;
	const struct mark key = { .fingerprint = e->alert.fingerprint };
	const struct mark *m = p->marks_n ? bsearch(&key, p->marks, p->marks_n, sizeof key, cmp_mark) : NULL;
	if (!act_event_matters(e) || (m && e->at_ns <= m->at))
		return true;
	struct act_note *n = act_note_new(p->mem, e);
	p->failed = !n;
	if (!n)
		return false;
	if (!act_filter_takes(p->filter, n)) {
		act_note_unref(n);
		return true;
	}
	struct act_note **at = &p->notes[p->seen++ % p->n_max];
	act_note_unref(*at);
	*at = n;
	return true;
}

struct tenants {
	struct slx_alerts *alerts;
	struct pending *p;
	struct slx_time_range range;
	silex_status st;
	silex_error *err;
};

static bool take_tenant(void *arg, struct slx_str tenant)
{
	struct tenants *t = arg;
	t->st = slx_alerts_history(t->alerts, tenant, NULL, t->range, 0, take_event, t->p, t->err);
	return t->st == SILEX_OK && !t->p->failed;
}

static silex_status collect(struct slx_alerts *alerts, struct pending *p, int64_t from, silex_error *err)
{
	struct tenants t = { .alerts = alerts, .p = p, .range = { from, SLX_TIME_MAX }, .err = err };
	p->notes = slx_calloc(p->mem, SLX_MEM_OTHER, p->n_max * sizeof(struct act_note *));
	if (!p->notes)
		return slx_err_oom(err);
	SLX_TRY(slx_alerts_notes(alerts, (struct slx_str){ "", 0 }, KIND_OUTBOX, take_mark, p, err));
	if (p->marks_n)
		qsort(p->marks, p->marks_n, sizeof *p->marks, cmp_mark);
	if (!p->failed)
		SLX_TRY(slx_engine_companions(slx_alerts_engine(alerts), SLX_STR("alerts"), take_tenant, &t, err));
	return p->failed ? slx_err_oom(err) : t.st;
}

silex_status act_outbox_pending(struct slx_alerts *alerts, struct slx_mem *m, const char *receiver, const struct act_filter *filter, int64_t from,
	size_t n_max, void (*take)(void *arg, struct act_note *n), void *arg, bool *ret_more, silex_error *err)
{
	struct pending p = { .mem = m, .filter = filter, .n_max = n_max };
	snprintf(p.prefix, sizeof p.prefix, "%s.", receiver);
	silex_status st = collect(alerts, &p, from, err);
	size_t kept = p.seen < n_max ? p.seen : n_max;
	for (size_t i = 0; p.notes && i < kept; i++) {
		struct act_note *n = p.notes[(p.seen - 1 - i) % n_max];
		if (st == SILEX_OK)
			take(arg, n);
		else
			act_note_unref(n);
	}
	*ret_more = p.seen > n_max;
	slx_free(m, SLX_MEM_OTHER, p.marks, p.marks_cap * sizeof *p.marks);
	slx_free(m, SLX_MEM_OTHER, p.notes, n_max * sizeof(struct act_note *));
	return st;
}
