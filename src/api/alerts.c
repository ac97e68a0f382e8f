/* Alerts as they are now, acknowledgements, silences: silex/alerts.h over rules/silence. */
#include "api/api_int.h"

#include "base/arena.h"
#include "base/clock.h"

#include <silex/alerts.h>

#include <inttypes.h>
#include <stdio.h>

static int64_t now_of(silex_db *db) { return slx_wall_ns(slx_engine_clock(db->engine)); }

static struct slx_str or_empty(const char *z) { return z ? slx_str(z) : (struct slx_str){ "", 0 }; }

static const char *text(struct slx_arena *a, struct slx_str s)
{
	char *p = slx_arena_alloc(a, s.n + 1, 1);
	if (!p)
		return NULL;
	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = 0;
	return p;
}

/* ---- alerts ---- */

struct listing {
	silex_db *db;
	silex_alert_info_fn each;
	silex_silence_fn each_silence;
	void *arg;
	int64_t now;
	silex_status status;
	silex_error *err;
};

static int64_t until_of(const struct listing *l, bool holds, int64_t until)
{
	return !holds ? 0 : until == SLX_TIME_MAX ? INT64_MAX : slx_api_units(l->db, until);
}

static silex_status fill_alert(struct listing *l, struct slx_arena *a, const struct slx_alert *x, const struct slx_mute *m, silex_alert_info *ret)
{
	*ret = (silex_alert_info){
		.rule_id = x->rule->id,
		.name = text(a, x->rule->name),
		.state = (silex_alert_state)x->state,
		.active = slx_api_units(l->db, x->active_ns),
		.fired = slx_api_units(l->db, x->fired_ns),
		.changed = slx_api_units(l->db, x->changed_ns),
		.value = x->value,
		.silenced = m->silenced,
		.acknowledged = m->acknowledged,
		.silenced_by = m->silenced_by,
		.acknowledged_by = m->acknowledged_by,
		.silenced_until = until_of(l, m->silenced, m->silenced_until),
		.acknowledged_until = until_of(l, m->acknowledged, m->acknowledged_until),
	};
	snprintf(ret->fingerprint, sizeof ret->fingerprint, "%016" PRIx64 "%016" PRIx64, x->fingerprint.hi, x->fingerprint.lo);
	SLX_TRY(slx_api_label_array(a, x->labels, &ret->labels, &ret->n_labels, l->err));
	SLX_TRY(slx_api_label_array(a, x->annotations, &ret->annotations, &ret->n_annotations, l->err));
	return ret->name ? SILEX_OK : slx_err_oom(l->err);
}

/* Under the lock of rules/alert. */
static bool give_alert(void *arg, const struct slx_alert *x)
{
	struct listing *l = arg;
	struct slx_arena a;
	struct slx_mute m;
	silex_alert_info info;
	if (x->state == SLX_ALERT_INACTIVE)
		return true;
	slx_arena_init(&a, l->db->mem, SLX_MEM_OTHER, 64 << 10);
	slx_silences_mute(l->db->silences, x, l->now, &m);
	l->status = fill_alert(l, &a, x, &m, &info);
	bool more = l->status == SILEX_OK && l->each(l->arg, &info);
	slx_arena_clear(&a);
	return more;
}

silex_status silex_alert_list(silex_db *db, const char *tenant, silex_alert_info_fn each, void *arg, silex_error *err)
{
	struct listing l = { .db = db, .each = each, .arg = arg, .now = now_of(db), .err = err };
	struct slx_str name;
	SLX_TRY(slx_api_tenant(tenant, &name, err));
	slx_alerts_list(db->alerts, name, give_alert, &l);
	return l.status;
}

/* ---- acknowledging ---- */

static silex_status fingerprint_of(const char *z, struct slx_hash128 *ret, silex_error *err)
{
	int end = 0;
	if (z && strlen(z) == SILEX_ID_SIZE - 1 && strspn(z, "0123456789abcdef") == SILEX_ID_SIZE - 1 &&
		sscanf(z, "%16" SCNx64 "%16" SCNx64 "%n", &ret->hi, &ret->lo, &end) == 2)
		return SILEX_OK;
	return slx_err(err, SILEX_INVALID, "fingerprint: expected 32 hex digits, as silex_alert_list gives them");
}

silex_status silex_alert_acknowledge(silex_db *db, const char *tenant, const char *fingerprint, const char *author, const char *comment, int64_t ends,
	silex_error *err)
{
	struct slx_ack x = { .author = or_empty(author), .comment = or_empty(comment), .ends_ns = SLX_TIME_MAX };
	SLX_TRY(slx_api_tenant(tenant, &x.tenant, err));
	SLX_TRY(fingerprint_of(fingerprint, &x.fingerprint, err));
	if (ends)
		SLX_TRY(slx_api_time(db, ends, &x.ends_ns, err));
	return slx_ack_put(db->silences, &x, err);
}

silex_status silex_alert_unacknowledge(silex_db *db, const char *tenant, const char *fingerprint, silex_error *err)
{
	struct slx_hash128 f;
	struct slx_str name;
	SLX_TRY(slx_api_tenant(tenant, &name, err));
	SLX_TRY(fingerprint_of(fingerprint, &f, err));
	return slx_ack_remove(db->silences, name, f, err);
}

/* ---- silences ---- */

void silex_silence_init(silex_silence *s) { *s = (silex_silence){ .size = sizeof *s }; }

silex_status silex_silence_put(silex_db *db, const char *tenant, const silex_silence *s, char *ret_id, silex_error *err)
{
	char id[SLX_SILENCE_ID_SIZE + 1];
	if (s->size != sizeof *s)
		return slx_err(err, SILEX_INVALID, "silence: size is %zu, expected %zu; call silex_silence_init first", s->size, sizeof *s);
	struct slx_silence x = { .id = or_empty(s->id), .match = or_empty(s->match), .author = or_empty(s->author), .comment = or_empty(s->comment),
		.starts_ns = now_of(db) };
	SLX_TRY(slx_api_tenant(tenant, &x.tenant, err));
	if (s->starts)
		SLX_TRY(slx_api_time(db, s->starts, &x.starts_ns, err));
	SLX_TRY(slx_api_time(db, s->ends, &x.ends_ns, err));
	SLX_TRY(slx_silence_put(db->silences, &x, id, err));
	memcpy(ret_id, id, sizeof id);
	return SILEX_OK;
}

silex_status silex_silence_end(silex_db *db, const char *tenant, const char *id, silex_error *err)
{
	struct slx_str name;
	SLX_TRY(slx_api_tenant(tenant, &name, err));
	return slx_silence_end(db->silences, name, or_empty(id), err);
}

/* Under the lock of rules/silence. */
static bool give_silence(void *arg, const struct slx_silence *x)
{
	struct listing *l = arg;
	struct slx_arena a;
	slx_arena_init(&a, l->db->mem, SLX_MEM_OTHER, 64 << 10);
	silex_silence s = { .size = sizeof s, .id = text(&a, x->id), .match = text(&a, x->match), .author = text(&a, x->author), .comment = text(&a, x->comment),
		.starts = slx_api_units(l->db, x->starts_ns), .ends = slx_api_units(l->db, x->ends_ns) };
	l->status = s.id && s.match && s.author && s.comment ? SILEX_OK : slx_err_oom(l->err);
	bool more = l->status == SILEX_OK && l->each_silence(l->arg, &s);
	slx_arena_clear(&a);
	return more;
}

silex_status silex_silence_list(silex_db *db, const char *tenant, silex_silence_fn each, void *arg, silex_error *err)
{
	struct listing l = { .db = db, .each_silence = each, .arg = arg, .err = err };
	struct slx_str name;
	SLX_TRY(slx_api_tenant(tenant, &name, err));
	slx_silences_list(db->silences, name, give_silence, &l);
	return l.status;
}
