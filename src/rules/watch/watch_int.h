/* Inside of rules/watch. */
#ifndef SLX_RULES_WATCH_INT_H
#define SLX_RULES_WATCH_INT_H

#include "base/arena.h"
#include "base/clock.h"
#include "rules/watch/watch.h"

#include <pthread.h>

/* An alert that was active when the database was opened; no series has come for it yet. */
struct slx_watch_restored {
	struct slx_watch_restored *next;
	enum slx_alert_state state;
	int64_t changed, active;
	struct slx_labels labels; /* behind the struct */
};

struct slx_watch_rule {
	struct slx_arena arena;      /* strings of def, alert */
	struct slx_alert_rule alert; /* id, tenant, name, text */
	struct slx_watch_def def;
	struct slx_track_rule track;
	struct slx_selector selector;
	bool timed;                  /* something may happen on a silent series */
	bool named;                  /* the selector fixes the metric's name: alerts go without */

	uint64_t key;                     /* index_lock */
	struct slx_watch_rule *next_key;  /* index_lock */
	_Atomic uint64_t series, refused; /* states; those over series_max */

	pthread_mutex_t restored_lock;    /* a leaf */
	struct slx_watch_restored *restored;
};

struct slx_watch_entry;

/* A rule on a series. Guarded by the shard's lock. */
struct slx_watch_state {
	struct slx_watch_state *next; /* of the entry */
	struct slx_watch_entry *entry;
	struct slx_watch_rule *rule;
	struct slx_track track;
	int64_t anchor_ns;   /* monotonic: when the newest sample came */
	int64_t due_ns;      /* monotonic, in the heap */
	uint32_t heap_at;    /* place in the heap + 1; 0: not in it */
	uint32_t queued;     /* changes under way: it stays */
	uint32_t epoch;      /* of the shard, at its newest sample */
	uint8_t told;        /* enum slx_alert_state: what was queued last */
	uint64_t samples, late, ignored;
	uint32_t round;      /* tell_lock: the call to rules/alert that it was in last */
};

/* A series that some rule watches. */
struct slx_watch_entry {
	struct slx_hash128 id;
	struct slx_watch_entry *chain;
	struct slx_watch_state *states;
	uint64_t generation; /* of the head where it is marked */
	uint32_t slot;       /* its mark, less one */
	struct slx_str tenant;    /* behind the struct, */
	struct slx_labels labels; /* and so are these */
};

struct slx_watch_change {
	struct slx_watch_state *state;
	struct slx_move move;
	int64_t arrived_ns;
};

struct slx_watch_changes {
	struct slx_watch_change *v;
	size_t n, cap;
};

/* Entries of one stripe of the engine. `lock` may be taken under the stripe's; nothing but index_lock (read) and restored_lock is
 * taken under it. */
struct slx_watch_shard {
	pthread_mutex_t lock;
	struct slx_watch_entry **map; /* by id; a power of two */
	size_t map_n;
	struct slx_watch_entry **slots; /* by mark; NULL: free */
	uint32_t slots_n, slots_cap;
	uint32_t free_slots, free_from; /* how many; none is below free_from */
	size_t entries;
	struct slx_watch_state **heap; /* by due_ns */
	uint32_t heap_n, heap_cap;
	struct slx_watch_changes changes;
	bool lost;            /* a change could not be queued: look at all states */
	struct slx_moves moves;
	int64_t clock_offset; /* wall - monotonic, at the newest write */
	uint32_t epoch;       /* how often the clock was set back */
	uint64_t samples, late, ignored;
};

enum { SLX_WATCH_KEYS = 4096 };

struct slx_watch {
	struct slx_alerts *alerts;
	struct slx_engine *engine;
	struct slx_mem *mem;
	const silex_clock *clock;
	struct slx_track_room room;

	pthread_mutex_t admin_lock;    /* one rule added or removed at a time */
	struct slx_watch_rule **rules; /* by id; changed under admin_lock and index_lock */
	size_t rules_n, rules_cap;
	uint64_t next_id;              /* admin_lock */

	pthread_rwlock_t index_lock;
	struct slx_watch_rule *keys[SLX_WATCH_KEYS];

	struct slx_watch_shard shards[SLX_STRIPES];

	pthread_mutex_t tell_lock;     /* what is being told; taken before shards' locks */
	struct slx_watch_changes unsent;
	uint32_t round;                /* counts calls to rules/alert */
	int64_t retry_ns;              /* monotonic: not before, when some is unsent */
	struct slx_labels_builder builder;
	_Atomic uint64_t told, failed;

	pthread_mutex_t wake_lock;     /* a leaf */
	pthread_cond_t wake;
	_Atomic bool wanted;
	_Atomic int64_t sleeps_until;  /* monotonic */
	bool stop;
	bool stopped;                  /* cleanly, before the database was opened */
	bool running;                  /* the thread is: from the first rule on; admin_lock */
	pthread_t thread;
};

/* ---- index.c: from a series to the rules that may watch it; index_lock held ---- */
void slx_watch_index(struct slx_watch *w, struct slx_watch_rule *r);
void slx_watch_unindex(struct slx_watch *w, struct slx_watch_rule *r);
/* Each rule whose matchers all hold. */
typedef void slx_watch_match_fn(void *arg, struct slx_watch_rule *r);
void slx_watch_matches(struct slx_watch *w, struct slx_str tenant, struct slx_labels l, slx_watch_match_fn *each, void *arg);

/* ---- state.c: entries and states; the shard's lock held ---- */
struct slx_watch_entry *slx_watch_entry_find(struct slx_watch_shard *sh, struct slx_hash128 id);
/* NULL: out of memory. */
struct slx_watch_entry *slx_watch_entry_get(struct slx_watch *w, struct slx_watch_shard *sh, struct slx_str tenant, struct slx_labels l, struct slx_hash128 id);
void slx_watch_entry_free(struct slx_watch *w, struct slx_watch_shard *sh, struct slx_watch_entry *e); /* its states too */
/* The state of r on e, made when there is none and the rule may have one more series: else NULL. */
struct slx_watch_state *slx_watch_state_get(struct slx_watch *w, struct slx_watch_shard *sh, struct slx_watch_entry *e, struct slx_watch_rule *r);
void slx_watch_state_free(struct slx_watch *w, struct slx_watch_shard *sh, struct slx_watch_state *s); /* out of its entry */
void slx_watch_set_timer(struct slx_watch *w, struct slx_watch_shard *sh, struct slx_watch_state *s);
struct slx_watch_state *slx_watch_timer_take(struct slx_watch_shard *sh, int64_t now); /* NULL: none is due */
/* Queues the shard's moves as changes of s. */
void slx_watch_queue(struct slx_watch *w, struct slx_watch_shard *sh, struct slx_watch_state *s, int64_t arrived_ns);
bool slx_watch_changes_add(struct slx_watch *w, struct slx_watch_changes *c, const struct slx_watch_change *x);
void slx_watch_changes_free(struct slx_watch *w, struct slx_watch_changes *c);

/* ---- tell.c ---- */
silex_status slx_watch_start(struct slx_watch *w, silex_error *err); /* the thread, if it is not there; admin_lock held */
void slx_watch_stop(struct slx_watch *w);
void slx_watch_wake(struct slx_watch *w); /* any lock may be held */
/* Labels of the alert of r on a series with labels l, in the builder. */
silex_status slx_watch_alert_labels(struct slx_labels_builder *b, const struct slx_watch_rule *r, struct slx_labels l, struct slx_labels *ret, silex_error *err);
/* Once: timers that are due, then what is queued. tell_lock held. */
void slx_watch_tell(struct slx_watch *w);
/* Makes changes durable and tells them; *ret_done of them when it fails. tell_lock held, no other. */
silex_status slx_watch_send(struct slx_watch *w, const struct slx_watch_change *v, size_t n, size_t *ret_done, silex_error *err);

/* ---- restore.c ---- */
/* States of the rule for the series that are there, with what their windows need. again: the rule was there before a restart:
 * samples that came just before it are evaluated. RESOURCE_EXHAUSTED: more than series_max. */
silex_status slx_watch_seed(struct slx_watch *w, struct slx_watch_rule *r, bool again, silex_error *err);
silex_status slx_watch_load(struct slx_watch *w, silex_error *err); /* all rules of the journal */
silex_status slx_watch_store_next(struct slx_watch *w, uint64_t next, silex_error *err); /* the number to give next */
/* Whether rules stopped with nothing left to do. */
silex_status slx_watch_store_stop(struct slx_watch *w, bool stopped, silex_error *err);
silex_status slx_watch_store(struct slx_watch *w, const struct slx_watch_rule *r, bool removed, silex_error *err);

/* ---- watch.c ---- */
silex_status slx_watch_rule_new(struct slx_watch *w, struct slx_str tenant, uint64_t id, const struct slx_watch_def *d, struct slx_watch_rule **ret,
	const char **ret_field, silex_error *err);
void slx_watch_rule_free(struct slx_watch *w, struct slx_watch_rule *r);
struct slx_watch_rule *slx_watch_rule_find(const struct slx_watch *w, struct slx_str tenant, uint64_t id); /* NULL; admin_lock held */
silex_status slx_watch_rule_put(struct slx_watch *w, struct slx_watch_rule *r, silex_error *err); /* into the list and the index */

#endif
