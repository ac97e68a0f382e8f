#include "model/model.h"

#define XXH_STATIC_LINKING_ONLY /* a hash state on the stack */
#include <xxhash.h>

/* Sets of a few hundred bytes are joined with the tenant on the stack and hashed in one go, which is several times as
 * fast as feeding a state; the result is the same. */
enum { JOINED_SIZE_MAX = 1024 };

struct slx_hash128 slx_series_id(struct slx_str tenant, struct slx_labels l)
{
	uint8_t joined[JOINED_SIZE_MAX];
	size_t n = tenant.n + 1 + l.n;
	if (n <= sizeof joined) {
		memcpy(joined, tenant.p, tenant.n);
		joined[tenant.n] = 0;
		memcpy(joined + tenant.n + 1, l.p, l.n);
		return slx_hash128(joined, n, 0);
	}
	XXH3_state_t state;
	XXH3_INITSTATE(&state);
	XXH3_128bits_reset(&state);
	XXH3_128bits_update(&state, tenant.p, tenant.n);
	XXH3_128bits_update(&state, "", 1);
	XXH3_128bits_update(&state, l.p, l.n);
	XXH128_hash_t h = XXH3_128bits_digest(&state);
	return (struct slx_hash128){ .lo = h.low64, .hi = h.high64 };
}

static bool tenant_byte(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
		c == '-';
}

silex_status slx_tenant_check(struct slx_str name, silex_error *err)
{
	if (name.n == 0 || name.n > SLX_TENANT_SIZE_MAX)
		return slx_err(err, SILEX_INVALID, "tenant name has %zu bytes; expected 1 to %d of A-Z a-z 0-9 _ . -", name.n,
			SLX_TENANT_SIZE_MAX);
	for (size_t i = 0; i < name.n; i++)
		if (!tenant_byte((unsigned char)name.p[i]))
			return slx_err(err, SILEX_INVALID, "tenant name: byte 0x%02x at %zu; expected A-Z a-z 0-9 _ . -",
				(unsigned char)name.p[i], i);
	if (slx_str_eq(name, SLX_STR(".")) || slx_str_eq(name, SLX_STR("..")))
		return slx_err(err, SILEX_INVALID, "tenant name \"%.*s\" is not allowed", (int)name.n, name.p);
	return SILEX_OK;
}

silex_status slx_tenant_check_stored(struct slx_str name, silex_error *err)
{
	const char *mark = name.n ? memchr(name.p, '!', name.n) : NULL;
	size_t user = mark ? (size_t)(mark - name.p) : name.n;
	for (size_t i = user + 1; i < name.n; i++)
		if (!((name.p[i] >= 'a' && name.p[i] <= 'z') || (name.p[i] >= '0' && name.p[i] <= '9') || name.p[i] == '.'))
			return slx_err(err, SILEX_INVALID, "internal tenant name: byte 0x%02x at %zu; expected a-z, 0-9 or .", (unsigned char)name.p[i], i);
	if (name.n > SLX_TENANT_STORED_MAX || (mark && user + 1 == name.n))
		return slx_err(err, SILEX_INVALID, "internal tenant name of %zu bytes; expected a word and at most %d", name.n, SLX_TENANT_STORED_MAX);
	return slx_tenant_check((struct slx_str){ name.p, user }, err);
}

static const char *const kind_names[SLX_KINDS] = { "float64", "int64", "bool", "enum", "histogram", "bytes" };

const char *slx_kind_name(enum slx_kind k) { return (unsigned)k < SLX_KINDS ? kind_names[k] : "unknown"; }

silex_status slx_kind_parse(struct slx_str name, enum slx_kind *ret, silex_error *err)
{
	for (unsigned k = 0; k < SLX_KINDS; k++)
		if (slx_str_eq(name, slx_str(kind_names[k]))) {
			*ret = (enum slx_kind)k;
			return SILEX_OK;
		}
	return slx_err(err, SILEX_INVALID, "kind \"%.*s\"; expected float64, int64, bool, enum or histogram",
		(int)(name.n < 64 ? name.n : 64), name.p);
}
