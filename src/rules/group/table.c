#include "rules/group/group.h"

static struct slx_hash128 id_of(const void *entry) { return *(const struct slx_hash128 *)entry; }

static size_t place(const struct slx_rule_table *t, struct slx_hash128 id)
{
	size_t i = (size_t)id.lo & (t->cap - 1);
	while (t->slots[i] && !slx_hash128_eq(id_of(t->slots[i]), id))
		i = (i + 1) & (t->cap - 1);
	return i;
}

void *slx_rule_table_get(const struct slx_rule_table *t, struct slx_hash128 id)
{
	return t->cap ? t->slots[place(t, id)] : NULL;
}

static bool grow(struct slx_rule_table *t, struct slx_mem *m)
{
	struct slx_rule_table to = { .n = t->n, .cap = t->cap ? t->cap * 2 : 16 };
	to.slots = slx_calloc(m, SLX_MEM_OTHER, to.cap * sizeof *to.slots);
	if (!to.slots)
		return false;
	for (size_t i = 0; i < t->cap; i++)
		if (t->slots[i])
			to.slots[place(&to, id_of(t->slots[i]))] = t->slots[i];
	slx_rule_table_free(t, m);
	*t = to;
	return true;
}

bool slx_rule_table_put(struct slx_rule_table *t, struct slx_mem *m, void *entry)
{
	if (t->n * 4 >= t->cap * 3 && !grow(t, m))
		return false;
	t->slots[place(t, id_of(entry))] = entry;
	t->n++;
	return true;
}

/* Taking an entry out breaks the chains behind it: those are put in again. */
static void close_gap(struct slx_rule_table *t, size_t gap)
{
	for (size_t i = (gap + 1) & (t->cap - 1); t->slots[i]; i = (i + 1) & (t->cap - 1)) {
		void *entry = t->slots[i];
		t->slots[i] = NULL;
		t->slots[place(t, id_of(entry))] = entry;
	}
}

void slx_rule_table_filter(struct slx_rule_table *t, bool (*keep)(void *arg, void *entry), void *arg)
{
	for (size_t i = 0; i < t->cap; i++) /* an entry that is moved into a gap comes by later, or was seen already and is asked again */
		while (t->slots[i] && !keep(arg, t->slots[i])) {
			t->slots[i] = NULL;
			t->n--;
			close_gap(t, i);
		}
}

void slx_rule_table_free(struct slx_rule_table *t, struct slx_mem *m)
{
	slx_free(m, SLX_MEM_OTHER, t->slots, t->cap * sizeof *t->slots);
	*t = (struct slx_rule_table){ 0 };
}
