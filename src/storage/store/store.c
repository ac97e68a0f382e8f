/* Names and listings, the same for every implementation. */
#include "storage/store/store_int.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

silex_status slx_store_check_name(const char *name, silex_error *err)
{
	size_t n = strlen(name), tmp = strlen(SLX_STORE_TMP);
	bool ok = n >= 1 && n <= SLX_STORE_NAME_SIZE_MAX && name[0] != '.';
	for (size_t i = 0; i < n && ok; i++)
		ok = isalnum((unsigned char)name[i]) || name[i] == '.' || name[i] == '_' || name[i] == '-';
	if (ok && !(n >= tmp && strcmp(name + n - tmp, SLX_STORE_TMP) == 0))
		return SILEX_OK;
	return slx_err(err, SILEX_INVALID,
		"object name \"%.*s\"; expected [A-Za-z0-9._-]{1,%d}, not beginning with '.' or ending in " SLX_STORE_TMP,
		SLX_STORE_NAME_SIZE_MAX, name, SLX_STORE_NAME_SIZE_MAX);
}

silex_status slx_store_damaged_name(const char *name, char to[SLX_STORE_NAME_SIZE_MAX + 1], silex_error *err)
{
	SLX_TRY(slx_store_check_name(name, err));
	if (snprintf(to, SLX_STORE_NAME_SIZE_MAX + 1, "%s" SLX_STORE_DAMAGED, name) > SLX_STORE_NAME_SIZE_MAX)
		return slx_err(err, SILEX_INVALID, "%s: name too long to set the object aside", name);
	return SILEX_OK;
}

enum { ENTRY_SIZE = SLX_STORE_NAME_SIZE_MAX + 1 };

void slx_store_names_add(struct slx_store_names *n, const char *name)
{
	char entry[ENTRY_SIZE] = "";
	if (strncmp(name, n->prefix, strlen(n->prefix)) != 0 || slx_store_check_name(name, NULL) != SILEX_OK)
		return;
	snprintf(entry, sizeof entry, "%s", name);
	slx_buf_put(&n->text, entry, sizeof entry);
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

silex_status slx_store_names_show(
	struct slx_store_names *n, bool (*each)(void *arg, const char *name), void *arg, silex_error *err)
{
	silex_status st = n->text.failed ? slx_err_oom(err) : SILEX_OK;
	if (st == SILEX_OK && n->text.n) {
		qsort(n->text.p, n->text.n / ENTRY_SIZE, ENTRY_SIZE, by_name);
		for (size_t i = 0; i < n->text.n && each(arg, (const char *)n->text.p + i); i += ENTRY_SIZE)
			;
	}
	slx_buf_free(&n->text);
	return st;
}
