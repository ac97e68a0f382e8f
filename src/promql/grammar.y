/* The grammar of PromQL, rule for rule as Prometheus has it, with its conflicts settled the same way.
 *
 * The `error` rules say what was expected. Lemon pops the stack to the innermost state that knows `error`, which is the
 * rule whose words Prometheus shows; without one the message is a plain "unexpected ...". Actions never look at what a
 * constructor answered: see parser_int.h. */
%include {
#include "promql/parser_int.h"
#include "promql/grammar.h"

#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-parameter"
}
%name slx_pq_grammar
%token_prefix PQ_
%token_type { struct slx_pq_token }
%default_type { struct slx_pq_node * }
%extra_argument { struct slx_pq_parser *p }
%stack_size 5000 /* more than SLX_PQ_DEPTH_MAX levels of whatever nests */
%stack_overflow { slx_pq_fail(p, p->look.from, "expression is nested too deeply, expected at most %d levels", SLX_PQ_DEPTH_MAX); }
%parse_failure { slx_pq_unexpected(p, "", ""); }

/* From loose to tight. LATE and EARLY are no tokens: they order rules that end the same way. */
%left LATE.
%left LOR.
%left LAND LUNLESS.
%left EQLC GTE GTR LSS LTE NEQ TRIM_UPPER TRIM_LOWER.
%left ADD SUB.
%left MUL DIV MOD ATAN2.
%right POW.
%right OFFSET AT ANCHORED SMOOTHED.
%right LEFT_BRACKET.
%right LEFT_PAREN.
%left EARLY.

%token ERROR.

%token_class sign ADD|SUB.
%token_class match_op EQL|NEQ|EQL_REGEX|NEQ_REGEX.
%token_class start_end START|END.
%token_class dur_nullary STEP|RANGE.
%token_class dur_pair MIN_OF|MAX_OF.
/* Words. Lemon wants classes that meet in one state to be disjoint. */
%token_class agg_word AVG|BOTTOMK|COUNT|COUNT_VALUES|GROUP|LIMITK|LIMIT_RATIO|MAX|MIN|QUANTILE|STDDEV|STDVAR|SUM|TOPK.
%token_class fn_word IDENTIFIER|START|END|STEP|RANGE|MIN_OF|MAX_OF.
%token_class other_word METRIC_IDENTIFIER|BY|WITHOUT|LAND|LOR|LUNLESS|OFFSET|ANCHORED|SMOOTHED.
%token_class grouped BOOL|ON|IGNORING|GROUP_LEFT|GROUP_RIGHT|ATAN2|FILL|FILL_LEFT|FILL_RIGHT|STRING.

start ::= START_EXPRESSION EOF. { slx_pq_fail(p, 0, "no expression found in input"); }
start ::= START_EXPRESSION expr(E) EOF. { p->result = E; }
start ::= START_SELECTOR vector(E) EOF. { p->result = E; }

expr(A) ::= number(B). { A = B; }
expr(A) ::= STRING(S). { A = slx_pq_new_string(p, S); }
expr(A) ::= vector(B). { A = B; }
expr(A) ::= LEFT_PAREN(L) expr(B) RIGHT_PAREN(R). { A = slx_pq_new_paren(p, L, B, R); }
expr(A) ::= sign(S) expr(B). [MUL] { A = slx_pq_new_unary(p, S, B); }

number(A) ::= NUMBER|DURATION(T). { A = slx_pq_new_number(p, T); }

/* ---- aggregations and calls ---- */

expr(A) ::= agg_word(O) aggregate_modifier(M) call_body(B). { A = slx_pq_new_aggregate(p, O, &M, B); }
expr(A) ::= agg_word(O) call_body(B) aggregate_modifier(M). { B.to = M.to; A = slx_pq_new_aggregate(p, O, &M, B); }
expr(A) ::= agg_word(O) call_body(B). { A = slx_pq_new_aggregate(p, O, NULL, B); }
expr(A) ::= agg_word error. { slx_pq_unexpected(p, "aggregation", ""); A = NULL; }

%type aggregate_modifier { struct slx_pq_names }
aggregate_modifier(A) ::= BY grouping_labels(L). { A = L; A.without = false; }
aggregate_modifier(A) ::= WITHOUT grouping_labels(L). { A = L; A.without = true; }

%type call_body { struct slx_pq_exprs }
%type call_args { struct slx_pq_exprs }
expr(A) ::= fn_word(F) call_body(B). { A = slx_pq_new_call(p, F, B); }
call_body(A) ::= LEFT_PAREN call_args(L) RIGHT_PAREN(R). { A = L; A.to = R.to; }
call_body(A) ::= LEFT_PAREN RIGHT_PAREN(R). { A = (struct slx_pq_exprs){ .to = R.to }; }
call_args(A) ::= call_args(L) COMMA expr(E). { A = L; slx_pq_exprs_add(p, &A, E); }
call_args(A) ::= expr(E). { A = (struct slx_pq_exprs){ 0 }; slx_pq_exprs_add(p, &A, E); }
call_args(A) ::= call_args(L) COMMA(C). { A = L; slx_pq_fail(p, C.from, "trailing commas not allowed in function call args"); }

/* ---- binary operators ---- */

expr(A) ::= expr(L) ADD(O) modifiers(M) expr(R). { A = slx_pq_new_binary(p, L, O, M, R); }
expr(A) ::= expr(L) ATAN2(O) modifiers(M) expr(R). { A = slx_pq_new_binary(p, L, O, M, R); }
expr(A) ::= expr(L) DIV(O) modifiers(M) expr(R). { A = slx_pq_new_binary(p, L, O, M, R); }
expr(A) ::= expr(L) EQLC(O) modifiers(M) expr(R). { A = slx_pq_new_binary(p, L, O, M, R); }
expr(A) ::= expr(L) GTE(O) modifiers(M) expr(R). { A = slx_pq_new_binary(p, L, O, M, R); }
expr(A) ::= expr(L) GTR(O) modifiers(M) expr(R). { A = slx_pq_new_binary(p, L, O, M, R); }
expr(A) ::= expr(L) LAND(O) modifiers(M) expr(R). { A = slx_pq_new_binary(p, L, O, M, R); }
expr(A) ::= expr(L) LOR(O) modifiers(M) expr(R). { A = slx_pq_new_binary(p, L, O, M, R); }
expr(A) ::= expr(L) LSS(O) modifiers(M) expr(R). { A = slx_pq_new_binary(p, L, O, M, R); }
expr(A) ::= expr(L) LTE(O) modifiers(M) expr(R). { A = slx_pq_new_binary(p, L, O, M, R); }
expr(A) ::= expr(L) LUNLESS(O) modifiers(M) expr(R). { A = slx_pq_new_binary(p, L, O, M, R); }
expr(A) ::= expr(L) MOD(O) modifiers(M) expr(R). { A = slx_pq_new_binary(p, L, O, M, R); }
expr(A) ::= expr(L) MUL(O) modifiers(M) expr(R). { A = slx_pq_new_binary(p, L, O, M, R); }
expr(A) ::= expr(L) NEQ(O) modifiers(M) expr(R). { A = slx_pq_new_binary(p, L, O, M, R); }
expr(A) ::= expr(L) POW(O) modifiers(M) expr(R). { A = slx_pq_new_binary(p, L, O, M, R); }
expr(A) ::= expr(L) SUB(O) modifiers(M) expr(R). { A = slx_pq_new_binary(p, L, O, M, R); }
expr(A) ::= expr(L) TRIM_UPPER(O) modifiers(M) expr(R). { A = slx_pq_new_binary(p, L, O, M, R); }
expr(A) ::= expr(L) TRIM_LOWER(O) modifiers(M) expr(R). { A = slx_pq_new_binary(p, L, O, M, R); }

bool_modifier(A) ::= . { A = slx_pq_new_modifiers(p, false); }
bool_modifier(A) ::= BOOL. { A = slx_pq_new_modifiers(p, true); }

on_or_ignoring(A) ::= bool_modifier(B) IGNORING grouping_labels(L). { A = B; slx_pq_set_matching(p, A, false, L); }
on_or_ignoring(A) ::= bool_modifier(B) ON grouping_labels(L). { A = B; slx_pq_set_matching(p, A, true, L); }

group_modifiers(A) ::= bool_modifier(B). { A = B; }
group_modifiers(A) ::= on_or_ignoring(B). { A = B; }
group_modifiers(A) ::= on_or_ignoring(B) GROUP_LEFT maybe_labels(L). { A = B; slx_pq_set_group(p, A, SLX_PQ_MANY_TO_ONE, L); }
group_modifiers(A) ::= on_or_ignoring(B) GROUP_RIGHT maybe_labels(L). { A = B; slx_pq_set_group(p, A, SLX_PQ_ONE_TO_MANY, L); }

%type fill_value { double }
modifiers(A) ::= group_modifiers(B). { A = B; }
modifiers(A) ::= group_modifiers(B) FILL fill_value(V). { A = B; slx_pq_set_fill(p, A, &V, &V); }
modifiers(A) ::= group_modifiers(B) FILL_LEFT fill_value(V). { A = B; slx_pq_set_fill(p, A, &V, NULL); }
modifiers(A) ::= group_modifiers(B) FILL_RIGHT fill_value(V). { A = B; slx_pq_set_fill(p, A, NULL, &V); }
modifiers(A) ::= group_modifiers(B) FILL_LEFT fill_value(V) FILL_RIGHT fill_value(W). { A = B; slx_pq_set_fill(p, A, &V, &W); }
modifiers(A) ::= group_modifiers(B) FILL_RIGHT fill_value(V) FILL_LEFT fill_value(W). { A = B; slx_pq_set_fill(p, A, &W, &V); }
fill_value(A) ::= LEFT_PAREN number(N) RIGHT_PAREN. { A = N ? N->number : 0; }
fill_value(A) ::= LEFT_PAREN sign(S) number(N) RIGHT_PAREN. { A = !N ? 0 : S.type == PQ_SUB ? -N->number : N->number; }

%type maybe_labels { struct slx_pq_names }
%type grouping_labels { struct slx_pq_names }
%type grouping_list { struct slx_pq_names }
%type grouping_label { struct slx_str }
%type word { struct slx_pq_token }
maybe_labels(A) ::= . [LATE] { A = (struct slx_pq_names){ 0 }; }
maybe_labels(A) ::= grouping_labels(L). { A = L; }
grouping_labels(A) ::= LEFT_PAREN grouping_list(L) RIGHT_PAREN(R). { A = L; A.to = R.to; }
grouping_labels(A) ::= LEFT_PAREN grouping_list(L) COMMA RIGHT_PAREN(R). { A = L; A.to = R.to; }
grouping_labels(A) ::= LEFT_PAREN RIGHT_PAREN(R). { A = (struct slx_pq_names){ .to = R.to }; }
grouping_labels(A) ::= error. { A = (struct slx_pq_names){ 0 }; slx_pq_unexpected(p, "grouping opts", "\"(\""); }
grouping_list(A) ::= grouping_list(L) COMMA grouping_label(B). { A = L; slx_pq_names_add(p, &A, B); }
grouping_list(A) ::= grouping_label(B). { A = (struct slx_pq_names){ 0 }; slx_pq_names_add(p, &A, B); }
grouping_list(A) ::= grouping_list(L) error. { A = L; slx_pq_unexpected(p, "grouping opts", "\",\" or \")\""); }
grouping_label(A) ::= word(T). { A = slx_pq_label_name(p, T); }
grouping_label(A) ::= grouped(T). { A = slx_pq_label_name(p, T); }
grouping_label(A) ::= error. { A = SLX_STR(""); slx_pq_unexpected(p, "grouping opts", "label"); }

/* ---- selectors ---- */

%type matchers { struct slx_pq_matches }
%type matcher_list { struct slx_pq_matches }
%type matcher { struct slx_pq_match }
word(A) ::= agg_word(T). { A = T; }
word(A) ::= fn_word(T). { A = T; }
word(A) ::= other_word(T). { A = T; }
vector(A) ::= word(N) matchers(M). { A = slx_pq_new_vector(p, N, M); }
vector(A) ::= word(N). { A = slx_pq_new_vector(p, N, (struct slx_pq_matches){ .from = N.from, .to = N.to }); }
vector(A) ::= matchers(M). { A = slx_pq_new_vector(p, (struct slx_pq_token){ 0 }, M); }
matchers(A) ::= LEFT_BRACE(L) matcher_list(M) RIGHT_BRACE(R). { A = M; A.from = L.from; A.to = R.to; }
matchers(A) ::= LEFT_BRACE(L) matcher_list(M) COMMA RIGHT_BRACE(R). { A = M; A.from = L.from; A.to = R.to; }
matchers(A) ::= LEFT_BRACE(L) RIGHT_BRACE(R). { A = (struct slx_pq_matches){ .from = L.from, .to = R.to }; }
matcher_list(A) ::= matcher_list(L) COMMA matcher(M). { A = L; slx_pq_matches_add(p, &A, M); }
matcher_list(A) ::= matcher(M). { A = (struct slx_pq_matches){ 0 }; slx_pq_matches_add(p, &A, M); }
matcher_list(A) ::= matcher_list(L) error. { A = L; slx_pq_unexpected(p, "label matching", "\",\" or \"}\""); }
matcher(A) ::= IDENTIFIER(N) match_op(O) STRING(V). { A = slx_pq_new_match(p, N, O, V); }
matcher(A) ::= STRING(N) match_op(O) STRING(V). { A = slx_pq_new_match(p, N, O, V); }
matcher(A) ::= STRING(V). { A = (struct slx_pq_match){ SLX_METRIC_NAME, slx_pq_unquote(p, V), SLX_MATCH_EQ, V.from }; }
matcher(A) ::= IDENTIFIER match_op error. { A = (struct slx_pq_match){ 0 }; slx_pq_unexpected(p, "label matching", "string"); }
matcher(A) ::= STRING match_op error. { A = (struct slx_pq_match){ 0 }; slx_pq_unexpected(p, "label matching", "string"); }
matcher(A) ::= IDENTIFIER error. {
	A = (struct slx_pq_match){ 0 };
	slx_pq_unexpected(p, "label matching", "label matching operator");
}
matcher(A) ::= error. { A = (struct slx_pq_match){ 0 }; slx_pq_unexpected(p, "label matching", "identifier or \"}\""); }

expr(A) ::= expr(B) LEFT_BRACKET(L) positive(D) RIGHT_BRACKET(R). { A = slx_pq_new_matrix(p, B, L, D, R); }
expr(A) ::= expr(B) LEFT_BRACKET positive(D) COLON positive(S) RIGHT_BRACKET(R). { A = slx_pq_new_subquery(p, B, D, S, R); }
expr(A) ::= expr(B) LEFT_BRACKET positive(D) COLON RIGHT_BRACKET(R). { A = slx_pq_new_subquery(p, B, D, NULL, R); }
expr(A) ::= expr(B) LEFT_BRACKET positive COLON positive error. { A = B; slx_pq_unexpected(p, "subquery selector", "\"]\""); }
expr(A) ::= expr(B) LEFT_BRACKET positive COLON error. {
	A = B;
	slx_pq_unexpected(p, "subquery selector", "number, duration, step(), range(), or \"]\"");
}
expr(A) ::= expr(B) LEFT_BRACKET positive error. { A = B; slx_pq_unexpected(p, "subquery or range", "\":\" or \"]\""); }
expr(A) ::= expr(B) LEFT_BRACKET error. {
	A = B;
	slx_pq_unexpected(p, "subquery or range selector", "number, duration, step(), or range()");
}

expr(A) ::= expr(B) OFFSET offset(D). { A = B; slx_pq_set_offset(p, A, D); }
expr(A) ::= expr(B) OFFSET error. { A = B; slx_pq_unexpected(p, "offset", "number, duration, step(), or range()"); }
expr(A) ::= expr(B) ANCHORED|SMOOTHED(W). { A = B; slx_pq_set_smoothing(p, A, W); }
expr(A) ::= expr(B) AT number(N). { A = B; slx_pq_set_at_time(p, A, N ? N->number : 0, N ? N->pos.to : 0); }
expr(A) ::= expr(B) AT sign(S) number(N). {
	A = B;
	slx_pq_set_at_time(p, A, !N ? 0 : S.type == PQ_SUB ? -N->number : N->number, N ? N->pos.to : 0);
}
expr(A) ::= expr(B) AT start_end(W) LEFT_PAREN RIGHT_PAREN(R). {
	A = B;
	slx_pq_set_at(p, A, W.type == PQ_START ? SLX_PQ_AT_START : SLX_PQ_AT_END, R.to);
}
expr(A) ::= expr(B) AT error. { A = B; slx_pq_unexpected(p, "@", "timestamp"); }

/* ---- durations ----
 * After `offset` one term with one sign is the whole duration (x offset 1m + 2 is (x offset 1m) + 2): these rules come EARLY.
 * Only what begins with a parenthesis goes on. */

positive(A) ::= duration(D). { A = slx_pq_dur_positive(p, D); }

offset(A) ::= number(N). [EARLY] { A = slx_pq_dur_checked(p, N); }
offset(A) ::= sign(S) number(N). [EARLY] { A = slx_pq_dur_checked(p, slx_pq_new_dur_unary(p, S, N)); }
offset(A) ::= dur_nullary(F) LEFT_PAREN RIGHT_PAREN(R). [EARLY] { A = slx_pq_new_dur_call(p, F, NULL, NULL, R); }
offset(A) ::= sign(S) dur_nullary(F) LEFT_PAREN RIGHT_PAREN(R). [EARLY] {
	A = slx_pq_new_dur_unary(p, S, slx_pq_new_dur_call(p, F, NULL, NULL, R));
}
offset(A) ::= dur_pair(F) LEFT_PAREN duration(D) COMMA duration(E) RIGHT_PAREN(R). [EARLY] { A = slx_pq_new_dur_call(p, F, D, E, R); }
offset(A) ::= sign(S) dur_pair(F) LEFT_PAREN duration(D) COMMA duration(E) RIGHT_PAREN(R). [EARLY] {
	A = slx_pq_new_dur_unary(p, S, slx_pq_new_dur_call(p, F, D, E, R));
}
offset(A) ::= sign(S) LEFT_PAREN(L) duration(D) RIGHT_PAREN(R). [EARLY] {
	A = slx_pq_new_dur_unary(p, S, slx_pq_new_dur_paren(p, L, D, R));
}
offset(A) ::= duration(D). [LATE] { A = D; }

duration(A) ::= number(N). [LATE] { A = slx_pq_dur_checked(p, N); }
duration(A) ::= sign(S) duration(D). [MUL] { A = slx_pq_dur_checked(p, slx_pq_new_dur_unary(p, S, D)); }
duration(A) ::= duration(L) ADD(O) duration(R). { A = slx_pq_new_dur_binary(p, L, O, R); }
duration(A) ::= duration(L) SUB(O) duration(R). { A = slx_pq_new_dur_binary(p, L, O, R); }
duration(A) ::= duration(L) MUL(O) duration(R). { A = slx_pq_new_dur_binary(p, L, O, R); }
duration(A) ::= duration(L) DIV(O) duration(R). { A = slx_pq_new_dur_binary(p, L, O, R); }
duration(A) ::= duration(L) MOD(O) duration(R). { A = slx_pq_new_dur_binary(p, L, O, R); }
duration(A) ::= duration(L) POW(O) duration(R). { A = slx_pq_new_dur_binary(p, L, O, R); }
duration(A) ::= dur_nullary(F) LEFT_PAREN RIGHT_PAREN(R). [LATE] { A = slx_pq_new_dur_call(p, F, NULL, NULL, R); }
duration(A) ::= dur_pair(F) LEFT_PAREN duration(D) COMMA duration(E) RIGHT_PAREN(R). [LATE] { A = slx_pq_new_dur_call(p, F, D, E, R); }
duration(A) ::= LEFT_PAREN(L) duration(D) RIGHT_PAREN(R). [LATE] { A = slx_pq_new_dur_paren(p, L, D, R); }

%code {
size_t slx_pq_grammar_size(void) { return sizeof(yyParser); }

/* Lemon leaves a reduction that needs no look ahead to the next token; yacc does it at once. For the same first complaint
 * it has to be done before the lexer, which may have one too, goes on. */
void slx_pq_grammar_settle(void *g)
{
	yyParser *y = g;
	while (y->yytos->stateno >= YY_MIN_REDUCE)
		yy_reduce(y, (unsigned)(y->yytos->stateno - YY_MIN_REDUCE), YYNOCODE, (struct slx_pq_token){ 0 });
}
}
