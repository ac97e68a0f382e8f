/* The slow, obvious engine: an array slot for every series and every instant that a test may use. */
#ifndef MODEL_H
#define MODEL_H

#include <silex/silex.h>

enum { MODEL_TENANTS = 2, MODEL_SERIES = 12, MODEL_SLOTS = 1024 };

struct model_sample {
	bool present;
	silex_kind kind;
	uint64_t bits; /* double or int64; ENUM: number of the state; kinds of bytes: what makes them (oracle.h) */
};

struct model {
	struct model_sample at[MODEL_TENANTS][MODEL_SERIES][MODEL_SLOTS];
	int64_t time[MODEL_SLOTS]; /* ascending */
};

extern const char *const model_tenant[MODEL_TENANTS];
extern const char *const model_state[4];

/* Series s is {__name__ = "m<s / 4>", host = "h<s % 4>"}, the last metric holds states. */
static inline bool model_is_enum(int s) { return s / 4 == 2; }
void model_labels(int s, char text[2][16], silex_label ret[2]);
/* A selector that takes the series of mask (one metric, one host, a host pattern, or all). */
int model_selector(uint64_t random, char *ret, size_t cap, bool taken[MODEL_SERIES]);

/* Reads everything that `selector` takes in slots from..to and compares it with the model. Prints the first difference
 * and returns false. */
bool model_compare(silex_db *db, const struct model *m, int tenant, const char *selector, const bool *taken, int from, int to);

#endif
