#include "model/rewrite.h"

#include "model/pcre.h"
#include "model/regex.h"

struct slx_rewrite {
	struct slx_mem *mem;
	size_t size; /* of this allocation */
	struct slx_pcre pcre;
	struct slx_str source;
};

silex_status slx_rewrite_new(struct slx_mem *m, struct slx_str expression, struct slx_rewrite **ret, silex_error *err)
{
	struct slx_regex_shape shape;
	struct slx_arena arena;
	struct slx_buf pattern;
	if (!slx_utf8_valid(expression.p, expression.n))
		return slx_err(err, SILEX_INVALID, "regular expression is not valid UTF-8");
	size_t size = sizeof(struct slx_rewrite) + expression.n;
	struct slx_rewrite *r = slx_calloc(m, SLX_MEM_QUERY, size);
	if (!r)
		return slx_err_oom(err);
	r->mem = m;
	r->size = size;
	memcpy(r + 1, expression.p, expression.n);
	r->source = (struct slx_str){ (const char *)(r + 1), expression.n };
	slx_arena_init(&arena, m, SLX_MEM_QUERY, 65536);
	slx_buf_init(&pattern, m, SLX_MEM_QUERY, 16 * SLX_PATTERN_SIZE_MAX);
	silex_status st = slx_regex_read(r->source, true, &arena, &pattern, &shape, err);
	if (st == SILEX_OK)
		st = slx_pcre_compile(m, &pattern, r->source, true, &r->pcre, err);
	slx_buf_free(&pattern);
	slx_arena_clear(&arena);
	if (st == SILEX_OK)
		*ret = r;
	else
		slx_rewrite_free(r);
	return st;
}

void slx_rewrite_free(struct slx_rewrite *r)
{
	if (!r)
		return;
	slx_pcre_free(&r->pcre);
	slx_free(r->mem, SLX_MEM_QUERY, r, r->size);
}

static bool is_word(char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_'; }

/* The group that a reference names; -1: none. */
static int group_of(const struct slx_rewrite *r, struct slx_str name)
{
	char text[64];
	int number = 0;
	size_t i = 0;
	for (; i < name.n && i < 9 && name.p[i] >= '0' && name.p[i] <= '9'; i++)
		number = number * 10 + (name.p[i] - '0');
	if (i == name.n)
		return number;
	if (name.n >= sizeof text)
		return -1;
	memcpy(text, name.p, name.n);
	text[name.n] = 0;
	number = pcre2_substring_number_from_name(r->pcre.code, (PCRE2_SPTR)text);
	return number > 0 ? number : -1;
}

/* The reference after a dollar at p: $name takes the longest run of word characters, ${name} what is between. 0: none here. */
static size_t reference(const char *p, size_t n, struct slx_str *ret)
{
	bool braces = n && p[0] == '{';
	size_t from = braces, to = from;
	while (to < n && is_word(p[to]))
		to++;
	if (to == from || (braces && (to == n || p[to] != '}')))
		return 0;
	*ret = (struct slx_str){ p + from, to - from };
	return to + braces;
}

static void put_group(const struct slx_rewrite *r, struct slx_str value, struct slx_str name, pcre2_match_data *data, int groups, struct slx_buf *out)
{
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(data);
	int g = group_of(r, name);
	if (g >= 0 && g < groups && at[2 * g] != PCRE2_UNSET)
		slx_buf_put(out, value.p + at[2 * g], at[2 * g + 1] - at[2 * g]);
}

static void expand(const struct slx_rewrite *r, struct slx_str value, struct slx_str template, pcre2_match_data *data, int groups, struct slx_buf *out)
{
	for (size_t i = 0; i < template.n;) {
		struct slx_str name;
		if (template.p[i] != '$') {
			slx_buf_u8(out, (uint8_t)template.p[i++]);
			continue;
		}
		if (i + 1 < template.n && template.p[i + 1] == '$') {
			slx_buf_u8(out, '$');
			i += 2;
			continue;
		}
		size_t n = reference(template.p + i + 1, template.n - i - 1, &name);
		if (n)
			put_group(r, value, name, data, groups, out);
		else
			slx_buf_u8(out, '$'); /* malformed: as it stands */
		i += 1 + n;
	}
}

silex_status slx_rewrite_apply(struct slx_rewrite *r, struct slx_str value, struct slx_str replacement, struct slx_buf *out, bool *ret_matched,
	silex_error *err)
{
	pcre2_match_data *data = slx_pcre_take(&r->pcre);
	if (!data)
		return slx_err_oom(err);
	int groups = slx_pcre_match(&r->pcre, value, data);
	if (groups > 0 && out)
		expand(r, value, replacement, data, groups, out);
	slx_pcre_give(&r->pcre, data);
	if (groups < 0 && groups != PCRE2_ERROR_NOMATCH)
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "regular expression \"%.*s\": match limit reached on a value of %zu bytes",
			(int)(r->source.n < 100 ? r->source.n : 100), r->source.p, value.n);
	*ret_matched = groups >= 0;
	return out && out->failed ? slx_err_oom(err) : SILEX_OK;
}
