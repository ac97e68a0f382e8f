/* The syntax tree of PromQL (private to promql/, read by the parser, the checker, the printer and the executor).
 *
 * Nodes live in the arena of their struct slx_promql_expr. Positions are byte offsets into the text, for messages
 * ("1:5: parse error: ...") and annotations ("(1:7)"). Everything is as Prometheus 3 has it (promql/parser). */
#ifndef SLX_PROMQL_AST_H
#define SLX_PROMQL_AST_H

#include "promql/promql.h"

struct slx_pq_pos {
	uint32_t from, to; /* [from, to) */
};

enum slx_pq_node_type {
	SLX_PQ_NUMBER,
	SLX_PQ_STRING,
	SLX_PQ_VECTOR,    /* name{...} [offset] [@] */
	SLX_PQ_MATRIX,    /* vector[range] */
	SLX_PQ_SUBQUERY,  /* expr[range:step] */
	SLX_PQ_CALL,
	SLX_PQ_AGGREGATE,
	SLX_PQ_BINARY,
	SLX_PQ_UNARY,
	SLX_PQ_PAREN,
	SLX_PQ_STEP_INVARIANT, /* put in by preparation: the same at every step; evaluated once */
};

enum slx_pq_op { /* binary */
	SLX_PQ_ADD, SLX_PQ_SUB, SLX_PQ_MUL, SLX_PQ_DIV, SLX_PQ_MOD, SLX_PQ_POW, SLX_PQ_ATAN2,
	SLX_PQ_EQ, SLX_PQ_NE, SLX_PQ_GT, SLX_PQ_LT, SLX_PQ_GE, SLX_PQ_LE,
	SLX_PQ_AND, SLX_PQ_OR, SLX_PQ_UNLESS,
	SLX_PQ_TRIM_UPPER, SLX_PQ_TRIM_LOWER, /* </ and >/ */
};

enum slx_pq_agg { /* aggregation operators */
	SLX_PQ_SUM, SLX_PQ_AVG, SLX_PQ_COUNT, SLX_PQ_MIN, SLX_PQ_MAX, SLX_PQ_GROUP, SLX_PQ_STDDEV, SLX_PQ_STDVAR,
	SLX_PQ_TOPK, SLX_PQ_BOTTOMK, SLX_PQ_COUNT_VALUES, SLX_PQ_QUANTILE, SLX_PQ_LIMITK, SLX_PQ_LIMIT_RATIO,
};

enum slx_pq_at { SLX_PQ_AT_NONE, SLX_PQ_AT_TIME, SLX_PQ_AT_START, SLX_PQ_AT_END };
enum slx_pq_card { SLX_PQ_ONE_TO_ONE, SLX_PQ_MANY_TO_ONE, SLX_PQ_ONE_TO_MANY, SLX_PQ_MANY_TO_MANY };
enum slx_pq_smoothing { SLX_PQ_PLAIN, SLX_PQ_ANCHORED, SLX_PQ_SMOOTHED };

struct slx_pq_node;

enum {
	SLX_PQ_TEXT_MAX = 1 << 18, /* bytes of an expression */
	SLX_PQ_DEPTH_MAX = 1000,   /* levels of the tree: what walks it may recurse */
};

/* A duration: a number of ms, or (experimental) an expression that preparation turns into one. The expression is made
 * of NUMBER (seconds), UNARY, PAREN, BINARY (+ - * / % ^) and of CALL with fn NULL: step(), range(), min_of(a, b),
 * max_of(a, b), whose results are seconds too. */
struct slx_pq_duration {
	int64_t ms;
	const struct slx_pq_node *expr; /* NULL: ms holds */
};

struct slx_pq_modifiers { /* of a vector selector or a subquery */
	enum slx_pq_at at;
	int64_t at_ms;
	struct slx_pq_duration offset; /* as written, may be negative */
};

struct slx_pq_matching {
	enum slx_pq_card card;
	bool on; /* labels are `on`, else `ignoring` */
	bool given; /* on or ignoring was written */
	const struct slx_str *labels;
	size_t n_labels;
	const struct slx_str *include; /* of group_left, group_right */
	size_t n_include;
	bool fill_left_given, fill_right_given; /* experimental fill() modifiers */
	double fill_left, fill_right;
};

struct slx_pq_function; /* functions.c: name, argument types, return type, how it is evaluated */

struct slx_pq_node {
	enum slx_pq_node_type type;
	enum slx_promql_type value_type;
	uint16_t depth; /* of the tree below, 1 for a leaf; at most SLX_PQ_DEPTH_MAX */
	bool duration;  /* NUMBER: written as a duration (5m), the value is seconds */
	struct slx_pq_pos pos;
	union {
		double number;
		struct slx_str string;
		struct {
			struct slx_str name; /* "" without */
			struct slx_selector sel; /* matchers, __name__ among them */
			struct slx_pq_modifiers mods;
			enum slx_pq_smoothing smoothing; /* experimental: anchored, smoothed */
			struct slx_pq_node *next;        /* the list of all selectors, in the order of the text */
		} vector;
		struct {
			struct slx_pq_node *vector;
			struct slx_pq_duration range;
		} matrix;
		struct {
			struct slx_pq_node *expr;
			struct slx_pq_duration range, step; /* step 0: the default */
			bool has_step;
			struct slx_pq_modifiers mods;
		} subquery;
		struct {
			const struct slx_pq_function *fn;
			struct slx_str name;
			struct slx_pq_node **args;
			size_t n_args;
		} call;
		struct {
			enum slx_pq_agg op;
			struct slx_pq_node *expr, *param; /* param NULL without */
			const struct slx_str *by;
			size_t n_by;
			bool without;
		} agg;
		struct {
			enum slx_pq_op op;
			struct slx_pq_node *lhs, *rhs;
			bool bool_modifier;
			struct slx_pq_matching *matching; /* vector and vector, else NULL */
		} binary;
		struct {
			bool minus;
			struct slx_pq_node *expr;
		} unary;
		struct slx_pq_node *inner; /* PAREN, STEP_INVARIANT */
	};
};

struct slx_promql_expr {
	struct slx_arena arena;
	struct slx_mem *mem;
	struct slx_str text; /* copy */
	bool experimental;
	struct slx_pq_node *root;
	struct slx_pq_node *vectors, *vectors_last; /* every VECTOR, by vector.next; they own their matchers */
};

const char *slx_pq_op_text(enum slx_pq_op op);   /* "+", "and", ... */
const char *slx_pq_agg_text(enum slx_pq_agg op); /* "sum", ... */
static inline bool slx_pq_op_compares(enum slx_pq_op op) { return op >= SLX_PQ_EQ && op <= SLX_PQ_LE; }
static inline bool slx_pq_op_is_set(enum slx_pq_op op) { return op >= SLX_PQ_AND && op <= SLX_PQ_UNLESS; }

#endif
