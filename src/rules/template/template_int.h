/* Inside of rules/template. */
#ifndef SLX_RULES_TEMPLATE_INT_H
#define SLX_RULES_TEMPLATE_INT_H

#include "rules/template/template.h"

/* ---- values ---- */

enum slx_tv_type {
	SLX_TV_NIL,
	SLX_TV_BOOL,
	SLX_TV_INT,
	SLX_TV_FLOAT,
	SLX_TV_STRING,
	SLX_TV_LIST,    /* of the results of query, and slices */
	SLX_TV_STRINGS, /* map[string]string: labels; a key that is not there is "" */
	SLX_TV_ARGS,    /* map[string]interface {}: args */
	SLX_TV_SAMPLE,
	SLX_TV_DATA,    /* the dot that a template begins with */
};

struct slx_tv_pair;

struct slx_tv {
	enum slx_tv_type type;
	union {
		bool b;
		int64_t i;
		double f;
		struct slx_str s;
		struct {
			const struct slx_tv *v;
			size_t n;
		} list;
		struct slx_labels labels;
		struct {
			const struct slx_tv_pair *v; /* by key */
			size_t n;
		} args;
		const struct slx_template_sample *sample;
	};
};

struct slx_tv_pair {
	struct slx_str key;
	struct slx_tv value;
};

static inline struct slx_tv slx_tv_string(struct slx_str s) { return (struct slx_tv){ .type = SLX_TV_STRING, .s = s }; }
static inline struct slx_tv slx_tv_float(double f) { return (struct slx_tv){ .type = SLX_TV_FLOAT, .f = f }; }
static inline struct slx_tv slx_tv_int(int64_t i) { return (struct slx_tv){ .type = SLX_TV_INT, .i = i }; }
static inline struct slx_tv slx_tv_bool(bool b) { return (struct slx_tv){ .type = SLX_TV_BOOL, .b = b }; }
static inline struct slx_tv slx_tv_labels(struct slx_labels l) { return (struct slx_tv){ .type = SLX_TV_STRINGS, .labels = l }; }

const char *slx_tv_type_name(const struct slx_tv *v); /* Go's: "float64" */
bool slx_tv_truth(const struct slx_tv *v);
size_t slx_tv_len(const struct slx_tv *v); /* of strings, lists, maps; SIZE_MAX: of nothing else */
struct slx_str slx_tv_label(struct slx_labels l, struct slx_str key);

/* ---- the tree ---- */

enum slx_tn_type { SLX_TN_TEXT, SLX_TN_ACTION, SLX_TN_IF, SLX_TN_WITH, SLX_TN_RANGE, SLX_TN_TEMPLATE, SLX_TN_BREAK, SLX_TN_CONTINUE };

enum slx_ta_type { SLX_TA_DOT, SLX_TA_LITERAL, SLX_TA_VARIABLE, SLX_TA_FUNCTION, SLX_TA_PIPE };

struct slx_tf; /* a function */

struct slx_ta { /* an operand, then fields of it */
	enum slx_ta_type type;
	struct slx_tv literal;
	struct slx_str name; /* VARIABLE, with its $ */
	const struct slx_tf *fn;
	struct slx_tp *pipe;
	struct slx_str *fields;
	size_t n_fields, fields_cap;
	struct slx_ta *next;
	size_t at;
};

struct slx_tc { /* a command: an operand, or a function with arguments */
	struct slx_ta *args;
	size_t n;
	struct slx_tc *next;
	size_t at, end; /* in the text */
};

struct slx_tp { /* a pipeline */
	struct slx_str vars[2];
	unsigned n_vars;
	bool assign; /* = instead of := */
	struct slx_tc *cmds;
};

struct slx_tn {
	enum slx_tn_type type;
	struct slx_str text; /* TEXT; TEMPLATE: name */
	struct slx_tp *pipe; /* TEMPLATE: may be NULL */
	struct slx_tn *body, *other; /* other: else */
	struct slx_tn *next;
	size_t at;
};

struct slx_tdef { /* define */
	struct slx_str name;
	struct slx_tn *body;
	struct slx_tdef *next;
};

struct slx_template {
	struct slx_mem *mem;
	struct slx_arena arena;
	struct slx_str name, text;
	struct slx_tn *body;
	struct slx_tdef *defs;
};

/* Line and column (from 1) of a place in the text. */
unsigned slx_template_line(struct slx_str text, size_t at, unsigned *ret_column);

/* A character's bytes; to has room for 4. */
size_t slx_template_put_utf8(uint32_t c, char *to);

/* ---- running ---- */

struct slx_tvar {
	struct slx_str name;
	struct slx_tv value;
};

enum { SLX_TEMPLATE_DEPTH_MAX = 100, SLX_TEMPLATE_STEPS_MAX = 1000000 };

struct slx_trun {
	const struct slx_template *t;
	const struct slx_template_data *data;
	struct slx_arena arena; /* of this run */
	struct slx_buf *out;
	struct slx_tvar *vars;
	size_t n_vars, cap_vars;
	unsigned depth;
	unsigned steps; /* nodes walked */
	const struct slx_tc *at; /* the command under way, for messages */
	silex_error *err;
};

/* ---- functions.c ---- */

struct slx_tf {
	const char *name;
	unsigned args_min, args_max; /* UINT32_MAX: any number */
	silex_status (*call)(struct slx_trun *r, const struct slx_tv *a, size_t n, struct slx_tv *ret); /* NULL: and, or, which do not evaluate all */
};
const struct slx_tf *slx_tf_find(struct slx_str name); /* NULL: none */

/* INVALID with the words. */
__attribute__((format(printf, 2, 3))) silex_status slx_trun_fail(struct slx_trun *r, const char *fmt, ...);
/* The bytes of a buffer as a string of the run's arena; frees the buffer. */
silex_status slx_trun_keep(struct slx_trun *r, struct slx_buf *b, struct slx_tv *ret);

/* ---- printf.c ---- */

void slx_tv_print(const struct slx_tv *v, struct slx_buf *out); /* as an action prints it: %v, nil as <no value> */
void slx_tv_sprint(const struct slx_tv *a, size_t n, bool line, struct slx_buf *out); /* print, println */
void slx_tv_printf(struct slx_str format, const struct slx_tv *a, size_t n, struct slx_buf *out);
void slx_tv_put_g(double v, int digits, struct slx_buf *out); /* %.<digits>g of Go */

#endif
