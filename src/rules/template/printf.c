/* Values as text, as Go's fmt writes them. A directive whose verb does not fit its value becomes `%!verb(type=value)`, as there. */
#include "rules/template/template_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { WIDTH_MAX = 1000, NUMBER_SIZE = 1500 };

struct directive {
	bool minus, plus, sharp, space, zero;
	int width, precision; /* -1: not given */
	char verb;
};

static void put_z(struct slx_buf *out, const char *z) { slx_buf_put(out, z, strlen(z)); }

static size_t runes(struct slx_str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((uint8_t)s.p[i] & 0xc0) != 0x80;
	return n;
}

static void put_padded(struct slx_buf *out, struct slx_str s, const struct directive *d)
{
	size_t n = runes(s), pad = d->width > 0 && (size_t)d->width > n ? (size_t)d->width - n : 0;
	bool zeros = d->zero && !d->minus;
	if (zeros && pad && s.n && (s.p[0] == '-' || s.p[0] == '+')) { /* the sign stays in front */
		slx_buf_u8(out, (uint8_t)s.p[0]);
		s.p++;
		s.n--;
	}
	for (size_t i = 0; i < pad && !d->minus; i++)
		slx_buf_u8(out, zeros ? '0' : ' ');
	slx_buf_put(out, s.p, s.n);
	for (size_t i = 0; i < pad && d->minus; i++)
		slx_buf_u8(out, ' ');
}

/* ---- floats ---- */

/* The fewest digits that read back the same, as C's %e has them. */
static int shortest_digits(double v)
{
	char text[40];
	for (int p = 0; p < 17; p++) {
		snprintf(text, sizeof text, "%.*e", p, v);
		if (strtod(text, NULL) == v)
			return p + 1;
	}
	return 17;
}

static void format_special(double v, const struct directive *d, char *to)
{
	const char *sign = signbit(v) && !isnan(v) ? "-" : d->plus || isinf(v) ? "+" : d->space ? " " : "";
	sprintf(to, "%s%s", isnan(v) && !d->plus ? "" : sign, isnan(v) ? "NaN" : "Inf");
}

/* %g with the fewest digits: an exponent when it is below -4 or above 5, however many digits there are. */
static void format_shortest(double v, const struct directive *d, char *to, size_t size)
{
	char text[40];
	int digits = shortest_digits(v);
	snprintf(text, sizeof text, "%.*e", digits - 1, v);
	int exponent = atoi(strchr(text, 'e') + 1);
	if (v == 0)
		exponent = 0;
	if (exponent < -4 || exponent > 5)
		snprintf(to, size, d->plus ? "%+.*e" : "%.*e", digits - 1, v);
	else
		snprintf(to, size, d->plus ? "%+.*f" : "%.*f", digits - 1 > exponent ? digits - 1 - exponent : 0, v);
}

static void put_float(struct slx_buf *out, double v, const struct directive *given)
{
	char text[NUMBER_SIZE], format[16];
	struct directive d = *given;
	char verb = d.verb == 'v' ? 'g' : d.verb == 'F' ? 'f' : d.verb;
	if (!isfinite(v)) {
		format_special(v, &d, text);
		d.zero = false;
	} else if ((verb == 'g' || verb == 'G') && d.precision < 0) {
		format_shortest(v, &d, text, sizeof text);
		for (char *p = text; verb == 'G' && *p; p++)
			*p = *p == 'e' ? 'E' : *p;
	} else {
		snprintf(format, sizeof format, "%%%s%s%s.*%c", d.plus ? "+" : "", d.space ? " " : "", d.sharp ? "#" : "", verb);
		snprintf(text, sizeof text, format, d.precision < 0 ? 6 : d.precision, v);
	}
	put_padded(out, slx_str(text), &d);
}

void slx_tv_put_g(double v, int digits, struct slx_buf *out)
{
	const struct directive d = { .width = -1, .precision = digits, .verb = 'g' };
	put_float(out, v, &d);
}

/* ---- integers and strings ---- */

static void put_int(struct slx_buf *out, int64_t v, const struct directive *d)
{
	char digits[72], text[80], *at = digits + sizeof digits;
	unsigned base = d->verb == 'x' || d->verb == 'X' ? 16 : d->verb == 'o' ? 8 : d->verb == 'b' ? 2 : 10;
	uint64_t left = v < 0 ? -(uint64_t)v : (uint64_t)v;
	*--at = 0;
	do {
		*--at = (d->verb == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[left % base];
		left /= base;
	} while (left);
	const char *prefix = !d->sharp ? "" : base == 16 ? (d->verb == 'X' ? "0X" : "0x") : base == 8 ? "0" : base == 2 ? "0b" : "";
	snprintf(text, sizeof text, "%s%s%s", v < 0 ? "-" : d->plus ? "+" : d->space ? " " : "", prefix, at);
	put_padded(out, slx_str(text), d);
}

static void put_quoted(struct slx_buf *out, struct slx_str s)
{
	char text[8];
	slx_buf_u8(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];
		static const char escapes[] = "abtnvfr"; /* 7 .. 13 */
		if (c == '"' || c == '\\' || (c >= 7 && c <= 13)) {
			slx_buf_u8(out, '\\');
			slx_buf_u8(out, (uint8_t)(c >= 32 ? (char)c : escapes[c - 7]));
		} else if (c < 32 || c == 127) {
			snprintf(text, sizeof text, "\\x%02x", c);
			put_z(out, text);
		} else {
			slx_buf_u8(out, c);
		}
	}
	slx_buf_u8(out, '"');
}

static void put_string(struct slx_buf *out, struct slx_str s, const struct directive *d)
{
	struct slx_buf b;
	slx_buf_init(&b, out->mem, out->use, out->size_max);
	if (d->precision >= 0 && d->verb != 'x' && d->verb != 'X') { /* so many characters */
		size_t n = 0, left = (size_t)d->precision;
		while (n < s.n && (((uint8_t)s.p[n] & 0xc0) == 0x80 || left-- > 0))
			n++;
		s.n = n;
	}
	if (d->verb == 'q') {
		put_quoted(&b, s);
	} else if (d->verb == 'x' || d->verb == 'X') {
		char text[4];
		for (size_t i = 0; i < s.n; i++) {
			snprintf(text, sizeof text, d->verb == 'x' ? "%02x" : "%02X", (uint8_t)s.p[i]);
			put_z(&b, text);
		}
	} else {
		slx_buf_put(&b, s.p, s.n);
	}
	put_padded(out, (struct slx_str){ (const char *)b.p, b.n }, d);
	out->failed |= b.failed;
	slx_buf_free(&b);
}

/* ---- any value ---- */

static void put_value(struct slx_buf *out, const struct slx_tv *v, const struct directive *d);

static void put_bad(struct slx_buf *out, const struct slx_tv *v, char verb)
{
	const struct directive plain = { .width = -1, .precision = -1, .verb = 'v' };
	put_z(out, "%!");
	slx_buf_u8(out, (uint8_t)verb);
	slx_buf_u8(out, '(');
	put_z(out, slx_tv_type_name(v));
	if (v->type != SLX_TV_NIL) {
		slx_buf_u8(out, '=');
		put_value(out, v, &plain);
	}
	slx_buf_u8(out, ')');
}

static void put_map(struct slx_buf *out, const struct slx_tv *v, const struct directive *d)
{
	struct slx_labels_iter it = { 0 };
	struct slx_label l;
	bool any = false;
	if (v->type == SLX_TV_STRINGS && v->labels.n)
		it = slx_labels_iter(v->labels);
	put_z(out, "map[");
	for (; it.left && slx_labels_next(&it, &l); any = true) {
		if (any)
			slx_buf_u8(out, ' ');
		put_string(out, l.name, d);
		slx_buf_u8(out, ':');
		put_string(out, l.value, d);
	}
	for (size_t i = 0; v->type == SLX_TV_ARGS && i < v->args.n; i++) {
		if (i)
			slx_buf_u8(out, ' ');
		put_string(out, v->args.v[i].key, d);
		slx_buf_u8(out, ':');
		put_value(out, &v->args.v[i].value, d);
	}
	slx_buf_u8(out, ']');
}

static void put_list(struct slx_buf *out, const struct slx_tv *v, const struct directive *d)
{
	slx_buf_u8(out, '[');
	for (size_t i = 0; i < v->list.n; i++) {
		if (i)
			slx_buf_u8(out, ' ');
		put_value(out, &v->list.v[i], d);
	}
	slx_buf_u8(out, ']');
}

static void put_sample(struct slx_buf *out, const struct slx_tv *v, const struct directive *d)
{
	const struct slx_tv labels = slx_tv_labels(v->sample->labels), value = slx_tv_float(v->sample->value);
	put_z(out, "&{");
	put_map(out, &labels, d);
	slx_buf_u8(out, ' ');
	put_value(out, &value, d);
	slx_buf_u8(out, '}');
}

static void put_value(struct slx_buf *out, const struct slx_tv *v, const struct directive *d)
{
	static const char *const verbs[] = { [SLX_TV_NIL] = "v", [SLX_TV_BOOL] = "tv", [SLX_TV_INT] = "dvbocxX", [SLX_TV_FLOAT] = "eEfFgGv",
		[SLX_TV_STRING] = "svqxX" };
	if (v->type <= SLX_TV_STRING && (!d->verb || !strchr(verbs[v->type], d->verb))) {
		put_bad(out, v, d->verb);
		return;
	}
	switch (v->type) {
	case SLX_TV_NIL:
		put_padded(out, SLX_STR("<nil>"), d);
		break;
	case SLX_TV_BOOL:
		put_padded(out, v->b ? SLX_STR("true") : SLX_STR("false"), d);
		break;
	case SLX_TV_INT:
		put_int(out, v->i, d);
		break;
	case SLX_TV_FLOAT:
		put_float(out, v->f, d);
		break;
	case SLX_TV_STRING:
		put_string(out, v->s, d);
		break;
	case SLX_TV_LIST:
		put_list(out, v, d);
		break;
	case SLX_TV_SAMPLE:
		put_sample(out, v, d);
		break;
	case SLX_TV_STRINGS:
	case SLX_TV_ARGS:
		put_map(out, v, d);
		break;
	case SLX_TV_DATA:
		put_z(out, "{}");
	}
}

void slx_tv_print(const struct slx_tv *v, struct slx_buf *out)
{
	const struct directive d = { .width = -1, .precision = -1, .verb = 'v' };
	if (v->type == SLX_TV_NIL)
		put_z(out, "<no value>");
	else
		put_value(out, v, &d);
}

void slx_tv_sprint(const struct slx_tv *a, size_t n, bool line, struct slx_buf *out)
{
	const struct directive d = { .width = -1, .precision = -1, .verb = 'v' };
	for (size_t i = 0; i < n; i++) {
		if (i && (line || (a[i].type != SLX_TV_STRING && a[i - 1].type != SLX_TV_STRING)))
			slx_buf_u8(out, ' ');
		put_value(out, &a[i], &d);
	}
	if (line)
		slx_buf_u8(out, '\n');
}

/* ---- printf ---- */

struct printing {
	struct slx_str format;
	size_t at;
	const struct slx_tv *a;
	size_t n, next;
};

static int read_number(struct printing *p, struct slx_buf *out)
{
	int v = -1;
	if (p->at < p->format.n && p->format.p[p->at] == '*') {
		p->at++;
		if (p->next < p->n && p->a[p->next].type == SLX_TV_INT && llabs(p->a[p->next].i) <= WIDTH_MAX)
			return (int)p->a[p->next++].i;
		p->next += p->next < p->n;
		put_z(out, "%!(BADWIDTH)");
		return -1;
	}
	while (p->at < p->format.n && p->format.p[p->at] >= '0' && p->format.p[p->at] <= '9' && v < WIDTH_MAX)
		v = (v < 0 ? 0 : v) * 10 + (p->format.p[p->at++] - '0');
	return v > WIDTH_MAX ? WIDTH_MAX : v;
}

static void read_flags(struct printing *p, struct directive *d)
{
	for (; p->at < p->format.n; p->at++)
		switch (p->format.p[p->at]) {
		case '-':
			d->minus = true;
			break;
		case '+':
			d->plus = true;
			break;
		case '#':
			d->sharp = true;
			break;
		case ' ':
			d->space = true;
			break;
		case '0':
			d->zero = true;
			break;
		default:
			return;
		}
}

/* After a %. */
static void put_directive(struct printing *p, struct slx_buf *out)
{
	struct directive d = { .width = -1, .precision = -1 };
	read_flags(p, &d);
	d.width = read_number(p, out);
	if (d.width < -1) {
		d.minus = true;
		d.width = -d.width;
	}
	if (p->at < p->format.n && p->format.p[p->at] == '.') {
		p->at++;
		d.precision = read_number(p, out);
		if (d.precision < 0)
			d.precision = 0;
	}
	if (p->at == p->format.n) {
		put_z(out, "%!(NOVERB)");
		return;
	}
	d.verb = p->format.p[p->at++];
	if (d.verb == '%') {
		slx_buf_u8(out, '%');
	} else if (p->next == p->n) {
		put_z(out, "%!");
		slx_buf_u8(out, (uint8_t)d.verb);
		put_z(out, "(MISSING)");
	} else if (d.verb == 'T') {
		put_padded(out, slx_str(slx_tv_type_name(&p->a[p->next++])), &d);
	} else {
		put_value(out, &p->a[p->next++], &d);
	}
}

static void put_extra(struct printing *p, struct slx_buf *out)
{
	put_z(out, "%!(EXTRA ");
	for (bool first = true; p->next < p->n; p->next++, first = false) {
		const struct directive d = { .width = -1, .precision = -1, .verb = 'v' };
		put_z(out, first ? "" : ", ");
		put_z(out, slx_tv_type_name(&p->a[p->next]));
		if (p->a[p->next].type != SLX_TV_NIL) {
			slx_buf_u8(out, '=');
			put_value(out, &p->a[p->next], &d);
		}
	}
	slx_buf_u8(out, ')');
}

void slx_tv_printf(struct slx_str format, const struct slx_tv *a, size_t n, struct slx_buf *out)
{
	struct printing p = { .format = format, .a = a, .n = n };
	while (p.at < format.n) {
		char c = format.p[p.at++];
		if (c == '%')
			put_directive(&p, out);
		else
			slx_buf_u8(out, (uint8_t)c);
	}
	if (p.next < p.n)
		put_extra(&p, out);
}
