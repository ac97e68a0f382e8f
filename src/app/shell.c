/* silex shell: the commands of the program without its name, on one open database.
 *
 * A line is split into words as a shell does it, with one kindness: inside {...} quotes belong to the word, so that
 * query hr{patient="1"} means what it says. Lines that do not come from a terminal are read plainly. */
#include "app/commands.h"

#include <errno.h>
#include <histedit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS_MAX = 256, HISTORY_MAX = 2000, SHOWN_MAX = 60 };

struct shell_options {
	bool read_only;
};

struct shell {
	struct app *a;
	EditLine *edit;
	History *history;
	char *history_path;
	char *tenant; /* of `use` */
	bool done;
	int status;
};

/* --- words ------------------------------------------------------------------------------------------------------ */

/* Splits line in place. Returns the number of words, -1 when a quote is not closed. */
static int split(char *line, char **words)
{
	char *from = line, *to = line;
	int n = 0;
	while (n < WORDS_MAX) {
		while (*from == ' ' || *from == '\t')
			from++;
		if (!*from || *from == '#')
			break;
		words[n++] = to;
		int depth = 0;
		char quote = 0;
		for (; *from && (quote || depth || (*from != ' ' && *from != '\t')); from++) {
			bool literal = depth > 0;
			if (quote && *from == quote)
				quote = 0;
			else if (!quote && (*from == '"' || *from == '\''))
				quote = *from;
			else if (*from == '\\' && from[1] && quote != '\'') {
				if (literal)
					*to++ = *from;
				*to++ = *++from;
				continue;
			} else {
				depth += !quote && *from == '{' ? 1 : !quote && *from == '}' && depth ? -1 : 0;
				literal = true;
			}
			if (literal)
				*to++ = *from;
		}
		if (quote)
			return -1;
		if (*from)
			from++;
		*to++ = 0;
	}
	words[n] = NULL;
	return n;
}

/* --- the shell's own commands ----------------------------------------------------------------------------------- */

static void help(struct shell *s)
{
	FILE *f = s->a->out;
	fputs("Commands:\n", f);
	for (const struct app_command *const *c = app_commands; *c; c++)
		if (!((*c)->uses & (APP_HIDDEN | APP_NOT_IN_SHELL)))
			fprintf(f, "  %-12s %s\n", (*c)->name, (*c)->summary);
	fputs("  use TENANT   work on this tenant\n"
		  "  \\d           metric names; \\d SELECTOR: facts about these series\n"
		  "  \\l           label names; \\l LABEL: its values\n"
		  "  \\t           tenants\n"
		  "  \\s           health and sizes\n"
		  "  \\?, help     this text; COMMAND --help tells more\n"
		  "  \\q, exit     leave\n",
		f);
}

static int run_words(struct shell *s, int n, char **words)
{
	if (s->tenant)
		s->a->common.tenant = s->tenant;
	return app_run(s->a, n, words);
}

static int run_backslash(struct shell *s, int n, char **words)
{
	char *names[] = { "series", "--names", NULL }, *info[] = { "series", "--info", words[1], NULL };
	char *labels[] = { "labels", words[1], NULL }, *tenants[] = { "labels", "--tenants", NULL },
		 *stats[] = { "stats", NULL };
	switch (words[0][0]) {
	case 'd':
		return n > 1 ? run_words(s, 3, info) : run_words(s, 2, names);
	case 'l':
		return run_words(s, n > 1 ? 2 : 1, labels);
	case 't':
		return run_words(s, 2, tenants);
	case 's':
		return run_words(s, 1, stats);
	case 'q':
		s->done = true;
		return APP_OK;
	case '?':
	case 'h':
		help(s);
		return APP_OK;
	}
	return app_usage("\\%s is not known; \\? lists what is", words[0]);
}

static int run_line(struct shell *s, char *line)
{
	char *words[WORDS_MAX + 1];
	line[strcspn(line, "\r\n")] = 0;
	line += strspn(line, " \t");
	bool backslash = *line == '\\';
	int n = split(line + backslash, words);
	if (n < 0)
		return app_usage("a quote is not closed");
	if (!n)
		return APP_OK;
	if (backslash)
		return run_backslash(s, n, words);
	if (strcmp(words[0], "exit") == 0 || strcmp(words[0], "quit") == 0) {
		s->done = true;
		return APP_OK;
	}
	if (strcmp(words[0], "help") == 0 && n == 1) {
		help(s);
		return APP_OK;
	}
	if (strcmp(words[0], "use") == 0) {
		if (n != 2)
			return app_usage("use TENANT");
		free(s->tenant);
		s->tenant = app_strdup(words[1]);
		return APP_OK;
	}
	return run_words(s, n, words);
}

/* --- completion ------------------------------------------------------------------------------------------------- */

struct proposals {
	const char *word; /* what is there of the word */
	size_t word_n;
	char **v;
	size_t n, cap;
	bool label; /* inside {...} */
};

static bool propose(void *arg, const char *text)
{
	struct proposals *p = arg;
	if (strncmp(text, p->word, p->word_n) == 0) {
		p->v = app_grow(p->v, p->n, &p->cap, sizeof *p->v);
		p->v[p->n++] = app_strdup(text);
	}
	return true;
}

static void propose_options(struct proposals *p, const char *line)
{
	char name[32];
	const struct app_opt *tables[APP_TABLES_MAX];
	snprintf(name, sizeof name, "%.*s", (int)strcspn(line, " "), line);
	const struct app_command *c = app_command_find(name);
	if (!c)
		return;
	app_option_tables(c, tables);
	for (size_t i = 0; tables[i]; i++)
		for (const struct app_opt *o = tables[i]; o->name; o++) {
			char word[64];
			snprintf(word, sizeof word, "--%s", o->name);
			propose(p, word);
		}
}

static void propose_commands(struct proposals *p)
{
	for (const struct app_command *const *c = app_commands; *c; c++)
		if (!((*c)->uses & (APP_HIDDEN | APP_NOT_IN_SHELL)))
			propose(p, (*c)->name);
	propose(p, "use");
	propose(p, "help");
	propose(p, "exit");
}

/* Inside {...: after the last quote the values of the label before it, else label names. `at` is the place of the {. */
static void propose_labels(struct shell *s, struct proposals *p, const char *at, size_t n)
{
	const char *tenant = s->tenant ? s->tenant : s->a->common.tenant, *end = at + n, *start = end;
	size_t quotes = 0;
	for (const char *c = at; c < end; c++)
		quotes += *c == '"';
	while (start > at && !strchr("{,\" ", start[-1]))
		start--;
	p->word = start;
	p->word_n = (size_t)(end - start);
	p->label = true;
	if (quotes % 2 == 0) {
		silex_label_names(s->a->db, tenant, NULL, propose, p, NULL);
		return;
	}
	const char *name_end = start - 1;
	while (name_end > at && strchr("=!~\"", name_end[-1]))
		name_end--;
	const char *name = name_end;
	while (name > at && !strchr("{, ", name[-1]))
		name--;
	char *label = app_strndup(name, (size_t)(name_end - name));
	silex_label_values(s->a->db, tenant, label, NULL, propose, p, NULL);
	free(label);
}

static void gather(struct shell *s, const char *line, size_t n, struct proposals *p)
{
	const char *word = line + n, *brace = memrchr(line, '{', n), *closed = memrchr(line, '}', n);
	while (word > line && word[-1] != ' ' && word[-1] != '\'')
		word--;
	p->word = word;
	p->word_n = (size_t)(line + n - word);
	if (brace && (!closed || closed < brace))
		propose_labels(s, p, brace, (size_t)(line + n - brace));
	else if (word == line)
		propose_commands(p);
	else if (*word == '-')
		propose_options(p, line);
	else
		silex_list_names(s->a->db, s->tenant ? s->tenant : s->a->common.tenant, propose, p, NULL);
}

static size_t common_length(const struct proposals *p)
{
	size_t n = strlen(p->v[0]);
	for (size_t i = 1; i < p->n; i++) {
		size_t k = 0;
		while (k < n && p->v[i][k] == p->v[0][k])
			k++;
		n = k;
	}
	return n;
}

static unsigned char complete(EditLine *edit, int ch)
{
	struct shell *s;
	struct proposals p = { 0 };
	const LineInfo *line = el_line(edit);
	unsigned char result = CC_ERROR;
	el_get(edit, EL_CLIENTDATA, &s);
	char *text = app_strndup(line->buffer, (size_t)(line->cursor - line->buffer));
	gather(s, text, strlen(text), &p);
	size_t n = p.n ? common_length(&p) : 0;
	if (n > p.word_n || p.n == 1) { /* a word that is whole gets its blank; a label still needs its = or " */
		char *more = app_printf("%.*s%s", (int)(n - p.word_n), p.v[0] + p.word_n, p.n == 1 && !p.label ? " " : "");
		result = el_insertstr(edit, more) == 0 ? CC_REFRESH : CC_ERROR;
		free(more);
	} else if (p.n > 1) {
		fputc('\n', stdout);
		for (size_t i = 0; i < p.n && i < SHOWN_MAX; i++)
			printf("%s%s", p.v[i], i + 1 < p.n ? "  " : "");
		printf(p.n > SHOWN_MAX ? "... %zu in all\n" : "\n", p.n);
		result = CC_REDISPLAY;
	}
	for (size_t i = 0; i < p.n; i++)
		free(p.v[i]);
	free(p.v);
	free(text);
	return result;
}

/* --- reading lines ---------------------------------------------------------------------------------------------- */

static char *prompt(EditLine *edit)
{
	static char text[] = "silex> ";
	return text;
}

static void edit_open(struct shell *s)
{
	HistEvent event;
	const char *home = getenv("HOME");
	s->edit = el_init("silex", stdin, stdout, stderr);
	s->history = history_init();
	if (!s->edit || !s->history)
		return;
	s->history_path = home ? app_printf("%s/.silex_history", home) : NULL;
	history(s->history, &event, H_SETSIZE, HISTORY_MAX);
	history(s->history, &event, H_SETUNIQUE, 1);
	if (s->history_path)
		history(s->history, &event, H_LOAD, s->history_path);
	el_set(s->edit, EL_CLIENTDATA, s);
	el_set(s->edit, EL_PROMPT, prompt);
	el_set(s->edit, EL_EDITOR, "emacs");
	el_set(s->edit, EL_HIST, history, s->history);
	el_set(s->edit, EL_ADDFN, "silex-complete", "complete commands, options and names", complete);
	el_set(s->edit, EL_BIND, "^I", "silex-complete", NULL);
	el_set(s->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
	el_source(s->edit, NULL);
}

static void edit_close(struct shell *s)
{
	HistEvent event;
	if (s->history && s->history_path)
		history(s->history, &event, H_SAVE, s->history_path);
	if (s->history)
		history_end(s->history);
	if (s->edit)
		el_end(s->edit);
	free(s->history_path);
}

static void interrupted(int signal) { (void)signal; }

/* ^C gives up the line, not the shell; while a command runs it ends the program as ever. */
static char *edited_line(struct shell *s)
{
	HistEvent event;
	struct sigaction mine = { .sa_handler = interrupted }, before;
	int n = 0;
	sigaction(SIGINT, &mine, &before);
	const char *line = el_gets(s->edit, &n);
	bool interrupt = !line && n < 0 && errno == EINTR;
	sigaction(SIGINT, &before, NULL);
	if (interrupt) {
		fputc('\n', stdout);
		el_reset(s->edit);
		return app_strdup("");
	}
	if (!line || n <= 0) {
		fputc('\n', stdout);
		return NULL;
	}
	if (line[strspn(line, " \t\r\n")])
		history(s->history, &event, H_ENTER, line);
	return app_strndup(line, (size_t)n);
}

static char *plain_line(void)
{
	char *line = NULL;
	size_t cap = 0;
	if (getline(&line, &cap, stdin) >= 0)
		return line;
	free(line);
	return NULL;
}

static void loop(struct shell *s)
{
	bool edited = isatty(STDIN_FILENO) && s->a->out_tty;
	if (edited) {
		printf("silex %s on %s; \\? for help, tab completes\n", silex_version(), s->a->db_path);
		edit_open(s);
	}
	while (!s->done) {
		char *line = s->edit ? edited_line(s) : plain_line();
		if (!line)
			break;
		int st = run_line(s, line);
		if (st != APP_OK)
			s->status = edited ? APP_OK : st;
		free(line);
	}
	if (edited)
		edit_close(s);
}

static int shell_run(struct app *a, void *options, int argc, char **argv)
{
	const struct shell_options *o = options;
	enum app_open how = o->read_only ? APP_READ : APP_WRITE;
	struct shell s = { .a = a };
	silex_db *db;
	int st = app_open(a, how, &db);
	if (st != APP_OK)
		return st;
	struct app_texts engine_options = a->common.options; /* the parser's: not for the commands inside */
	const char *config = a->common.config;
	a->db = db;
	a->db_path = app_data(a);
	a->common.options = (struct app_texts){ 0 };
	a->common.config = NULL;
	loop(&s);
	a->db = NULL;
	a->common.options = engine_options;
	a->common.config = config;
	free(s.tenant);
	return app_close(a, db, how, s.status);
}

static const struct app_opt shell_opts[] = {
	APP_OPT(shell_options, read_only, "read-only", 'r', APP_FLAG, NULL, NULL, "open for reading only"),
	APP_OPT_END,
};

const struct app_command app_shell = {
	.name = "shell",
	.args = "",
	.summary = "type commands on an open database",
	.text =
		"The commands are those of the program without its name, with history and completion (tab). Lines from a pipe\n"
		"or file are run one after the other; the exit status is then that of the last one that failed. # begins a\n"
		"comment; inside {...} quotes need no further quoting.",
	.examples = "silex shell -d /var/lib/ward\n"
				"echo 'query hr{patient=\"1\"} --agg mean' | silex shell\tfrom a pipe\n",
	.options = shell_opts,
	.options_size = sizeof(struct shell_options),
	.args_min = 0,
	.args_max = 0,
	.uses = APP_USES_DATA | APP_NOT_IN_SHELL,
	.run = shell_run,
};
