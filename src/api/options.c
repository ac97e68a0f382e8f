/* Options by name: one table for setting, checking and documentation. */
#include "api/api_int.h"
#include "storage/store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void silex_options_init(silex_options *o)
{
	memset(o, 0, sizeof *o);
	o->size = sizeof *o;
}

void silex_compact_options_init(silex_compact_options *o)
{
	memset(o, 0, sizeof *o);
	o->size = sizeof *o;
}

void silex_tier_options_init(silex_tier_options *o)
{
	memset(o, 0, sizeof *o);
	o->size = sizeof *o;
}

void silex_tenant_limits_init(silex_tenant_limits *l)
{
	memset(l, 0, sizeof *l);
	l->size = sizeof *l;
}

/* --- the table ----------------------------------------------------------------------------------------------------------- */

enum option_type { BOOLEAN, ENUM, SIZE, DURATION, COUNT, NAME, STORE };

struct option {
	const char *name;
	enum option_type type;
	size_t offset;
	const char *words; /* ENUM: numbered from 1, space-separated; NAME: accepted words, NULL any */
	uint64_t min, max; /* SIZE bytes, DURATION ms, COUNT */
};

#define AT(member) offsetof(silex_options, member)
static const struct option options[] = {
	{ "read_only", BOOLEAN, AT(read_only), NULL, 0, 0 },
	{ "must_exist", BOOLEAN, AT(must_exist), NULL, 0, 0 },
	{ "wal", ENUM, AT(wal), "file none", 0, 0 },
	{ "sync", ENUM, AT(sync), "always interval never", 0, 0 },
	{ "time_unit", ENUM, AT(time_unit), "ns us ms s", 0, 0 },
	{ "wal_sync_interval", DURATION, AT(wal_sync_interval_ms), NULL, 1, 3600000 },
	{ "max_wal_size", SIZE, AT(max_wal_size), NULL, 1 << 20, UINT64_C(1) << 50 },
	{ "wal_segment_size", SIZE, AT(wal_segment_size), NULL, 4096, UINT64_C(1) << 30 },
	{ "block_duration", DURATION, AT(block_duration_ms), NULL, 1000, UINT64_C(365) * 86400000 },
	{ "checkpoint_interval", DURATION, AT(checkpoint_interval_ms), NULL, 1000, UINT64_C(365) * 86400000 },
	{ "memory_limit", SIZE, AT(memory_limit), NULL, 8 << 20, UINT64_C(1) << 50 },
	{ "cache_size", SIZE, AT(cache_size), NULL, 1 << 16, UINT64_C(1) << 50 },
	{ "codec", NAME, AT(codec), NULL, 0, 0 },
	{ "compression", NAME, AT(compression), "none lz4 zstd", 0, 0 },
	{ "threads", COUNT, AT(threads), NULL, 1, 1024 },
	{ "series_limit", COUNT, AT(series_limit), NULL, 0, UINT32_MAX },
	{ "write_wait", DURATION, AT(write_wait_ms), NULL, 0, 3600000 },
	{ "cold_store", STORE, AT(cold_store), NULL, 0, 0 },
	{ "cold_after", DURATION, AT(cold_after_ms), NULL, 1, UINT64_C(36500) * 86400000 },
	{ "cold_remove_after", DURATION, AT(cold_remove_after_ms), NULL, 1, UINT64_C(365) * 86400000 },
	{ "free_min", SIZE, AT(free_min), NULL, 1, UINT64_C(1) << 50 },
	{ "free_min_percent", COUNT, AT(free_min_percent), NULL, 1, 90 },
	{ "free_warn_percent", COUNT, AT(free_warn_percent), NULL, 1, 99 },
	{ "backfill", BOOLEAN, AT(backfill), NULL, 0, 0 },
	{ "no_background", BOOLEAN, AT(no_background), NULL, 0, 0 },
};
enum { OPTIONS_N = sizeof options / sizeof options[0] };

/* --- words and numbers ------------------------------------------------------------------------------------------------------ */

/* Position of word in a space-separated list, from 1; 0 when it is not there. *ret points at it inside the list. */
static int word_at(const char *list, const char *word, const char **ret)
{
	size_t n = strlen(word);
	int i = 1;
	for (const char *p = list; *p; i++) {
		size_t k = strcspn(p, " ");
		if (k == n && memcmp(p, word, n) == 0) {
			*ret = p;
			return i;
		}
		p += k + (p[k] == ' ');
	}
	return 0;
}

static bool parse_size(const char *s, uint64_t *ret)
{
	static const char units[] = "kmgt";
	char *end;
	errno = 0;
	unsigned long long v = strtoull(s, &end, 10);
	if (end == s || errno || *s == '-')
		return false;
	uint64_t scale = 1;
	const char *u = *end ? strchr(units, *end | 32) : NULL;
	if (u && *u) {
		scale = UINT64_C(1) << (10 * (u - units + 1));
		end++;
	}
	if (*end == 'i')
		end++;
	if (*end == 'B' || *end == 'b')
		end++;
	return *end == 0 && !__builtin_mul_overflow((uint64_t)v, scale, ret);
}

static bool parse_ms(const char *s, uint64_t *ret)
{
	int64_t ns;
	if (slx_duration_parse(s, strlen(s), &ns, NULL) != SILEX_OK || ns < 0)
		return false;
	*ret = (uint64_t)(ns / SLX_MS);
	return true;
}

static bool parse_bool(const char *s, bool *ret)
{
	*ret = strcmp(s, "true") == 0 || strcmp(s, "1") == 0 || strcmp(s, "yes") == 0 || strcmp(s, "on") == 0;
	return *ret || strcmp(s, "false") == 0 || strcmp(s, "0") == 0 || strcmp(s, "no") == 0 || strcmp(s, "off") == 0;
}

static size_t edit_distance(const char *a, const char *b)
{
	size_t n = strlen(b), row[64];
	if (n >= 63)
		return 99;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (; *a; a++) {
		size_t diagonal = row[0]++;
		for (size_t j = 1; j <= n; j++) {
			size_t up = row[j], best = diagonal + (*a != b[j - 1]);
			best = up + 1 < best ? up + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			row[j] = best;
			diagonal = up;
		}
	}
	return row[n];
}

static silex_status unknown_option(const char *name, silex_error *err)
{
	size_t best = 0, distance = 99;
	for (size_t i = 0; i < OPTIONS_N; i++) {
		size_t d = edit_distance(name, options[i].name);
		if (d < distance) {
			distance = d;
			best = i;
		}
	}
	return slx_err(err, SILEX_INVALID, "unknown option \"%s\"; did you mean \"%s\"?", name, options[best].name);
}

static silex_status bad_value(const struct option *p, const char *value, const char *expected, silex_error *err)
{
	return slx_err(err, SILEX_INVALID, "option %s: \"%s\" given, expected %s", p->name, value, expected);
}

static silex_status set_number(const struct option *p, void *at, const char *value, silex_error *err)
{
	char expected[96];
	uint64_t v = 0;
	bool ok = p->type == DURATION ? parse_ms(value, &v) : parse_size(value, &v);
	snprintf(expected, sizeof expected, "a %s of %llu to %llu%s",
		p->type == DURATION ? "duration (\"90s\", \"2h\")" : p->type == SIZE ? "size (\"64MB\")" : "number", (unsigned long long)p->min,
		(unsigned long long)p->max, p->type == DURATION ? " ms" : p->type == SIZE ? " bytes" : "");
	if (!ok || v < p->min || v > p->max)
		return bad_value(p, value, expected, err);
	if (p->offset == AT(threads))
		*(unsigned *)at = (unsigned)v;
	else
		*(uint64_t *)at = v;
	return SILEX_OK;
}

/* NAME values must outlive the options: words of the table are literals, codec names are looked up in theirs. */
static silex_status set_name(const struct option *p, const char **at, const char *value, silex_error *err)
{
	static const char *const compressions[] = { "none", "lz4", "zstd" };
	if (p->offset == AT(compression)) {
		for (size_t i = 0; i < 3; i++)
			if (strcmp(value, compressions[i]) == 0) {
				*at = compressions[i];
				return SILEX_OK;
			}
		return bad_value(p, value, p->words, err);
	}
	int id = silex_codec_by_name(value);
	*at = strcmp(value, "auto") == 0 ? "auto" : id >= 0 ? silex_codec_name(id) : NULL;
	if (*at)
		return SILEX_OK;
	return bad_value(p, value, "auto, sx, gorilla or raw (an application's codec is set through the struct)", err);
}

static silex_status set_store(const struct option *p, char *at, const char *value, silex_error *err)
{
	if (strlen(value) > SILEX_STORE_NAME_MAX)
		return bad_value(p, value, "the name of a store, of at most 64 characters", err);
	strcpy(at, value);
	return SILEX_OK;
}

silex_status silex_options_set(silex_options *o, const char *name, const char *value, silex_error *err)
{
	for (size_t i = 0; i < OPTIONS_N; i++) {
		const struct option *p = &options[i];
		void *at = (char *)o + p->offset;
		const char *word;
		int number;
		if (strcmp(p->name, name) != 0)
			continue;
		switch (p->type) {
		case BOOLEAN:
			return parse_bool(value, at) ? SILEX_OK : bad_value(p, value, "true or false", err);
		case ENUM:
			number = word_at(p->words, value, &word);
			if (!number)
				return bad_value(p, value, p->words, err);
			*(int *)at = number;
			return SILEX_OK;
		case NAME:
			return set_name(p, at, value, err);
		case STORE:
			return set_store(p, at, value, err);
		default:
			return set_number(p, at, value, err);
		}
	}
	return unknown_option(name, err);
}

static char *trim(char *s)
{
	s += strspn(s, " \t");
	size_t n = strlen(s);
	while (n > 0 && strchr(" \t\r\n", s[n - 1]))
		s[--n] = 0;
	return s;
}

silex_status silex_options_load(silex_options *o, const char *path, silex_error *err)
{
	FILE *f = fopen(path, "r");
	if (!f)
		return slx_err_errno(err, errno, path);
	char line[1024];
	silex_status status = SILEX_OK;
	for (unsigned number = 1; status == SILEX_OK && fgets(line, sizeof line, f); number++) {
		line[strcspn(line, "#")] = 0;
		char *name = trim(line), *equals = strchr(name, '=');
		silex_error own;
		if (!*name)
			continue;
		if (equals)
			*equals = 0;
		status = equals ? silex_options_set(o, trim(name), trim(equals + 1), &own) : slx_err(&own, SILEX_INVALID, "expected name = value");
		if (status != SILEX_OK)
			slx_err(err, status, "%s:%u: %s", path, number, own.message);
	}
	fclose(f);
	return status;
}

/* --- checking ------------------------------------------------------------------------------------------------------------------ */

static silex_status check_ranges(const silex_options *o, silex_error *err)
{
	for (size_t i = 0; i < OPTIONS_N; i++) {
		const struct option *p = &options[i];
		const void *at = (const char *)o + p->offset;
		if (p->type != SIZE && p->type != DURATION)
			continue;
		uint64_t v = *(const uint64_t *)at;
		if (v != 0 && (v < p->min || v > p->max))
			return slx_err(err, SILEX_INVALID, "option %s: %llu given, expected %llu to %llu", p->name, (unsigned long long)v, (unsigned long long)p->min,
				(unsigned long long)p->max);
	}
	return SILEX_OK;
}

static silex_status check_codec(const silex_options *o, silex_error *err)
{
	for (size_t i = 0; i < o->n_codecs; i++) {
		const silex_codec *c = o->codecs[i];
		if (!c || c->id < SILEX_CODEC_ID_MIN || !c->name || !c->encode || !c->decode || !c->bound)
			return slx_err(err, SILEX_INVALID, "codec %zu of the application: expected an id of %d to %d, a name and three functions", i, SILEX_CODEC_ID_MIN,
				SILEX_CODEC_ID_MAX);
		for (size_t k = 0; k < i; k++)
			if (o->codecs[k]->id == c->id)
				return slx_err(err, SILEX_INVALID, "codecs \"%s\" and \"%s\" have the same id %u", o->codecs[k]->name, c->name, c->id);
	}
	if (!o->codec || strcmp(o->codec, "auto") == 0 || strcmp(o->codec, "sx") == 0 || strcmp(o->codec, "gorilla") == 0 || strcmp(o->codec, "raw") == 0)
		return SILEX_OK;
	for (size_t i = 0; i < o->n_codecs; i++)
		if (strcmp(o->codecs[i]->name, o->codec) == 0)
			return SILEX_OK;
	return slx_err(err, SILEX_INVALID, "option codec: \"%s\" given, expected auto, sx, gorilla, raw or a codec that the application registered", o->codec);
}

static silex_status check_stores(const silex_options *o, silex_error *err)
{
	SLX_TRY(slx_store_check_types(o->store_types, o->n_store_types, err));
	for (size_t i = 0; i < o->n_stores; i++) {
		SLX_TRY(slx_store_check_config(&o->stores[i], err));
		for (size_t k = 0; k < i; k++)
			if (strcmp(o->stores[k].name, o->stores[i].name) == 0)
				return slx_err(err, SILEX_INVALID, "two stores have the name \"%s\"", o->stores[i].name);
	}
	return SILEX_OK;
}

#define DEFAULT(member, value)     \
	do {                           \
		if (!to->member)           \
			to->member = (value);  \
	} while (0)

silex_status slx_options_resolve(const silex_options *o, silex_options *to, silex_error *err)
{
	if (o && o->size != sizeof *o)
		return slx_err(err, SILEX_INVALID, "options: size is %zu, expected %zu; call silex_options_init first", o->size, sizeof *o);
	if (o)
		*to = *o;
	else
		silex_options_init(to);
	SLX_TRY(check_ranges(to, err));
	SLX_TRY(check_codec(to, err));
	SLX_TRY(check_stores(to, err));
	const char *word;
	if (to->compression && !word_at("none lz4 zstd", to->compression, &word))
		return slx_err(err, SILEX_INVALID, "option compression: \"%s\" given, expected none, lz4 or zstd", to->compression);
	DEFAULT(wal, SILEX_WAL_FILE);
	DEFAULT(sync, SILEX_SYNC_ALWAYS);
	DEFAULT(time_unit, SILEX_NS);
	DEFAULT(wal_sync_interval_ms, 1000);
	DEFAULT(max_wal_size, UINT64_C(1) << 30);
	DEFAULT(wal_segment_size, UINT64_C(64) << 20);
	DEFAULT(block_duration_ms, 7200000);
	DEFAULT(checkpoint_interval_ms, 7200000);
	DEFAULT(memory_limit, UINT64_C(256) << 20);
	DEFAULT(write_wait_ms, 30000);
	DEFAULT(cold_after_ms, INT64_C(30) * 86400000);
	DEFAULT(cold_remove_after_ms, 3600000);
	DEFAULT(free_min, UINT64_C(1) << 30);
	DEFAULT(free_min_percent, 5);
	DEFAULT(free_warn_percent, 15);
	if ((unsigned)to->wal > SILEX_WAL_NONE || (unsigned)to->sync > SILEX_SYNC_NEVER || (unsigned)to->time_unit > SILEX_S)
		return slx_err(err, SILEX_INVALID, "options: wal, sync or time_unit is outside its list");
	return SILEX_OK;
}
