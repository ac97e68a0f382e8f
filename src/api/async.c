/* insert_async: a bounded queue and one thread.
 *
 * The thread takes all that waits, writes it without waiting for the log, then waits once for the whole lot and calls
 * back in order. So many small requests share one commit. */
#include "api/api_int.h"

enum { QUEUE_ROWS_MAX = 65536 };

struct request {
	struct request *next;
	struct slx_arena arena; /* holds everything below, this too is freed with `own` */
	char *tenant;
	silex_row *rows;
	size_t n;
	silex_insert_fn done;
	void *arg;
	silex_batch_result result;
	silex_status status;
	silex_error error;
};

struct slx_async {
	silex_db *db;
	pthread_t thread;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t wake;
	struct request *first, **last;
	size_t rows;
	bool stop;
};

static void request_free(struct slx_mem *m, struct request *r)
{
	slx_arena_clear(&r->arena);
	slx_free(m, SLX_MEM_OTHER, r, sizeof *r);
}

static char *copy_text(struct slx_arena *a, const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = slx_arena_alloc(a, n, 1);
	return p ? memcpy(p, s, n) : NULL;
}

static bool copy_row(struct slx_arena *a, const silex_row *from, silex_row *to)
{
	*to = *from;
	silex_label *labels = slx_arena_alloc(a, (from->n_labels + 1) * sizeof *labels, 8);
	if (!labels)
		return false;
	for (size_t i = 0; i < from->n_labels; i++) {
		labels[i].name = from->labels[i].name ? copy_text(a, from->labels[i].name) : NULL;
		labels[i].value = from->labels[i].value ? copy_text(a, from->labels[i].value) : NULL;
		if (!labels[i].name != !from->labels[i].name || !labels[i].value != !from->labels[i].value)
			return false;
	}
	to->labels = labels;
	if (from->value.kind != SILEX_ENUM || !from->value.as.state)
		return true;
	to->value.as.state = copy_text(a, from->value.as.state);
	return to->value.as.state != NULL;
}

static struct request *request_new(silex_db *db, const char *tenant, const silex_row *rows, size_t n, silex_insert_fn done, void *arg)
{
	struct request *r = slx_calloc(db->mem, SLX_MEM_OTHER, sizeof *r);
	if (!r)
		return NULL;
	slx_arena_init(&r->arena, db->mem, SLX_MEM_OTHER, 1 << 20);
	r->tenant = tenant ? copy_text(&r->arena, tenant) : NULL;
	r->rows = slx_arena_alloc(&r->arena, (n + 1) * sizeof *rows, 8);
	r->n = n;
	r->done = done;
	r->arg = arg;
	bool ok = r->rows && (!tenant || r->tenant);
	for (size_t i = 0; i < n && ok; i++)
		ok = copy_row(&r->arena, &rows[i], &r->rows[i]);
	if (ok)
		return r;
	request_free(db->mem, r);
	return NULL;
}

static void run(struct slx_async *a, struct request *all)
{
	uint64_t lsn = 0;
	for (struct request *r = all; r; r = r->next) {
		uint64_t own = 0;
		r->status = slx_api_insert_rows(a->db, r->tenant, r->rows, r->n, false, &r->result, &own, &r->error);
		lsn = own > lsn ? own : lsn;
	}
	silex_error err = { 0 };
	silex_status waited = slx_engine_wait(a->db->engine, lsn, &err);
	for (struct request *r = all, *next; r; r = next) {
		next = r->next;
		if (r->status == SILEX_OK && waited != SILEX_OK) {
			r->status = waited;
			r->error = err;
		}
		if (r->done)
			r->done(r->arg, r->status, &r->result, r->status == SILEX_OK ? NULL : &r->error);
		request_free(a->db->mem, r);
	}
}

static void *async_main(void *arg)
{
	struct slx_async *a = arg;
	pthread_mutex_lock(&a->lock);
	while (!a->stop || a->first) {
		struct request *all = a->first;
		if (!all) {
			pthread_cond_wait(&a->wake, &a->lock);
			continue;
		}
		a->first = NULL;
		a->last = &a->first;
		a->rows = 0;
		pthread_mutex_unlock(&a->lock);
		run(a, all);
		pthread_mutex_lock(&a->lock);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

static silex_status async_of(silex_db *db, struct slx_async **ret, silex_error *err)
{
	silex_status status = SILEX_OK;
	pthread_mutex_lock(&db->async_lock);
	if (!db->async) {
		struct slx_async *a = slx_calloc(db->mem, SLX_MEM_OTHER, sizeof *a);
		if (a) {
			a->db = db;
			a->last = &a->first;
			pthread_mutex_init(&a->lock, NULL);
			pthread_cond_init(&a->wake, NULL);
		}
		if (!a || pthread_create(&a->thread, NULL, async_main, a)) {
			slx_free(db->mem, SLX_MEM_OTHER, a, sizeof *a);
			status = slx_err(err, SILEX_RESOURCE_EXHAUSTED, "cannot start the insert thread");
		} else {
			db->async = a;
		}
	}
	*ret = db->async;
	pthread_mutex_unlock(&db->async_lock);
	return status;
}

silex_status silex_insert_async(silex_db *db, const char *tenant, const silex_row *rows, size_t n, silex_insert_fn done, void *arg, silex_error *err)
{
	struct slx_async *a;
	struct slx_str name;
	if (slx_engine_read_only(db->engine))
		return slx_err(err, SILEX_PERMISSION_DENIED, "the database is open read-only");
	SLX_TRY(slx_api_tenant(tenant, &name, err));
	SLX_TRY(async_of(db, &a, err));
	struct request *r = request_new(db, tenant, rows, n, done, arg);
	if (!r)
		return slx_err_oom(err);
	pthread_mutex_lock(&a->lock);
	bool full = a->rows + n > QUEUE_ROWS_MAX && a->rows > 0;
	if (!full) {
		*a->last = r;
		a->last = &r->next;
		a->rows += n;
		pthread_cond_signal(&a->wake);
	}
	pthread_mutex_unlock(&a->lock);
	if (!full)
		return SILEX_OK;
	request_free(db->mem, r);
	return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "the insert queue is full (%d rows); try again, or insert and wait", QUEUE_ROWS_MAX);
}

void slx_async_stop(struct slx_async *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_signal(&a->wake);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	pthread_cond_destroy(&a->wake);
	pthread_mutex_destroy(&a->lock);
	slx_free(a->db->mem, SLX_MEM_OTHER, a, sizeof *a);
}
