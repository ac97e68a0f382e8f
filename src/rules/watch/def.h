/* The threshold form of a rule: what people without PromQL write. */
#ifndef SLX_RULES_WATCH_DEF_H
#define SLX_RULES_WATCH_DEF_H

#include "rules/watch/track.h"

/* Numbers are on disk. */
enum slx_watch_op { SLX_WATCH_GT, SLX_WATCH_GE, SLX_WATCH_LT, SLX_WATCH_LE, SLX_WATCH_EQ, SLX_WATCH_NE, SLX_WATCH_OUTSIDE, SLX_WATCH_INSIDE, SLX_WATCH_OPS };

/* ">", ">=", "<", "<=", "==", "!=", "outside", "inside"; "last", "rate", "avg"...; "keep", "fire", "clear". NULL-terminated. */
extern const char *const slx_watch_op_names[], *const slx_watch_input_names[], *const slx_missing_names[];

enum {
	SLX_WATCH_NAME_MAX = 200,
	SLX_WATCH_SELECTOR_MAX = 8192,
	SLX_WATCH_SERIES_DEFAULT = 10000,
	SLX_WATCH_SERIES_MAX = 1000000,
};
#define SLX_WATCH_LATENESS (5 * SLX_MINUTE)
#define SLX_WATCH_LATENESS_MAX (7 * SLX_DAY)
#define SLX_WATCH_SPAN_MAX (31 * SLX_DAY) /* of delays */
#define SLX_WATCH_WINDOW_MAX SLX_DAY

struct slx_watch_def {
	struct slx_str name;     /* the label alertname */
	struct slx_str selector; /* name{label="value"} */
	enum slx_watch_input input;
	enum slx_watch_op op;
	enum slx_watch_missing missing;
	double low, high;             /* high: of outside and inside; both ends are inside */
	double leave_low, leave_high; /* NaN: as low and high */
	int64_t window_ns;            /* 0 with the input LAST */
	int64_t on_ns, off_ns, missing_ns, lateness_ns;
	uint32_t series_max;
	struct slx_labels labels, annotations; /* canonical */
};

/* Fills defaults in (lateness, series_max, leave limits) and checks every member but the selector: INVALID. *ret_field (may be NULL):
 * the name of the member, as clients write it. */
silex_status slx_watch_def_check(struct slx_watch_def *d, const char **ret_field, silex_error *err);
/* Of a checked one. */
void slx_watch_def_rule(const struct slx_watch_def *d, struct slx_track_rule *ret);
/* As a person would say it: avg(hr{bed="4"}[1m]) > 120 until < 110, on 10s, off 30s. */
void slx_watch_def_text(const struct slx_watch_def *d, struct slx_buf *out);

/* Bytes as they are stored (docs/format/rule.md). Decoding checks all; strings point into the bytes. CORRUPT, or UNSUPPORTED. */
void slx_watch_def_encode(const struct slx_watch_def *d, struct slx_buf *out);
silex_status slx_watch_def_decode(struct slx_str bytes, struct slx_watch_def *ret, silex_error *err);

#endif
