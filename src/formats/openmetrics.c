/* The rules of OpenMetrics 1.0 above the grammar of a line, checked as the lines go by.
 *
 * A family is the metadata and samples of one name; the type says which suffixes its samples may carry. A sample that
 * does not belong to the open family ends it and begins a family of its own. Inside a family the samples of one label
 * set (without le and quantile) are a group: groups are not interleaved, have times throughout or not at all, and their
 * times do not go back. Histograms are judged when a group ends. Families seen before are remembered by their names. */
#include "formats/exposition.h"

#include "base/hash.h"

#include <math.h>

static const struct slx_str suffix_text[SLX_OM_SUFFIXES] = {
	[SLX_OM_NONE] = { "", 0 },
	[SLX_OM_TOTAL] = { "_total", 6 },
	[SLX_OM_CREATED] = { "_created", 8 },
	[SLX_OM_COUNT] = { "_count", 6 },
	[SLX_OM_SUM] = { "_sum", 4 },
	[SLX_OM_BUCKET] = { "_bucket", 7 },
	[SLX_OM_GCOUNT] = { "_gcount", 7 },
	[SLX_OM_GSUM] = { "_gsum", 5 },
	[SLX_OM_INFO_SUFFIX] = { "_info", 5 },
};

#define BIT(suffix) (1u << (suffix))

static const struct {
	const char *name;
	unsigned suffixes; /* that samples may carry */
} types[SLX_OM_TYPES] = {
	[SLX_OM_UNKNOWN] = { "unknown", BIT(SLX_OM_NONE) },
	[SLX_OM_GAUGE] = { "gauge", BIT(SLX_OM_NONE) },
	[SLX_OM_COUNTER] = { "counter", BIT(SLX_OM_TOTAL) | BIT(SLX_OM_CREATED) },
	[SLX_OM_SUMMARY] = { "summary", BIT(SLX_OM_NONE) | BIT(SLX_OM_COUNT) | BIT(SLX_OM_SUM) | BIT(SLX_OM_CREATED) },
	[SLX_OM_HISTOGRAM] = { "histogram",
		BIT(SLX_OM_COUNT) | BIT(SLX_OM_SUM) | BIT(SLX_OM_BUCKET) | BIT(SLX_OM_CREATED) },
	[SLX_OM_GAUGEHISTOGRAM] = { "gaugehistogram", BIT(SLX_OM_GCOUNT) | BIT(SLX_OM_GSUM) | BIT(SLX_OM_BUCKET) },
	[SLX_OM_INFO] = { "info", BIT(SLX_OM_INFO_SUFFIX) },
	[SLX_OM_STATESET] = { "stateset", BIT(SLX_OM_NONE) },
};

enum {
	NOT_NAN = BIT(SLX_OM_TOTAL) | BIT(SLX_OM_SUM) | BIT(SLX_OM_COUNT) | BIT(SLX_OM_BUCKET) | BIT(SLX_OM_GCOUNT) |
		BIT(SLX_OM_GSUM),
	NOT_NEGATIVE = NOT_NAN & ~BIT(SLX_OM_GSUM),
	WHOLE = BIT(SLX_OM_BUCKET) | BIT(SLX_OM_COUNT) | BIT(SLX_OM_GCOUNT),
};

void slx_om_init(struct slx_om *om, struct slx_decoder *d)
{
	*om = (struct slx_om){ .d = d };
	slx_keymap_init(&om->names, d->mem, d->limits.series_max, d->limits.cache_size_max / 4);
	slx_keymap_init(&om->groups, d->mem, d->limits.series_max, d->limits.cache_size_max / 4);
	slx_buf_init(&om->name, d->mem, SLX_MEM_OTHER, d->limits.line_size_max);
	slx_buf_init(&om->unit, d->mem, SLX_MEM_OTHER, d->limits.line_size_max);
	slx_buf_init(&om->key, d->mem, SLX_MEM_OTHER, d->limits.line_size_max + 16);
}

void slx_om_free(struct slx_om *om)
{
	if (!om->d)
		return;
	slx_keymap_free(&om->names);
	slx_keymap_free(&om->groups);
	slx_buf_free(&om->name);
	slx_buf_free(&om->unit);
	slx_buf_free(&om->key);
}

static struct slx_str text_of(const struct slx_buf *b) { return (struct slx_str){ (const char *)b->p, b->n }; }

static void set_text(struct slx_om *om, struct slx_buf *b, struct slx_str s)
{
	slx_buf_reset(b);
	slx_buf_put(b, s.p, s.n);
	if (b->failed)
		slx_decoder_oom(om->d);
}

/* Remembers what is wrong with the lines above; the first thing stays. */
static void note(struct slx_om *om, const char *expected) { om->past = om->past ? om->past : expected; }

/* ---- histograms ---- */

static const char *judge_histogram(const struct slx_om *om)
{
	if (!om->h.has_bucket || om->h.bound != INFINITY)
		return "a bucket le=\"+Inf\" in the histogram above";
	if (om->h.has_count && om->h.count != om->h.value)
		return "the count of the histogram above to equal its bucket le=\"+Inf\"";
	if ((om->h.has_sum || om->h.has_gsum) != om->h.has_count)
		return "both count and sum, or neither, in the histogram above";
	if (om->h.negative_bucket && om->h.has_sum)
		return "no sum in the histogram above, which has negative buckets";
	if (om->h.negative_gsum && !om->h.negative_bucket)
		return "no negative sum in the histogram above, which has no negative buckets";
	return NULL;
}

static void end_histogram_group(struct slx_om *om)
{
	if (om->h.open)
		note(om, judge_histogram(om));
	memset(&om->h, 0, sizeof om->h);
}

static const char *histogram_sample(struct slx_om *om, enum slx_om_suffix suffix, double value, double bound)
{
	om->h.open = true;
	switch (suffix) {
	case SLX_OM_BUCKET:
		if (om->h.has_bucket && bound <= om->h.bound)
			return "buckets in ascending order";
		if (om->h.has_bucket && value < om->h.value)
			return "a bucket that counts at least what the one before counts";
		om->h.has_bucket = true;
		om->h.negative_bucket |= bound < 0;
		om->h.bound = bound;
		om->h.value = value;
		break;
	case SLX_OM_COUNT:
	case SLX_OM_GCOUNT:
		om->h.has_count = true;
		om->h.count = value;
		break;
	case SLX_OM_SUM:
		om->h.has_sum = true;
		break;
	case SLX_OM_GSUM:
		om->h.has_gsum = true;
		om->h.negative_gsum = value < 0;
		break;
	default:
		break;
	}
	return NULL;
}

/* ---- families ---- */

/* Remembers the names of the family: none may have been there before. */
static void keep_names(struct slx_om *om, struct slx_str name)
{
	for (enum slx_om_suffix s = 0; s < SLX_OM_SUFFIXES; s++) {
		bool fresh;
		if (s != SLX_OM_NONE && !(types[om->type].suffixes & BIT(s)))
			continue;
		slx_buf_reset(&om->key);
		slx_buf_put(&om->key, name.p, name.n);
		slx_buf_put(&om->key, suffix_text[s].p, suffix_text[s].n);
		if (!om->key.failed && slx_keymap_get(&om->names, (const char *)om->key.p, om->key.n, &fresh) && !fresh)
			note(om, "other names in the family above: one clashes with an earlier family");
	}
}

static void end_family(struct slx_om *om)
{
	if (!om->open)
		return;
	om->open = false;
	end_histogram_group(om);
	struct slx_str name = text_of(&om->name), unit = text_of(&om->unit);
	keep_names(om, name);
	if (unit.n == 0)
		return;
	if (om->type == SLX_OM_INFO || om->type == SLX_OM_STATESET)
		note(om, "no unit for the info or stateset above");
	else if (name.n <= unit.n || name.p[name.n - unit.n - 1] != '_' ||
		memcmp(name.p + name.n - unit.n, unit.p, unit.n) != 0)
		note(om, "the name of the family above to end with its unit");
}

static void begin_family(struct slx_om *om, struct slx_str name)
{
	end_family(om);
	set_text(om, &om->name, name);
	slx_buf_reset(&om->unit);
	om->type = SLX_OM_UNKNOWN;
	om->family++;
	om->open = true;
	om->has_help = om->has_type = om->has_unit = om->has_samples = false;
	om->has_group = false;
}

const char *slx_om_metadata(struct slx_om *om, struct slx_str keyword, struct slx_str name, struct slx_str text)
{
	if (!om->open || !slx_str_eq(text_of(&om->name), name))
		begin_family(om, name);
	else if (om->has_samples)
		return "metadata before samples";
	bool *had = keyword.p[0] == 'H' ? &om->has_help : keyword.p[0] == 'T' ? &om->has_type : &om->has_unit;
	if (*had)
		return "each of HELP, TYPE and UNIT once";
	*had = true;
	if (keyword.p[0] == 'U')
		set_text(om, &om->unit, text);
	if (keyword.p[0] != 'T')
		return NULL;
	for (enum slx_om_type t = 0; t < SLX_OM_TYPES; t++)
		if (slx_str_eq(slx_str(types[t].name), text)) {
			om->type = t;
			return NULL;
		}
	return "a type: counter, gauge, histogram, gaugehistogram, summary, info, stateset or unknown";
}

/* ---- samples ---- */

/* Does the sample belong to the open family, and with which suffix? */
static bool belongs(const struct slx_om *om, struct slx_str name, enum slx_om_suffix *ret)
{
	struct slx_str family = text_of(&om->name);
	if (!om->open || name.n < family.n || memcmp(name.p, family.p, family.n) != 0)
		return false;
	struct slx_str rest = { name.p + family.n, name.n - family.n };
	for (enum slx_om_suffix s = 0; s < SLX_OM_SUFFIXES; s++)
		if (types[om->type].suffixes & BIT(s) && slx_str_eq(suffix_text[s], rest)) {
			*ret = s;
			return true;
		}
	return false;
}

/* The label that tells the samples of one group apart; empty when there is none. */
static struct slx_str member_label(const struct slx_om *om, enum slx_om_suffix suffix)
{
	if (suffix == SLX_OM_BUCKET)
		return SLX_STR("le");
	if (om->type == SLX_OM_SUMMARY && suffix == SLX_OM_NONE)
		return SLX_STR("quantile");
	return om->type == SLX_OM_STATESET ? text_of(&om->name) : (struct slx_str){ "", 0 };
}

/* A hash of the group's labels that does not depend on their order; *ret_member: the value of the member label. */
static uint64_t group_hash(struct slx_om *om, struct slx_str member, struct slx_str *ret_member)
{
	uint64_t sum = 0;
	*ret_member = (struct slx_str){ NULL, 0 };
	for (uint32_t i = 0; i < om->d->labels_n; i++) {
		const struct slx_label *l = &om->d->labels[i];
		if (member.n && slx_str_eq(l->name, member)) {
			*ret_member = l->value;
			continue;
		}
		uint64_t pair[2] = { slx_hash64(l->name.p, l->name.n), slx_hash64(l->value.p, l->value.n) };
		sum += slx_hash64(pair, sizeof pair);
	}
	return om->type == SLX_OM_INFO ? 0 : sum;
}

static const char *check_member(const struct slx_om *om, enum slx_om_suffix suffix, struct slx_str member, double *ret)
{
	struct slx_number number;
	if (om->type == SLX_OM_STATESET)
		return member.p ? NULL : "a label with the name of the stateset";
	if (suffix != SLX_OM_BUCKET && !(om->type == SLX_OM_SUMMARY && suffix == SLX_OM_NONE))
		return NULL;
	enum slx_number_form form = member.p ? slx_number_parse_special(member.p, member.n, &number) : SLX_NUMBER_NONE;
	bool ok = (form == SLX_NUMBER_INT || form == SLX_NUMBER_FLOAT) && !isnan(number.f64);
	*ret = ok ? number.f64 : 0;
	if (suffix == SLX_OM_BUCKET)
		return ok ? NULL : "a label le with a number";
	return ok && number.f64 >= 0 && number.f64 <= 1 ? NULL : "a label quantile from 0 to 1";
}

static const char *check_value(
	const struct slx_om *om, enum slx_om_suffix suffix, const struct slx_exposition_sample *s)
{
	double v = s->value;
	if (BIT(suffix) & WHOLE && v != floor(v))
		return "a whole number";
	if (om->type == SLX_OM_STATESET && v != 0 && v != 1)
		return "0 or 1 in a stateset";
	if (om->type == SLX_OM_INFO && v != 1)
		return "1 in an info";
	if (om->type == SLX_OM_SUMMARY && suffix == SLX_OM_NONE && v < 0)
		return "no negative quantile";
	if (BIT(suffix) & NOT_NAN && isnan(v))
		return "no NaN here";
	if (BIT(suffix) & NOT_NEGATIVE && v < 0)
		return "no negative number here";
	bool may_have = (om->type == SLX_OM_COUNTER && suffix == SLX_OM_TOTAL) ||
		((om->type == SLX_OM_HISTOGRAM || om->type == SLX_OM_GAUGEHISTOGRAM) && suffix == SLX_OM_BUCKET);
	return s->has_exemplar && !may_have ? "exemplars only at counters and buckets" : NULL;
}

/* Groups are not interleaved; inside one, times are there or not, and do not go back. */
static const char *check_group(struct slx_om *om, const struct slx_exposition_sample *s, uint64_t group)
{
	const uint64_t key[2] = { group, om->family };
	bool same = om->has_group && om->group == group, fresh = true;
	bool had_time = om->has_time, back = s->t < om->t, new_time = s->has_time != had_time || s->t != om->t;
	if (!same || new_time)
		end_histogram_group(om);
	om->has_group = true;
	om->group = group;
	om->has_time = s->has_time;
	om->t = s->t;
	if (!same)
		return slx_keymap_get(&om->groups, (const char *)key, sizeof key, &fresh) && !fresh
			? "the samples of a label set together"
			: NULL;
	if (s->has_time != had_time)
		return "times at all samples of a label set or at none";
	return s->has_time && back && om->type != SLX_OM_INFO ? "times that do not go back" : NULL;
}

const char *slx_om_sample(struct slx_om *om, const struct slx_exposition_sample *s)
{
	enum slx_om_suffix suffix = SLX_OM_NONE;
	double bound = 0;
	struct slx_str member;
	if (!belongs(om, s->name, &suffix))
		begin_family(om, s->name);
	om->has_samples = true;
	uint64_t group = group_hash(om, member_label(om, suffix), &member);
	const char *expected = check_group(om, s, group);
	if (!expected)
		expected = check_member(om, suffix, member, &bound);
	if (!expected && (om->type == SLX_OM_HISTOGRAM || om->type == SLX_OM_GAUGEHISTOGRAM))
		expected = histogram_sample(om, suffix, s->value, bound);
	return expected ? expected : check_value(om, suffix, s);
}

void slx_om_end(struct slx_om *om) { end_family(om); }
