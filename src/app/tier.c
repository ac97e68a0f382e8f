/* tier: blocks that move to an object store when they are old. */
#include "app/commands.h"
#include "app/store.h"
#include "app/table.h"

#include <string.h>

struct tier_options {
	int64_t after;
	bool remove_now;
};

static void row(struct app_table *t, bool machine, const char *tier, uint64_t blocks, uint64_t bytes)
{
	char text[APP_TEXT_SIZE];
	app_table_add(t, tier);
	snprintf(text, sizeof text, "%llu", (unsigned long long)blocks);
	app_table_add(t, machine ? text : app_count_text(blocks, text));
	snprintf(text, sizeof text, "%llu", (unsigned long long)bytes);
	app_table_add(t, machine ? text : app_bytes_text(bytes, text));
}

static void put_status(struct app *a, const silex_metrics *m)
{
	struct app_table t;
	char n[APP_TEXT_SIZE];
	bool machine = a->common.format != APP_DEFAULT && a->common.format != APP_TABLE;
	app_table_init(&t);
	app_table_column(&t, "tier", APP_LEFT, true);
	app_table_column(&t, "blocks", APP_RIGHT, false);
	app_table_column(&t, "bytes", APP_RIGHT, false);
	row(&t, machine, "warm", m->blocks - m->blocks_cold, m->bytes_blocks - m->bytes_cold);
	row(&t, machine, "due", m->cold_backlog_blocks, m->cold_backlog_bytes);
	row(&t, machine, "cold", m->blocks_cold, m->bytes_cold);
	app_table_print(&t, a->out, a->common.format, a->utf8);
	app_table_free(&t);
	if (machine)
		return;
	fputs("warm: files here; due: those of them that are old enough to move; cold: in a store\n", a->out);
	if (m->cold_garbage)
		fprintf(a->out, "%s objects in stores wait to be removed\n", app_count_text(m->cold_garbage, n));
	if (m->cold_error[0])
		fprintf(a->out, "the last try failed: %s\n", m->cold_error);
}

static int status_run(struct app *a)
{
	silex_metrics m = { .size = sizeof m };
	silex_error err;
	struct app_store db;
	int st = app_store_open(a, APP_READ, &db);
	if (st != APP_OK)
		return st;
	if (app_get_metrics(&db, &m, &err) == SILEX_OK)
		put_status(a, &m);
	else
		st = app_fail(NULL, &err);
	return app_store_close(&db, APP_READ, st);
}

static int move_run(struct app *a, const struct tier_options *own)
{
	silex_tier_options o;
	silex_tier_report r = { 0 };
	silex_error err;
	struct app_store db;
	struct app_progress p;
	char bytes[APP_TEXT_SIZE];
	int st = app_store_open(a, APP_WRITE_EXISTING, &db);
	if (st != APP_OK)
		return st;
	silex_tier_options_init(&o);
	o.after_ms = own->after / 1000000;
	o.remove_now = own->remove_now;
	o.progress = app_progress_stage;
	o.progress_arg = &p;
	app_progress_begin(&p, a, "move");
	silex_status status = app_tier_move(&db, &o, &r, &err);
	app_progress_end(&p);
	if (r.blocks || status == SILEX_OK)
		fprintf(a->out, "%llu blocks of %s moved, %llu objects removed\n", (unsigned long long)r.blocks, app_bytes_text(r.bytes, bytes),
			(unsigned long long)r.removed);
	if (status != SILEX_OK)
		st = app_fail(NULL, &err);
	return app_store_close(&db, APP_WRITE_EXISTING, st);
}

static int tier_run(struct app *a, void *options, int argc, char **argv)
{
	static const char *const names[] = { "status", "move", NULL };
	if (strcmp(argv[0], "status") == 0)
		return status_run(a);
	if (strcmp(argv[0], "move") == 0)
		return move_run(a, options);
	const char *near = app_nearest(argv[0], names);
	return app_usage("tier %s: expected status or move%s%s", argv[0], near ? "; did you mean " : "", near ? near : "");
}

static const struct app_opt tier_opts[] = {
	APP_OPT(tier_options, after, "after", 0, APP_SPAN, "AGE", NULL, "move: what is older than this [what cold_after says]"),
	APP_OPT(tier_options, remove_now, "remove-now", 0, APP_FLAG, NULL, NULL,
		"move: remove objects that nothing is read from at once, not after cold_remove_after"),
	APP_OPT_END,
};

const struct app_command app_tier = {
	.name = "tier",
	.args = "status|move",
	.summary = "move old blocks to an object store, or show what lies where",
	.text = "A server moves blocks by itself (storage.cold_store in its configuration). On a directory the stores are given with --store and "
			"the one to move to with --option cold_store. An interrupted move goes on where it ended.\n\n"
			"status: blocks and bytes by tier. move: all blocks that are old enough, now.",
	.examples = "silex tier status --url http://localhost:9470\n"
				"silex tier move -d /var/lib/ward --store archive=/mnt/archive -O cold_store=archive --after 90d\n",
	.options = tier_opts,
	.options_size = sizeof(struct tier_options),
	.args_min = 1,
	.args_max = 1,
	.uses = APP_USES_DATA | APP_USES_URL | APP_USES_FORMAT | APP_USES_OUTPUT,
	.run = tier_run,
};
