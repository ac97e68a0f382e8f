#include "model/rewrite.h"

#include "model/pcre.h"
#include "model/regex.h"

struct slx_rewrite {
	struct slx_mem *mem;
	size_t size; /* of this allocation */
	struct slx_pcre pcre;
	struct slx_str source;
};

/* The expression as it is read; source: what of r->source people wrote. */
static silex_status compile(struct slx_rewrite *r, struct slx_str expression, bool anywhere, silex_error *err)
{
	struct slx_regex_shape shape;
	struct slx_arena arena;
	struct slx_buf pattern;
	slx_arena_init(&arena, r->mem, SLX_MEM_QUERY, 65536);
	slx_buf_init(&pattern, r->mem, SLX_MEM_QUERY, 16 * SLX_PATTERN_SIZE_MAX);
	silex_status st = slx_regex_read(expression, true, &arena, &pattern, &shape, err);
	if (st == SILEX_OK)
		st = slx_pcre_compile(r->mem, &pattern, r->source, true, anywhere, &r->pcre, err);
	slx_buf_free(&pattern);
	slx_arena_clear(&arena);
	return st;
}

static silex_status new_rewrite(struct slx_mem *m, struct slx_str expression, bool anywhere, struct slx_rewrite **ret, silex_error *err)
{
	if (!slx_utf8_valid(expression.p, expression.n))
		return slx_err(err, SILEX_INVALID, "regular expression is not valid UTF-8");
	static const char open[] = "(?-s:"; /* a dot is no newline */
	size_t extra = anywhere ? sizeof open : 0, size = sizeof(struct slx_rewrite) + expression.n + extra;
	struct slx_rewrite *r = slx_calloc(m, SLX_MEM_QUERY, size);
	if (!r)
		return slx_err_oom(err);
	r->mem = m;
	r->size = size;
	char *text = (char *)(r + 1);
	if (anywhere)
		memcpy(text, open, sizeof open - 1);
	r->source = (struct slx_str){ text + (anywhere ? sizeof open - 1 : 0), expression.n };
	memcpy(text + (r->source.p - text), expression.p, expression.n);
	if (anywhere)
		text[size - sizeof *r - 1] = ')';
	silex_status st = compile(r, (struct slx_str){ text, expression.n + extra }, anywhere, err);
	if (st == SILEX_OK)
		*ret = r;
	else
		slx_rewrite_free(r);
	return st;
}

silex_status slx_rewrite_new(struct slx_mem *m, struct slx_str expression, struct slx_rewrite **ret, silex_error *err)
{
	return new_rewrite(m, expression, false, ret, err);
}

silex_status slx_rewrite_new_search(struct slx_mem *m, struct slx_str expression, struct slx_rewrite **ret, silex_error *err)
{
	return new_rewrite(m, expression, true, ret, err);
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

/* As slx_pcre_match; an error when a limit was hit. */
static silex_status match(struct slx_rewrite *r, struct slx_str value, size_t from, pcre2_match_data *data, int *ret_groups, silex_error *err)
{
	*ret_groups = slx_pcre_match(&r->pcre, value, from, data);
	if (*ret_groups < 0 && *ret_groups != PCRE2_ERROR_NOMATCH)
		return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "regular expression \"%.*s\": match limit reached on a value of %zu bytes",
			(int)(r->source.n < 100 ? r->source.n : 100), r->source.p, value.n);
	return SILEX_OK;
}

silex_status slx_rewrite_apply(struct slx_rewrite *r, struct slx_str value, struct slx_str replacement, struct slx_buf *out, bool *ret_matched,
	silex_error *err)
{
	pcre2_match_data *data = slx_pcre_take(&r->pcre);
	int groups;
	if (!data)
		return slx_err_oom(err);
	silex_status status = match(r, value, 0, data, &groups, err);
	if (status == SILEX_OK && groups > 0 && out)
		expand(r, value, replacement, data, groups, out);
	slx_pcre_give(&r->pcre, data);
	*ret_matched = groups >= 0;
	return status == SILEX_OK && out && out->failed ? slx_err_oom(err) : status;
}

silex_status slx_rewrite_find(struct slx_rewrite *r, struct slx_str text, bool *ret_found, silex_error *err)
{
	return slx_rewrite_apply(r, text, (struct slx_str){ 0 }, NULL, ret_found, err);
}

static size_t character_size(struct slx_str s, size_t at)
{
	size_t n = 1;
	while (at + n < s.n && ((uint8_t)s.p[at + n] & 0xc0) == 0x80)
		n++;
	return n;
}

/* An empty match right behind the match before it is none. */
silex_status slx_rewrite_all(struct slx_rewrite *r, struct slx_str text, struct slx_str replacement, struct slx_buf *out, silex_error *err)
{
	pcre2_match_data *data = slx_pcre_take(&r->pcre);
	silex_status status = data ? SILEX_OK : slx_err_oom(err);
	size_t done = 0, last_end = SIZE_MAX;
	for (size_t from = 0; status == SILEX_OK && from <= text.n && !out->failed;) {
		int groups;
		status = match(r, text, from, data, &groups, err);
		if (status != SILEX_OK || groups < 0)
			break;
		const PCRE2_SIZE *at = pcre2_get_ovector_pointer(data);
		size_t start = at[0], end = at[1];
		if (end > start || start != last_end) {
			slx_buf_put(out, text.p + done, start - done);
			expand(r, text, replacement, data, groups, out);
			done = end;
		}
		last_end = end;
		from = end > start ? end : end + (end < text.n ? character_size(text, end) : 1);
	}
	slx_buf_put(out, text.p + done, text.n - done);
	if (data)
		slx_pcre_give(&r->pcre, data);
	return status == SILEX_OK && out->failed ? slx_err_oom(err) : status;
}
