/* Between binary.c, binary_match.c and binary_set.c. */
#ifndef SLX_PROMQL_BINARY_INT_H
#define SLX_PROMQL_BINARY_INT_H

#include "promql/exec_int.h"

struct slx_pq_binop {
	struct slx_pq_exec *x;
	enum slx_pq_op op;
	bool to_bool;
	struct slx_pq_pos pos; /* for notes */
	bool failed;           /* out of memory */
};

/* One operation; false: the pair gives nothing. */
bool slx_pq_op_values(struct slx_pq_binop *b, struct slx_pq_value l, struct slx_pq_value r, struct slx_pq_value *ret);

/* What labels must agree: on(...) those named, else all but those named and __name__. */
struct slx_pq_cut slx_pq_signature(const struct slx_pq_matching *m);

silex_status slx_pq_set_op(struct slx_pq_binop *b, const struct slx_pq_matching *m, struct slx_pq_matrix *l,
	struct slx_pq_matrix *r, size_t steps, struct slx_pq_matrix *ret, silex_error *err);
silex_status slx_pq_match(struct slx_pq_binop *b, const struct slx_pq_matching *m, struct slx_pq_matrix *l,
	struct slx_pq_matrix *r, size_t steps, struct slx_pq_matrix *ret, silex_error *err);

#endif
