/* silex completion: scripts for shells and the manual page, printed from the tables. */
#include "app/commands.h"

#include <string.h>

typedef void each_option(FILE *f, const struct app_command *c, const struct app_opt *o);

static void options_of(FILE *f, const struct app_command *c, each_option *each)
{
	const struct app_opt *tables[APP_TABLES_MAX];
	app_option_tables(c, tables);
	for (size_t i = 0; tables[i]; i++)
		for (const struct app_opt *o = tables[i]; o->name; o++)
			each(f, c, o);
}

static void put_commands(FILE *f, const char *between)
{
	size_t n = 0;
	for (const struct app_command *const *c = app_commands; *c; c++)
		if (!((*c)->uses & APP_HIDDEN))
			fprintf(f, "%s%s", n++ ? between : "", (*c)->name);
}

/* The words of "a|b|c" with blanks between. */
static void put_choices(FILE *f, const char *choices)
{
	for (; *choices; choices++)
		fputc(*choices == '|' ? ' ' : *choices, f);
}

/* --- bash ------------------------------------------------------------------------------------------------------- */

static void bash_word(FILE *f, const struct app_command *c, const struct app_opt *o) { fprintf(f, " --%s", o->name); }

static void bash_value(FILE *f, const struct app_command *c, const struct app_opt *o)
{
	if (o->type == APP_FLAG)
		return;
	fprintf(f, "\t%s:--%s%s", c->name, o->name, o->letter ? "|" : "");
	if (o->letter)
		fprintf(f, "%s:-%c", c->name, o->letter);
	fputs(") ", f);
	if (o->choices) {
		fputs("words=\"", f);
		put_choices(f, o->choices);
		fputs("\"", f);
	} else if (strcmp(o->arg, "DIR") == 0)
		fputs("COMPREPLY=($(compgen -d -- \"$cur\")); return", f);
	else if (strcmp(o->arg, "FILE") == 0)
		fputs("COMPREPLY=($(compgen -f -- \"$cur\")); return", f);
	else
		fputs("return", f);
	fputs(" ;;\n", f);
}

static void bash(FILE *f)
{
	fputs("# bash completion for silex, printed by `silex completion bash`\n"
		  "_silex() {\n"
		  "\tCOMPREPLY=()\n"
		  "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} words=\n"
		  "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
		  "\t\tCOMPREPLY=($(compgen -W \"",
		f);
	put_commands(f, " ");
	fputs("\" -- \"$cur\"))\n\t\treturn\n\tfi\n\tcase $command:$prev in\n", f);
	for (const struct app_command *const *c = app_commands; *c; c++)
		options_of(f, *c, bash_value);
	fputs("\tesac\n\tif [ -z \"$words\" ]; then\n\t\tcase $command in\n", f);
	for (const struct app_command *const *c = app_commands; *c; c++) {
		fprintf(f, "\t\t%s) words=\"", (*c)->name);
		options_of(f, *c, bash_word);
		fputs("\" ;;\n", f);
	}
	fputs("\t\tesac\n"
		  "\t\tcase $cur in -*) ;; *) COMPREPLY=($(compgen -f -- \"$cur\")); return ;; esac\n"
		  "\tfi\n"
		  "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
		  "}\n"
		  "complete -o filenames -F _silex silex\n",
		f);
}

/* --- zsh -------------------------------------------------------------------------------------------------------- */

/* Text inside '...[...]' of _arguments. */
static void zsh_text(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (*s == '\'') {
			fputs("'\\''", f);
			continue;
		}
		if (strchr("[]:\\", *s))
			fputc('\\', f);
		fputc(*s, f);
	}
}

static void zsh_option(FILE *f, const struct app_command *c, const struct app_opt *o)
{
	bool many = o->type == APP_TEXTS || o->type == APP_NAMES;
	fprintf(f, " \\\n\t\t\t'%s--%s%s[", many ? "*" : "", o->name, o->type == APP_FLAG ? "" : "=");
	zsh_text(f, o->help);
	fputs("]", f);
	if (o->type != APP_FLAG) {
		fputs(":", f);
		zsh_text(f, o->arg);
		fputs(":", f);
		if (o->choices) {
			fputs("(", f);
			put_choices(f, o->choices);
			fputs(")", f);
		} else if (strcmp(o->arg, "DIR") == 0)
			fputs("_files -/", f);
		else if (strcmp(o->arg, "FILE") == 0)
			fputs("_files", f);
	}
	fputs("'", f);
}

static void zsh(FILE *f)
{
	fputs("#compdef silex\n# zsh completion for silex, printed by `silex completion zsh`\n"
		  "_silex() {\n\tlocal -a commands\n\tcommands=(\n",
		f);
	for (const struct app_command *const *c = app_commands; *c; c++)
		if (!((*c)->uses & APP_HIDDEN)) {
			fprintf(f, "\t\t'%s:", (*c)->name);
			zsh_text(f, (*c)->summary);
			fputs("'\n", f);
		}
	fputs("\t)\n\tif (( CURRENT == 2 )); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n"
		  "\tlocal command=$words[2]\n\tshift words\n\t(( CURRENT-- ))\n\tcase $command in\n",
		f);
	for (const struct app_command *const *c = app_commands; *c; c++) {
		fprintf(f, "\t%s)\n\t\t_arguments", (*c)->name);
		options_of(f, *c, zsh_option);
		fprintf(f, " \\\n\t\t\t'*:argument:%s' ;;\n", (*c)->uses & APP_ARGS_FILES ? "_files" : " ");
	}
	fputs("\tesac\n}\n_silex \"$@\"\n", f);
}

/* --- fish ------------------------------------------------------------------------------------------------------- */

static void fish_text(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (*s == '\'' || *s == '\\')
			fputc('\\', f);
		fputc(*s, f);
	}
}

static void fish_option(FILE *f, const struct app_command *c, const struct app_opt *o)
{
	fprintf(f, "complete -c silex -n '__fish_seen_subcommand_from %s' -l %s", c->name, o->name);
	if (o->letter)
		fprintf(f, " -s %c", o->letter);
	if (o->type != APP_FLAG)
		fputs(o->choices ? " -x" : " -r", f);
	if (o->choices) {
		fputs(" -a '", f);
		put_choices(f, o->choices);
		fputs("'", f);
	}
	fputs(" -d '", f);
	fish_text(f, o->help);
	fputs("'\n", f);
}

static void fish(FILE *f)
{
	fputs("# fish completion for silex, printed by `silex completion fish`\n", f);
	for (const struct app_command *const *c = app_commands; *c; c++) {
		if ((*c)->uses & APP_HIDDEN)
			continue;
		fprintf(f, "complete -c silex -f -n __fish_use_subcommand -a %s -d '", (*c)->name);
		fish_text(f, (*c)->summary);
		fputs("'\n", f);
		if ((*c)->uses & APP_ARGS_FILES)
			fprintf(f, "complete -c silex -F -n '__fish_seen_subcommand_from %s'\n", (*c)->name);
	}
	for (const struct app_command *const *c = app_commands; *c; c++)
		options_of(f, *c, fish_option);
}

/* --- the manual page -------------------------------------------------------------------------------------------- */

/* Text with roff's special characters made harmless. */
static void man_text(FILE *f, const char *s)
{
	for (bool fresh = true; *s; fresh = *s++ == '\n') {
		if (fresh && (*s == '.' || *s == '\''))
			fputs("\\&", f);
		if (*s == '\\')
			fputs("\\e", f);
		else if (*s == '-')
			fputs("\\-", f);
		else if (*s == '\n' && s[1] == '\n')
			fputs("\n.PP", f);
		else
			fputc(*s, f);
		if (*s == '\n' && s[1] == '\n') {
			fputc('\n', f);
			s++;
		}
	}
}

static void man_option(FILE *f, const struct app_opt *o)
{
	char text[512];
	fputs(".TP\n\\fB", f);
	if (o->letter)
		fprintf(f, "\\-%c\\fR, \\fB", o->letter);
	fputs("\\-\\-", f);
	man_text(f, o->name);
	fputs("\\fR", f);
	if (o->arg)
		fprintf(f, " \\fI%s\\fR", o->arg);
	fputc('\n', f);
	app_option_text(o, text, sizeof text);
	man_text(f, text);
	fputc('\n', f);
}

static void man_table(FILE *f, const struct app_opt *o)
{
	for (; o->name; o++)
		man_option(f, o);
}

static void man_command(FILE *f, const struct app_command *c)
{
	fprintf(f, ".SS \"silex %s %s\"\n", c->name, c->args);
	man_text(f, c->summary);
	fputs(".\n", f);
	if (*c->text) {
		fputs(".PP\n", f);
		man_text(f, c->text);
		fputc('\n', f);
	}
	if (c->options)
		man_table(f, c->options);
	if (*c->examples)
		fputs(".PP\nExamples:\n.nf\n.RS\n", f);
	for (const char *s = c->examples; *s;) {
		char line[256];
		size_t n = strcspn(s, "\n"), command = strcspn(s, "\t");
		snprintf(line, sizeof line, "%.*s", (int)(command < n ? command : n), s);
		man_text(f, line);
		fputc('\n', f);
		s += n + (s[n] == '\n');
	}
	if (*c->examples)
		fputs(".RE\n.fi\n", f);
}

static void man(FILE *f)
{
	fprintf(f,
		".\\\" Printed by `silex completion man`; do not edit.\n.TH SILEX 1 \"\" \"Silex %s\" \"Silex\"\n"
		".SH NAME\nsilex \\- time series in one small engine\n.SH SYNOPSIS\n.B silex\n.I COMMAND\n"
		"[\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]...\n.SH COMMANDS\n",
		silex_version());
	for (const struct app_command *const *c = app_commands; *c; c++)
		if (!((*c)->uses & APP_HIDDEN))
			man_command(f, *c);
	fputs(".SH COMMON OPTIONS\nCommands that work on a database take these.\n", f);
	man_table(f, app_data_options);
	fputs("Commands that print results take these.\n", f);
	man_table(f, app_format_options);
	man_table(f, app_output_options);
	man_table(f, app_help_options);
	fputs(".SH \"EXIT STATUS\"\n0 done; 1 failed; 2 the command line was wrong; 3 done, but some lines were refused.\n"
		  ".SH ENVIRONMENT\n.TP\n.B SILEX_DATA\nthe database, where \\-\\-data is not given\n"
		  ".TP\n.B NO_COLOR\ncharts without colour\n"
		  ".SH FILES\n.TP\n.I ~/.silex_history\nwhat was typed in the shell\n",
		f);
}

/* --- the command ------------------------------------------------------------------------------------------------ */

static int completion_run(struct app *a, void *options, int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*print)(FILE *f);
	} kinds[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish }, { "man", man } };
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(argv[0], kinds[i].name) == 0) {
			kinds[i].print(a->out);
			return APP_OK;
		}
	return app_usage("completion for \"%s\" is not known; expected bash, zsh, fish (or man, the manual page)", argv[0]);
}

const struct app_command app_completion = {
	.name = "completion",
	.args = "bash|zsh|fish|man",
	.summary = "print a completion script for a shell, or the manual page",
	.text = "",
	.examples = "silex completion bash >/etc/bash_completion.d/silex\n"
				"silex completion zsh >/usr/share/zsh/vendor-completions/_silex\n"
				"silex completion fish >~/.config/fish/completions/silex.fish\n"
				"silex completion man | man -l -\n",
	.args_min = 1,
	.args_max = 1,
	.uses = APP_USES_OUTPUT,
	.run = completion_run,
};
