/* A matcher is one allocation: the struct, its private part, the literals, the strings. Only form REGEX has compiled
 * code besides. PCRE2 gets its memory from the same slx_mem through a header that remembers each size. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "model/matcher.h"
#include "model/regex.h"

#include <stdlib.h>

enum {
	MATCH_LIMIT = 1000000, /* PCRE2's count of internal calls: some ten milliseconds */
	DEPTH_LIMIT = 100000,
	HEAP_LIMIT_KIB = 16384,
};

struct slx_matcher_impl {
	struct slx_mem *mem;
	size_t block_size; /* of the matcher's allocation */
	pcre2_general_context *general;
	pcre2_match_context *context;
	pcre2_code *code;
	/* Match data waiting for the next test. A thread takes it by exchange, so two never share it; the loser of a race
	 * makes its own and frees it. */
	_Atomic(pcre2_match_data *) spare;
};

/* ---- PCRE2's memory ---- */

enum { SIZE_HEADER = 16 };

static void *pcre_alloc(size_t n, void *ctx)
{
	if (n > SIZE_MAX - SIZE_HEADER)
		return NULL;
	uint8_t *p = slx_alloc(ctx, SLX_MEM_QUERY, n + SIZE_HEADER);
	if (!p)
		return NULL;
	slx_store64(p, n);
	return p + SIZE_HEADER;
}

static void pcre_free(void *p, void *ctx)
{
	if (!p)
		return;
	uint8_t *block = (uint8_t *)p - SIZE_HEADER;
	slx_free(ctx, SLX_MEM_QUERY, block, slx_load64(block) + SIZE_HEADER);
}

/* ---- making ---- */

static size_t strings_size(const struct slx_regex_shape *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->literals_n; i++)
		n += s->literals[i].n;
	return n;
}

static struct slx_str copy_str(struct slx_str s, char **to)
{
	struct slx_str copy = { *to, s.n };
	if (s.n)
		memcpy(*to, s.p, s.n);
	*to += s.n;
	return copy;
}

static struct slx_matcher *matcher_alloc(struct slx_mem *m, enum slx_match_op op, struct slx_str name,
	struct slx_str value, const struct slx_regex_shape *shape)
{
	size_t literals_size = shape->literals_n * sizeof *shape->literals;
	size_t size = sizeof(struct slx_matcher) + sizeof(struct slx_matcher_impl) + literals_size + name.n + value.n +
		strings_size(shape);
	struct slx_matcher *x = slx_calloc(m, SLX_MEM_QUERY, size);
	if (!x)
		return NULL;
	x->impl = (struct slx_matcher_impl *)(x + 1);
	x->impl->mem = m;
	x->impl->block_size = size;
	x->literals = (struct slx_str *)(x->impl + 1);
	x->literals_n = shape->literals_n;
	char *to = (char *)x->literals + literals_size;
	x->name = copy_str(name, &to);
	x->value = copy_str(value, &to);
	for (size_t i = 0; i < shape->literals_n; i++)
		x->literals[i] = copy_str(shape->literals[i], &to);
	x->op = op;
	x->negated = op == SLX_MATCH_NE || op == SLX_MATCH_NRE;
	x->form = shape->form;
	x->more = shape->more;
	return x;
}

void slx_matcher_free(struct slx_matcher *x)
{
	if (!x)
		return;
	struct slx_matcher_impl *impl = x->impl;
	pcre2_match_data_free(atomic_load(&impl->spare));
	pcre2_code_free(impl->code);
	pcre2_match_context_free(impl->context);
	pcre2_general_context_free(impl->general);
	slx_free(impl->mem, SLX_MEM_QUERY, x, impl->block_size);
}

/* Compiles the translated pattern. The interpreter does where the processor or the system has no JIT. */
static silex_status compile(struct slx_matcher *x, const struct slx_buf *pcre, silex_error *err)
{
	const uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOTALL |
		PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_CIRCUMFLEX | PCRE2_NO_AUTO_CAPTURE;
	struct slx_matcher_impl *impl = x->impl;
	impl->general = pcre2_general_context_create(pcre_alloc, pcre_free, impl->mem);
	impl->context = impl->general ? pcre2_match_context_create(impl->general) : NULL;
	pcre2_compile_context *how = impl->context ? pcre2_compile_context_create(impl->general) : NULL;
	if (!how)
		return slx_err_oom(err);
	pcre2_set_newline(how, PCRE2_NEWLINE_LF);
	pcre2_set_match_limit(impl->context, MATCH_LIMIT);
	pcre2_set_depth_limit(impl->context, DEPTH_LIMIT);
	pcre2_set_heap_limit(impl->context, HEAP_LIMIT_KIB);
	int code = 0;
	size_t offset = 0;
	impl->code = pcre2_compile(pcre->n ? pcre->p : (const uint8_t *)"", pcre->n, options, &code, &offset, how);
	pcre2_compile_context_free(how);
	if (impl->code) {
		(void)pcre2_jit_compile(impl->code, PCRE2_JIT_COMPLETE);
		return SILEX_OK;
	}
	if (code == PCRE2_ERROR_HEAP_FAILED || code == PCRE2_ERROR_NOMEMORY)
		return slx_err_oom(err);
	char words[128];
	pcre2_get_error_message(code, (PCRE2_UCHAR *)words, sizeof words);
	return slx_err(err, SILEX_INVALID, "regular expression \"%.*s\": %s", (int)(x->value.n < 100 ? x->value.n : 100),
		x->value.p, words);
}

/* The empty value's answer is asked often and decides how an index goes about it, so it is known from the start. */
static silex_status finish(struct slx_matcher *x, const struct slx_buf *pcre, silex_error *err)
{
	if (x->form == SLX_FORM_REGEX)
		SLX_TRY(compile(x, pcre, err));
	return slx_matcher_test(x, SLX_STR(""), &x->matches_empty, err);
}

static silex_status check_strings(struct slx_str name, struct slx_str value, silex_error *err)
{
	if (name.n == 0)
		return slx_err(err, SILEX_INVALID, "matcher: label name is empty");
	if (!slx_utf8_valid(name.p, name.n))
		return slx_err(err, SILEX_INVALID, "matcher: label name is not valid UTF-8");
	if (!slx_utf8_valid(value.p, value.n))
		return slx_err(err, SILEX_INVALID, "matcher on label \"%.*s\": value is not valid UTF-8",
			(int)(name.n < 64 ? name.n : 64), name.p);
	return SILEX_OK;
}

silex_status slx_matcher_new(struct slx_mem *m, enum slx_match_op op, struct slx_str name, struct slx_str value,
	struct slx_matcher **ret, silex_error *err)
{
	SLX_TRY(check_strings(name, value, err));
	struct slx_regex_shape shape = { SLX_FORM_SET, false, &value, 1 };
	struct slx_matcher *x = NULL;
	struct slx_arena arena;
	struct slx_buf pcre;
	slx_arena_init(&arena, m, SLX_MEM_QUERY, 65536);
	slx_buf_init(&pcre, m, SLX_MEM_QUERY, 16 * SLX_PATTERN_SIZE_MAX);
	silex_status st = SILEX_OK;
	if (op == SLX_MATCH_RE || op == SLX_MATCH_NRE)
		st = slx_regex_read(value, &arena, &pcre, &shape, err);
	if (st == SILEX_OK) {
		x = matcher_alloc(m, op, name, value, &shape);
		st = x ? finish(x, &pcre, err) : slx_err_oom(err);
	}
	slx_buf_free(&pcre);
	slx_arena_clear(&arena);
	if (st != SILEX_OK) {
		slx_matcher_free(x);
		return st;
	}
	*ret = x;
	return SILEX_OK;
}

/* ---- testing ---- */

static int run(const struct slx_matcher *x, struct slx_str value, pcre2_match_data *data)
{
	const struct slx_matcher_impl *impl = x->impl;
	const uint8_t *subject = value.n ? (const uint8_t *)value.p : (const uint8_t *)"";
	int rc = pcre2_match(impl->code, subject, value.n, 0, 0, data, impl->context);
	if (rc == PCRE2_ERROR_JIT_STACKLIMIT) /* 32 KiB of stack; the interpreter may use the heap */
		rc = pcre2_match(impl->code, subject, value.n, 0, PCRE2_NO_JIT, data, impl->context);
	return rc;
}

static silex_status test_regex(const struct slx_matcher *x, struct slx_str value, bool *ret, silex_error *err)
{
	struct slx_matcher_impl *impl = x->impl;
	pcre2_match_data *data = atomic_exchange(&impl->spare, NULL);
	if (!data)
		data = pcre2_match_data_create(1, impl->general);
	if (!data)
		return slx_err_oom(err);
	int rc = run(x, value, data);
	pcre2_match_data *none = NULL;
	if (!atomic_compare_exchange_strong(&impl->spare, &none, data))
		pcre2_match_data_free(data);
	if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED,
			"regular expression \"%.*s\" on label \"%.*s\": match limit reached on a value of %zu bytes",
			(int)(x->value.n < 100 ? x->value.n : 100), x->value.p, (int)(x->name.n < 64 ? x->name.n : 64), x->name.p,
			value.n);
	*ret = rc >= 0;
	return SILEX_OK;
}

static bool in_set(const struct slx_matcher *x, struct slx_str value)
{
	size_t low = 0, high = x->literals_n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int c = slx_str_cmp(x->literals[middle], value);
		if (c == 0)
			return true;
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static bool starts_with(struct slx_str s, struct slx_str prefix)
{
	return s.n >= prefix.n && memcmp(s.p, prefix.p, prefix.n) == 0;
}

static bool ends_with(struct slx_str s, struct slx_str suffix)
{
	return s.n >= suffix.n && memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0;
}

silex_status slx_matcher_test(const struct slx_matcher *x, struct slx_str value, bool *ret, silex_error *err)
{
	bool yes = false;
	switch (x->form) {
	case SLX_FORM_SET:
		yes = in_set(x, value);
		break;
	case SLX_FORM_PREFIX:
		yes = starts_with(value, x->literals[0]) && value.n >= x->literals[0].n + x->more;
		break;
	case SLX_FORM_SUFFIX:
		yes = ends_with(value, x->literals[0]) && value.n >= x->literals[0].n + x->more;
		break;
	case SLX_FORM_CONTAINS:
		yes = memmem(value.p, value.n, x->literals[0].p, x->literals[0].n) != NULL;
		break;
	case SLX_FORM_ANY:
		yes = true;
		break;
	case SLX_FORM_NONEMPTY:
		yes = value.n > 0;
		break;
	case SLX_FORM_REGEX:
		if (starts_with(value, x->literals[0]))
			SLX_TRY(test_regex(x, value, &yes, err));
		break;
	}
	*ret = yes != x->negated;
	return SILEX_OK;
}

silex_status slx_matchers_test(struct slx_matcher *const *x, size_t n, struct slx_labels l, bool *ret, silex_error *err)
{
	bool all = true;
	for (size_t i = 0; i < n && all; i++)
		SLX_TRY(slx_matcher_test(x[i], slx_labels_get(l, x[i]->name), &all, err));
	*ret = all;
	return SILEX_OK;
}
