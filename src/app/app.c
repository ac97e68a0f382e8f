/* Finding and running commands. */
#include "app/app.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* UTF-8 when the locale says so; without any locale too, for that is what bare systems print. */
static bool speaks_utf8(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
	for (size_t i = 0; i < 3; i++) {
		const char *v = getenv(names[i]);
		if (v && *v)
			return strcasestr(v, "utf-8") || strcasestr(v, "utf8");
	}
	return true;
}

static int terminal_width(void)
{
	struct winsize w;
	const char *columns = getenv("COLUMNS");
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 40)
		return w.ws_col;
	return columns && atoi(columns) >= 40 ? atoi(columns) : 80;
}

void app_init(struct app *a)
{
	const char *term = getenv("TERM");
	*a = (struct app){ .out = stdout };
	slx_mem_init(&a->mem, NULL);
	a->out_tty = isatty(STDOUT_FILENO);
	a->err_tty = isatty(STDERR_FILENO);
	a->color = a->out_tty && !getenv("NO_COLOR") && term && strcmp(term, "dumb") != 0;
	a->utf8 = speaks_utf8();
	a->width = terminal_width();
	a->now = app_wall_ns();
	setlocale(LC_CTYPE, "");
}

const struct app_command *app_command_find(const char *name)
{
	for (const struct app_command *const *c = app_commands; *c; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

static int unknown_command(const char *name)
{
	const char *names[64];
	size_t n = 0;
	for (const struct app_command *const *c = app_commands; *c; c++)
		if (!((*c)->uses & APP_HIDDEN))
			names[n++] = (*c)->name;
	names[n] = NULL;
	const char *nearest = app_nearest(name, names);
	if (nearest)
		return app_usage("there is no command \"%s\"; did you mean \"%s\"?", name, nearest);
	return app_usage("there is no command \"%s\"; `silex --help` lists them", name);
}

/* Results of one command to --output; the status is 1 when they did not all get there. */
static int run_to_output(struct app *a, const struct app_command *c, void *own, int argc, char **argv)
{
	const char *path = a->common.output;
	struct app saved = *a;
	if (path) {
		a->out = fopen(path, "w");
		if (!a->out) {
			a->out = saved.out;
			app_say("%s: %s", path, strerror(errno));
			return APP_FAILED;
		}
		a->out_tty = a->color = false;
	}
	int st = c->run(a, own, argc, argv);
	bool bad = fflush(a->out) != 0 || ferror(a->out);
	if (path) {
		bad |= fclose(a->out) != 0;
		a->out = saved.out;
		a->out_tty = saved.out_tty;
		a->color = saved.color;
	}
	if (bad && errno != EPIPE)
		app_say("%s: %s", path ? path : "standard output", strerror(errno));
	return bad && st == APP_OK ? APP_FAILED : st;
}

int app_run(struct app *a, int argc, char **argv)
{
	const struct app_command *c = app_command_find(argv[0]);
	if (!c)
		return unknown_command(argv[0]);
	struct app_common outer = a->common; /* the shell's --data and --tenant hold for its commands */
	void *own = app_alloc(c->options_size);
	int operands = 0;
	a->common.help = false;
	a->common.options = a->common.stores = (struct app_texts){ 0 };
	a->common.output = NULL;
	a->now = app_wall_ns();
	int st = app_parse(a, c, own, argc, argv, &operands);
	if (st == APP_OK && a->common.help)
		app_help(a->out, c);
	else if (st == APP_OK && a->db && c->uses & APP_NOT_IN_SHELL)
		st = app_usage("%s is not for the shell: leave it first", c->name);
	else if (st == APP_OK)
		st = run_to_output(a, c, own, operands, argv);
	app_parse_free(a, c, own);
	a->common = outer;
	free(own);
	return st;
}
