/* YAML as a tree, by libyaml: what people write for the server, for rules and for tests of rules. Tags but the default ones and more
 * than 32 levels are refused, and anchors: they make small files large.
 *
 * Messages name file and line; readers that want the column too have it in the node. */
#ifndef SLX_YAML_YAML_H
#define SLX_YAML_YAML_H

#include "base/arena.h"
#include "model/labels.h"

enum slx_yaml_type { SLX_YAML_SCALAR, SLX_YAML_LIST, SLX_YAML_MAP };

struct slx_yaml {
	enum slx_yaml_type type;
	bool quoted;           /* a scalar in quotes or a block: never null */
	unsigned line, column; /* of the value, from 1; columns count bytes */
	const char *key;       /* in a MAP; NULL elsewhere */
	struct slx_str text;   /* SCALAR, NUL-terminated */
	struct slx_yaml *child; /* LIST, MAP: the first */
	struct slx_yaml *next;
	size_t n;         /* children */
	const char *file; /* name for messages */
};

/* Parses one document into the arena; NULL for an empty one. INVALID "file:line: ...". */
silex_status slx_yaml_parse(struct slx_arena *a, const char *file, const void *text, size_t n, struct slx_yaml **ret, silex_error *err);
const struct slx_yaml *slx_yaml_get(const struct slx_yaml *map, const char *key); /* NULL when absent or map is NULL */
bool slx_yaml_null(const struct slx_yaml *y); /* absent, empty, ~ or null */
/* INVALID "file:line: fmt" */
__attribute__((format(printf, 3, 4))) silex_status slx_yaml_err(const struct slx_yaml *y, silex_error *err, const char *fmt, ...);
/* Every key of map is one of known (NULL-terminated), and none twice; else INVALID with line and nearest key. `what` names the map. */
silex_status slx_yaml_keys(const struct slx_yaml *map, const char *what, const char *const *known, silex_error *err);
/* Scalars of a type; ret is left alone when y is NULL. */
silex_status slx_yaml_text(const struct slx_yaml *y, const char **ret, silex_error *err);
silex_status slx_yaml_bool(const struct slx_yaml *y, bool *ret, silex_error *err);
silex_status slx_yaml_count(const struct slx_yaml *y, uint64_t min, uint64_t max, uint64_t *ret, silex_error *err); /* sizes too: 64MB */
silex_status slx_yaml_duration(const struct slx_yaml *y, int64_t min, int64_t max, int64_t *ret_ns, silex_error *err);

/* Words as values: true, yes, on, 1 and their opposites; 10, 64k, 32MB, 1GiB (powers of 1024). false when it is none. */
bool slx_word_bool(const char *s, bool *ret);
bool slx_word_count(const char *s, uint64_t *ret);
/* The nearest of names (NULL-terminated) by edit distance; NULL when none is near. */
const char *slx_word_nearest(const char *word, const char *const *names);

#endif
