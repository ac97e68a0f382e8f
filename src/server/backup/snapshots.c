/* Snapshots that are asked for by HTTP lie below the data directory: no caller names a path of the host. */
#include "base/clock.h"
#include "base/vfs.h"
#include "server/backup/backup.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static bool plain(const char *name)
{
	size_t n = strlen(name);
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
			return false;
	return n > 0 && n < SLX_SNAPSHOT_NAME_SIZE && name[0] != '.';
}

static void make_up(char ret[SLX_SNAPSHOT_NAME_SIZE])
{
	silex_random random;
	uint64_t r;
	time_t now = time(NULL);
	struct tm tm;
	slx_random_init(&random, NULL);
	random.fill(random.ctx, &r, sizeof r);
	gmtime_r(&now, &tm);
	size_t n = strftime(ret, SLX_SNAPSHOT_NAME_SIZE, "%Y%m%dT%H%M%SZ", &tm);
	snprintf(ret + n, SLX_SNAPSHOT_NAME_SIZE - n, "-%016llx", (unsigned long long)r);
}

silex_status slx_snapshots_create(struct slx_core *core, const char *name, bool skip_head, char ret_name[SLX_SNAPSHOT_NAME_SIZE],
	silex_snapshot_info *ret, silex_error *err)
{
	const char *data = slx_core_config(core)->data;
	silex_snapshot_options o;
	char path[4096];
	if (name && name[0] && !plain(name))
		return slx_err(err, SILEX_INVALID, "snapshot name \"%.128s\"; expected letters, digits, '.', '_' and '-', not a dot first", name);
	if (name && name[0])
		snprintf(ret_name, SLX_SNAPSHOT_NAME_SIZE, "%s", name);
	else
		make_up(ret_name);
	if (snprintf(path, sizeof path, "%s/snapshots", data) >= (int)sizeof path - SLX_SNAPSHOT_NAME_SIZE - 1)
		return slx_err(err, SILEX_INVALID, "the data directory's path is too long");
	SLX_TRY(slx_vfs_make_dir(slx_vfs_posix(), path, err));
	snprintf(path, sizeof path, "%s/snapshots/%s", data, ret_name);
	silex_snapshot_options_init(&o);
	o.skip_head = skip_head;
	return silex_snapshot(slx_core_db(core), path, &o, ret, err);
}
