/* One rule on one series: the state machine, and the recent samples that it may need again.
 *
 * **The machine** is a function of the series' samples in the order of their timestamps, whatever order they came in. Between two
 * samples the earlier value holds.
 *
 *     idle --enters--> rising --on_ns later--> firing --leaves--> falling --off_ns later--> idle
 *       ^                | leaves                ^                  | enters
 *       +----------------+                       +------------------+
 *
 * "Enters": the value is in the band `enter`; "leaves": it is not in `stay`, which holds `enter` (hysteresis). Without samples for
 * missing_ns the machine keeps its state, fires, or goes idle.
 *
 * **Late samples.** Samples are kept in blocks of 32, each with the machine as it was before its first. A late one is put into its
 * place and the machine runs again from that block on. What this finds is told so that whoever listens ends in the right state;
 * an episode that lies in the past as a whole is told when none was told there before.
 *
 * Which samples count is decided by their maker's clock against ours: see slx_track_sample. No locks, no clock: pure. */
#ifndef SLX_RULES_WATCH_TRACK_H
#define SLX_RULES_WATCH_TRACK_H

#include "base/mem.h"
#include "model/time.h"
#include "rules/alert/alert.h"

/* The numbers from lo to hi, each end included or not; or all others. */
struct slx_band {
	double lo, hi;
	bool lo_in, hi_in, outside;
};

static inline bool slx_band_has(const struct slx_band *b, double x)
{
	bool in = (x > b->lo || (b->lo_in && x == b->lo)) && (x < b->hi || (b->hi_in && x == b->hi));
	return in != b->outside;
}

/* What of the series is compared. Over a window: the samples of (t - window, t], t the time of a sample. Numbers are on disk. */
enum slx_watch_input {
	SLX_WATCH_LAST, /* the value */
	SLX_WATCH_RATE, /* change per second from the first to the last sample of the window; without two samples: nothing is known */
	SLX_WATCH_AVG,
	SLX_WATCH_MIN,
	SLX_WATCH_MAX,
	SLX_WATCH_SUM,
	SLX_WATCH_COUNT,
	SLX_WATCH_STDDEV, /* of the population */
	SLX_WATCH_INPUTS
};

enum slx_watch_missing { SLX_MISSING_KEEP, SLX_MISSING_FIRE, SLX_MISSING_CLEAR, SLX_MISSINGS }; /* on disk */

struct slx_track_rule {
	struct slx_band enter, stay;
	enum slx_watch_input input;
	enum slx_watch_missing missing;
	int64_t window_ns, on_ns, off_ns;
	int64_t missing_ns;  /* 0: no rule about it */
	int64_t lateness_ns; /* above 0 */
};

enum slx_phase { SLX_PHASE_IDLE, SLX_PHASE_RISING, SLX_PHASE_FIRING, SLX_PHASE_FALLING };

struct slx_machine {
	int64_t last_t; /* newest sample; SLX_TIME_MIN - 1: none yet */
	int64_t asof;   /* what lies up to here is decided: last_t, or a moment after it at which a delay ended */
	int64_t since;  /* rising, falling */
	int64_t active; /* since when the condition holds */
	double value;
	uint8_t phase;
	bool missing;   /* nothing came for missing_ns */
};

/* A change of state, by sample time. */
struct slx_move {
	enum slx_alert_state to;
	int64_t at, active;
	double value;
};

/* Moves in order. When memory is out `failed` is set and some are not there. */
struct slx_moves {
	struct slx_mem *mem;
	struct slx_move *v;
	size_t n, cap;
	bool failed;
};
void slx_moves_free(struct slx_moves *m);

struct slx_track_block;

/* Zeroed but for what slx_track_init sets. */
struct slx_track {
	struct slx_machine m;
	struct slx_track_block **blocks; /* of the array: first .. first + n */
	uint32_t first, n, cap;
};

/* Memory for kept samples, shared by many tracks. Without room a track keeps fewer. */
struct slx_track_room {
	struct slx_mem *mem;
	_Atomic int64_t used; /* bytes */
	int64_t used_max;
};

void slx_track_init(struct slx_track *k);
void slx_track_free(struct slx_track *k, struct slx_track_room *room);
enum slx_alert_state slx_track_state(const struct slx_track *k);

enum slx_taken {
	SLX_TAKEN_IN_ORDER,
	SLX_TAKEN_LATE,   /* put into its place */
	SLX_TAKEN_AGAIN,  /* was there */
	SLX_TAKEN_NOT,    /* too old, too far in the future, or no number: the state is as it was */
};

/* A sample that came at `now` by the wall clock. It counts when t is at most lateness_ns away from now, and not more than lateness_ns
 * (or what is kept) older than the newest. Moves are appended; they begin in the state that was there. */
enum slx_taken slx_track_sample(struct slx_track *k, const struct slx_track_rule *r, struct slx_track_room *room, int64_t now, int64_t t, double v,
	struct slx_moves *moves);
/* A sample of the past, to begin with: kept for windows, no move. Ascending, before any other. */
void slx_track_fill(struct slx_track *k, const struct slx_track_rule *r, struct slx_track_room *room, int64_t t, double v);
/* The state that was told before a restart. */
void slx_track_restore(struct slx_track *k, enum slx_alert_state state, int64_t changed, int64_t active);
/* Nothing came up to `asof`: delays that ended meanwhile. */
void slx_track_pass(struct slx_track *k, const struct slx_track_rule *r, int64_t asof, struct slx_moves *moves);
/* When slx_track_pass has something to do; INT64_MAX: never. */
int64_t slx_track_deadline(const struct slx_track *k, const struct slx_track_rule *r);
/* The clock was set back behind what the series has seen: it goes on from t. The state stays, holds begin again. */
void slx_track_set_back(struct slx_track *k, struct slx_track_room *room, int64_t t);
size_t slx_track_kept(const struct slx_track *k); /* samples */

#endif
