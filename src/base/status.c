#include "base/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *silex_status_text(silex_status status)
{
	switch (status) {
#define CASE(name, number, text) \
	case SILEX_##name:           \
		return text;
		SILEX_STATUS_LIST(CASE)
#undef CASE
	}
	return "unknown status";
}

silex_status slx_err(silex_error *err, silex_status code, const char *fmt, ...)
{
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		err->code = code;
		vsnprintf(err->message, sizeof err->message, fmt, ap);
		va_end(ap);
	}
	return code;
}

silex_status slx_err_wrap(silex_error *err, const char *fmt, ...)
{
	if (!err)
		return SILEX_INTERNAL;
	char inner[sizeof err->message];
	memcpy(inner, err->message, sizeof inner);
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(err->message, sizeof err->message, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof err->message)
		snprintf(err->message + n, sizeof err->message - (size_t)n, ": %s", inner);
	return err->code;
}

silex_status slx_err_errno(silex_error *err, int errnum, const char *what)
{
	silex_status code = SILEX_UNAVAILABLE;
	switch (errnum) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		code = SILEX_RESOURCE_EXHAUSTED;
		break;
	case EACCES:
	case EPERM:
	case EROFS:
		code = SILEX_PERMISSION_DENIED;
		break;
	case ENOENT:
		code = SILEX_NOT_FOUND;
		break;
	case EEXIST:
		code = SILEX_CONFLICT;
		break;
	default:
		break;
	}
	char text[128];
	return slx_err(err, code, "%s: %s", what, strerror_r(errnum, text, sizeof text));
}

silex_status slx_err_oom(silex_error *err)
{
	return slx_err(err, SILEX_RESOURCE_EXHAUSTED, "out of memory");
}
