/* Errors inside the library: a status is returned, its words go to the caller's silex_error. */
#ifndef SLX_BASE_STATUS_H
#define SLX_BASE_STATUS_H

#include <silex/status.h>
#include <stdarg.h>

/* Writes code and message to err (which may be NULL) and returns code, so that callers say
 * `return slx_err(err, SILEX_INVALID, "step is 0; expected at least 1")`. */
__attribute__((format(printf, 3, 4))) silex_status slx_err(silex_error *err, silex_status code, const char *fmt, ...);

/* Puts "words: " before the message already in err and returns its code. */
__attribute__((format(printf, 2, 3))) silex_status slx_err_wrap(silex_error *err, const char *fmt, ...);

/* The status that an errno stands for, with "what: strerror" as message. ENOSPC, EDQUOT and ENOMEM are
 * RESOURCE_EXHAUSTED, EACCES, EPERM and EROFS PERMISSION_DENIED, ENOENT NOT_FOUND, others UNAVAILABLE. */
silex_status slx_err_errno(silex_error *err, int errnum, const char *what);

silex_status slx_err_oom(silex_error *err);

/* Returns st from the enclosing function when it is not OK. */
#define SLX_TRY(expr)                         \
	do {                                      \
		silex_status slx_try_st_ = (expr);    \
		if (slx_try_st_ != SILEX_OK)          \
			return slx_try_st_;               \
	} while (0)

#endif
