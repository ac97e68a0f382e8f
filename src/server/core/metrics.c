/* Metrics are kept in one list sorted by (name, labels) at registration, so that writing is one walk. Collectors write into
 * the same text after it. Registration and writing take the lock; counting takes none. */
#include "server/core/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>

struct slx_metric {
	struct slx_metric *next;
	enum slx_metric_type type;
	const char *name, *help, *labels; /* in the same allocation */
	size_t size;                      /* of it */
	_Atomic uint64_t bits;            /* counter: the number; gauge: of a double; histogram: of the sum, a double */
	double (*read)(void *ctx);        /* callback; NULL without */
	void *ctx;
	size_t n;         /* histogram: bounds */
	double *bounds;   /* n */
	_Atomic uint64_t *buckets; /* n + 1 */
};

struct collector {
	struct collector *next;
	void (*collect)(void *ctx, struct slx_metrics_writer *w);
	void *ctx;
};

struct slx_metrics {
	struct slx_mem *mem;
	pthread_mutex_t lock; /* the lists */
	struct slx_metric *first;
	struct collector *collectors;
};

struct slx_metrics_writer {
	struct slx_buf *out;
	char last[128]; /* name of the family being written */
};

silex_status slx_metrics_new(struct slx_mem *m, struct slx_metrics **ret, silex_error *err)
{
	struct slx_metrics *x = slx_calloc(m, SLX_MEM_OTHER, sizeof *x);
	if (!x)
		return slx_err_oom(err);
	x->mem = m;
	pthread_mutex_init(&x->lock, NULL);
	*ret = x;
	return SILEX_OK;
}

void slx_metrics_free(struct slx_metrics *m)
{
	if (!m)
		return;
	for (struct slx_metric *x = m->first, *next; x; x = next) {
		next = x->next;
		slx_free(m->mem, SLX_MEM_OTHER, x, x->size);
	}
	for (struct collector *c = m->collectors, *next; c; c = next) {
		next = c->next;
		slx_free(m->mem, SLX_MEM_OTHER, c, sizeof *c);
	}
	pthread_mutex_destroy(&m->lock);
	slx_free(m->mem, SLX_MEM_OTHER, m, sizeof *m);
}

/* --- registration ----------------------------------------------------------------------------------------------- */

static int compare(const struct slx_metric *x, const char *name, const char *labels)
{
	int c = strcmp(x->name, name);
	return c ? c : strcmp(x->labels, labels);
}

static char *append(char *to, const char *z, const char **ret)
{
	size_t n = strlen(z) + 1;
	*ret = to;
	memcpy(to, z, n);
	return to + n;
}

/* The metric of that name, made when it is new. Under the lock. */
static struct slx_metric *make(struct slx_metrics *m, enum slx_metric_type type, const char *name, const char *help, const char *labels, size_t bounds)
{
	struct slx_metric **at = &m->first;
	while (*at && compare(*at, name, labels) < 0)
		at = &(*at)->next;
	if (*at && compare(*at, name, labels) == 0)
		return *at;
	size_t numbers = bounds * sizeof(double) + (bounds ? bounds + 1 : 0) * sizeof(uint64_t);
	size_t size = sizeof(struct slx_metric) + numbers + strlen(name) + strlen(help) + strlen(labels) + 3;
	struct slx_metric *x = slx_calloc(m->mem, SLX_MEM_OTHER, size);
	if (!x)
		return NULL;
	x->type = type;
	x->size = size;
	x->n = bounds;
	x->bounds = (double *)(x + 1);
	x->buckets = (_Atomic uint64_t *)(x->bounds + bounds);
	char *text = (char *)(x + 1) + numbers;
	text = append(text, name, &x->name);
	text = append(text, help, &x->help);
	append(text, labels, &x->labels);
	x->next = *at;
	*at = x;
	return x;
}

static struct slx_metric *add(struct slx_metrics *m, enum slx_metric_type type, const char *name, const char *help, const char *labels)
{
	pthread_mutex_lock(&m->lock);
	struct slx_metric *x = make(m, type, name, help, labels, 0);
	pthread_mutex_unlock(&m->lock);
	return x;
}

struct slx_metric *slx_metrics_counter(struct slx_metrics *m, const char *name, const char *help, const char *labels)
{
	return add(m, SLX_COUNTER, name, help, labels);
}

struct slx_metric *slx_metrics_gauge(struct slx_metrics *m, const char *name, const char *help, const char *labels)
{
	return add(m, SLX_GAUGE, name, help, labels);
}

struct slx_metric *slx_metrics_histogram(struct slx_metrics *m, const char *name, const char *help, const char *labels, const double *bounds, size_t n)
{
	static const double usual[] = { 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30 };
	if (n == 0) {
		bounds = usual;
		n = sizeof usual / sizeof *usual;
	}
	pthread_mutex_lock(&m->lock);
	struct slx_metric *x = make(m, SLX_HISTOGRAM, name, help, labels, n);
	if (x)
		memcpy(x->bounds, bounds, n * sizeof *bounds);
	pthread_mutex_unlock(&m->lock);
	return x;
}

void slx_metrics_callback(struct slx_metrics *m, enum slx_metric_type type, const char *name, const char *help, const char *labels,
	double (*read)(void *ctx), void *ctx)
{
	pthread_mutex_lock(&m->lock);
	struct slx_metric *x = make(m, type, name, help, labels, 0);
	if (x) {
		x->read = read;
		x->ctx = ctx;
	}
	pthread_mutex_unlock(&m->lock);
}

void slx_metrics_collector(struct slx_metrics *m, void (*collect)(void *ctx, struct slx_metrics_writer *w), void *ctx)
{
	struct collector *c = slx_calloc(m->mem, SLX_MEM_OTHER, sizeof *c);
	if (!c)
		return;
	c->collect = collect;
	c->ctx = ctx;
	pthread_mutex_lock(&m->lock);
	struct collector **at = &m->collectors;
	while (*at)
		at = &(*at)->next;
	*at = c;
	pthread_mutex_unlock(&m->lock);
}

/* --- counting --------------------------------------------------------------------------------------------------- */

static double as_double(uint64_t bits) { return slx_bits_f64(bits); }

static void move(_Atomic uint64_t *bits, double by)
{
	uint64_t old = atomic_load_explicit(bits, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(bits, &old, slx_f64_bits(as_double(old) + by), memory_order_relaxed, memory_order_relaxed))
		;
}

void slx_metric_add(struct slx_metric *c, uint64_t n)
{
	if (c)
		atomic_fetch_add_explicit(&c->bits, n, memory_order_relaxed);
}

void slx_metric_set(struct slx_metric *g, double v)
{
	if (g)
		atomic_store_explicit(&g->bits, slx_f64_bits(v), memory_order_relaxed);
}

void slx_metric_move(struct slx_metric *g, double by)
{
	if (g)
		move(&g->bits, by);
}

void slx_metric_observe(struct slx_metric *h, double v)
{
	if (!h)
		return;
	size_t i = 0;
	while (i < h->n && !(v <= h->bounds[i]))
		i++;
	atomic_fetch_add_explicit(&h->buckets[i], 1, memory_order_relaxed);
	move(&h->bits, v);
}

double slx_metric_value(const struct slx_metric *c)
{
	if (!c)
		return 0;
	uint64_t bits = atomic_load_explicit(&c->bits, memory_order_relaxed);
	return c->type == SLX_COUNTER ? (double)bits : as_double(bits);
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

static void put_z(struct slx_buf *out, const char *z) { slx_buf_put(out, z, strlen(z)); }

static void put_number(struct slx_buf *out, double v)
{
	char text[40];
	if (isnan(v))
		put_z(out, "NaN");
	else if (isinf(v))
		put_z(out, v > 0 ? "+Inf" : "-Inf");
	else
		slx_buf_put(out, text, (size_t)snprintf(text, sizeof text, v == floor(v) && fabs(v) < 1e15 ? "%.0f" : "%.15g", v));
}

/* HELP and TYPE before the first sample of a name. */
static void put_head(struct slx_metrics_writer *w, enum slx_metric_type type, const char *name, const char *help)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };
	if (strcmp(w->last, name) == 0)
		return;
	snprintf(w->last, sizeof w->last, "%s", name);
	put_z(w->out, "# HELP ");
	put_z(w->out, name);
	put_z(w->out, " ");
	put_z(w->out, help);
	put_z(w->out, "\n# TYPE ");
	put_z(w->out, name);
	put_z(w->out, " ");
	put_z(w->out, types[type]);
	put_z(w->out, "\n");
}

/* name suffix {labels, le="bound"} value; bound NULL: without. */
static void put_sample(struct slx_buf *out, const char *name, const char *suffix, const char *labels, const char *bound, double v)
{
	put_z(out, name);
	put_z(out, suffix);
	if (*labels || bound) {
		put_z(out, "{");
		put_z(out, labels);
		if (bound) {
			put_z(out, *labels ? ",le=\"" : "le=\"");
			put_z(out, bound);
			put_z(out, "\"");
		}
		put_z(out, "}");
	}
	put_z(out, " ");
	put_number(out, v);
	put_z(out, "\n");
}

static void put_histogram(struct slx_buf *out, const struct slx_metric *x)
{
	uint64_t sum = 0;
	for (size_t i = 0; i <= x->n; i++) {
		char bound[40] = "+Inf";
		if (i < x->n)
			snprintf(bound, sizeof bound, "%.15g", x->bounds[i]);
		sum += atomic_load_explicit(&x->buckets[i], memory_order_relaxed);
		put_sample(out, x->name, "_bucket", x->labels, bound, (double)sum);
	}
	put_sample(out, x->name, "_sum", x->labels, NULL, as_double(atomic_load_explicit(&x->bits, memory_order_relaxed)));
	put_sample(out, x->name, "_count", x->labels, NULL, (double)sum);
}

void slx_metrics_emit(struct slx_metrics_writer *w, enum slx_metric_type type, const char *name, const char *help, const char *labels, double v)
{
	put_head(w, type, name, help);
	put_sample(w->out, name, "", labels, NULL, v);
}

void slx_metrics_write(struct slx_metrics *m, struct slx_buf *out)
{
	struct slx_metrics_writer w = { .out = out };
	pthread_mutex_lock(&m->lock);
	for (const struct slx_metric *x = m->first; x; x = x->next) {
		put_head(&w, x->type, x->name, x->help);
		if (x->type == SLX_HISTOGRAM)
			put_histogram(out, x);
		else
			put_sample(out, x->name, "", x->labels, NULL, x->read ? x->read(x->ctx) : slx_metric_value(x));
	}
	for (const struct collector *c = m->collectors; c; c = c->next)
		c->collect(c->ctx, &w);
	pthread_mutex_unlock(&m->lock);
}
