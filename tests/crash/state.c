/* Scripts, and the states that they allow. */
#include "crash.h"

#include "oracle.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const op_name[OP_KINDS] = { "insert", "batch", "append", "values", "columns", "async", "bytes", "delete", "cleanup", "flush", "checkpoint", "compact", "reopen" };
const char *const tenant_name[TENANTS] = { "default", "ward-7" };
const char *const state_text[STATES] = { "open", "closed", "moving", "unknown", "a state whose text is rather longer than those of the others" };

void series_labels(int series, char text[2][8], silex_label ret[2])
{
	snprintf(text[0], 8, "m%u", (unsigned)series / 2 % 100);
	snprintf(text[1], 8, "h%u", (unsigned)series % 2);
	ret[0] = (silex_label){ "__name__", text[0] };
	ret[1] = (silex_label){ "host", text[1] };
}

static bool is_enum(int series)
{
	return series == SERIES - 1;
}

/* --- scripts -------------------------------------------------------------------------------------------------------- */

static uint64_t below(uint64_t *rng, uint64_t n)
{
	return slx_rng_next(rng) % n;
}

/* Values are distinct, so that it shows which write a sample comes from. */
static struct sample draw_sample(uint64_t *rng, int series, silex_kind kind, uint64_t serial)
{
	struct sample x = { .present = true, .kind = kind };
	double d = (double)serial / (below(rng, 2) ? 100 : 1);
	if (is_enum(series)) {
		x.kind = SILEX_ENUM;
		x.bits = below(rng, STATES);
	} else if (kind == SILEX_INT64 || oracle_is_bytes(kind)) {
		x.bits = serial;
	} else if (kind == SILEX_BOOL) {
		x.bits = serial & 1;
	} else if (below(rng, 4) == 0) {
		x.bits = (slx_rng_next(rng) & UINT64_C(0xbfffffffffff0000)) | (serial & 0xffff); /* any double but NaN, and incompressible */
	} else {
		memcpy(&x.bits, &d, sizeof d);
	}
	return x;
}

static void draw_rows(uint64_t *rng, struct op *op, int newest[SERIES], int number)
{
	bool floats = op->kind == OP_APPEND || op->kind == OP_COLUMNS, bytes = op->kind == OP_BYTES;
	op->n = op->kind == OP_INSERT ? 1 : 1 + below(rng, ROWS_MAX);
	int series = (int)below(rng, floats || bytes ? SERIES - 1 : SERIES);
	for (size_t i = 0; i < op->n; i++) {
		if (op->kind != OP_VALUES && op->kind != OP_COLUMNS && !bytes)
			series = (int)below(rng, floats ? SERIES - 1 : SERIES);
		int slot = newest[series] + 1;
		if (slot >= SLOTS || below(rng, 4) == 0)
			slot = (int)below(rng, (uint64_t)(newest[series] + 2 < SLOTS ? newest[series] + 2 : SLOTS));
		newest[series] = slot > newest[series] ? slot : newest[series];
		uint64_t k = below(rng, 8);
		silex_kind kind = bytes ? (series % 2 ? ORACLE_HISTOGRAM : ORACLE_BYTES) : floats || k < 6 ? SILEX_FLOAT64 : k < 7 ? SILEX_INT64 : SILEX_BOOL;
		op->rows[i] = (struct row){ series, slot, draw_sample(rng, series, kind, (uint64_t)number * 1000 + i) };
	}
}

static void draw_delete(uint64_t *rng, struct op *op)
{
	int metric = (int)below(rng, SERIES / 2), host = (int)below(rng, 2), form = (int)below(rng, 4);
	static const char *const forms[] = { "m%d", "{host=\"h%d\"}", "{host!=\"h%d\"}", "" };
	snprintf(op->selector, sizeof op->selector, forms[form], form == 0 ? metric : host);
	for (int s = 0; s < SERIES; s++)
		op->taken[s] = op->kind == OP_CLEANUP || form == 3 || (form == 0 ? s / 2 == metric : (s % 2 == host) == (form == 1));
	op->from = op->kind == OP_CLEANUP ? 0 : (int)below(rng, SLOTS);
	op->to = op->from + (int)below(rng, below(rng, 3) ? 10 : SLOTS);
	if (op->to >= SLOTS)
		op->to = SLOTS - 1;
}

static void add_effect(struct script *s, struct effect ***tails, size_t *used, int op, int tenant, const struct row *row)
{
	struct effect *e = &s->effects[(*used)++];
	struct effect ***tail = &tails[(tenant * SERIES + row->series) * SLOTS + row->slot];
	*e = (struct effect){ NULL, op, row->sample };
	**tail = e;
	*tail = &e->next;
}

static void effects_of(struct script *s)
{
	enum { ALL = TENANTS * SERIES * SLOTS };
	struct effect **tails[ALL];
	size_t used = 0;
	s->effects = malloc(OPS_MAX * (size_t)(SERIES * SLOTS) * sizeof *s->effects);
	if (!s->effects)
		abort();
	for (int i = 0; i < ALL; i++)
		tails[i] = &(&s->first[0][0][0])[i];
	for (int i = 0; i < s->n; i++) {
		const struct op *op = &s->ops[i];
		for (size_t k = 0; k < op->n; k++)
			add_effect(s, tails, &used, i, op->tenant, &op->rows[k]);
		if (op->kind != OP_DELETE && op->kind != OP_CLEANUP)
			continue;
		for (int series = 0; series < SERIES; series++)
			for (int slot = op->from; op->taken[series] && slot <= op->to; slot++)
				add_effect(s, tails, &used, i, op->tenant, &(struct row){ series, slot, { .present = false } });
	}
}

void script_make(struct script *s, uint64_t seed)
{
	static const unsigned weight[OP_KINDS] = { 10, 14, 10, 8, 6, 6, 8, 9, 3, 5, 8, 6, 6 };
	static const int64_t spacing[] = { 1000000, 15000000000, 3600000000000, 86400000000000 };
	static const uint64_t segments[] = { 4096, 65536, 0 };
	static const char *const codecs[] = { "auto", "auto", "gorilla", "raw" };
	static const char *const wraps[] = { "lz4", "zstd", "none" };
	int newest[TENANTS][SERIES];
	uint64_t rng = seed;
	memset(s, 0, sizeof *s);
	memset(newest, -1, sizeof newest);
	s->seed = seed;
	s->sync = (silex_sync)(SILEX_SYNC_ALWAYS + seed % 3);
	s->segment_size = segments[below(&rng, 3)];
	s->codec = codecs[below(&rng, 4)];
	s->compression = wraps[below(&rng, 3)];
	int64_t step = spacing[below(&rng, 4)], t = INT64_C(1700000000000000000);
	for (int i = 0; i < SLOTS; i++, t += step + (int64_t)below(&rng, 2))
		s->time[i] = t;
	s->n = 24 + (int)below(&rng, OPS_MAX - 24);
	for (int i = 0; i < s->n; i++) {
		struct op *op = &s->ops[i];
		unsigned sum = 0, pick;
		for (int k = 0; k < OP_KINDS; k++)
			sum += weight[k];
		pick = (unsigned)below(&rng, sum);
		while (pick >= weight[op->kind])
			pick -= weight[op->kind++];
		op->tenant = (int)below(&rng, TENANTS);
		op->full = below(&rng, 2);
		if (op->kind <= OP_BYTES)
			draw_rows(&rng, op, newest[op->tenant], i + 1);
		else if (op->kind <= OP_CLEANUP)
			draw_delete(&rng, op);
	}
	effects_of(s);
}

void script_free(struct script *s)
{
	free(s->effects);
	s->effects = NULL;
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

static bool put_sample(const struct script *s, int tenant, int series, int64_t t, const struct sample *x, struct state *ret)
{
	int slot = 0;
	while (slot < SLOTS && s->time[slot] != t)
		slot++;
	if (slot == SLOTS || ret->at[tenant][series][slot].present) {
		printf("  tenant %d series %d: time %lld is %s\n", tenant, series, (long long)t, slot == SLOTS ? "unknown" : "there twice");
		return false;
	}
	ret->at[tenant][series][slot] = *x;
	return true;
}

static bool series_number(int metric, int host, int *ret)
{
	*ret = metric * 2 + host;
	if (metric >= 0 && host >= 0 && host <= 1 && *ret < SERIES)
		return true;
	printf("  a series that nobody wrote: metric %d host %d\n", metric, host);
	return false;
}

static bool put_batch(const struct script *s, const silex_batch *b, int tenant, struct state *ret)
{
	int metric = -1, host = -1, series;
	for (size_t i = 0; i < b->n_labels; i++)
		*(strcmp(b->labels[i].name, "__name__") == 0 ? &metric : &host) = atoi(b->labels[i].value + 1);
	if (!series_number(metric, host, &series))
		return false;
	for (size_t i = 0; i < b->n; i++) {
		struct sample x = { .present = true, .kind = b->kind };
		if (b->kind == SILEX_ENUM)
			while (x.bits < STATES && strcmp(b->states[i], state_text[x.bits]) != 0)
				x.bits++;
		else if (b->kind == SILEX_FLOAT64)
			memcpy(&x.bits, &b->values[i], sizeof x.bits);
		else
			x.bits = (uint64_t)b->ints[i];
		if (!put_sample(s, tenant, series, b->times[i], &x, ret))
			return false;
	}
	return true;
}

struct reading {
	const struct script *s;
	int tenant;
	struct state *ret;
	bool ok;
};

static bool put_bytes(void *arg, struct slx_labels l, const struct oracle_sample *x)
{
	struct reading *r = arg;
	int series;
	r->ok = series_number(slx_labels_get(l, SLX_METRIC_NAME).p[1] - '0', slx_labels_get(l, SLX_STR("host")).p[1] - '0', &series) &&
		put_sample(r->s, r->tenant, series, x->t, &(struct sample){ true, x->kind, x->bits }, r->ret);
	return r->ok;
}

static bool read_tenant(silex_db *db, const struct script *s, int tenant, struct state *ret)
{
	silex_error err;
	silex_query q;
	silex_cursor *c;
	silex_batch b;
	silex_query_init(&q);
	q.tenant = tenant_name[tenant];
	q.start = s->time[0] - 1000;
	q.end = SILEX_TIME_MAX;
	silex_status status = silex_query_run(db, &q, &c, &err);
	if (status != SILEX_OK) {
		printf("  query: %s\n", err.message);
		return false;
	}
	bool ok = true;
	while (ok && (status = silex_cursor_next(c, &b, &err)) == SILEX_OK && b.n > 0)
		ok = put_batch(s, &b, tenant, ret);
	silex_cursor_close(c);
	struct reading r = { s, tenant, ret, ok };
	if (ok && status == SILEX_OK)
		status = oracle_read(db, tenant_name[tenant], "", q.start, q.end, put_bytes, &r, &err);
	if (ok && status != SILEX_OK)
		printf("  query: %s\n", err.message);
	return r.ok && status == SILEX_OK;
}

bool state_read(silex_db *db, const struct script *s, struct state *ret)
{
	memset(ret, 0, sizeof *ret);
	bool ok = true;
	for (int t = 0; t < TENANTS; t++)
		ok = read_tenant(db, s, t, ret) && ok;
	return ok;
}

/* --- judging ---------------------------------------------------------------------------------------------------------- */

static bool same(const struct sample *a, const struct sample *b)
{
	return a->present == b->present && (!a->present || (a->kind == b->kind && a->bits == b->bits));
}

bool state_equal(const struct state *want, const struct state *got)
{
	for (int i = 0; i < TENANTS * SERIES * SLOTS; i++) {
		const struct sample *a = &(&want->at[0][0][0])[i], *b = &(&got->at[0][0][0])[i];
		if (same(a, b))
			continue;
		printf("  tenant %d series %d slot %d: present %d kind %d bits %llx, expected present %d kind %d bits %llx\n", i / SLOTS / SERIES,
			i / SLOTS % SERIES, i % SLOTS, b->present, (int)b->kind, (unsigned long long)b->bits, a->present, (int)a->kind, (unsigned long long)a->bits);
		return false;
	}
	return true;
}

/* Whether a slot may hold x when operations before `end` are in as their fates say, `end` in part, later ones not:
 * what the last certain operation left, or what one that is in doubt made of it since. */
static bool slot_allowed(const struct history *h, const struct effect *e, const struct sample *x, int end)
{
	struct sample sure = { .present = false };
	bool doubt = false;
	for (; e && e->op <= end; e = e->next) {
		if (h->fate[e->op] == NOT_TRIED)
			continue;
		if (h->fate[e->op] == ACKNOWLEDGED && e->op < end) {
			sure = e->sample;
			doubt = false;
		} else {
			doubt |= same(&e->sample, x);
		}
	}
	return doubt || same(&sure, x);
}

static void explain(const struct script *s, const struct history *h, const struct state *st, int end)
{
	static const char *const fates[] = { "not tried", "failed", "acknowledged" };
	for (int t = 0, shown = 0; t < TENANTS; t++)
		for (int k = 0; k < SERIES; k++)
			for (int i = 0; i < SLOTS && shown < 4; i++) {
				const struct sample *x = &st->at[t][k][i];
				if (slot_allowed(h, s->first[t][k][i], x, end))
					continue;
				printf("  tenant %d series %d slot %d: %s kind %d bits %llx; written by", t, k, i, x->present ? "present" : "absent", (int)x->kind,
					(unsigned long long)x->bits);
				for (const struct effect *e = s->first[t][k][i]; e; e = e->next)
					printf(" [%d %s %s %llx]", e->op, op_name[s->ops[e->op].kind], fates[h->fate[e->op]], (unsigned long long)e->sample.bits);
				printf("\n");
				shown++;
			}
}

bool state_allowed(const struct script *s, const struct history *h, const struct state *st, bool all)
{
	uint64_t possible = 0; /* bit i: the log may end inside operation i */
	int from = all ? h->tried : h->durable;
	for (int i = from; i <= h->tried; i++)
		possible |= UINT64_C(1) << i;
	for (int k = 0; k < TENANTS * SERIES * SLOTS; k++) {
		const struct effect *e = (&s->first[0][0][0])[k];
		const struct sample *x = &(&st->at[0][0][0])[k];
		for (int i = from; i <= h->tried; i++)
			if ((possible >> i & 1) && !slot_allowed(h, e, x, i))
				possible &= ~(UINT64_C(1) << i);
	}
	if (possible)
		return true;
	printf("  no state that the promise allows: %d operations tried, durable before %d\n", h->tried, h->durable);
	explain(s, h, st, h->tried);
	return false;
}
