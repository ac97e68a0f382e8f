/* What the implementations share, and the form of a document in a file. */
#include "base/bytes.h"
#include "base/hash.h"
#include "storage/meta/meta_int.h"

#include <ctype.h>
#include <string.h>

static const char magic[8] = { 'S', 'i', 'l', 'e', 'x', 'D', 'o', 'c' };

silex_status slx_meta_check_key(const char *key, silex_error *err)
{
	size_t n = strlen(key);
	bool ok = n >= 1 && n <= SLX_META_KEY_SIZE_MAX && key[0] != '.';
	for (size_t i = 0; i < n && ok; i++)
		ok = isalnum((unsigned char)key[i]) || key[i] == '.' || key[i] == '_' || key[i] == '-';
	if (ok && n >= 4 && strcmp(key + n - 4, ".tmp") == 0)
		ok = false;
	if (ok)
		return SILEX_OK;
	return slx_err(err, SILEX_INVALID,
		"key \"%.*s\"; expected [A-Za-z0-9._-]{1,%d}, not beginning with '.' or ending in .tmp", SLX_META_KEY_SIZE_MAX,
		key, SLX_META_KEY_SIZE_MAX);
}

silex_status slx_meta_conflict(const char *key, uint64_t found, uint64_t expected, silex_error *err)
{
	return slx_err(err, SILEX_CONFLICT, "%s: version is %llu; expected %llu", key, (unsigned long long)found,
		(unsigned long long)expected);
}

static uint32_t checksum(const uint8_t *header, const void *bytes, size_t n)
{
	return slx_crc32c(slx_crc32c(slx_crc32c(0, header, 12), header + 16, 16), bytes, n);
}

void slx_meta_encode(const void *bytes, size_t n, uint64_t version, uint8_t header[SLX_META_HEADER_SIZE])
{
	memset(header, 0, SLX_META_HEADER_SIZE);
	memcpy(header, magic, sizeof magic);
	slx_store16(header + 8, SLX_META_FORMAT);
	slx_store64(header + 16, version);
	slx_store64(header + 24, n);
	slx_store32(header + 12, checksum(header, bytes, n));
}

silex_status slx_meta_decode(const char *path, const uint8_t *file, size_t n, uint64_t *ret_version, silex_error *err)
{
	if (n < SLX_META_HEADER_SIZE)
		return slx_err(
			err, SILEX_CORRUPT, "%s: offset 0: %zu bytes; expected at least %d", path, n, SLX_META_HEADER_SIZE);
	if (memcmp(file, magic, sizeof magic) != 0)
		return slx_err(err, SILEX_CORRUPT, "%s: offset 0: not a document of Silex", path);
	/* The checksum covers the version, so a damaged one is not taken for a newer release's; but a newer release may
	 * compute it in another way, so the version is asked first. */
	if (slx_load16(file + 8) > SLX_META_FORMAT)
		return slx_err(err, SILEX_UNSUPPORTED, "%s: format %u; this release reads up to %d", path, slx_load16(file + 8),
			SLX_META_FORMAT);
	if (slx_load64(file + 24) != n - SLX_META_HEADER_SIZE)
		return slx_err(err, SILEX_CORRUPT, "%s: offset 24: length %llu; the file holds %zu", path,
			(unsigned long long)slx_load64(file + 24), n - SLX_META_HEADER_SIZE);
	if (checksum(file, file + SLX_META_HEADER_SIZE, n - SLX_META_HEADER_SIZE) != slx_load32(file + 12))
		return slx_err(err, SILEX_CORRUPT, "%s: offset 12: checksum differs", path);
	if (slx_load64(file + 16) == 0)
		return slx_err(err, SILEX_CORRUPT, "%s: offset 16: version 0; expected at least 1", path);
	*ret_version = slx_load64(file + 16);
	return SILEX_OK;
}
