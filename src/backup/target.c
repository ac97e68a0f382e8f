/* Where backups lie: a store by its url, and the lease of whoever changes what is there.
 *
 * Object stores need not know compare-and-set, so a lease is an object with a name of its own, lock-ID-TIME. Who wants one lists all:
 * a live one (renewed within five minutes) of somebody else refuses; then he puts his own and lists again: had another the same idea in
 * that moment, both see both and both give up. A holder renews by putting one of a later time. Before a change that would
 * hurt if another had taken over (a manifest, a removal), he looks whether his is still there. */
#include "backup/backup_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEASE_MS = 300000, RENEW_MS = 60000 };

void slx_place_of(struct slx_engine *e, struct slx_place *ret)
{
	*ret = (struct slx_place){ slx_engine_vfs(e), slx_engine_mem(e), *slx_engine_clock(e), *slx_engine_random(e), slx_engine_options(e) };
}

/* --- stores ------------------------------------------------------------------------------------------------------------------ */

silex_status slx_target_names(struct slx_place *p, struct slx_store *s, const char *prefix, struct slx_names *ret, silex_error *err)
{
	slx_names_init(ret, p->mem);
	silex_status st = slx_store_list(s, prefix, slx_names_add, ret, err);
	return st == SILEX_OK && ret->failed ? slx_err_oom(err) : st;
}

static bool stop(void *arg, const char *name) { return false; }

static silex_status open_folder(struct slx_place *p, const char *dir, bool writable, struct slx_store **ret, silex_error *err)
{
	silex_error own = { 0 };
	silex_status st = writable ? slx_vfs_make_dir(p->vfs, dir, &own) : p->vfs->list(p->vfs, dir, stop, NULL, &own);
	if (st != SILEX_OK)
		return slx_err(err, st, "backup target: %s", own.message);
	return slx_store_open_folder(p->vfs, p->mem, dir, 0, !writable, ret, err);
}

/* One of the stores that the options name. */
static silex_status named(const silex_options *o, const char *name, silex_store_config *ret, silex_error *err)
{
	for (size_t i = 0; i < o->n_stores; i++)
		if (strcmp(o->stores[i].name, name) == 0) {
			*ret = o->stores[i];
			return SILEX_OK;
		}
	return slx_err(err, SILEX_NOT_FOUND, "backup target: there is no store \"%s\" in the configuration", name);
}

silex_status slx_target_open(struct slx_place *p, const char *url, bool writable, struct slx_store **ret, silex_error *err)
{
	const silex_options *o = p->options;
	silex_store_config config = { .struct_size = sizeof config, .name = "target", .url = url };
	const char *colon = strchr(url, ':'), *slash = strchr(url, '/');
	if (strncmp(url, "folder:", 7) == 0)
		return open_folder(p, url + 7, writable, ret, err);
	if (!colon || (slash && slash < colon))
		return open_folder(p, url, writable, ret, err);
	if (strncmp(url, "store:", 6) == 0)
		SLX_TRY(named(o, url + 6, &config, err));
	struct slx_store_env env = { .vfs = p->vfs, .mem = p->mem, .clock = &p->clock, .random = &p->random, .types = o->store_types,
		.n_types = o->n_store_types, .read_only = !writable };
	return slx_store_open(&env, &config, ret, err);
}

/* --- leases -------------------------------------------------------------------------------------------------------------------- */

static int64_t renewed(const char *name)
{
	const char *dash = strrchr(name, '-');
	return dash ? strtoll(dash + 1, NULL, 10) : 0;
}

static silex_status held(struct slx_lease *l, const char *name, silex_error *err)
{
	uint8_t *text = NULL;
	size_t n = 0;
	char who[160] = "somebody";
	if (slx_object_get(l->place, l->store, name, sizeof who - 1, &text, &n, NULL) == SILEX_OK && n) {
		memcpy(who, text, n);
		who[n] = 0;
	}
	slx_free(l->place->mem, SLX_MEM_OTHER, text, n);
	return slx_err(err, SILEX_CONFLICT, "%s works on this target (last sign of life %lld s ago): try again when it is done", who,
		(long long)(slx_place_now_ms(l->place) - renewed(name)) / 1000);
}

/* Refuses when another live one is there. */
static silex_status ask(struct slx_lease *l, silex_error *err)
{
	struct slx_names names;
	silex_status st = slx_target_names(l->place, l->store, "lock-", &names, err);
	for (size_t i = 0; i < names.n && st == SILEX_OK; i++) {
		bool mine = strstr(names.v[i], l->id) != NULL;
		if (!mine && renewed(names.v[i]) > slx_place_now_ms(l->place) - LEASE_MS)
			st = held(l, names.v[i], err);
	}
	slx_names_free(&names);
	return st;
}

/* Removes the others, which are dead, as ask said. */
static silex_status bury(struct slx_lease *l, silex_error *err)
{
	struct slx_names names;
	silex_status st = slx_target_names(l->place, l->store, "lock-", &names, err);
	for (size_t i = 0; i < names.n && st == SILEX_OK; i++)
		if (!strstr(names.v[i], l->id))
			st = slx_store_remove(l->store, names.v[i], err);
	slx_names_free(&names);
	return st == SILEX_NOT_FOUND ? SILEX_OK : st;
}

static silex_status put(struct slx_lease *l, silex_error *err)
{
	char host[64] = "", text[160];
	gethostname(host, sizeof host - 1);
	int n = snprintf(text, sizeof text, "process %ld on %s", (long)getpid(), host);
	l->renewed_ms = slx_place_now_ms(l->place);
	snprintf(l->name, sizeof l->name, "lock-%s-%lld", l->id, (long long)l->renewed_ms);
	return slx_object_put(l->store, l->name, text, (size_t)n, err);
}

silex_status slx_lease_take(struct slx_place *p, struct slx_store *s, struct slx_lease *ret, silex_error *err)
{
	uint64_t id;
	p->random.fill(p->random.ctx, &id, sizeof id);
	*ret = (struct slx_lease){ .place = p, .store = s };
	snprintf(ret->id, sizeof ret->id, "%016llx", (unsigned long long)id);
	SLX_TRY(ask(ret, err));
	SLX_TRY(put(ret, err));
	silex_status st = ask(ret, err);
	if (st == SILEX_OK)
		st = bury(ret, err);
	if (st != SILEX_OK)
		slx_lease_end(ret);
	return st;
}

silex_status slx_lease_renew(struct slx_lease *l, silex_error *err)
{
	struct slx_lease old = *l;
	if (slx_place_now_ms(l->place) - l->renewed_ms < RENEW_MS)
		return SILEX_OK;
	SLX_TRY(slx_lease_check(l, err));
	SLX_TRY(put(l, err));
	return slx_store_remove(l->store, old.name, err);
}

silex_status slx_lease_check(struct slx_lease *l, silex_error *err)
{
	uint64_t size;
	silex_status st = slx_store_size(l->store, l->name, &size, err);
	return st == SILEX_NOT_FOUND ? slx_err(err, SILEX_CONFLICT, "another backup or prune took the target over while this one was silent") : st;
}

void slx_lease_end(struct slx_lease *l)
{
	if (l->name[0])
		slx_store_remove(l->store, l->name, NULL); /* else it dies of age */
	l->name[0] = 0;
}

silex_status slx_target_change(struct slx_place *p, const char *url, struct slx_store **ret, struct slx_lease *ret_lease, silex_error *err)
{
	struct slx_lease asking = { .place = p, .id = "none" };
	silex_status st = slx_target_open(p, url, false, &asking.store, NULL);
	if (st == SILEX_OK) {
		st = ask(&asking, err);
		slx_store_close(asking.store);
		if (st != SILEX_OK)
			return st;
	}
	SLX_TRY(slx_target_open(p, url, true, ret, err));
	st = slx_lease_take(p, *ret, ret_lease, err);
	if (st != SILEX_OK) {
		slx_store_close(*ret);
		*ret = NULL;
	}
	return st;
}
