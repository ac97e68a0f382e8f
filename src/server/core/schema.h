/* The table of configuration keys (private to server/core). */
#ifndef SLX_SERVER_CORE_SCHEMA_H
#define SLX_SERVER_CORE_SCHEMA_H

#include "server/core/config.h"

enum slx_key_type {
	SLX_KEY_TEXT,   /* const char * */
	SLX_KEY_BOOL,   /* bool */
	SLX_KEY_COUNT,  /* uint64_t; min, max */
	SLX_KEY_SIZE,   /* the same, in bytes */
	SLX_KEY_SPAN,   /* int64_t nanoseconds; min, max */
	SLX_KEY_CHOICE, /* const char *, one of `words` */
	SLX_KEY_LIST,   /* struct slx_config_list of texts */
	SLX_KEY_TREE,   /* const struct slx_yaml * */
	SLX_KEY_ENGINE, /* an option of silex_options by its name there: the path after "storage." */
};

struct slx_key {
	const char *path;
	enum slx_key_type type;
	size_t offset;       /* in struct slx_config; ENGINE: not used */
	const char *normal;  /* the default as text; NULL: none (ENGINE: the engine's) */
	const char *words;   /* CHOICE: "a b c"; else what the documentation says of the default, or NULL */
	int64_t min, max;
	bool live; /* a reload changes it */
	const char *doc;
};

extern const struct slx_key slx_keys[];
extern const size_t slx_keys_n;

/* Fills engine.stores from the tree `stores`. */
silex_status slx_config_read_stores(struct slx_config *c, silex_error *err);

#endif
