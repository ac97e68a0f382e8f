/* Shared by the implementations; private to the room. */
#ifndef SLX_STORAGE_STORE_INT_H
#define SLX_STORAGE_STORE_INT_H

#include "base/buf.h"
#include "storage/store/store.h"

#define SLX_STORE_TMP     ".tmp"
#define SLX_STORE_DAMAGED ".damaged"

silex_status slx_store_check_name(const char *name, silex_error *err);
silex_status slx_store_damaged_name(const char *name, char to[SLX_STORE_NAME_SIZE_MAX + 1], silex_error *err);

silex_status slx_store_open_custom(const struct slx_store_env *e, const silex_store_type *type,
	const silex_store_config *config, struct slx_store **ret, silex_error *err);

/* Names gathered for a listing: add them, then show calls each for those that begin with prefix, in order. */
struct slx_store_names {
	struct slx_buf text; /* SLX_STORE_NAME_SIZE_MAX + 1 bytes each */
	const char *prefix;
};

void slx_store_names_add(struct slx_store_names *n, const char *name);
silex_status slx_store_names_show(
	struct slx_store_names *n, bool (*each)(void *arg, const char *name), void *arg, silex_error *err);

#endif
