/* Status codes and messages of the Silex library. SPDX-License-Identifier: MIT */
#ifndef SILEX_STATUS_H
#define SILEX_STATUS_H

#include <silex/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Code, number (stable across releases), text. */
#define SILEX_STATUS_LIST(X)                                  \
	X(OK, 0, "ok")                                            \
	X(NOT_FOUND, 1, "not found")                              \
	X(INVALID, 2, "invalid argument")                         \
	X(PERMISSION_DENIED, 3, "permission denied")              \
	X(CONFLICT, 4, "conflict")                                \
	X(RESOURCE_EXHAUSTED, 5, "resource exhausted")            \
	X(UNAVAILABLE, 6, "unavailable")                          \
	X(CANCELED, 7, "canceled")                                \
	X(DEADLINE_EXCEEDED, 8, "deadline exceeded")              \
	X(CORRUPT, 9, "corrupt data")                             \
	X(UNSUPPORTED, 10, "unsupported")                         \
	X(INTERNAL, 11, "internal error")

typedef enum silex_status {
#define SILEX_STATUS_ENUM(name, number, text) SILEX_##name = number,
	SILEX_STATUS_LIST(SILEX_STATUS_ENUM)
#undef SILEX_STATUS_ENUM
} silex_status;

/* What went wrong, in words. The caller owns it; every function that takes one accepts NULL and writes it only
 * when it fails. Messages read from the outside in: "open /data: manifest: checksum differs at offset 4096". */
typedef struct silex_error {
	silex_status code;
	char message[508];
} silex_error;

/* The fixed text of a code ("not found"); never NULL, "unknown status" for numbers outside the list. */
SILEX_API const char *silex_status_text(silex_status status);

#ifdef __cplusplus
}
#endif
#endif
