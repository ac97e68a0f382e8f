/* A file system in memory with a memory of its own disk.
 *
 * Each file has the bytes that a program sees (`now`), the bytes that a power cut cannot take (`durable`), and the list
 * of changes between the two, in order. Each folder has the same three for its names. A sync applies the list to the
 * durable side; a power cut applies a part of it, drawn by the seed:
 *
 *  - a write is kept, lost or torn at a sector boundary (512 bytes of the file), each for itself, so that a later write
 *    may survive an earlier one; whether the file's length follows is drawn apart from the bytes, which gives holes of
 *    zeros and bytes cut off;
 *  - a truncation is kept or lost;
 *  - a name (created, linked, renamed inside its folder, removed) is kept or lost, each for itself. A rename into
 *    another folder is two such changes. A synced file without a synced name is gone; so is a folder's content with the
 *    folder.
 *
 * One cut in four loses all that was not synced and one in four keeps all of it, the rest draw for each change.
 * A failed sync empties the list: what programs see stays, but no later sync makes it durable (as on Linux, where the
 * pages are marked clean).
 *
 * For tests: it takes memory from malloc and stops the process when there is none. One lock guards everything. */
#include "base/vfs_sim.h"

#include "base/bytes.h"
#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512, NAME_MAX_SIZE = 256, FITS_SPACE = 1, FITS_WRITE = 2, FITS_SYNC = 4 };

struct bytes {
	uint8_t *p;
	size_t n, cap;
};

struct change {
	struct change *next;
	bool truncates; /* to size `offset`; else n bytes written at offset */
	uint64_t offset;
	size_t n;
	uint8_t data[];
};

struct node;

struct entry {
	char name[NAME_MAX_SIZE];
	struct node *node;
};

struct names {
	struct entry *p;
	size_t n, cap;
};

struct name_change {
	struct name_change *next;
	struct node *node;        /* NULL: `from` is removed */
	char from[NAME_MAX_SIZE]; /* "": nothing */
	char to[NAME_MAX_SIZE];
};

/* A file or a folder. */
struct node {
	struct node *next; /* all nodes of the simulator */
	bool is_dir, reachable;
	unsigned handles;
	struct bytes now, durable;
	struct change *changes, **changes_tail;
	struct names names_now, names_durable;
	struct name_change *name_changes, **name_changes_tail;
	unsigned shared; /* locks */
	bool exclusive;
};

#define DISK_SIZE (UINT64_C(1) << 40)

struct slx_vfs_sim {
	struct slx_vfs vfs;
	pthread_mutex_t lock;
	struct node *nodes, *root;
	uint64_t rng, calls, armed_at, fired_call, generation; /* generation: grows with each reboot */
	enum slx_sim_fault armed;
	bool full, dead, fired;
	uint64_t free; /* as free_space says */
	char fired_at[512], lie[128];
};

struct handle {
	struct slx_file base;
	struct slx_vfs_sim *sim;
	struct node *node;
	uint64_t generation;
	bool writable, locked_shared, locked_exclusive;
	char path[];
};

static void *must(void *p)
{
	if (!p) {
		fputs("vfs_sim: out of memory\n", stderr);
		abort();
	}
	return p;
}

/* --- bytes --- */

static void bytes_resize(struct bytes *b, size_t n)
{
	if (n > b->cap) {
		b->cap = n > 2 * b->cap ? n : 2 * b->cap;
		b->p = must(realloc(b->p, b->cap));
	}
	if (n > b->n)
		memset(b->p + b->n, 0, n - b->n);
	b->n = n;
}

static void bytes_write(struct bytes *b, const uint8_t *p, size_t n, uint64_t offset)
{
	if (n && offset + n > b->n)
		bytes_resize(b, offset + n);
	if (n)
		memcpy(b->p + offset, p, n);
}

static void bytes_copy(struct bytes *to, const struct bytes *from)
{
	bytes_resize(to, from->n);
	if (from->n)
		memcpy(to->p, from->p, from->n);
}

/* --- names --- */

static struct entry *names_find(struct names *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->p[i].name, name) == 0)
			return &t->p[i];
	return NULL;
}

static void names_remove(struct names *t, const char *name)
{
	struct entry *e = names_find(t, name);
	if (e)
		*e = t->p[--t->n];
}

static void names_set(struct names *t, const char *name, struct node *node)
{
	struct entry *e = names_find(t, name);
	if (!e) {
		if (t->n == t->cap) {
			t->cap = t->cap ? 2 * t->cap : 8;
			t->p = must(realloc(t->p, t->cap * sizeof *t->p));
		}
		e = &t->p[t->n++];
		snprintf(e->name, sizeof e->name, "%s", name);
	}
	e->node = node;
}

static void names_apply(struct names *t, const struct name_change *c)
{
	if (c->from[0])
		names_remove(t, c->from);
	if (c->node)
		names_set(t, c->to, c->node);
}

/* Changes what programs see and puts the change on the folder's list. */
static void change_names(struct node *dir, const char *from, const char *to, struct node *node)
{
	struct name_change *c = must(calloc(1, sizeof *c));
	c->node = node;
	snprintf(c->from, sizeof c->from, "%s", from);
	snprintf(c->to, sizeof c->to, "%s", to);
	*dir->name_changes_tail = c;
	dir->name_changes_tail = &c->next;
	names_apply(&dir->names_now, c);
}

/* --- nodes --- */

static struct node *node_new(struct slx_vfs_sim *s, bool is_dir)
{
	struct node *n = must(calloc(1, sizeof *n));
	n->is_dir = is_dir;
	n->changes_tail = &n->changes;
	n->name_changes_tail = &n->name_changes;
	n->next = s->nodes;
	s->nodes = n;
	return n;
}

static void drop_changes(struct node *n)
{
	for (struct change *c = n->changes, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	n->changes = NULL;
	n->changes_tail = &n->changes;
}

static void drop_name_changes(struct node *n)
{
	for (struct name_change *c = n->name_changes, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	n->name_changes = NULL;
	n->name_changes_tail = &n->name_changes;
}

static void node_free(struct node *n)
{
	drop_changes(n);
	drop_name_changes(n);
	free(n->now.p);
	free(n->durable.p);
	free(n->names_now.p);
	free(n->names_durable.p);
	free(n);
}

static void mark_reachable(struct node *n)
{
	if (n->reachable)
		return;
	n->reachable = true;
	for (size_t i = 0; i < n->names_now.n; i++)
		mark_reachable(n->names_now.p[i].node);
	for (size_t i = 0; i < n->names_durable.n; i++)
		mark_reachable(n->names_durable.p[i].node);
	for (struct name_change *c = n->name_changes; c; c = c->next)
		if (c->node)
			mark_reachable(c->node);
}

/* Frees what has neither a name, now or after a power cut, nor an open file. */
static void collect(struct slx_vfs_sim *s)
{
	for (struct node *n = s->nodes; n; n = n->next)
		n->reachable = false;
	mark_reachable(s->root);
	for (struct node *n = s->nodes; n; n = n->next)
		if (n->handles > 0)
			mark_reachable(n);
	for (struct node **at = &s->nodes; *at;) {
		struct node *n = *at;
		if (n->reachable) {
			at = &n->next;
		} else {
			*at = n->next;
			node_free(n);
		}
	}
}

/* The node at path, or NULL. With last_name: the folder that holds (or would hold) path's last name, copied there. */
static struct node *walk(struct slx_vfs_sim *s, const char *path, char *last_name)
{
	struct node *n = s->root;
	if (last_name)
		last_name[0] = '\0';
	for (;;) {
		char name[NAME_MAX_SIZE];
		path += strspn(path, "/");
		size_t size = strcspn(path, "/");
		if (size == 0)
			return n;
		if (size >= sizeof name || !n->is_dir)
			return NULL;
		memcpy(name, path, size);
		name[size] = '\0';
		path += size;
		if (strcmp(name, ".") == 0)
			continue;
		if (last_name && path[strspn(path, "/")] == '\0') {
			memcpy(last_name, name, size + 1);
			return n;
		}
		struct entry *e = names_find(&n->names_now, name);
		if (!e)
			return NULL;
		n = e->node;
	}
}

/* --- faults; s->lock held --- */

static bool coin(struct slx_vfs_sim *s) { return slx_rng_next(&s->rng) & 1; }

static bool fault_fits(enum slx_sim_fault fault, unsigned fits)
{
	switch (fault) {
	case SLX_SIM_NONE:
		return false;
	case SLX_SIM_ENOSPC:
		return fits & FITS_SPACE;
	case SLX_SIM_SHORT:
		return fits & FITS_WRITE;
	case SLX_SIM_SYNC_FAILS:
		return fits & FITS_SYNC;
	case SLX_SIM_EIO:
	case SLX_SIM_POWER_CUT:
	case SLX_SIM_KILL:
		return true;
	}
	return false;
}

/* Counts a call and says which fault meets it. */
static silex_status begin(
	struct slx_vfs_sim *s, const char *what, const char *path, unsigned fits, enum slx_sim_fault *ret, silex_error *err)
{
	*ret = SLX_SIM_NONE;
	if (s->dead)
		return slx_err(err, SILEX_UNAVAILABLE, "%s %s: simulated crash", what, path);
	s->calls++;
	if (s->full && (fits & FITS_SPACE))
		*ret = SLX_SIM_ENOSPC;
	if (s->calls < s->armed_at || !fault_fits(s->armed, fits))
		return SILEX_OK;
	*ret = s->armed;
	s->armed = SLX_SIM_NONE;
	s->full |= *ret == SLX_SIM_ENOSPC;
	s->dead = *ret == SLX_SIM_POWER_CUT || *ret == SLX_SIM_KILL;
	s->fired = true;
	s->fired_call = s->calls;
	snprintf(s->fired_at, sizeof s->fired_at, "%s %s", what, path);
	return SILEX_OK;
}

/* Whether the call takes effect: when the crash comes in the middle of it, perhaps. */
static bool takes_effect(struct slx_vfs_sim *s, enum slx_sim_fault fault)
{
	return fault == SLX_SIM_NONE || ((fault == SLX_SIM_POWER_CUT || fault == SLX_SIM_KILL) && coin(s));
}

static silex_status end(enum slx_sim_fault fault, const char *what, const char *path, silex_error *err)
{
	if (fault == SLX_SIM_NONE)
		return SILEX_OK;
	silex_status st = slx_err_errno(err, fault == SLX_SIM_ENOSPC ? ENOSPC : EIO, path);
	return err ? slx_err_wrap(err, "%s", what) : st;
}

static silex_status not_found(const char *what, const char *path, silex_error *err)
{
	silex_status st = slx_err_errno(err, ENOENT, path);
	return err ? slx_err_wrap(err, "%s", what) : st;
}

/* --- files --- */

static struct handle *self(struct slx_file *f) { return (struct handle *)f; }

static silex_status begin_file(
	struct handle *h, const char *what, unsigned fits, enum slx_sim_fault *ret, silex_error *err)
{
	if (h->generation != h->sim->generation)
		return slx_err(err, SILEX_UNAVAILABLE, "%s %s: opened before the simulated crash", what, h->path);
	if ((fits & (FITS_WRITE | FITS_SPACE)) && !h->writable)
		return slx_err(err, SILEX_PERMISSION_DENIED, "%s %s: opened for reading", what, h->path);
	return begin(h->sim, what, h->path, fits, ret, err);
}

static silex_status sim_read(struct slx_file *f, void *buf, size_t n, uint64_t offset, silex_error *err)
{
	struct handle *h = self(f);
	enum slx_sim_fault fault = SLX_SIM_NONE;
	pthread_mutex_lock(&h->sim->lock);
	silex_status st = begin_file(h, "read", 0, &fault, err);
	if (st == SILEX_OK)
		st = end(fault, "read", h->path, err);
	const struct bytes *b = &h->node->now;
	if (st == SILEX_OK && (offset > b->n || n > b->n - offset))
		st = slx_err(err, SILEX_CORRUPT, "%s: short read: %zu of %zu bytes at offset %llu", h->path,
			offset < b->n ? b->n - (size_t)offset : 0, n, (unsigned long long)offset);
	else if (st == SILEX_OK && n)
		memcpy(buf, b->p + offset, n);
	pthread_mutex_unlock(&h->sim->lock);
	return st;
}

static void change_file(struct node *n, bool truncates, const void *p, size_t size, uint64_t offset)
{
	struct change *c = must(malloc(sizeof *c + size));
	*c = (struct change){ .truncates = truncates, .offset = offset, .n = size };
	if (size)
		memcpy(c->data, p, size);
	*n->changes_tail = c;
	n->changes_tail = &c->next;
	if (truncates)
		bytes_resize(&n->now, offset);
	else
		bytes_write(&n->now, c->data, size, offset);
}

/* How many of n bytes a write still wrote. */
static size_t part_written(struct slx_vfs_sim *s, enum slx_sim_fault fault, size_t n)
{
	uint64_t r = slx_rng_next(&s->rng);
	switch (fault) {
	case SLX_SIM_NONE:
		return n;
	case SLX_SIM_SHORT:
	case SLX_SIM_ENOSPC:
		return n ? r % n : 0;
	case SLX_SIM_POWER_CUT:
	case SLX_SIM_KILL:
		return r % 3 == 0 ? 0 : r % 3 == 1 ? n : (size_t)((r >> 8) % (n + 1));
	default:
		return 0;
	}
}

static silex_status sim_write(struct slx_file *f, const void *buf, size_t n, uint64_t offset, silex_error *err)
{
	struct handle *h = self(f);
	enum slx_sim_fault fault = SLX_SIM_NONE;
	pthread_mutex_lock(&h->sim->lock);
	silex_status st = begin_file(h, "write", FITS_SPACE | FITS_WRITE, &fault, err);
	if (st == SILEX_OK) {
		size_t part = part_written(h->sim, fault, n);
		if (part)
			change_file(h->node, false, buf, part, offset);
		st = end(fault, "write", h->path, err);
	}
	pthread_mutex_unlock(&h->sim->lock);
	return st;
}

static bool lies(const struct slx_vfs_sim *s, const char *path) { return s->lie[0] && strstr(path, s->lie); }

static void make_durable(struct node *n)
{
	for (struct change *c = n->changes; c; c = c->next) {
		if (c->truncates)
			bytes_resize(&n->durable, c->offset);
		else
			bytes_write(&n->durable, c->data, c->n, c->offset);
	}
	drop_changes(n);
}

static silex_status sim_sync(struct slx_file *f, silex_error *err)
{
	struct handle *h = self(f);
	enum slx_sim_fault fault = SLX_SIM_NONE;
	pthread_mutex_lock(&h->sim->lock);
	silex_status st = begin_file(h, "sync", FITS_SYNC, &fault, err);
	if (st == SILEX_OK) {
		if (fault == SLX_SIM_SYNC_FAILS)
			drop_changes(h->node);
		else if (!lies(h->sim, h->path) && takes_effect(h->sim, fault))
			make_durable(h->node);
		st = end(fault, "sync", h->path, err);
	}
	pthread_mutex_unlock(&h->sim->lock);
	return st;
}

static silex_status sim_size(struct slx_file *f, uint64_t *ret, silex_error *err)
{
	struct handle *h = self(f);
	silex_status st = SILEX_OK;
	pthread_mutex_lock(&h->sim->lock);
	if (h->generation != h->sim->generation || h->sim->dead)
		st = slx_err(err, SILEX_UNAVAILABLE, "size %s: simulated crash", h->path);
	else
		*ret = h->node->now.n;
	pthread_mutex_unlock(&h->sim->lock);
	return st;
}

static silex_status sim_truncate(struct slx_file *f, uint64_t size, silex_error *err)
{
	struct handle *h = self(f);
	enum slx_sim_fault fault = SLX_SIM_NONE;
	pthread_mutex_lock(&h->sim->lock);
	silex_status st = begin_file(h, "truncate", FITS_SPACE, &fault, err);
	if (st == SILEX_OK) {
		if (takes_effect(h->sim, fault) && size != h->node->now.n)
			change_file(h->node, true, NULL, 0, size);
		st = end(fault, "truncate", h->path, err);
	}
	pthread_mutex_unlock(&h->sim->lock);
	return st;
}

static void unlock(struct handle *h)
{
	h->node->shared -= h->locked_shared;
	h->node->exclusive &= !h->locked_exclusive;
	h->locked_shared = h->locked_exclusive = false;
}

static silex_status sim_lock(struct slx_file *f, enum slx_lock_kind kind, silex_error *err)
{
	struct handle *h = self(f);
	struct node *n = h->node;
	silex_status st = SILEX_OK;
	pthread_mutex_lock(&h->sim->lock);
	bool others = n->exclusive != h->locked_exclusive || (kind == SLX_LOCK_EXCLUSIVE && n->shared != h->locked_shared);
	if (h->generation != h->sim->generation || h->sim->dead) {
		st = slx_err(err, SILEX_UNAVAILABLE, "lock %s: simulated crash", h->path);
	} else if (others) {
		st = slx_err(err, SILEX_CONFLICT, "%s: in use by another process", h->path);
	} else {
		unlock(h);
		h->locked_shared = kind == SLX_LOCK_SHARED;
		h->locked_exclusive = kind == SLX_LOCK_EXCLUSIVE;
		n->shared += h->locked_shared;
		n->exclusive |= h->locked_exclusive;
	}
	pthread_mutex_unlock(&h->sim->lock);
	return st;
}

static void sim_close(struct slx_file *f)
{
	struct handle *h = self(f);
	struct slx_vfs_sim *s = h->sim;
	pthread_mutex_lock(&s->lock);
	if (h->generation == s->generation)
		unlock(h);
	h->node->handles--;
	pthread_mutex_unlock(&s->lock);
	free(h);
}

static const struct slx_file_ops file_ops = {
	.read = sim_read,
	.write = sim_write,
	.sync = sim_sync,
	.size = sim_size,
	.truncate = sim_truncate,
	.lock = sim_lock,
	.close = sim_close,
};

/* --- names, as calls --- */

static struct slx_vfs_sim *of(struct slx_vfs *v) { return v->ctx; }

/* lock held. Finds or creates the node for open. */
static silex_status open_node(
	struct slx_vfs_sim *s, const char *path, unsigned flags, struct node **ret, silex_error *err)
{
	char name[NAME_MAX_SIZE];
	enum slx_sim_fault fault = SLX_SIM_NONE;
	struct node *n = walk(s, path, NULL), *dir = walk(s, path, name);
	bool creates = !n && (flags & SLX_OPEN_WRITE) && (flags & SLX_OPEN_CREATE);
	SLX_TRY(begin(s, creates ? "create" : "open", path, creates ? FITS_SPACE : 0, &fault, err));
	if (n && (flags & SLX_OPEN_EXCL))
		return slx_err_errno(err, EEXIST, path);
	if (n && n->is_dir)
		return slx_err_errno(err, EISDIR, path);
	if (!n && (!creates || !dir || !dir->is_dir || !name[0]))
		return not_found("open", path, err);
	if (creates && takes_effect(s, fault)) {
		n = node_new(s, false);
		change_names(dir, "", name, n);
	}
	*ret = n;
	return end(fault, creates ? "create" : "open", path, err);
}

static silex_status sim_open(
	struct slx_vfs *v, const char *path, unsigned flags, struct slx_file **ret, silex_error *err)
{
	struct slx_vfs_sim *s = of(v);
	struct node *n = NULL;
	pthread_mutex_lock(&s->lock);
	silex_status st = open_node(s, path, flags, &n, err);
	if (st == SILEX_OK) {
		struct handle *h = must(calloc(1, sizeof *h + strlen(path) + 1));
		h->base.ops = &file_ops;
		h->sim = s;
		h->node = n;
		h->generation = s->generation;
		h->writable = flags & SLX_OPEN_WRITE;
		strcpy(h->path, path);
		n->handles++;
		*ret = &h->base;
	}
	pthread_mutex_unlock(&s->lock);
	return st;
}

/* unlink and rmdir */
static silex_status remove_name(struct slx_vfs *v, const char *what, const char *path, bool is_dir, silex_error *err)
{
	struct slx_vfs_sim *s = of(v);
	char name[NAME_MAX_SIZE];
	enum slx_sim_fault fault = SLX_SIM_NONE;
	pthread_mutex_lock(&s->lock);
	silex_status st = begin(s, what, path, 0, &fault, err);
	struct node *n = walk(s, path, NULL), *dir = walk(s, path, name);
	if (st == SILEX_OK && !n)
		st = not_found(what, path, err);
	else if (st == SILEX_OK && (n->is_dir != is_dir || n == s->root))
		st = slx_err_errno(err, is_dir ? ENOTDIR : EISDIR, path);
	else if (st == SILEX_OK && is_dir && n->names_now.n)
		st = slx_err_errno(err, ENOTEMPTY, path);
	if (st == SILEX_OK) {
		if (takes_effect(s, fault))
			change_names(dir, name, "", NULL);
		st = end(fault, what, path, err);
	}
	pthread_mutex_unlock(&s->lock);
	return st;
}

static silex_status sim_unlink(struct slx_vfs *v, const char *path, silex_error *err)
{
	return remove_name(v, "unlink", path, false, err);
}

static silex_status sim_rmdir(struct slx_vfs *v, const char *path, silex_error *err)
{
	return remove_name(v, "rmdir", path, true, err);
}

/* rename and link */
static silex_status add_name(
	struct slx_vfs *v, const char *what, const char *from, const char *to, bool moves, silex_error *err)
{
	struct slx_vfs_sim *s = of(v);
	char from_name[NAME_MAX_SIZE], to_name[NAME_MAX_SIZE];
	enum slx_sim_fault fault = SLX_SIM_NONE;
	pthread_mutex_lock(&s->lock);
	silex_status st = begin(s, what, from, 0, &fault, err);
	struct node *n = walk(s, from, NULL), *there = walk(s, to, NULL);
	struct node *from_dir = walk(s, from, from_name), *to_dir = walk(s, to, to_name);
	if (st == SILEX_OK && (!n || !to_dir || !to_dir->is_dir || !to_name[0]))
		st = not_found(what, from, err);
	else if (st == SILEX_OK && there && (!moves || there->is_dir))
		st = slx_err_errno(err, EEXIST, to);
	if (st == SILEX_OK) {
		if (!takes_effect(s, fault)) {
			/* nothing */
		} else if (!moves) {
			change_names(to_dir, "", to_name, n);
		} else if (from_dir == to_dir) {
			change_names(to_dir, from_name, to_name, n);
		} else {
			change_names(to_dir, "", to_name, n);
			change_names(from_dir, from_name, "", NULL);
		}
		st = end(fault, what, from, err);
	}
	pthread_mutex_unlock(&s->lock);
	return st;
}

static silex_status sim_rename(struct slx_vfs *v, const char *from, const char *to, silex_error *err)
{
	return add_name(v, "rename", from, to, true, err);
}

static silex_status sim_link(struct slx_vfs *v, const char *from, const char *to, silex_error *err)
{
	return add_name(v, "link", from, to, false, err);
}

static silex_status sim_mkdir(struct slx_vfs *v, const char *path, silex_error *err)
{
	struct slx_vfs_sim *s = of(v);
	char name[NAME_MAX_SIZE];
	enum slx_sim_fault fault = SLX_SIM_NONE;
	pthread_mutex_lock(&s->lock);
	struct node *n = walk(s, path, NULL), *dir = walk(s, path, name);
	silex_status st = begin(s, "mkdir", path, n ? 0 : FITS_SPACE, &fault, err);
	if (st == SILEX_OK && n && !n->is_dir)
		st = slx_err_errno(err, EEXIST, path);
	else if (st == SILEX_OK && !n && (!dir || !dir->is_dir))
		st = not_found("mkdir", path, err);
	if (st == SILEX_OK) {
		if (!n && takes_effect(s, fault))
			change_names(dir, "", name, node_new(s, true));
		st = end(fault, "mkdir", path, err);
	}
	pthread_mutex_unlock(&s->lock);
	return st;
}

static void make_names_durable(struct node *dir)
{
	for (struct name_change *c = dir->name_changes; c; c = c->next)
		names_apply(&dir->names_durable, c);
	drop_name_changes(dir);
}

static silex_status sim_sync_dir(struct slx_vfs *v, const char *path, silex_error *err)
{
	struct slx_vfs_sim *s = of(v);
	enum slx_sim_fault fault = SLX_SIM_NONE;
	pthread_mutex_lock(&s->lock);
	struct node *n = walk(s, path, NULL);
	silex_status st = begin(s, "sync_dir", path, FITS_SYNC, &fault, err);
	if (st == SILEX_OK && (!n || !n->is_dir))
		st = not_found("sync_dir", path, err);
	if (st == SILEX_OK) {
		if (!lies(s, path) && takes_effect(s, fault))
			make_names_durable(n);
		collect(s);
		st = end(fault, "sync_dir", path, err);
	}
	pthread_mutex_unlock(&s->lock);
	return st;
}

static silex_status sim_list(
	struct slx_vfs *v, const char *path, bool (*each)(void *arg, const char *name), void *arg, silex_error *err)
{
	struct slx_vfs_sim *s = of(v);
	enum slx_sim_fault fault = SLX_SIM_NONE;
	struct entry *copy = NULL; /* so that `each` may call the file system */
	size_t count = 0;
	pthread_mutex_lock(&s->lock);
	struct node *n = walk(s, path, NULL);
	silex_status st = begin(s, "list", path, 0, &fault, err);
	if (st == SILEX_OK)
		st = !n || !n->is_dir ? not_found("list", path, err) : end(fault, "list", path, err);
	if (st == SILEX_OK && n->names_now.n) {
		count = n->names_now.n;
		copy = must(malloc(count * sizeof *copy));
		memcpy(copy, n->names_now.p, count * sizeof *copy);
	}
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < count && each(arg, copy[i].name); i++)
		;
	free(copy);
	return st;
}

static silex_status sim_free_space(struct slx_vfs *v, const char *path, uint64_t *ret_free, uint64_t *ret_total, silex_error *err)
{
	struct slx_vfs_sim *s = of(v);
	pthread_mutex_lock(&s->lock);
	*ret_free = s->full ? 0 : s->free;
	if (ret_total)
		*ret_total = DISK_SIZE;
	pthread_mutex_unlock(&s->lock);
	return SILEX_OK;
}

/* --- crashes --- */

enum fate { LOST, KEPT, DRAWN };

static bool survives(struct slx_vfs_sim *s, enum fate fate) { return fate == KEPT || (fate == DRAWN && coin(s)); }

/* The part [*from, *to) of a write that reached the disk. */
static void draw_part(struct slx_vfs_sim *s, const struct change *c, size_t *from, size_t *to)
{
	uint64_t r = slx_rng_next(&s->rng);
	*from = 0;
	*to = c->n;
	if (r % 3 == 0)
		*to = 0;
	if (r % 3 != 2)
		return;
	/* Torn: cut at a sector boundary inside, if there is one, and keep one side. */
	uint64_t first = c->offset / SECTOR + 1, last = (c->offset + c->n - 1) / SECTOR;
	if (first > last)
		return;
	size_t at = (size_t)((first + (r >> 8) % (last - first + 1)) * SECTOR - c->offset);
	if (r >> 2 & 1)
		*from = at;
	else
		*to = at;
}

static void crash_file(struct slx_vfs_sim *s, struct node *n, enum fate fate)
{
	uint64_t size = n->durable.n;
	for (struct change *c = n->changes; c; c = c->next) {
		size_t from = 0, to = fate == KEPT ? c->n : 0;
		if (c->truncates) {
			if (survives(s, fate)) {
				size = c->offset;
				bytes_resize(&n->durable, size < n->durable.n ? size : n->durable.n);
			}
			continue;
		}
		if (fate == DRAWN)
			draw_part(s, c, &from, &to);
		if (to > from)
			bytes_write(&n->durable, c->data + from, to - from, c->offset + from);
		if (c->offset + c->n > size && survives(s, fate))
			size = c->offset + c->n;
	}
	bytes_resize(&n->durable, size);
	bytes_copy(&n->now, &n->durable);
	drop_changes(n);
}

static void crash_folder(struct slx_vfs_sim *s, struct node *n, enum fate fate)
{
	for (struct name_change *c = n->name_changes; c; c = c->next)
		if (survives(s, fate))
			names_apply(&n->names_durable, c);
	drop_name_changes(n);
	n->names_now.n = 0;
	for (size_t i = 0; i < n->names_durable.n; i++)
		names_set(&n->names_now, n->names_durable.p[i].name, n->names_durable.p[i].node);
}

void slx_vfs_sim_reboot(struct slx_vfs_sim *s, bool power_cut)
{
	pthread_mutex_lock(&s->lock);
	uint64_t r = slx_rng_next(&s->rng) % 4;
	enum fate fate = r == 0 ? LOST : r == 1 ? KEPT : DRAWN;
	for (struct node *n = s->nodes; n; n = n->next) {
		n->shared = 0;
		n->exclusive = false;
		if (power_cut && n->is_dir)
			crash_folder(s, n, fate);
		else if (power_cut)
			crash_file(s, n, fate);
	}
	s->generation++;
	s->armed = SLX_SIM_NONE;
	s->dead = false;
	collect(s);
	pthread_mutex_unlock(&s->lock);
}

/* --- the simulator itself --- */

struct slx_vfs_sim *slx_vfs_sim_new(uint64_t seed)
{
	struct slx_vfs_sim *s = must(calloc(1, sizeof *s));
	pthread_mutex_init(&s->lock, NULL);
	s->rng = seed;
	s->free = DISK_SIZE;
	s->root = node_new(s, true);
	s->vfs = (struct slx_vfs){
		.ctx = s,
		.open = sim_open,
		.unlink = sim_unlink,
		.rename = sim_rename,
		.link = sim_link,
		.mkdir = sim_mkdir,
		.rmdir = sim_rmdir,
		.sync_dir = sim_sync_dir,
		.list = sim_list,
		.free_space = sim_free_space,
	};
	return s;
}

void slx_vfs_sim_free(struct slx_vfs_sim *s)
{
	if (!s)
		return;
	for (struct node *n = s->nodes, *next; n; n = next) {
		next = n->next;
		node_free(n);
	}
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct slx_vfs *slx_vfs_sim_vfs(struct slx_vfs_sim *s) { return &s->vfs; }

void slx_vfs_sim_arm(struct slx_vfs_sim *s, enum slx_sim_fault fault, uint64_t at)
{
	pthread_mutex_lock(&s->lock);
	s->armed = fault;
	s->armed_at = s->calls + at;
	s->fired = false;
	s->fired_at[0] = '\0';
	pthread_mutex_unlock(&s->lock);
}

void slx_vfs_sim_set_free(struct slx_vfs_sim *s, uint64_t bytes)
{
	pthread_mutex_lock(&s->lock);
	s->free = bytes;
	pthread_mutex_unlock(&s->lock);
}

void slx_vfs_sim_heal(struct slx_vfs_sim *s)
{
	pthread_mutex_lock(&s->lock);
	s->armed = SLX_SIM_NONE;
	s->full = false;
	pthread_mutex_unlock(&s->lock);
}

uint64_t slx_vfs_sim_calls(struct slx_vfs_sim *s)
{
	pthread_mutex_lock(&s->lock);
	uint64_t calls = s->calls;
	pthread_mutex_unlock(&s->lock);
	return calls;
}

bool slx_vfs_sim_fired(struct slx_vfs_sim *s)
{
	pthread_mutex_lock(&s->lock);
	bool fired = s->fired;
	pthread_mutex_unlock(&s->lock);
	return fired;
}

uint64_t slx_vfs_sim_fired_call(struct slx_vfs_sim *s) { return s->fired_call; }

const char *slx_vfs_sim_fired_at(struct slx_vfs_sim *s) { return s->fired_at; }

void slx_vfs_sim_lie_about_sync(struct slx_vfs_sim *s, const char *substring)
{
	pthread_mutex_lock(&s->lock);
	snprintf(s->lie, sizeof s->lie, "%s", substring ? substring : "");
	pthread_mutex_unlock(&s->lock);
}

bool slx_vfs_sim_flip_bit(struct slx_vfs_sim *s, const char *path, uint64_t bit)
{
	uint64_t at = bit / 8;
	uint8_t mask = (uint8_t)(1 << bit % 8);
	pthread_mutex_lock(&s->lock);
	struct node *n = walk(s, path, NULL);
	bool there = n && !n->is_dir && at < n->now.n;
	if (there) {
		n->now.p[at] ^= mask;
		if (at < n->durable.n)
			n->durable.p[at] ^= mask;
		for (struct change *c = n->changes; c; c = c->next)
			if (!c->truncates && at >= c->offset && at - c->offset < c->n)
				c->data[at - c->offset] ^= mask;
	}
	pthread_mutex_unlock(&s->lock);
	return there;
}
