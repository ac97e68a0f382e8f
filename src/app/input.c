#include "app/input.h"

#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { RAW_SIZE = 256 << 10 };

struct app_input {
	int fd;
	uint64_t done, size;
	enum { PLAIN, GZIP, ZSTANDARD } packing;
	bool ended;   /* the file has no more bytes */
	bool between; /* of two members or frames: the file may end here */
	z_stream z;
	ZSTD_DStream *zstd;
	uint8_t *p, *end; /* read and not yet used */
	uint8_t raw[RAW_SIZE];
};

static silex_status fill(struct app_input *in, silex_error *err)
{
	size_t kept = (size_t)(in->end - in->p);
	memmove(in->raw, in->p, kept);
	in->p = in->raw;
	in->end = in->raw + kept;
	while (!in->ended && kept < RAW_SIZE) {
		ssize_t n = read(in->fd, in->end, RAW_SIZE - kept);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return slx_err_errno(err, errno, "read");
		in->ended = n == 0;
		in->done += (uint64_t)n;
		in->end += n;
		kept += (size_t)n;
		if (kept >= 64) /* enough to go on with: a pipe is not waited for */
			break;
	}
	return SILEX_OK;
}

static silex_status begin(struct app_input *in, silex_error *err)
{
	SLX_TRY(fill(in, err));
	size_t n = (size_t)(in->end - in->p);
	in->between = true;
	if (n >= 2 && in->p[0] == 0x1f && in->p[1] == 0x8b) {
		in->packing = GZIP;
		return inflateInit2(&in->z, 15 + 16) == Z_OK ? SILEX_OK : slx_err_oom(err);
	}
	if (n >= 4 && memcmp(in->p, "\x28\xb5\x2f\xfd", 4) == 0) {
		in->packing = ZSTANDARD;
		in->zstd = ZSTD_createDStream();
		return in->zstd ? SILEX_OK : slx_err_oom(err);
	}
	return SILEX_OK;
}

struct app_input *app_input_open(const char *path, silex_error *err)
{
	struct app_input *in = app_alloc(sizeof *in);
	struct stat s;
	in->p = in->end = in->raw;
	in->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	silex_status st = SILEX_OK;
	if (in->fd < 0)
		st = slx_err_errno(err, errno, "open");
	else if (fstat(in->fd, &s) == 0 && S_ISDIR(s.st_mode))
		st = slx_err(err, SILEX_INVALID, "is a directory");
	else {
		in->size = S_ISREG(s.st_mode) ? (uint64_t)s.st_size : 0;
		st = begin(in, err);
	}
	if (st == SILEX_OK)
		return in;
	app_input_close(in);
	return NULL;
}

static silex_status read_gzip(struct app_input *in, void *to, size_t n, size_t *ret_n, silex_error *err)
{
	in->z.next_in = in->p;
	in->z.avail_in = (uInt)(in->end - in->p);
	in->z.next_out = to;
	in->z.avail_out = (uInt)n;
	int st = inflate(&in->z, Z_NO_FLUSH);
	in->p = in->end - in->z.avail_in;
	*ret_n = n - in->z.avail_out;
	in->between = st == Z_STREAM_END;
	if (st == Z_STREAM_END)
		inflateReset(&in->z);
	else if (st != Z_OK && st != Z_BUF_ERROR)
		return slx_err(err, SILEX_CORRUPT, "damaged gzip data before byte %llu: %s",
			(unsigned long long)(in->done - (uint64_t)(in->end - in->p)), in->z.msg ? in->z.msg : "inflate");
	return SILEX_OK;
}

static silex_status read_zstd(struct app_input *in, void *to, size_t n, size_t *ret_n, silex_error *err)
{
	ZSTD_inBuffer from = { in->p, (size_t)(in->end - in->p), 0 };
	ZSTD_outBuffer out = { to, n, 0 };
	size_t st = ZSTD_decompressStream(in->zstd, &out, &from);
	in->p += from.pos;
	*ret_n = out.pos;
	in->between = st == 0;
	if (ZSTD_isError(st))
		return slx_err(err, SILEX_CORRUPT, "damaged zstd data before byte %llu: %s",
			(unsigned long long)(in->done - (uint64_t)(in->end - in->p)), ZSTD_getErrorName(st));
	return SILEX_OK;
}

silex_status app_input_read(struct app_input *in, void *to, size_t n, size_t *ret_n, silex_error *err)
{
	*ret_n = 0;
	while (*ret_n == 0) {
		size_t before = (size_t)(in->end - in->p);
		if (before < 64 && !in->ended)
			SLX_TRY(fill(in, err));
		before = (size_t)(in->end - in->p);
		if (in->packing == PLAIN) {
			*ret_n = before < n ? before : n;
			memcpy(to, in->p, *ret_n);
			in->p += *ret_n;
			return SILEX_OK;
		}
		if (!before && in->between)
			return SILEX_OK;
		SLX_TRY(in->packing == GZIP ? read_gzip(in, to, n, ret_n, err) : read_zstd(in, to, n, ret_n, err));
		if (!*ret_n && in->ended && (size_t)(in->end - in->p) == before && !in->between)
			return slx_err(
				err, SILEX_CORRUPT, "the compressed data is cut short at byte %llu", (unsigned long long)in->done);
	}
	return SILEX_OK;
}

void app_input_position(const struct app_input *in, uint64_t *ret_done, uint64_t *ret_size)
{
	*ret_done = in->done - (uint64_t)(in->end - in->p);
	*ret_size = in->size;
}

void app_input_close(struct app_input *in)
{
	if (!in)
		return;
	if (in->packing == GZIP)
		inflateEnd(&in->z);
	ZSTD_freeDStream(in->zstd);
	if (in->fd > STDIN_FILENO)
		close(in->fd);
	free(in);
}

silex_status app_input_whole(const char *path, size_t size_max, char **ret, size_t *ret_n, silex_error *err)
{
	struct app_input *in = app_input_open(path, err);
	if (!in)
		return err->code;
	char *p = app_alloc(size_max + 1);
	size_t n = 0, k = 1;
	silex_status st = SILEX_OK;
	while (k && n <= size_max && (st = app_input_read(in, p + n, size_max + 1 - n, &k, err)) == SILEX_OK)
		n += k;
	app_input_close(in);
	if (st == SILEX_OK && n > size_max)
		st = slx_err(err, SILEX_INVALID, "larger than %zu bytes", size_max);
	if (st != SILEX_OK) {
		free(p);
		return st;
	}
	p[n] = 0; /* app_alloc zeroes; size_max + 1 leaves room */
	*ret = p;
	*ret_n = n;
	return SILEX_OK;
}
