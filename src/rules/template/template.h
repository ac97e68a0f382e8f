/* Go templates, as far as the labels and annotations of alerting rules use them: `{{ $labels.instance }} is at {{ $value | humanize }}`.
 *
 * Text between actions stands for itself; actions are pipelines, variables, if, with, range, define, template, block, break, continue
 * and comments, with trim marks. The functions are Prometheus' (query, first, value, label, humanize..., match, reReplaceAll,
 * parseDuration ...) and Go's (printf, eq, and, index, len ...). What is not here (times, methods, complex numbers) is an
 * error when the template is parsed.
 *
 *     text -> parse.c: lexer, tree in an arena -> exec.c: values.c, functions.c, printf.c -> text
 *
 * A parsed template is immutable: any number of threads may run it. */
#ifndef SLX_RULES_TEMPLATE_H
#define SLX_RULES_TEMPLATE_H

#include "base/arena.h"
#include "model/labels.h"

struct slx_template;

enum { SLX_TEMPLATE_SIZE_MAX = 64 << 10 };

/* name is for messages ("__alert_Hot"). INVALID: "template: name:line: words", lines from 1. Copies both. */
silex_status slx_template_parse(struct slx_mem *m, struct slx_str name, struct slx_str text, struct slx_template **ret, silex_error *err);
void slx_template_free(struct slx_template *t); /* NULL is fine */

struct slx_template_sample {
	struct slx_labels labels; /* canonical */
	double value;
};

/* What a template may speak of. */
struct slx_template_data {
	struct slx_labels labels;          /* .Labels, $labels; n 0: none */
	double value;                      /* .Value, $value */
	struct slx_labels external_labels; /* .ExternalLabels, $externalLabels */
	struct slx_str external_url;       /* .ExternalURL, $externalURL */
	/* The function query: an instant query at the time of the evaluation; results lie in the arena. NULL: an error. */
	silex_status (*query)(void *ctx, struct slx_str expr, struct slx_arena *arena, struct slx_template_sample **ret, size_t *ret_n, silex_error *err);
	void *ctx;
};

/* Appends the expansion. INVALID: "error executing template ...": out holds what was written before. RESOURCE_EXHAUSTED. */
silex_status slx_template_run(const struct slx_template *t, const struct slx_template_data *d, struct slx_buf *out, silex_error *err);

#endif
