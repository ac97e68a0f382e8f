/* Removing old backups.
 *
 * First the manifests of the old ones, then the blocks that no manifest names, then the log before the oldest backup that is left. A
 * crash in between leaves blocks without a manifest; the next prune, which looks at what is there and not at what was removed, takes
 * them. When a manifest that stays cannot be read nothing is removed: it may name anything. */
#include "backup/logs.h"
#include "backup/record.h"

#include <stdio.h>
#include <string.h>

struct pruning {
	struct slx_place place;
	struct slx_store *store;
	struct slx_lease lease;
	bool dry_run;
	silex_prune_report report;
	struct slx_names manifests; /* oldest first */
	size_t first_kept;
	struct slx_names kept_blocks;
	struct kept_log {
		char log[SLX_LOG_UUID_TEXT];
		uint64_t checkpoint; /* of the oldest kept backup; UINT64_MAX: none is kept */
	} *logs; /* as many as manifests, at most */
	size_t n_logs;
};

static silex_status drop(struct pruning *p, const char *name, silex_error *err)
{
	uint64_t size = 0;
	slx_store_size(p->store, name, &size, NULL);
	p->report.bytes += size;
	if (p->dry_run)
		return SILEX_OK;
	SLX_TRY(slx_lease_renew(&p->lease, err));
	silex_status st = slx_store_remove(p->store, name, err);
	return st == SILEX_NOT_FOUND ? SILEX_OK : st;
}

static void note_log(struct pruning *p, const struct slx_backup_record *r, bool kept)
{
	char uuid[SLX_LOG_UUID_TEXT];
	size_t i = 0;
	slx_log_uuid_text(r->log_uuid, uuid);
	while (i < p->n_logs && strcmp(p->logs[i].log, uuid) != 0)
		i++;
	if (i == p->n_logs) {
		memcpy(p->logs[i].log, uuid, sizeof uuid);
		p->logs[i].checkpoint = UINT64_MAX;
		p->n_logs++;
	}
	if (kept && r->checkpoint < p->logs[i].checkpoint)
		p->logs[i].checkpoint = r->checkpoint;
}

static silex_status note_blocks(struct pruning *p, const struct slx_backup_record *r, silex_error *err)
{
	char object[SLX_BLOCK_OBJECT_SIZE];
	for (size_t i = 0; i < r->n_blocks; i++)
		if (!slx_names_add(&p->kept_blocks, slx_backup_object(r->blocks[i].name, object)))
			return slx_err_oom(err);
	return SILEX_OK;
}

static silex_status read_manifests(struct pruning *p, unsigned keep, silex_error *err)
{
	SLX_TRY(slx_target_names(&p->place, p->store, SLX_RECORD_PREFIX, &p->manifests, err));
	size_t n = p->manifests.n;
	p->first_kept = n > keep ? n - keep : 0;
	p->report.kept = n - p->first_kept;
	p->logs = n ? slx_calloc(p->place.mem, SLX_MEM_OTHER, n * sizeof *p->logs) : NULL;
	if (n && !p->logs)
		return slx_err_oom(err);
	for (size_t i = 0; i < n; i++) {
		struct slx_backup_record r;
		silex_error own = { 0 };
		bool kept = i >= p->first_kept;
		silex_status st = slx_backup_record_get(&p->place, p->store, p->manifests.v[i], &r, &own);
		if (st != SILEX_OK && kept)
			return slx_err(err, st, "nothing was removed, since a backup that stays cannot be read: %s", own.message);
		if (st != SILEX_OK)
			continue;
		note_log(p, &r, kept);
		st = kept ? note_blocks(p, &r, err) : SILEX_OK;
		slx_backup_record_free(&r);
		SLX_TRY(st);
	}
	slx_names_sort(&p->kept_blocks);
	return SILEX_OK;
}

static silex_status drop_manifests(struct pruning *p, silex_error *err)
{
	for (size_t i = 0; i < p->first_kept; i++) {
		SLX_TRY(drop(p, p->manifests.v[i], err));
		p->report.backups++;
	}
	return SILEX_OK;
}

static silex_status drop_blocks(struct pruning *p, silex_error *err)
{
	struct slx_names there;
	silex_status st = slx_target_names(&p->place, p->store, SLX_BLOCK_PREFIX, &there, err);
	for (size_t i = 0; i < there.n && st == SILEX_OK; i++) {
		if (slx_names_have(&p->kept_blocks, there.v[i]))
			continue;
		st = drop(p, there.v[i], err);
		p->report.blocks++;
	}
	slx_names_free(&there);
	return st;
}

/* Segment i goes when the next one begins at or before the first frame that a kept backup needs, and does not use its definitions. */
static silex_status drop_before(struct pruning *p, const struct slx_logs *l, uint64_t checkpoint, silex_error *err)
{
	size_t end = 0; /* segments before it go */
	if (checkpoint == UINT64_MAX)
		end = l->n;
	for (size_t i = 1; i < l->n && checkpoint != UINT64_MAX && l->v[i].first_seq <= checkpoint + 1; i++) {
		struct slx_walfile_header h;
		SLX_TRY(slx_log_header(p->store, l, &l->v[i], &h, err));
		if (!h.continuation)
			end = i;
	}
	for (size_t i = 0; i < end; i++) {
		for (size_t k = l->v[i].first; k < l->v[i].first + l->v[i].n; k++)
			SLX_TRY(drop(p, l->names.v[k], err));
		p->report.log_segments++;
	}
	return SILEX_OK;
}

/* The log of a database of which no backup was made yet is nobody's to judge: it stays. */
static silex_status drop_logs(struct pruning *p, silex_error *err)
{
	silex_status st = SILEX_OK;
	for (size_t i = 0; i < p->n_logs && st == SILEX_OK; i++) {
		struct slx_logs l = { .n = 0 };
		st = slx_logs_list(&p->place, p->store, p->logs[i].log, &l, err);
		if (st == SILEX_OK)
			st = drop_before(p, &l, p->logs[i].checkpoint, err);
		slx_logs_free(&l);
	}
	return st;
}

static silex_status prune(struct pruning *p, unsigned keep, silex_error *err)
{
	SLX_TRY(read_manifests(p, keep, err));
	SLX_TRY(drop_manifests(p, err));
	SLX_TRY(drop_blocks(p, err));
	return drop_logs(p, err);
}

silex_status slx_backup_prune(const char *target, const silex_options *db, unsigned keep, bool dry_run, silex_prune_report *ret, silex_error *err)
{
	struct slx_mem mem;
	struct pruning p = { .dry_run = dry_run };
	if (keep == 0)
		return slx_err(err, SILEX_INVALID, "keep 0 backups; expected at least 1");
	slx_place_init(&p.place, &mem, db);
	slx_names_init(&p.manifests, p.place.mem);
	slx_names_init(&p.kept_blocks, p.place.mem);
	if (dry_run)
		SLX_TRY(slx_target_open(&p.place, target, false, &p.store, err));
	else
		SLX_TRY(slx_target_change(&p.place, target, &p.store, &p.lease, err));
	silex_status st = prune(&p, keep, err);
	if (!dry_run)
		slx_lease_end(&p.lease);
	slx_free(p.place.mem, SLX_MEM_OTHER, p.logs, p.logs ? p.manifests.n * sizeof *p.logs : 0);
	slx_names_free(&p.manifests);
	slx_names_free(&p.kept_blocks);
	slx_store_close(p.store);
	if (st == SILEX_OK && ret)
		*ret = p.report;
	return st;
}
