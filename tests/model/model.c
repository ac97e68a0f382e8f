#include "model.h"

#include "oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const model_tenant[MODEL_TENANTS] = { "default", "ward-7" };
const char *const model_state[4] = { "open", "closed", "moving", "unknown" };

void model_labels(int s, char text[2][16], silex_label ret[2])
{
	snprintf(text[0], 16, "m%d", s / 4);
	snprintf(text[1], 16, "h%d", s % 4);
	ret[0] = (silex_label){ "__name__", text[0] };
	ret[1] = (silex_label){ "host", text[1] };
}

int model_selector(uint64_t random, char *ret, size_t cap, bool taken[MODEL_SERIES])
{
	int metric = (int)(random >> 8 & 255) % 3, host = (int)(random >> 16 & 255) % 4, n = 0;
	for (int s = 0; s < MODEL_SERIES; s++) {
		switch (random % 5) {
		case 0:
			snprintf(ret, cap, "m%d", metric);
			taken[s] = s / 4 == metric;
			break;
		case 1:
			snprintf(ret, cap, "{host=\"h%d\"}", host);
			taken[s] = s % 4 == host;
			break;
		case 2:
			snprintf(ret, cap, "m%d{host!=\"h%d\"}", metric, host);
			taken[s] = s / 4 == metric && s % 4 != host;
			break;
		case 3:
			snprintf(ret, cap, "{host=~\"h[0%d]\",__name__=~\"m0|m%d\"}", host, metric);
			taken[s] = (s % 4 == 0 || s % 4 == host) && (s / 4 == 0 || s / 4 == metric);
			break;
		default:
			snprintf(ret, cap, "%s", "");
			taken[s] = true;
		}
		n += taken[s];
	}
	return n;
}

static int series_of(const silex_batch *b)
{
	int metric = -1, host = -1;
	for (size_t i = 0; i < b->n_labels; i++)
		if (strcmp(b->labels[i].name, "__name__") == 0)
			metric = atoi(b->labels[i].value + 1);
		else
			host = atoi(b->labels[i].value + 1);
	return metric * 4 + host;
}

static int series_of_labels(struct slx_labels l)
{
	return (slx_labels_get(l, SLX_METRIC_NAME).p[1] - '0') * 4 + slx_labels_get(l, SLX_STR("host")).p[1] - '0';
}

static uint64_t bits_of(const silex_batch *b, size_t i)
{
	uint64_t bits = 0;
	switch (b->kind) {
	case SILEX_FLOAT64:
		memcpy(&bits, &b->values[i], sizeof bits);
		return bits;
	case SILEX_ENUM:
		for (int k = 0; k < 4; k++)
			if (strcmp(b->states[i], model_state[k]) == 0)
				return (uint64_t)k;
		return UINT64_MAX;
	default:
		return (uint64_t)b->ints[i];
	}
}

/* The next slot with a sample, of the kinds that the C API has or of those that are bytes. */
static int next_slot(const struct model *m, int tenant, int s, int slot, int to, bool bytes)
{
	while (slot <= to && (!m->at[tenant][s][slot].present || oracle_is_bytes(m->at[tenant][s][slot].kind) != bytes))
		slot++;
	return slot;
}

/* Where a comparison stands: the next slot of each series. */
struct compare {
	const struct model *m;
	const char *selector;
	const bool *taken;
	int tenant, to;
	bool bytes, same;
	int at[MODEL_SERIES];
};

static void compare_begin(struct compare *c, int from, bool bytes)
{
	c->same = true;
	c->bytes = bytes;
	for (int s = 0; s < MODEL_SERIES; s++)
		c->at[s] = next_slot(c->m, c->tenant, s, from, c->to, bytes);
}

static bool compare_sample(struct compare *c, int s, int64_t t, silex_kind kind, uint64_t bits)
{
	int at = c->at[s];
	const struct model_sample *want = at <= c->to ? &c->m->at[c->tenant][s][at] : NULL;
	if (!c->taken[s] || !want || c->m->time[at] != t || want->kind != kind || want->bits != bits) {
		printf("tenant %d %s series %d: got time %lld kind %d bits %llx, the model has slot %d time %lld kind %d bits %llx\n", c->tenant, c->selector, s,
			(long long)t, (int)kind, (unsigned long long)bits, at, want ? (long long)c->m->time[at] : -1, want ? (int)want->kind : -1,
			want ? (unsigned long long)want->bits : 0);
		c->same = false;
	}
	c->at[s] = next_slot(c->m, c->tenant, s, at + 1, c->to, c->bytes);
	return c->same;
}

static bool compare_end(struct compare *c)
{
	for (int s = 0; s < MODEL_SERIES && c->same; s++)
		if (c->taken[s] && c->at[s] <= c->to) {
			printf("tenant %d %s series %d: slot %d (time %lld) is missing\n", c->tenant, c->selector, s, c->at[s], (long long)c->m->time[c->at[s]]);
			c->same = false;
		}
	return c->same;
}

static bool compare_bytes(void *arg, struct slx_labels labels, const struct oracle_sample *x)
{
	return compare_sample(arg, series_of_labels(labels), x->t, x->kind, x->bits);
}

bool model_compare(silex_db *db, const struct model *m, int tenant, const char *selector, const bool *taken, int from, int to)
{
	struct compare compare = { .m = m, .selector = selector, .taken = taken, .tenant = tenant, .to = to };
	silex_error err;
	silex_cursor *c;
	silex_query q;
	silex_batch b;
	silex_query_init(&q);
	q.tenant = model_tenant[tenant];
	q.selectors = &selector;
	q.n_selectors = 1;
	q.start = m->time[from];
	q.end = m->time[to];
	compare_begin(&compare, from, false);
	silex_status status = silex_query_run(db, &q, &c, &err);
	if (status != SILEX_OK) {
		printf("query %s: %s\n", selector, err.message);
		return false;
	}
	while ((status = silex_cursor_next(c, &b, &err)) == SILEX_OK && b.n > 0 && compare.same)
		for (size_t i = 0; i < b.n && compare.same; i++)
			compare_sample(&compare, series_of(&b), b.times[i], b.kind, bits_of(&b, i));
	silex_cursor_close(c);
	if (status == SILEX_OK && compare_end(&compare)) {
		compare_begin(&compare, from, true);
		status = oracle_read(db, model_tenant[tenant], selector, m->time[from], m->time[to], compare_bytes, &compare, &err);
	}
	if (status != SILEX_OK)
		printf("query %s: %s\n", selector, err.message);
	return status == SILEX_OK && compare.same && compare_end(&compare);
}
