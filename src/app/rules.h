/* silex rules: its options, and the words of rules on arrival (rules_arrival.c) beside those of rule files (rules.c). */
#ifndef SLX_APP_RULES_H
#define SLX_APP_RULES_H

#include "app/app.h"

struct app_rules_options {
	bool experimental;
	struct app_time from, to; /* backfill */
	int input, missing; /* 1 + the number in silex_rule_input, silex_rule_missing */
	int64_t window, on, off, missing_after, max_lateness;
	const char *leave, *leave_high;
	uint64_t series_max;
	struct app_texts labels, annotations;
};

struct app_rules_word {
	const char *word; /* NULL ends the table */
	int (*run)(struct app *a, const struct app_rules_options *o, int argc, char **argv); /* argv[0]: the word */
};
extern const struct app_rules_word app_rules_words[];

#endif
