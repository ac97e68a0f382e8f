/* An event copied into one piece of memory that all receivers share. */
#include "server/actions/actions_int.h"

/* Where the copy puts its bytes: the first pass counts, the second writes. */
struct packer {
	char *to; /* NULL: counting */
	size_t n;
};

static const char *pack(struct packer *p, const void *from, size_t n)
{
	char *at = p->to ? p->to + p->n : NULL;
	if (at && n)
		memcpy(at, from, n);
	p->n += n;
	return at;
}

static struct slx_str pack_str(struct packer *p, struct slx_str s) { return (struct slx_str){ pack(p, s.p, s.n), s.n }; }
static struct slx_labels pack_labels(struct packer *p, struct slx_labels l) { return (struct slx_labels){ (const uint8_t *)pack(p, l.p, l.n), l.n }; }

static void pack_all(struct packer *p, const struct slx_alert_event *e, struct act_note *n)
{
	const struct slx_alert_rule *r = e->alert.rule;
	n->rule.tenant = pack_str(p, r->tenant);
	n->rule.group = pack_str(p, r->group);
	n->rule.name = pack_str(p, r->name);
	n->rule.expr = pack_str(p, r->expr);
	n->event.alert.labels = pack_labels(p, e->alert.labels);
	n->event.alert.annotations = pack_labels(p, e->alert.annotations);
}

struct act_note *act_note_new(struct slx_mem *m, const struct slx_alert_event *e)
{
	struct act_note head = { .rule = *e->alert.rule, .event = *e };
	struct packer p = { 0 };
	pack_all(&p, e, &head);
	size_t size = sizeof head + p.n;
	struct act_note *n = slx_alloc(m, SLX_MEM_OTHER, size);
	if (!n)
		return NULL;
	*n = head;
	n->size = size;
	n->mem = m;
	p = (struct packer){ .to = (char *)(n + 1) };
	pack_all(&p, e, n);
	n->event.alert.rule = &n->rule;
	atomic_init(&n->refs, 1);
	return n;
}

struct act_note *act_note_ref(struct act_note *n)
{
	atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
	return n;
}

void act_note_unref(struct act_note *n)
{
	if (n && atomic_fetch_sub_explicit(&n->refs, 1, memory_order_acq_rel) == 1)
		slx_free(n->mem, SLX_MEM_OTHER, n, n->size);
}

bool act_event_matters(const struct slx_alert_event *e)
{
	return (e->alert.state == SLX_ALERT_FIRING) != (e->from == SLX_ALERT_FIRING);
}
