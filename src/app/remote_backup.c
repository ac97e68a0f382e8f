/* snapshot and backup with --url: the server does it, and says what came of it as JSON. */
#include "app/backup.h"
#include "app/remote.h"
#include "app/table.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char prefix[] = "/api/silex/v1";

/* The answer as JSON; NULL after saying what went wrong. */
static json_t *ask(struct app *a, const char *path, const char *body)
{
	struct app_remote *r;
	const char *text;
	size_t n;
	silex_error err;
	json_error_t bad;
	json_t *answer = NULL;
	char *whole = app_printf("%s%s", prefix, path);
	silex_status st = app_remote_new(a->common.url, a->common.tenant, &r, &err);
	if (st == SILEX_OK) {
		st = app_remote_request(r, whole, body ? "application/json" : NULL, body, body ? strlen(body) : 0, &text, &n, NULL, &err);
		if (st == SILEX_OK && !(answer = json_loadb(text, n, 0, &bad)))
			app_say("the server's answer is no JSON: %s", bad.text);
		app_remote_free(r);
	}
	free(whole);
	if (st != SILEX_OK)
		app_fail(NULL, &err);
	return answer;
}

static uint64_t number(const json_t *o, const char *key) { return (uint64_t)json_integer_value(json_object_get(o, key)); }

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

/* --- snapshots -------------------------------------------------------------------------------------------------------------------- */

struct saving {
	FILE *f;
	bool failed;
};

static bool save(void *arg, const char *p, size_t n)
{
	struct saving *s = arg;
	s->failed = fwrite(p, 1, n, s->f) != n;
	return !s->failed;
}

static int fetch(struct app *a, const char *tmp, bool skip_head)
{
	struct app_remote *r;
	struct saving s = { .f = fopen(tmp, "wbe") };
	silex_error err;
	char *path = app_printf("%s/snapshot/file%s", prefix, skip_head ? "?skip_head=true" : "");
	if (!s.f) {
		free(path);
		app_say("%s cannot be written", tmp);
		return APP_FAILED;
	}
	silex_status st = app_remote_new(a->common.url, a->common.tenant, &r, &err);
	if (st == SILEX_OK) {
		st = app_remote_stream(r, path, NULL, 0, save, &s, &err);
		app_remote_free(r);
	}
	free(path);
	s.failed |= fclose(s.f) != 0;
	if (s.failed)
		app_say("%s cannot be written: is the disk full?", tmp);
	else if (st != SILEX_OK)
		app_fail(NULL, &err);
	return s.failed || st != SILEX_OK ? APP_FAILED : APP_OK;
}

/* The file has its name when it came whole. */
static int snapshot_file(struct app *a, const char *path, bool skip_head)
{
	char *tmp = app_printf("%s.tmp", path);
	int st = fetch(a, tmp, skip_head);
	if (st == APP_OK && rename(tmp, path) != 0) {
		app_say("%s cannot be written", path);
		st = APP_FAILED;
	}
	if (st != APP_OK)
		remove(tmp);
	else
		fprintf(a->out, "%s\n", path);
	free(tmp);
	return st;
}

int app_remote_snapshot(struct app *a, const char *path, bool one_file, bool skip_head)
{
	if (one_file)
		return snapshot_file(a, path, skip_head);
	json_t *o = json_pack("{s:s, s:b}", "name", path, "skip_head", skip_head);
	char *body = json_dumps(o, 0);
	json_t *answer = ask(a, "/snapshot", body);
	free(body);
	json_decref(o);
	if (!answer)
		return APP_FAILED;
	char n[APP_TEXT_SIZE], b[APP_TEXT_SIZE];
	fprintf(a->out, "%s on the server: %s points in %llu blocks of %s\n", text_of(answer, "path"), app_count_text(number(answer, "points"), n),
		(unsigned long long)number(answer, "blocks"), app_bytes_text(number(answer, "bytes"), b));
	json_decref(answer);
	return APP_OK;
}

/* --- backups ------------------------------------------------------------------------------------------------------------------------ */

static silex_backup_info info_of(struct app *a, const json_t *o)
{
	silex_backup_info i = { .full = json_is_true(json_object_get(o, "full")) };
	int64_t t = 0;
	snprintf(i.id, sizeof i.id, "%s", text_of(o, "id"));
	snprintf(i.host, sizeof i.host, "%s", text_of(o, "host"));
	app_parse_time(text_of(o, "time"), a->now, &t, &(silex_error){ 0 });
	i.time_ms = t / 1000000;
	i.took_ms = (int64_t)number(o, "took_ms");
	i.blocks = number(o, "blocks");
	i.points = number(o, "points");
	i.bytes = number(o, "bytes");
	i.new_blocks = number(o, "new_blocks");
	i.new_bytes = number(o, "new_bytes");
	return i;
}

static int create(struct app *a, bool full)
{
	json_t *answer = ask(a, "/backup", full ? "{\"full\":true}" : "{}");
	if (!answer)
		return APP_FAILED;
	silex_backup_info i = info_of(a, answer);
	app_say_backup(a, &i);
	json_decref(answer);
	return APP_OK;
}

static int list(struct app *a)
{
	json_t *answer = ask(a, "/backups", NULL), *o;
	size_t i;
	struct app_table t;
	if (!answer)
		return APP_FAILED;
	app_backup_table(&t);
	json_array_foreach(json_object_get(answer, "backups"), i, o) {
		silex_backup_info info = info_of(a, o);
		app_backup_row(&t, &info);
	}
	app_table_print(&t, a->out, a->common.format == APP_DEFAULT ? APP_TABLE : (enum app_format)a->common.format, a->utf8);
	app_table_free(&t);
	json_decref(answer);
	return APP_OK;
}

int app_remote_backup(struct app *a, const char *verb, bool full, const char *target)
{
	if (target)
		return app_usage("with --url the target is that of the server's configuration: leave out %s", target);
	if (strcmp(verb, "create") == 0)
		return create(a, full);
	if (strcmp(verb, "list") == 0)
		return list(a);
	return app_usage("backup %s works on the target itself: name it, and leave out --url", verb);
}
