/* Annotations: what an answer says about itself. Each text once, with the place in the query it speaks of. */
#include "promql/exec_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { NOTE_SIZE = 1024, NOTES_MAX = 1000, LISTED_MAX = 10 };

void slx_pq_notes_init(struct slx_pq_notes *n, struct slx_mem *m, struct slx_str query)
{
	*n = (struct slx_pq_notes){ .query = query };
	pthread_mutex_init(&n->lock, NULL);
	slx_arena_init(&n->arena, m, SLX_MEM_QUERY, 65536);
}

void slx_pq_notes_free(struct slx_pq_notes *n)
{
	slx_arena_clear(&n->arena);
	pthread_mutex_destroy(&n->lock);
}

/* Line and column, both from 1, of a byte of the query. */
static size_t put_place(const struct slx_pq_notes *n, struct slx_pq_pos at, char *to, size_t size)
{
	size_t line = 1, begin = 0;
	for (size_t i = 0; i < at.from && i < n->query.n; i++)
		if (n->query.p[i] == '\n') {
			line++;
			begin = i + 1;
		}
	return (size_t)snprintf(to, size, " (%zu:%zu)", line, at.from - begin + 1);
}

static bool is_known(const struct slx_pq_notes *n, bool info, struct slx_str text)
{
	for (const struct slx_pq_text *t = n->first; t; t = t->next)
		if (t->info == info && slx_str_eq(t->text, text))
			return true;
	return false;
}

static void add(struct slx_pq_notes *n, bool info, struct slx_str text)
{
	if (n->n[info] >= NOTES_MAX || is_known(n, info, text))
		return;
	struct slx_pq_text *t = slx_arena_alloc(&n->arena, sizeof *t + text.n, 8);
	if (!t) {
		n->failed = true;
		return;
	}
	memcpy(t + 1, text.p, text.n);
	*t = (struct slx_pq_text){ n->first, { (char *)(t + 1), text.n }, info };
	n->first = t;
	n->n[info]++;
}

void slx_pq_note(struct slx_pq_notes *n, bool info, struct slx_pq_pos at, const char *fmt, ...)
{
	char text[NOTE_SIZE + 64];
	va_list args;
	va_start(args, fmt);
	int size = vsnprintf(text, NOTE_SIZE, fmt, args);
	va_end(args);
	if (size < 0)
		return;
	size_t used = (size_t)size < NOTE_SIZE ? (size_t)size : NOTE_SIZE - 1;
	used += put_place(n, at, text + used, sizeof text - used);
	pthread_mutex_lock(&n->lock);
	add(n, info, (struct slx_str){ text, used });
	pthread_mutex_unlock(&n->lock);
}

static int compare(const void *a, const void *b)
{
	return slx_str_cmp(*(const struct slx_str *)a, *(const struct slx_str *)b);
}

silex_status slx_pq_notes_list(
	struct slx_pq_notes *n, bool info, struct slx_arena *a, const struct slx_str **ret, size_t *ret_n, silex_error *err)
{
	size_t all = n->n[info], given = all < LISTED_MAX ? all : LISTED_MAX, i = 0;
	*ret_n = 0;
	if (n->failed)
		return slx_err_oom(err);
	if (all == 0)
		return SILEX_OK;
	struct slx_str *list = slx_arena_alloc(a, (all + 1) * sizeof *list, 8);
	if (!list)
		return slx_err_oom(err);
	for (const struct slx_pq_text *t = n->first; t; t = t->next) {
		if (t->info != info)
			continue;
		char *copy = slx_arena_alloc(a, t->text.n, 1);
		if (!copy)
			return slx_err_oom(err);
		memcpy(copy, t->text.p, t->text.n);
		list[i++] = (struct slx_str){ copy, t->text.n };
	}
	qsort(list, all, sizeof *list, compare);
	if (all > given) {
		char *more = slx_arena_alloc(a, 64, 1);
		if (!more)
			return slx_err_oom(err);
		int size = snprintf(more, 64, "%zu more %s annotations omitted", all - given, info ? "info" : "warning");
		list[given++] = (struct slx_str){ more, (size_t)size };
	}
	*ret = list;
	*ret_n = given;
	return SILEX_OK;
}
