/* Snapshots, backups and restore: options and names are checked here, the backup room does the rest. */
#include "api/api_int.h"
#include "backup/backup.h"

struct silex_archive {
	struct silex_db *db;
	struct slx_archive *archive;
};

void silex_snapshot_options_init(silex_snapshot_options *o) { *o = (silex_snapshot_options){ .size = sizeof *o }; }
void silex_restore_options_init(silex_restore_options *o) { *o = (silex_restore_options){ .size = sizeof *o }; }
void silex_backup_options_init(silex_backup_options *o) { *o = (silex_backup_options){ .size = sizeof *o }; }

static silex_status check_size(const char *what, size_t given, size_t expected, silex_error *err)
{
	if (given == expected)
		return SILEX_OK;
	return slx_err(err, SILEX_INVALID, "%s options: size is %zu, expected %zu; call silex_%s_options_init first", what, given, expected, what);
}

silex_status silex_snapshot(silex_db *db, const char *path, const silex_snapshot_options *o, silex_snapshot_info *ret, silex_error *err)
{
	silex_snapshot_options normal;
	silex_snapshot_options_init(&normal);
	o = o ? o : &normal;
	SLX_TRY(check_size("snapshot", o->size, sizeof *o, err));
	return slx_backup_snapshot(db->engine, path, o, ret, err);
}

/* *to: o, or the normal ones, with options of the database in *db. */
static silex_status restore_options(const silex_restore_options *o, silex_restore_options *to, silex_options *db, silex_error *err)
{
	silex_restore_options_init(to);
	if (o) {
		SLX_TRY(check_size("restore", o->size, sizeof *o, err));
		*to = *o;
	}
	SLX_TRY(slx_options_resolve(to->db, db, err));
	to->db = db;
	return SILEX_OK;
}

silex_status silex_restore(const char *from, const char *dir, const silex_restore_options *o, silex_restore_info *ret, silex_error *err)
{
	silex_restore_options own;
	silex_options db;
	SLX_TRY(restore_options(o, &own, &db, err));
	if (own.tenant_from || own.tenant_to)
		return slx_err(err, SILEX_INVALID, "a directory is restored with all its tenants: one tenant goes into an open database (silex_restore_into)");
	return slx_backup_restore(from, dir, &own, ret, err);
}

silex_status silex_restore_into(const char *from, silex_db *db, const silex_restore_options *o, silex_restore_info *ret, silex_error *err)
{
	silex_restore_options own;
	silex_options source;
	struct slx_str name;
	SLX_TRY(restore_options(o, &own, &source, err));
	SLX_TRY(slx_api_tenant(own.tenant_from, &name, err));
	own.tenant_from = name.p;
	if (own.tenant_to)
		SLX_TRY(slx_api_tenant(own.tenant_to, &name, err));
	own.tenant_to = name.p;
	if (slx_engine_read_only(db->engine))
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
	return slx_backup_restore_into(from, db->engine, &own, ret, err);
}

silex_status silex_backup_create(silex_db *db, const char *target, const silex_backup_options *o, silex_backup_info *ret, silex_error *err)
{
	silex_backup_options normal;
	silex_backup_options_init(&normal);
	o = o ? o : &normal;
	SLX_TRY(check_size("backup", o->size, sizeof *o, err));
	return slx_backup_create(db->engine, target, o, ret, err);
}

silex_status silex_backup_list(const char *target, const silex_options *db, silex_backup_fn each, void *arg, silex_error *err)
{
	silex_options o;
	SLX_TRY(slx_options_resolve(db, &o, err));
	return slx_backup_list(target, &o, each, arg, err);
}

silex_status silex_backup_verify(const char *target, const silex_options *db, const char *id, silex_progress_fn progress, silex_text_fn fault,
	void *arg, silex_backup_report *ret, silex_error *err)
{
	silex_options o;
	SLX_TRY(slx_options_resolve(db, &o, err));
	return slx_backup_verify(target, &o, id, progress, fault, arg, ret, err);
}

silex_status silex_backup_prune(const char *target, const silex_options *db, unsigned keep, bool dry_run, silex_prune_report *ret, silex_error *err)
{
	silex_options o;
	SLX_TRY(slx_options_resolve(db, &o, err));
	return slx_backup_prune(target, &o, keep, dry_run, ret, err);
}

silex_status silex_archive_open(silex_db *db, const char *target, uint64_t keep_bytes, silex_archive **ret, silex_error *err)
{
	silex_archive *a = slx_calloc(db->mem, SLX_MEM_OTHER, sizeof *a);
	if (!a)
		return slx_err_oom(err);
	a->db = db;
	silex_status st = slx_archive_open(db->engine, target, keep_bytes, &a->archive, err);
	if (st == SILEX_OK)
		*ret = a;
	else
		slx_free(db->mem, SLX_MEM_OTHER, a, sizeof *a);
	return st;
}

silex_status silex_archive_ship(silex_archive *a, silex_archive_info *ret, silex_error *err) { return slx_archive_ship(a->archive, ret, err); }

void silex_archive_close(silex_archive *a)
{
	if (!a)
		return;
	slx_archive_close(a->archive);
	slx_free(a->db->mem, SLX_MEM_OTHER, a, sizeof *a);
}

silex_status silex_archive_end(silex_db *db, silex_error *err) { return slx_archive_end(db->engine, err); }
