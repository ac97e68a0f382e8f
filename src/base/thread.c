/* A pool has two kinds of work under one lock: a queue of tasks, and a list of jobs that slx_pool_run has split into
 * parts. Jobs live on the stack of their caller and need no memory: the caller links its job, works on the parts like
 * every worker, unlinks it when no part is left to take and waits for the workers that are still inside one. Workers
 * look at jobs first, since somebody is waiting for them. */
#include "base/thread.h"

#include <stdio.h>
#include <string.h>

struct task {
	struct task *next;
	void (*fn)(void *arg);
	void *arg;
};

struct job {
	struct job *next;
	void (*part)(void *arg, size_t i);
	void *arg;
	size_t parts;
	_Atomic size_t taken; /* parts handed out; may overshoot */
	unsigned inside;      /* pool->lock: workers in this job */
};

struct slx_pool {
	struct slx_mem *mem;
	unsigned threads, started;
	pthread_mutex_t lock;
	pthread_cond_t work; /* something to do, or closing */
	pthread_cond_t left; /* a worker left a job */
	/* lock */
	struct task *head, **tail;
	struct job *jobs;
	bool closing;
	pthread_t ids[];
};

static size_t pool_size(unsigned threads) { return sizeof(struct slx_pool) + threads * sizeof(pthread_t); }

static void do_parts(struct job *j)
{
	size_t i;
	while ((i = atomic_fetch_add_explicit(&j->taken, 1, memory_order_relaxed)) < j->parts)
		j->part(j->arg, i);
}

/* lock held: a job with parts left, or NULL. */
static struct job *open_job(struct slx_pool *p)
{
	for (struct job *j = p->jobs; j; j = j->next)
		if (atomic_load_explicit(&j->taken, memory_order_relaxed) < j->parts)
			return j;
	return NULL;
}

/* lock held on entry and exit. */
static void help_job(struct slx_pool *p, struct job *j)
{
	j->inside++;
	pthread_mutex_unlock(&p->lock);
	do_parts(j);
	pthread_mutex_lock(&p->lock);
	if (--j->inside == 0)
		pthread_cond_broadcast(&p->left);
}

/* lock held on entry and exit. */
static void run_task(struct slx_pool *p)
{
	struct task *t = p->head;
	p->head = t->next;
	if (!p->head)
		p->tail = &p->head;
	pthread_mutex_unlock(&p->lock);
	t->fn(t->arg);
	slx_free(p->mem, SLX_MEM_OTHER, t, sizeof *t);
	pthread_mutex_lock(&p->lock);
}

static void *worker(void *arg)
{
	struct slx_pool *p = arg;
	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct job *j = open_job(p);
		if (j)
			help_job(p, j);
		else if (p->head)
			run_task(p);
		else if (p->closing)
			break;
		else
			pthread_cond_wait(&p->work, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

silex_status slx_pool_new(
	struct slx_mem *m, unsigned threads, const char *name, struct slx_pool **ret, silex_error *err)
{
	struct slx_pool *p = slx_calloc(m, SLX_MEM_OTHER, pool_size(threads));
	if (!p)
		return slx_err_oom(err);
	p->mem = m;
	p->threads = threads;
	p->tail = &p->head;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->left, NULL);
	for (; p->started < threads; p->started++) {
		char text[16]; /* the kernel's limit */
		int r = pthread_create(&p->ids[p->started], NULL, worker, p);
		if (r != 0) {
			slx_pool_free(p);
			return slx_err_errno(err, r, "start a thread");
		}
		snprintf(text, sizeof text, "%.11s-%u", name, p->started % 1000);
		pthread_setname_np(p->ids[p->started], text);
	}
	*ret = p;
	return SILEX_OK;
}

void slx_pool_free(struct slx_pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->closing = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->started; i++)
		pthread_join(p->ids[i], NULL);
	pthread_cond_destroy(&p->left);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	slx_free(p->mem, SLX_MEM_OTHER, p, pool_size(p->threads));
}

unsigned slx_pool_threads(const struct slx_pool *p) { return p->threads; }

silex_status slx_pool_submit(struct slx_pool *p, void (*fn)(void *arg), void *arg, silex_error *err)
{
	struct task *t = slx_alloc(p->mem, SLX_MEM_OTHER, sizeof *t);
	if (!t)
		return slx_err_oom(err);
	*t = (struct task){ .fn = fn, .arg = arg };
	pthread_mutex_lock(&p->lock);
	*p->tail = t;
	p->tail = &t->next;
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
	return SILEX_OK;
}

void slx_pool_run(struct slx_pool *p, size_t parts, void (*part)(void *arg, size_t i), void *arg)
{
	struct job j = { .part = part, .arg = arg, .parts = parts };
	if (parts > 1 && p->threads > 0) {
		pthread_mutex_lock(&p->lock);
		j.next = p->jobs;
		p->jobs = &j;
		pthread_cond_broadcast(&p->work);
		pthread_mutex_unlock(&p->lock);
	}
	do_parts(&j);
	if (parts > 1 && p->threads > 0) {
		pthread_mutex_lock(&p->lock);
		struct job **at = &p->jobs;
		while (*at != &j)
			at = &(*at)->next;
		*at = j.next;
		while (j.inside > 0)
			pthread_cond_wait(&p->left, &p->lock);
		pthread_mutex_unlock(&p->lock);
	}
}
