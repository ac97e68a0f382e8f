/* Tenants and their dictionaries of states. */
#include "engine/retention_int.h"

#include <stdlib.h>

enum { TENANTS_FIRST = 16, STATES_MAX = 65536, STATE_SIZE_MAX = 1024 };

struct slx_str slx_tenant_name(const struct slx_tenant *t)
{
	return t->name;
}

static bool map_grow(struct slx_engine *e)
{
	struct slx_tenants *m = &e->tenants;
	if (m->cap && m->n * 4 < m->cap * 3)
		return true;
	uint32_t cap = m->cap ? m->cap * 2 : TENANTS_FIRST;
	struct slx_tenant **map = slx_calloc(&e->mem, SLX_MEM_OTHER, cap * sizeof *map);
	if (!map)
		return false;
	for (uint32_t i = 0; i < m->cap; i++)
		if (m->map[i]) {
			uint32_t k = (uint32_t)m->map[i]->hash & (cap - 1);
			while (map[k])
				k = (k + 1) & (cap - 1);
			map[k] = m->map[i];
		}
	slx_free(&e->mem, SLX_MEM_OTHER, m->map, m->cap * sizeof *map);
	m->map = map;
	m->cap = cap;
	return true;
}

static struct slx_tenant *tenant_find(struct slx_engine *e, uint64_t hash, struct slx_str name, uint32_t *ret_at)
{
	struct slx_tenants *m = &e->tenants;
	uint32_t i = (uint32_t)hash & (m->cap - 1);
	for (; m->map[i]; i = (i + 1) & (m->cap - 1))
		if (m->map[i]->hash == hash && slx_str_eq(m->map[i]->name, name))
			return m->map[i];
	*ret_at = i;
	return NULL;
}

silex_status slx_engine_tenant(struct slx_engine *e, struct slx_str name, struct slx_tenant **ret, silex_error *err)
{
	uint64_t hash = slx_hash64(name.p, name.n);
	silex_status status = SILEX_OK;
	uint32_t at = 0;
	struct slx_tenant *payer = NULL;
	if (slx_tenant_is_internal(name)) {
		const char *mark = memchr(name.p, '!', name.n);
		SLX_TRY(slx_engine_tenant(e, (struct slx_str){ name.p, (size_t)(mark - name.p) }, &payer, err));
	}
	pthread_mutex_lock(&e->tenants_lock);
	bool room = map_grow(e);
	struct slx_tenant *t = room ? tenant_find(e, hash, name, &at) : NULL;
	if (!t) {
		t = room ? slx_calloc(&e->mem, SLX_MEM_OTHER, sizeof *t + name.n) : NULL;
		if (t) {
			memcpy(t + 1, name.p, name.n);
			t->name = (struct slx_str){ (char *)(t + 1), name.n };
			t->hash = hash;
			t->payer = payer ? payer : t;
			atomic_init(&t->rollup_mark, INT64_MIN);
			slx_retention_tenant(e, t);
			e->tenants.map[at] = t;
			e->tenants.n++;
		} else {
			status = slx_err_oom(err);
		}
	}
	pthread_mutex_unlock(&e->tenants_lock);
	if (t)
		*ret = t;
	return status;
}

void slx_tenants_free(struct slx_engine *e)
{
	for (uint32_t i = 0; i < e->tenants.cap; i++) {
		struct slx_tenant *t = e->tenants.map[i];
		if (!t)
			continue;
		for (uint32_t k = 0; t->states && k < t->states->n; k++)
			slx_free(&e->mem, SLX_MEM_OTHER, t->states->text[k], strlen(t->states->text[k]) + 1);
		if (t->states) {
			slx_free(&e->mem, SLX_MEM_OTHER, t->states->text, t->states->cap * sizeof *t->states->text);
			slx_free(&e->mem, SLX_MEM_OTHER, t->states, sizeof *t->states);
		}
		slx_free(&e->mem, SLX_MEM_OTHER, t, sizeof *t + t->name.n);
	}
	slx_free(&e->mem, SLX_MEM_OTHER, e->tenants.map, e->tenants.cap * sizeof *e->tenants.map);
	e->tenants = (struct slx_tenants){ 0 };
}

void slx_tenants_reset(struct slx_engine *e)
{
	pthread_mutex_lock(&e->tenants_lock);
	for (uint32_t i = 0; i < e->tenants.cap; i++)
		if (e->tenants.map[i])
			atomic_store_explicit(&e->tenants.map[i]->head_bytes, 0, memory_order_relaxed);
	pthread_mutex_unlock(&e->tenants_lock);
}

silex_status slx_engine_set_limits(struct slx_engine *e, struct slx_tenant *t, uint64_t series_max, uint64_t head_bytes_max, silex_error *err)
{
	struct slx_buf record;
	struct slx_wal_pos pos;
	slx_buf_init(&record, &e->mem, SLX_MEM_OTHER, 4096);
	slx_record_limits_encode(&record, t->name, series_max, head_bytes_max);
	struct iovec part = { record.p, record.n };
	pthread_mutex_lock(&e->tenants_lock); /* a manifest whose checkpoint covers the record must have the limits */
	silex_status status = record.failed ? slx_err_oom(err) : slx_wal_append(e->wal, SLX_RECORD_LIMITS, 0, &part, 1, 0, &pos, err);
	if (status == SILEX_OK) {
		atomic_store(&t->series_max, series_max);
		atomic_store(&t->head_bytes_max, head_bytes_max);
		atomic_store(&t->limits_set, true);
	}
	pthread_mutex_unlock(&e->tenants_lock);
	slx_buf_free(&record);
	SLX_TRY(status);
	return slx_wal_wait(e->wal, pos.lsn, err);
}

/* --- listing --------------------------------------------------------------------------------------------------------------- */

struct names {
	struct slx_mem *mem;
	struct slx_str *p;
	size_t n, cap;
};

static bool names_add(struct names *v, struct slx_str name)
{
	if (v->n && slx_str_eq(v->p[v->n - 1], name))
		return true; /* sections of one tenant are neighbours */
	if (v->n == v->cap) {
		size_t cap = v->cap ? v->cap * 2 : 16;
		struct slx_str *p = slx_realloc(v->mem, SLX_MEM_OTHER, v->p, v->cap * sizeof *p, cap * sizeof *p);
		if (!p)
			return false;
		v->p = p;
		v->cap = cap;
	}
	v->p[v->n++] = name;
	return true;
}

static silex_status names_of_head(struct names *v, struct slx_head *h, silex_error *err)
{
	struct slx_str *p;
	size_t n;
	bool room = true;
	if (!h)
		return SILEX_OK;
	SLX_TRY(slx_head_tenants(h, v->mem, &p, &n, err));
	for (size_t i = 0; i < n && room; i++)
		room = names_add(v, p[i]);
	slx_free(v->mem, SLX_MEM_OTHER, p, n * sizeof *p);
	return room ? SILEX_OK : slx_err_oom(err);
}

static int by_name(const void *a, const void *b)
{
	return slx_str_cmp(*(const struct slx_str *)a, *(const struct slx_str *)b);
}

/* The names of all tenants that have data, internal ones too, sorted, some twice. */
static silex_status names_of_all(struct names *v, struct slx_view *view, silex_error *err)
{
	SLX_TRY(names_of_head(v, view->active, err));
	SLX_TRY(names_of_head(v, view->frozen, err));
	for (size_t i = 0; i < view->n_blocks; i++)
		for (size_t s = 0; s < view->blocks[i]->info.sections; s++)
			if (!names_add(v, slx_block_section_tenant(view->blocks[i]->block, s)))
				return slx_err_oom(err);
	if (v->n)
		qsort(v->p, v->n, sizeof *v->p, by_name);
	return SILEX_OK;
}

/* Is it a user's tenant (word.n 0), or one that is kept beside a user's under this word? *ret: the user's. */
static bool is_wanted(struct slx_str name, struct slx_str word, struct slx_str *ret)
{
	*ret = name;
	if (word.n == 0 || !slx_tenant_is_internal(name))
		return word.n == 0 && !slx_tenant_is_internal(name);
	ret->n = (size_t)((const char *)memchr(name.p, '!', name.n) - name.p);
	return slx_str_eq((struct slx_str){ name.p + ret->n + 1, name.n - ret->n - 1 }, word);
}

silex_status slx_engine_companions(struct slx_engine *e, struct slx_str word, bool (*each)(void *arg, struct slx_str tenant), void *arg, silex_error *err)
{
	struct slx_view *view = slx_view_get(e);
	struct names v = { .mem = &e->mem };
	struct slx_str tenant;
	silex_status status = names_of_all(&v, view, err);
	for (size_t i = 0; i < v.n && status == SILEX_OK; i++)
		if ((i == 0 || !slx_str_eq(v.p[i - 1], v.p[i])) && is_wanted(v.p[i], word, &tenant) && !each(arg, tenant))
			break;
	slx_free(&e->mem, SLX_MEM_OTHER, v.p, v.cap * sizeof *v.p);
	slx_view_unref(view);
	return status;
}

/* Each name once, in order, as the tenants' records have them: those outlive views. */
static silex_status names_settle(struct slx_engine *e, struct names *v, struct slx_str **ret, size_t *ret_n, silex_error *err)
{
	size_t n = 0;
	for (size_t i = 0; i < v->n; i++)
		if (n == 0 || !slx_str_eq(v->p[n - 1], v->p[i]))
			v->p[n++] = v->p[i];
	struct slx_str *names = n ? slx_alloc(&e->mem, SLX_MEM_OTHER, n * sizeof *names) : NULL;
	if (n && !names)
		return slx_err_oom(err);
	silex_status status = SILEX_OK;
	for (size_t i = 0; i < n && status == SILEX_OK; i++) {
		struct slx_tenant *t;
		status = slx_engine_tenant(e, v->p[i], &t, err);
		names[i] = status == SILEX_OK ? t->name : SLX_STR("");
	}
	if (status != SILEX_OK) {
		slx_free(&e->mem, SLX_MEM_OTHER, names, n * sizeof *names);
		return status;
	}
	*ret = names;
	*ret_n = n;
	return SILEX_OK;
}

silex_status slx_engine_stored_tenants(struct slx_engine *e, struct slx_str **ret, size_t *ret_n, silex_error *err)
{
	struct slx_view *view = slx_view_get(e);
	struct names v = { .mem = &e->mem };
	silex_status status = names_of_all(&v, view, err);
	if (status == SILEX_OK)
		status = names_settle(e, &v, ret, ret_n, err);
	slx_free(&e->mem, SLX_MEM_OTHER, v.p, v.cap * sizeof *v.p);
	slx_view_unref(view);
	return status;
}

silex_status slx_engine_tenants(struct slx_engine *e, bool (*each)(void *arg, struct slx_str name), void *arg, silex_error *err)
{
	return slx_engine_companions(e, (struct slx_str){ 0 }, each, arg, err);
}

/* --- states -------------------------------------------------------------------------------------------------------------- */

silex_status slx_states_set(struct slx_engine *e, struct slx_tenant *t, uint32_t number, struct slx_str text, silex_error *err)
{
	if (!t->states && !(t->states = slx_calloc(&e->mem, SLX_MEM_OTHER, sizeof *t->states)))
		return slx_err_oom(err);
	struct slx_states *s = t->states;
	if (number < s->n)
		return SILEX_OK; /* replayed again */
	if (number > s->n)
		return slx_err(err, SILEX_CORRUPT, "state number %u of tenant %.*s, expected %u", number, (int)t->name.n, t->name.p, s->n);
	if (s->n == s->cap) {
		uint32_t cap = s->cap ? s->cap * 2 : 8;
		char **grown = slx_realloc(&e->mem, SLX_MEM_OTHER, s->text, s->cap * sizeof *grown, cap * sizeof *grown);
		if (!grown)
			return slx_err_oom(err);
		s->text = grown;
		s->cap = cap;
	}
	char *copy = slx_alloc(&e->mem, SLX_MEM_OTHER, text.n + 1);
	if (!copy)
		return slx_err_oom(err);
	memcpy(copy, text.p, text.n);
	copy[text.n] = 0;
	s->text[s->n++] = copy;
	return SILEX_OK;
}

static bool state_lookup(const struct slx_tenant *t, struct slx_str text, uint32_t *ret)
{
	for (uint32_t i = 0; t->states && i < t->states->n; i++)
		if (strlen(t->states->text[i]) == text.n && memcmp(t->states->text[i], text.p, text.n) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

silex_status slx_engine_find_state(struct slx_engine *e, const struct slx_tenant *t, struct slx_str text, uint32_t *ret, silex_error *err)
{
	pthread_mutex_lock(&e->tenants_lock);
	bool found = state_lookup(t, text, ret);
	pthread_mutex_unlock(&e->tenants_lock);
	return found ? SILEX_OK : slx_err(err, SILEX_NOT_FOUND, "no state \"%.*s\" in tenant %.*s", (int)text.n, text.p, (int)t->name.n, t->name.p);
}

static void states_drop_last(struct slx_engine *e, struct slx_states *s)
{
	char *text = s->text[--s->n];
	slx_free(&e->mem, SLX_MEM_OTHER, text, strlen(text) + 1);
}

/* A new state is logged before its first use; the lock keeps that order. It is in the dictionary before it is logged: a
 * number that the log has given away must not be given to another text. */
static silex_status state_add(struct slx_engine *e, struct slx_tenant *t, struct slx_str text, uint32_t *ret, silex_error *err)
{
	uint32_t number = t->states ? t->states->n : 0;
	if (number >= STATES_MAX)
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "tenant %.*s has %d states already; expected a small vocabulary", (int)t->name.n, t->name.p,
			STATES_MAX);
	struct slx_buf record;
	struct slx_wal_pos pos;
	slx_buf_init(&record, &e->mem, SLX_MEM_OTHER, 8192);
	slx_record_state_encode(&record, t->name, number, text);
	struct iovec part = { record.p, record.n };
	silex_status status = record.failed ? slx_err_oom(err) : slx_states_set(e, t, number, text, err);
	if (status == SILEX_OK) {
		status = slx_wal_append(e->wal, SLX_RECORD_STATES, 0, &part, 1, 0, &pos, err);
		if (status != SILEX_OK)
			states_drop_last(e, t->states);
	}
	slx_buf_free(&record);
	SLX_TRY(status);
	*ret = number;
	return SILEX_OK;
}

silex_status slx_engine_state(struct slx_engine *e, struct slx_tenant *t, struct slx_str text, uint32_t *ret, silex_error *err)
{
	if (text.n == 0 || text.n > STATE_SIZE_MAX)
		return slx_err(err, SILEX_INVALID, "state of %zu bytes; expected 1 to %d", text.n, STATE_SIZE_MAX);
	if (!slx_utf8_valid(text.p, text.n))
		return slx_err(err, SILEX_INVALID, "state is not UTF-8");
	pthread_mutex_lock(&e->tenants_lock);
	silex_status status = state_lookup(t, text, ret) ? SILEX_OK : state_add(e, t, text, ret, err);
	pthread_mutex_unlock(&e->tenants_lock);
	return status;
}
