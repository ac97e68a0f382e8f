/* compact, checkpoint, upgrade: work on the files of a database. inspect, verify: a look at them. */
#include "app/commands.h"
#include "app/table.h"

#include <stdlib.h>
#include <string.h>

struct maintain_options {
	bool full, recode;
};

static silex_status metrics(silex_db *db, silex_metrics *ret, silex_error *err)
{
	*ret = (silex_metrics){ .size = sizeof *ret };
	return silex_get_metrics(db, ret, err);
}

static silex_status compact_db(struct app *a, silex_db *db, bool full, bool recode, silex_error *err)
{
	struct app_progress p;
	silex_compact_options o;
	silex_compact_options_init(&o);
	o.full = full;
	o.recode = recode;
	o.progress = app_progress_stage;
	o.progress_arg = &p;
	app_progress_begin(&p, a, "compact");
	silex_status st = silex_compact(db, &o, err);
	app_progress_end(&p);
	return st;
}

static void say_change(struct app *a, const silex_metrics *from, const silex_metrics *to)
{
	char x[APP_TEXT_SIZE], y[APP_TEXT_SIZE];
	fprintf(a->out, "from %llu blocks, %s, to %llu, %s", (unsigned long long)from->blocks,
		app_bytes_text(from->bytes_blocks, x), (unsigned long long)to->blocks, app_bytes_text(to->bytes_blocks, y));
	if (to->points_blocks)
		fprintf(a->out, ", %.2f bytes a point", (double)to->bytes_blocks / (double)to->points_blocks);
	fputc('\n', a->out);
}

static silex_status compact_and_say(struct app *a, silex_db *db, const struct maintain_options *o, silex_error *err)
{
	silex_metrics from, to;
	silex_status st = metrics(db, &from, err);
	if (st == SILEX_OK)
		st = silex_checkpoint(db, err);
	if (st == SILEX_OK)
		st = compact_db(a, db, o->full, o->recode, err);
	if (st == SILEX_OK)
		st = metrics(db, &to, err);
	if (st == SILEX_OK)
		say_change(a, &from, &to);
	return st;
}

static int compact_run(struct app *a, void *options, int argc, char **argv)
{
	silex_error err;
	silex_db *db;
	int st = app_open(a, APP_WRITE_EXISTING, &db);
	if (st != APP_OK)
		return st;
	if (compact_and_say(a, db, options, &err) != SILEX_OK)
		st = app_fail(NULL, &err);
	return app_close(a, db, APP_WRITE_EXISTING, st);
}

static const struct app_opt compact_opts[] = {
	APP_OPT(maintain_options, full, "full", 'F', APP_FLAG, NULL, NULL,
		"merge all that overlaps or could be larger, not only what is due"),
	APP_OPT(maintain_options, recode, "recode", 'R', APP_FLAG, NULL, NULL,
		"rewrite every chunk with the codec and compression in force"),
	APP_OPT_END,
};

const struct app_command app_compact = {
	.name = "compact",
	.args = "",
	.summary = "merge blocks, give back the space of deletes",
	.text = "Moves the head into blocks, then merges blocks by the usual policy, or everything with --full.",
	.examples = "silex compact --full\n"
				"silex compact --recode -O codec=gorilla\tgive old data another codec\n",
	.options = compact_opts,
	.options_size = sizeof(struct maintain_options),
	.args_min = 0,
	.args_max = 0,
	.uses = APP_USES_DATA,
	.run = compact_run,
};

static int checkpoint_run(struct app *a, void *options, int argc, char **argv)
{
	silex_error err;
	silex_db *db;
	silex_metrics m;
	char n[APP_TEXT_SIZE], b[APP_TEXT_SIZE];
	int st = app_open(a, APP_WRITE_EXISTING, &db);
	if (st != APP_OK)
		return st;
	if (silex_checkpoint(db, &err) != SILEX_OK || metrics(db, &m, &err) != SILEX_OK)
		st = app_fail(NULL, &err);
	else
		fprintf(a->out, "%s points in %llu blocks of %s; the log is cut\n", app_count_text(m.points_blocks, n),
			(unsigned long long)m.blocks, app_bytes_text(m.bytes_blocks, b));
	return app_close(a, db, APP_WRITE_EXISTING, st);
}

const struct app_command app_checkpoint = {
	.name = "checkpoint",
	.args = "",
	.summary = "move the head into blocks and cut the log",
	.text = "Opening a database after a checkpoint has no log to replay.",
	.examples = "",
	.args_min = 0,
	.args_max = 0,
	.uses = APP_USES_DATA,
	.run = checkpoint_run,
};

/* --- inspect ---------------------------------------------------------------------------------------------------- */

struct inspect_options {
	uint64_t depth;
};

static bool put_line(void *arg, const char *text)
{
	struct app *a = arg;
	fprintf(a->out, "%s\n", text);
	return !ferror(a->out);
}

static int inspect_run(struct app *a, void *options, int argc, char **argv)
{
	const struct inspect_options *o = options;
	silex_error err;
	if (o->depth > 3)
		return app_usage("--depth is 0 (overview) to 3 (samples)");
	if (silex_inspect(argc ? argv[0] : app_data(a), (int)o->depth, put_line, a, &err) != SILEX_OK)
		return app_fail(NULL, &err);
	return APP_OK;
}

static const struct app_opt inspect_opts[] = {
	APP_OPT(inspect_options, depth, "depth", 'D', APP_COUNT, "0..3", NULL,
		"0 overview, 1 sections and frames, 2 series and chunks, 3 samples [0]"),
	APP_OPT_END,
};

const struct app_command app_inspect = {
	.name = "inspect",
	.args = "[PATH]",
	.summary = "show what is inside a database, a log segment or a block",
	.text = "PATH is a database directory (default: --data), a file of its log, or a block.",
	.examples = "silex inspect -D 2 silex-data\tthe series and chunks\n",
	.options = inspect_opts,
	.options_size = sizeof(struct inspect_options),
	.args_min = 0,
	.args_max = 1,
	.uses = APP_USES_DATA | APP_USES_OUTPUT | APP_ARGS_FILES | APP_NOT_IN_SHELL,
	.run = inspect_run,
};

/* --- verify ----------------------------------------------------------------------------------------------------- */

struct verification {
	struct app *a;
	struct app_progress progress;
};

static bool put_fault(void *arg, const char *text)
{
	struct verification *v = arg;
	app_progress_end(&v->progress);
	fprintf(v->a->out, "%s\n", text);
	return true;
}

static bool verify_stage(void *arg, const char *stage, uint64_t done, uint64_t total)
{
	struct verification *v = arg;
	return app_progress_stage(&v->progress, stage, done, total);
}

static void put_report(struct app *a, const silex_verify_report *r)
{
	char n[APP_TEXT_SIZE];
	fprintf(a->out, "%llu files, %llu pages, %llu log frames, %llu chunks, %s points: ", (unsigned long long)r->files,
		(unsigned long long)r->pages, (unsigned long long)r->frames, (unsigned long long)r->chunks,
		app_count_text(r->points, n));
	if (r->faults)
		fprintf(a->out, "%llu faults\n", (unsigned long long)r->faults);
	else
		fputs("no faults\n", a->out);
}

struct verify_options {
	bool cold;
};

static int verify_run(struct app *a, void *options, int argc, char **argv)
{
	struct verification v = { .a = a };
	silex_verify_report r = { 0 };
	silex_options o;
	silex_error err;
	int st = app_db_options(a, &o);
	if (st != APP_OK)
		return st;
	o.verify_cold = ((const struct verify_options *)options)->cold;
	app_progress_begin(&v.progress, a, "verify");
	silex_status status = silex_verify(argc ? argv[0] : app_data(a), &o, verify_stage, put_fault, &v, &r, &err);
	app_progress_end(&v.progress);
	if (status != SILEX_OK && status != SILEX_CORRUPT)
		return app_fail(NULL, &err);
	put_report(a, &r);
	return status == SILEX_OK ? APP_OK : APP_FAILED;
}

static const struct app_opt verify_opts[] = {
	APP_OPT(verify_options, cold, "cold", 0, APP_FLAG, NULL, NULL, "read the blocks in object stores, too (give those with --store)"),
	APP_OPT_END,
};

const struct app_command app_verify = {
	.name = "verify",
	.args = "[DIR]",
	.summary = "re-read every byte of a database and name what is damaged",
	.text = "For a directory that no program has open (default: --data). Each fault is one line: file, offset, what.\n"
			"Nothing is changed. The exit status is 1 when there are faults.",
	.examples = "silex verify /var/lib/ward\n",
	.options = verify_opts,
	.options_size = sizeof(struct verify_options),
	.args_min = 0,
	.args_max = 1,
	.uses = APP_USES_DATA | APP_ARGS_FILES | APP_NOT_IN_SHELL,
	.run = verify_run,
};

/* --- upgrade ---------------------------------------------------------------------------------------------------- */

struct versions {
	unsigned long files, oldest;
};

/* `inspect` gives each file's format as "format N". */
static bool note_version(void *arg, const char *text)
{
	struct versions *v = arg;
	const char *at = strstr(text, "format ");
	char *end;
	unsigned long n = at ? strtoul(at + 7, &end, 10) : 0;
	if (at && end != at + 7) {
		v->oldest = !v->files || n < v->oldest ? n : v->oldest;
		v->files++;
	}
	return true;
}

static int upgrade_run(struct app *a, void *options, int argc, char **argv)
{
	static const struct maintain_options rewrite = { .full = true, .recode = true };
	struct versions v = { 0 };
	silex_error err;
	silex_db *db;
	if (silex_inspect(app_data(a), 1, note_version, &v, &err) != SILEX_OK)
		return app_fail(NULL, &err);
	int st = app_open(a, APP_WRITE_EXISTING, &db); /* refuses what is newer than this program */
	if (st != APP_OK)
		return st;
	if (v.oldest == APP_STORE_FORMAT) /* newer ones were refused */
		fprintf(a->out, "%lu files, all of format %lu, the newest: nothing to do\n", v.files, APP_STORE_FORMAT);
	else if (compact_and_say(a, db, &rewrite, &err) != SILEX_OK)
		st = app_fail(NULL, &err);
	return app_close(a, db, APP_WRITE_EXISTING, st);
}

const struct app_command app_upgrade = {
	.name = "upgrade",
	.args = "",
	.summary = "rewrite a database in the newest format",
	.text = "Newer programs read older formats and rewrite them little by little, at compaction; this does it at once.",
	.examples = "silex upgrade -d /var/lib/ward\n",
	.args_min = 0,
	.args_max = 0,
	.uses = APP_USES_DATA | APP_NOT_IN_SHELL,
	.run = upgrade_run,
};
