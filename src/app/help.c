/* `silex --help` and `silex COMMAND --help`, from the tables. */
#include "app/app.h"

#include <string.h>

enum { WIDTH = 80, OPTION_INDENT = 30 };

void app_put_wrapped(FILE *f, const char *s, int at, int indent)
{
	for (bool fresh = true; *s;) {
		if (s[0] == '\n' && s[1] == '\n') {
			fputs("\n\n", f);
			at = 0;
			fresh = true;
			s += 2;
			continue;
		}
		if (*s == ' ' || *s == '\n') {
			s++;
			continue;
		}
		int n = (int)strcspn(s, " \n");
		if (!fresh && at + 1 + n > WIDTH) {
			fprintf(f, "\n%*s", indent, "");
			at = indent;
			fresh = true;
		}
		fprintf(f, "%s%.*s", fresh ? "" : " ", n, s);
		at += n + !fresh;
		fresh = false;
		s += n;
	}
	fputc('\n', f);
}

static void put_option(FILE *f, const struct app_opt *o)
{
	char left[64], text[512];
	int n = o->letter ? snprintf(left, sizeof left, "  -%c, --%s", o->letter, o->name)
					  : snprintf(left, sizeof left, "      --%s", o->name);
	if (o->arg)
		snprintf(left + n, sizeof left - (size_t)n, " %s", o->arg);
	if (strlen(left) >= OPTION_INDENT)
		fprintf(f, "%s\n%*s", left, OPTION_INDENT, "");
	else
		fprintf(f, "%-*s", OPTION_INDENT, left);
	app_option_text(o, text, sizeof text);
	app_put_wrapped(f, text, OPTION_INDENT, OPTION_INDENT);
}

static void put_options(FILE *f, const struct app_opt *o)
{
	for (; o->name; o++)
		put_option(f, o);
}

static void put_examples(FILE *f, const char *s)
{
	fputs("\nExamples:\n", f);
	while (*s) {
		size_t line = strcspn(s, "\n"), command = strcspn(s, "\t");
		if (command < line)
			fprintf(f, "  # %.*s\n  %.*s\n", (int)(line - command - 1), s + command + 1, (int)command, s);
		else
			fprintf(f, "  %.*s\n", (int)line, s);
		s += line + (s[line] == '\n');
	}
}

void app_option_text(const struct app_opt *o, char *ret, size_t size)
{
	char choices[256] = "";
	size_t n = 0;
	for (const char *s = o->type == APP_CHOICE ? o->choices : ""; *s && n + 3 < sizeof choices; s++) {
		choices[n++] = *s == '|' ? ',' : *s;
		if (*s == '|')
			choices[n++] = ' ';
	}
	snprintf(ret, size, "%s%s%s%s", o->help, n ? ": " : "", choices,
		o->type == APP_TEXTS       ? " (may be repeated)"
			: o->type == APP_NAMES ? " (a,b,...)"
								   : "");
}

void app_help(FILE *f, const struct app_command *c)
{
	fprintf(f, "silex %s - %s\n\nUsage: silex %s%s%s%s\n", c->name, c->summary, c->name,
		c->options || c->uses & (APP_USES_DATA | APP_USES_FORMAT | APP_USES_OUTPUT) ? " [OPTION]..." : "",
		*c->args ? " " : "", c->args);
	if (*c->text)
		fputc('\n', f);
	if (*c->text)
		app_put_wrapped(f, c->text, 0, 0);
	fputs("\nOptions:\n", f);
	if (c->options)
		put_options(f, c->options);
	if (c->uses & APP_USES_FORMAT)
		put_options(f, app_format_options);
	if (c->uses & APP_USES_OUTPUT)
		put_options(f, app_output_options);
	put_options(f, app_help_options);
	if (c->uses & APP_USES_DATA) {
		fputs("\nThe database:\n", f);
		put_options(f, app_data_options);
	}
	if (*c->examples)
		put_examples(f, c->examples);
}

void app_help_all(FILE *f)
{
	fputs(
		"Silex keeps time series in one small engine.\n\nUsage: silex COMMAND [OPTION]... [ARGUMENT]...\n\nCommands:\n",
		f);
	for (const struct app_command *const *c = app_commands; *c; c++)
		if (!((*c)->uses & APP_HIDDEN))
			fprintf(f, "  %-12s %s\n", (*c)->name, (*c)->summary);
	fputs("\n`silex COMMAND --help` tells more. New here? `silex demo` is a guided tour.\n"
		  "Exit status: 0 done, 1 failed, 2 the command line was wrong, 3 done but some lines were refused.\n",
		f);
}
