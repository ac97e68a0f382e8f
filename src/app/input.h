/* Bytes of a file or of standard input, decompressed when they begin like gzip or Zstandard, and the decoder that fits
 * them. */
#ifndef SLX_APP_INPUT_H
#define SLX_APP_INPUT_H

#include "app/app.h"

struct app_input;

/* path "-": standard input. Says nothing; NULL and err on failure. */
struct app_input *app_input_open(const char *path, silex_error *err);
/* Up to n bytes; *ret_n 0 at the end. CORRUPT: damaged or cut compressed data. */
silex_status app_input_read(struct app_input *in, void *to, size_t n, size_t *ret_n, silex_error *err);
/* Position and size in the stored (maybe compressed) file, for a progress bar; size 0: unknown. */
void app_input_position(const struct app_input *in, uint64_t *ret_done, uint64_t *ret_size);
void app_input_close(struct app_input *in);

/* The whole of a small file into a buffer that the caller frees. */
silex_status app_input_whole(const char *path, size_t size_max, char **ret, size_t *ret_n, silex_error *err);

#endif
