/* The server's log: one line an event on stderr, as text (logfmt) or JSON. Any thread; a line is one write(2).
 *
 *     slx_log(log, SLX_LOG_INFO, "ready", SLX_TEXT("listen", address), SLX_INT("series", n));
 *     2026-11-21T08:22:00.123Z info ready listen=127.0.0.1:9470 series=12 */
#ifndef SLX_SERVER_CORE_LOG_H
#define SLX_SERVER_CORE_LOG_H

#include "model/labels.h"

#include <stdatomic.h>

enum slx_log_level { SLX_LOG_DEBUG, SLX_LOG_INFO, SLX_LOG_WARN, SLX_LOG_ERROR };
enum slx_log_format { SLX_LOG_LOGFMT, SLX_LOG_JSON };

/* May be read at any time; level and format are changed by a reload. */
struct slx_log {
	int fd;
	_Atomic int level;  /* enum slx_log_level: less is dropped */
	_Atomic int format; /* enum slx_log_format */
	_Atomic uint64_t lines[4]; /* written, by level */
};

struct slx_log_field {
	const char *key;
	enum { SLX_LOG_STRING, SLX_LOG_INTEGER, SLX_LOG_REAL } type;
	struct slx_str s;
	int64_t i;
	double f;
};

#define SLX_TEXT(k, z) ((struct slx_log_field){ .key = (k), .type = SLX_LOG_STRING, .s = slx_str(z) })
#define SLX_BYTES(k, str) ((struct slx_log_field){ .key = (k), .type = SLX_LOG_STRING, .s = (str) })
#define SLX_INT(k, v) ((struct slx_log_field){ .key = (k), .type = SLX_LOG_INTEGER, .i = (int64_t)(v) })
#define SLX_REAL(k, v) ((struct slx_log_field){ .key = (k), .type = SLX_LOG_REAL, .f = (v) })

void slx_log_init(struct slx_log *l, int fd);
/* fields: n of them, the first is skipped (it lets the macro take none). Values over 2 kB and lines over 8 kB are cut. */
void slx_log_put(struct slx_log *l, enum slx_log_level level, const char *message, const struct slx_log_field *fields, size_t n);

#define slx_log(log, lvl, message, ...)                                                              \
	do {                                                                                             \
		struct slx_log *slx_log_ = (log);                                                            \
		if ((int)(lvl) >= atomic_load_explicit(&slx_log_->level, memory_order_relaxed)) {            \
			const struct slx_log_field slx_log_fields_[] = { { .key = NULL }, ##__VA_ARGS__ };       \
			slx_log_put(slx_log_, lvl, message, slx_log_fields_, sizeof slx_log_fields_ / sizeof *slx_log_fields_); \
		}                                                                                            \
	} while (0)

/* silex_options.log: what the engine says. arg is the struct slx_log. */
void slx_log_engine(void *arg, int level, const char *message);

#endif
