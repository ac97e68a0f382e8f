#include "server/ingest/otlp_names.h"

#include <string.h>

static const struct {
	const char *name;
	enum slx_otlp_translation translation;
} translations[] = {
	{ "underscores_with_suffixes", SLX_OTLP_UNDERSCORES_SUFFIXES },
	{ "underscores_without_suffixes", SLX_OTLP_UNDERSCORES },
	{ "utf8_with_suffixes", SLX_OTLP_UTF8_SUFFIXES },
	{ "none", SLX_OTLP_AS_IS },
};

bool slx_otlp_translation_parse(const char *name, enum slx_otlp_translation *ret)
{
	for (size_t i = 0; i < sizeof translations / sizeof translations[0]; i++)
		if (strcmp(name, translations[i].name) == 0) {
			*ret = translations[i].translation;
			return true;
		}
	return false;
}

static bool is_alnum(char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* ---- units ---- */

struct unit {
	const char *ucum, *words;
};

static const struct unit units[] = {
	{ "d", "days" }, { "h", "hours" }, { "min", "minutes" }, { "s", "seconds" }, { "ms", "milliseconds" }, { "us", "microseconds" },
	{ "ns", "nanoseconds" }, { "By", "bytes" }, { "KiBy", "kibibytes" }, { "MiBy", "mebibytes" }, { "GiBy", "gibibytes" }, { "TiBy", "tibibytes" },
	{ "KBy", "kilobytes" }, { "MBy", "megabytes" }, { "GBy", "gigabytes" }, { "TBy", "terabytes" }, { "m", "meters" }, { "V", "volts" },
	{ "A", "amperes" }, { "J", "joules" }, { "W", "watts" }, { "g", "grams" }, { "Cel", "celsius" }, { "Hz", "hertz" }, { "1", "" }, { "%", "percent" },
};

static const struct unit per_units[] = {
	{ "s", "second" }, { "m", "minute" }, { "h", "hour" }, { "d", "day" }, { "w", "week" }, { "mo", "month" }, { "y", "year" },
};

/* Appends a unit in words, with what is no letter or digit as single underscores between. */
static void put_unit(struct slx_str s, const struct unit *table, size_t n, struct slx_buf *out)
{
	while (s.n && s.p[0] == ' ') {
		s.p++;
		s.n--;
	}
	while (s.n && s.p[s.n - 1] == ' ')
		s.n--;
	if (memchr(s.p, '{', s.n) || memchr(s.p, '}', s.n))
		return; /* an annotation, no unit */
	for (size_t i = 0; i < n; i++)
		if (slx_str_eq(s, slx_str(table[i].ucum)))
			s = slx_str(table[i].words);
	size_t from = out->n;
	bool gap = false;
	for (size_t i = 0; i < s.n; i++) {
		if (is_alnum(s.p[i])) {
			if (gap && out->n > from)
				slx_buf_u8(out, '_');
			slx_buf_u8(out, (uint8_t)s.p[i]);
		}
		gap = !is_alnum(s.p[i]);
	}
}

/* The two parts of "main/per", each in words, in out one after the other; lengths in ret. */
static void put_units(struct slx_str unit, struct slx_buf *out, size_t ret[2])
{
	const char *slash = memchr(unit.p, '/', unit.n);
	size_t main_n = slash ? (size_t)(slash - unit.p) : unit.n, from = out->n;
	put_unit((struct slx_str){ unit.p, main_n }, units, sizeof units / sizeof units[0], out);
	ret[0] = out->n - from;
	if (slash)
		put_unit((struct slx_str){ slash + 1, unit.n - main_n - 1 }, per_units, sizeof per_units / sizeof per_units[0], out);
	ret[1] = out->n - from - ret[0];
}

void slx_otlp_unit_name(struct slx_str unit, struct slx_buf *out)
{
	struct slx_buf words;
	size_t n[2];
	slx_buf_init(&words, out->mem, out->use, 1 << 12);
	put_units(unit, &words, n);
	if (!words.failed) {
		slx_buf_put(out, words.p, n[0]);
		if (n[1])
			slx_buf_put(out, "_per_", n[0] ? 5 : 0);
		slx_buf_put(out, words.p ? words.p + n[0] : NULL, n[1]);
	}
	slx_buf_free(&words);
}

/* ---- metric names ---- */

/* Is `word` one of the words of the name, which are separated by underscores? */
static bool has_word(struct slx_str name, struct slx_str word)
{
	for (size_t at = 0; at + word.n <= name.n; at++)
		if (memcmp(name.p + at, word.p, word.n) == 0 && (at == 0 || name.p[at - 1] == '_') && (at + word.n == name.n || name.p[at + word.n] == '_'))
			return true;
	return false;
}

static struct slx_str since(const struct slx_buf *b, size_t from) { return (struct slx_str){ (const char *)b->p + from, b->failed ? 0 : b->n - from }; }

/* Letters, digits and colons stay; runs of others become one underscore between words. */
static void put_words(struct slx_str name, struct slx_buf *out)
{
	size_t from = out->n;
	bool gap = false;
	for (size_t i = 0; i < name.n; i++) {
		bool stays = is_alnum(name.p[i]) || name.p[i] == ':';
		if (stays) {
			if (gap && out->n > from)
				slx_buf_u8(out, '_');
			slx_buf_u8(out, (uint8_t)name.p[i]);
		}
		gap = !stays;
	}
}

/* Takes the word out of the name that begins at `from`. */
static void remove_word(struct slx_buf *out, size_t from, const char *word)
{
	size_t n = strlen(word);
	char *p = (char *)out->p + from;
	for (size_t at = 0, size = out->failed ? 0 : out->n - from; at + n <= size;) {
		bool here = memcmp(p + at, word, n) == 0 && (at == 0 || p[at - 1] == '_') && (at + n == size || p[at + n] == '_');
		if (!here) {
			at++;
			continue;
		}
		size_t cut = at ? at - 1 : 0, end = at ? at + n : at + n + (at + n < size); /* with one underscore */
		memmove(p + cut, p + end, size - end);
		size -= end - cut;
		at = cut;
		out->n = from + size;
	}
}

static void put_suffix(struct slx_buf *out, size_t from, struct slx_str word)
{
	if (!word.n || has_word(since(out, from), word))
		return;
	if (out->n > from)
		slx_buf_u8(out, '_');
	slx_buf_put(out, word.p, word.n);
}

static void put_suffixes(const struct slx_otlp_metric *m, struct slx_buf *out, size_t from)
{
	struct slx_buf words;
	size_t n[2];
	slx_buf_init(&words, out->mem, out->use, 1 << 12);
	put_units(m->unit, &words, n);
	if (!words.failed) {
		struct slx_str per = { (const char *)words.p + (words.p ? n[0] : 0), n[1] };
		put_suffix(out, from, (struct slx_str){ (const char *)words.p, n[0] });
		if (per.n && !has_word(since(out, from), per)) {
			slx_buf_put(out, "_per_", 5);
			slx_buf_put(out, per.p, per.n);
		}
	}
	slx_buf_free(&words);
	bool counter = m->type == SLX_OTLP_SUM && m->monotonic, ratio = m->type == SLX_OTLP_GAUGE && slx_str_eq(m->unit, SLX_STR("1"));
	if (counter || ratio) {
		remove_word(out, from, counter ? "total" : "ratio");
		put_suffix(out, from, counter ? SLX_STR("total") : SLX_STR("ratio"));
	}
}

void slx_otlp_metric_name(enum slx_otlp_translation t, const struct slx_otlp_metric *m, struct slx_buf *out)
{
	bool plain = t == SLX_OTLP_UTF8_SUFFIXES || t == SLX_OTLP_AS_IS;
	if (!plain && m->name.n && is_digit(m->name.p[0]))
		slx_buf_u8(out, '_');
	size_t from = out->n;
	if (plain)
		slx_buf_put(out, m->name.p, m->name.n);
	else
		put_words(m->name, out);
	if (t == SLX_OTLP_UNDERSCORES_SUFFIXES || t == SLX_OTLP_UTF8_SUFFIXES)
		put_suffixes(m, out, from);
}

void slx_otlp_label_name(enum slx_otlp_translation t, struct slx_str name, struct slx_buf *out)
{
	if (t == SLX_OTLP_UTF8_SUFFIXES || t == SLX_OTLP_AS_IS) {
		slx_buf_put(out, name.p, name.n);
		return;
	}
	if (name.n && is_digit(name.p[0]))
		slx_buf_put(out, "key_", 4);
	else if (name.n && !is_alnum(name.p[0]) && !(name.n > 1 && name.p[0] == '_' && name.p[1] == '_'))
		slx_buf_put(out, "key", 3); /* what begins with one underscore is kept for Prometheus' own */
	for (size_t i = 0; i < name.n; i++)
		if (((uint8_t)name.p[i] & 0xc0) != 0x80) /* one underscore for a character of several bytes */
			slx_buf_u8(out, is_alnum(name.p[i]) ? (uint8_t)name.p[i] : '_');
}
