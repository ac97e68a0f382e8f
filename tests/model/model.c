#include "model.h"

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

static int next_slot(const struct model *m, int tenant, int s, int slot, int to)
{
	while (slot <= to && !m->at[tenant][s][slot].present)
		slot++;
	return slot;
}

bool model_compare(silex_db *db, const struct model *m, int tenant, const char *selector, const bool *taken, int from, int to)
{
	silex_error err;
	silex_cursor *c;
	silex_query q;
	silex_batch b;
	int at[MODEL_SERIES];
	silex_query_init(&q);
	q.tenant = model_tenant[tenant];
	q.selectors = &selector;
	q.n_selectors = 1;
	q.start = m->time[from];
	q.end = m->time[to];
	for (int s = 0; s < MODEL_SERIES; s++)
		at[s] = next_slot(m, tenant, s, from, to);
	if (silex_query_run(db, &q, &c, &err) != SILEX_OK) {
		printf("query %s: %s\n", selector, err.message);
		return false;
	}
	bool same = true;
	for (;;) {
		if (silex_cursor_next(c, &b, &err) != SILEX_OK) {
			printf("query %s: %s\n", selector, err.message);
			same = false;
			break;
		}
		if (b.n == 0)
			break;
		int s = series_of(&b);
		for (size_t i = 0; i < b.n && same; i++) {
			const struct model_sample *want = at[s] <= to ? &m->at[tenant][s][at[s]] : NULL;
			if (!taken[s] || !want || m->time[at[s]] != b.times[i] || want->kind != b.kind || want->bits != bits_of(&b, i)) {
				printf("tenant %d %s series %d: got time %lld kind %d bits %llx, the model has slot %d time %lld kind %d bits %llx\n", tenant, selector, s,
					(long long)b.times[i], (int)b.kind, (unsigned long long)bits_of(&b, i), at[s], want ? (long long)m->time[at[s]] : -1,
					want ? (int)want->kind : -1, want ? (unsigned long long)want->bits : 0);
				same = false;
			}
			at[s] = next_slot(m, tenant, s, at[s] + 1, to);
		}
		if (!same)
			break;
	}
	for (int s = 0; s < MODEL_SERIES && same; s++)
		if (taken[s] && at[s] <= to) {
			printf("tenant %d %s series %d: slot %d (time %lld) is missing\n", tenant, selector, s, at[s], (long long)m->time[at[s]]);
			same = false;
		}
	silex_cursor_close(c);
	return same;
}
