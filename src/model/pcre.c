/* PCRE2 gets its memory from the slx_mem through a header that remembers each size. */
#include "model/pcre.h"

enum {
	MATCH_LIMIT = 1000000, /* PCRE2's count of internal calls: some ten milliseconds */
	DEPTH_LIMIT = 100000,
	HEAP_LIMIT_KIB = 16384,
	SIZE_HEADER = 16,
};

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

void slx_pcre_free(struct slx_pcre *p)
{
	pcre2_match_data_free(atomic_load(&p->spare));
	pcre2_code_free(p->code);
	pcre2_match_context_free(p->context);
	pcre2_general_context_free(p->general);
}

/* The interpreter does where the processor or the system has no JIT. */
silex_status slx_pcre_compile(struct slx_mem *m, const struct slx_buf *pattern, struct slx_str source, bool captures, bool anywhere,
	struct slx_pcre *ret, silex_error *err)
{
	const uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_CIRCUMFLEX |
		(anywhere ? 0 : PCRE2_ANCHORED | PCRE2_ENDANCHORED) | (captures ? 0 : PCRE2_NO_AUTO_CAPTURE);
	ret->general = pcre2_general_context_create(pcre_alloc, pcre_free, m);
	ret->context = ret->general ? pcre2_match_context_create(ret->general) : NULL;
	pcre2_compile_context *how = ret->context ? pcre2_compile_context_create(ret->general) : NULL;
	if (!how)
		return slx_err_oom(err);
	pcre2_set_newline(how, PCRE2_NEWLINE_LF);
	pcre2_set_match_limit(ret->context, MATCH_LIMIT);
	pcre2_set_depth_limit(ret->context, DEPTH_LIMIT);
	pcre2_set_heap_limit(ret->context, HEAP_LIMIT_KIB);
	int code = 0;
	size_t offset = 0;
	ret->code = pcre2_compile(pattern->n ? pattern->p : (const uint8_t *)"", pattern->n, options, &code, &offset, how);
	pcre2_compile_context_free(how);
	if (ret->code) {
		(void)pcre2_jit_compile(ret->code, PCRE2_JIT_COMPLETE);
		return SILEX_OK;
	}
	if (code == PCRE2_ERROR_HEAP_FAILED || code == PCRE2_ERROR_NOMEMORY)
		return slx_err_oom(err);
	char words[128];
	pcre2_get_error_message(code, (PCRE2_UCHAR *)words, sizeof words);
	return slx_err(err, SILEX_INVALID, "regular expression \"%.*s\": %s", (int)(source.n < 100 ? source.n : 100), source.p, words);
}

pcre2_match_data *slx_pcre_take(struct slx_pcre *p)
{
	pcre2_match_data *data = atomic_exchange(&p->spare, NULL);
	return data ? data : pcre2_match_data_create_from_pattern(p->code, p->general);
}

void slx_pcre_give(struct slx_pcre *p, pcre2_match_data *data)
{
	pcre2_match_data *none = NULL;
	if (!atomic_compare_exchange_strong(&p->spare, &none, data))
		pcre2_match_data_free(data);
}

int slx_pcre_match(const struct slx_pcre *p, struct slx_str subject, size_t from, pcre2_match_data *data)
{
	const uint8_t *bytes = subject.n ? (const uint8_t *)subject.p : (const uint8_t *)"";
	int rc = pcre2_match(p->code, bytes, subject.n, from, 0, data, p->context);
	if (rc == PCRE2_ERROR_JIT_STACKLIMIT) /* 32 KiB of stack; the interpreter may use the heap */
		rc = pcre2_match(p->code, bytes, subject.n, from, PCRE2_NO_JIT, data, p->context);
	return rc;
}
