/* stores: the list of object stores, as silex_options takes it. */
#include "server/core/auth.h"
#include "server/core/schema.h"
#include "storage/store/store.h"

#include <stdio.h>
#include <string.h>

enum { STORES_MAX = 32 };

static silex_status text(const struct slx_yaml *map, const char *key, const char **ret, silex_error *err)
{
	return slx_yaml_text(slx_yaml_get(map, key), ret, err);
}

/* key itself, or the first line of the file that key_file names. */
static silex_status secret(struct slx_config *c, const struct slx_yaml *y, const char *key, const char **ret, silex_error *err)
{
	char file_key[64], line[16 << 10];
	const char *path = NULL;
	snprintf(file_key, sizeof file_key, "%s_file", key);
	SLX_TRY(text(y, key, ret, err));
	SLX_TRY(text(y, file_key, &path, err));
	if (!path)
		return SILEX_OK;
	if (*ret)
		return slx_yaml_err(y, err, "%s and %s: expected one of them", key, file_key);
	if (!slx_auth_first_line(path, line, sizeof line))
		return slx_yaml_err(slx_yaml_get(y, file_key), err, "%s: cannot be read", path);
	char *kept = slx_arena_alloc(&c->arena, strlen(line) + 1, 1);
	if (!kept)
		return slx_err_oom(err);
	*ret = strcpy(kept, line);
	explicit_bzero(line, sizeof line);
	return SILEX_OK;
}

static silex_status read_store(struct slx_config *c, const struct slx_yaml *y, silex_store_config *to, silex_error *err)
{
	static const char *const keys[] = { "name", "url", "access_key", "access_key_file", "secret_key", "secret_key_file", "session_token",
		"session_token_file", NULL };
	*to = (silex_store_config){ .struct_size = sizeof *to };
	if (y->type != SLX_YAML_MAP)
		return slx_yaml_err(y, err, "stores: expected a map with name and url");
	SLX_TRY(slx_yaml_keys(y, "a store", keys, err));
	SLX_TRY(text(y, "name", &to->name, err));
	SLX_TRY(text(y, "url", &to->url, err));
	if (!to->name || !to->url)
		return slx_yaml_err(y, err, "a store has no %s", to->name ? "url" : "name");
	SLX_TRY(secret(c, y, "access_key", &to->access_key, err));
	SLX_TRY(secret(c, y, "secret_key", &to->secret_key, err));
	return secret(c, y, "session_token", &to->session_token, err);
}

silex_status slx_config_read_stores(struct slx_config *c, silex_error *err)
{
	const struct slx_yaml *list = c->stores;
	silex_error e;
	if (slx_yaml_null(list))
		return SILEX_OK;
	if (list->type != SLX_YAML_LIST || list->n > STORES_MAX)
		return slx_yaml_err(list, err, "stores: expected a list of at most %d stores, each with name and url", STORES_MAX);
	silex_store_config *stores = slx_arena_alloc(&c->arena, list->n * sizeof *stores, _Alignof(silex_store_config));
	if (!stores)
		return slx_err_oom(err);
	size_t n = 0;
	for (const struct slx_yaml *y = list->child; y; y = y->next, n++) {
		SLX_TRY(read_store(c, y, &stores[n], err));
		if (slx_store_check_config(&stores[n], &e) != SILEX_OK)
			return slx_yaml_err(y, err, "%s", e.message);
		for (size_t k = 0; k < n; k++)
			if (strcmp(stores[k].name, stores[n].name) == 0)
				return slx_yaml_err(y, err, "two stores have the name \"%s\"", stores[n].name);
	}
	c->engine.stores = stores;
	c->engine.n_stores = n;
	return SILEX_OK;
}
