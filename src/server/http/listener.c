/* The listener: options to sockets and MHD, from start to drain. */
#include "server/http/http_int.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BACKLOG = 4096,
	FILES_KEPT = 256, /* descriptors for the database and the rest */
};

/* --- making ----------------------------------------------------------------------------------------------------- */

static void add_metrics(struct slx_http *h)
{
	static const char *const classes[] = { "plain", "read", "write", "admin" }, *const codes[] = { "2xx", "3xx", "4xx", "499", "5xx" };
	struct slx_metrics *m = h->core->metrics;
	char labels[64];
	for (unsigned i = 0; i < SLX_HTTP_CLASSES; i++) {
		for (unsigned k = 0; k < 5; k++) {
			snprintf(labels, sizeof labels, "class=\"%s\",code=\"%s\"", classes[i], codes[k]);
			h->requests[i][k] = slx_metrics_counter(m, "silex_http_requests_total", "Requests answered, by class and status; 499: the client hung up.", labels);
		}
		snprintf(labels, sizeof labels, "class=\"%s\"", classes[i]);
		h->seconds[i] = slx_metrics_histogram(m, "silex_http_request_duration_seconds", "From the end of the header to the answer.", labels, NULL, 0);
	}
	h->refused_busy = slx_metrics_counter(m, "silex_http_refused_busy_total", "Requests refused because too many of the tenant's were there.", "");
	h->cut = slx_metrics_counter(m, "silex_http_connections_cut_total", "Connections cut because their client was too slow.", "");
}

static double read_conns(void *ctx) { return (double)atomic_load(&((struct slx_http *)ctx)->conns_n); }
static double read_uploads(void *ctx) { return (double)atomic_load(&((struct slx_http *)ctx)->upload_used); }
static double read_running(void *ctx) { return (double)atomic_load(&((struct slx_http *)ctx)->running); }

static void add_gauges(struct slx_http *h)
{
	struct slx_metrics *m = h->core->metrics;
	slx_metrics_callback(m, SLX_GAUGE, "silex_http_connections", "Open connections.", "", read_conns, h);
	slx_metrics_callback(m, SLX_GAUGE, "silex_http_upload_bytes", "Memory of request bodies.", "", read_uploads, h);
	slx_metrics_callback(m, SLX_GAUGE, "silex_http_requests_running", "Requests running and waiting for a worker.", "", read_running, h);
}

static const char *keep(char **at, const char *z)
{
	size_t n = strlen(z) + 1;
	char *p = memcpy(*at, z, n);
	*at += n;
	return p;
}

static bool copy_strings(struct slx_http *h, const struct slx_http_options *o)
{
	const char **all[] = { &h->o.listen, &h->o.route_prefix, &h->o.tenant, &h->o.tls_cert, &h->o.tls_key, &h->o.cors_origin };
	h->o = *o;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		h->strings_size += strlen(*all[i]) + 1;
	char *at = h->strings = slx_alloc(h->mem, SLX_MEM_OTHER, h->strings_size);
	for (size_t i = 0; at && i < sizeof all / sizeof *all; i++)
		*all[i] = keep(&at, *all[i]);
	return at != NULL;
}

silex_status slx_http_new(struct slx_core *core, const struct slx_http_options *o, struct slx_http **ret, silex_error *err)
{
	struct slx_http *h = slx_calloc(core->mem, SLX_MEM_OTHER, sizeof *h);
	if (!h)
		return slx_err_oom(err);
	h->core = core;
	h->mem = core->mem;
	h->listen_fd = -1;
	pthread_mutex_init(&h->conns_lock, NULL);
	pthread_mutex_init(&h->watch_lock, NULL);
	pthread_cond_init(&h->watch_wake, NULL);
	h->routes = slx_http_routes_new(h->mem);
	if (getrandom(&h->id_salt, sizeof h->id_salt, 0) < 0)
		h->id_salt = (uint64_t)slx_http_now();
	if (!copy_strings(h, o) || !h->routes) {
		slx_http_free(h);
		return slx_err_oom(err);
	}
	h->prefix_n = strlen(h->o.route_prefix);
	slx_http_set_limits(h, o->body_max, o->reads_max, o->writes_max);
	add_metrics(h);
	add_gauges(h);
	silex_status st = slx_ws_loop_new(h, &h->ws, err);
	if (st != SILEX_OK) {
		slx_http_free(h);
		return st;
	}
	*ret = h;
	return SILEX_OK;
}

void slx_http_add(struct slx_http *h, const struct slx_http_route *routes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!slx_http_routes_add(h->routes, &routes[i]))
			slx_log(h->core->log, SLX_LOG_ERROR, "out of memory for a route", SLX_TEXT("path", routes[i].path));
}

void slx_http_set_limits(struct slx_http *h, size_t body_max, unsigned reads_max, unsigned writes_max)
{
	atomic_store(&h->body_max, body_max);
	atomic_store(&h->reads_max, reads_max);
	atomic_store(&h->writes_max, writes_max);
}

/* --- the socket ------------------------------------------------------------------------------------------------- */

/* "host:port", ":port", "[::1]:port" */
static silex_status split_address(const char *listen, char host[256], char port[16], silex_error *err)
{
	const char *colon = strrchr(listen, ':');
	size_t n = colon ? (size_t)(colon - listen) : 0;
	const char *from = listen;
	if (n >= 2 && *listen == '[' && listen[n - 1] == ']') {
		from++;
		n -= 2;
	}
	if (!colon || n > 255 || !colon[1] || strlen(colon + 1) > 5 || strspn(colon + 1, "0123456789") != strlen(colon + 1) || atoi(colon + 1) > 65535)
		return slx_err(err, SILEX_INVALID, "listen: \"%.100s\" given, expected host:port", listen);
	memcpy(host, from, n);
	host[n] = 0;
	strcpy(port, colon + 1);
	return SILEX_OK;
}

static silex_status bind_to(const struct addrinfo *a, int *ret, silex_error *err)
{
	int on = 1, off = 0, fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return slx_err_errno(err, errno, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* accepted sockets inherit it */
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
		int e = errno;
		close(fd);
		return slx_err_errno(err, e, "bind");
	}
	*ret = fd;
	return SILEX_OK;
}

static void name_address(struct slx_http *h)
{
	struct sockaddr_storage a;
	socklen_t n = sizeof a;
	char host[96] = "?", port[16] = "0";
	if (getsockname(h->listen_fd, (struct sockaddr *)&a, &n) == 0)
		getnameinfo((struct sockaddr *)&a, n, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(h->address, sizeof h->address, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static silex_status open_socket(struct slx_http *h, silex_error *err)
{
	char host[256], port[16];
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *list = NULL;
	SLX_TRY(split_address(h->o.listen, host, port, err));
	int rc = getaddrinfo(*host ? host : "::", port, &hints, &list);
	silex_status st = rc ? slx_err(err, SILEX_INVALID, "listen %s: %s", h->o.listen, gai_strerror(rc)) : SILEX_UNAVAILABLE;
	for (struct addrinfo *a = list; a && st != SILEX_OK; a = a->ai_next)
		st = bind_to(a, &h->listen_fd, err);
	if (list)
		freeaddrinfo(list);
	if (st != SILEX_OK && !*host && rc == 0) { /* a machine without IPv6 */
		hints.ai_family = AF_INET;
		if (getaddrinfo("0.0.0.0", port, &hints, &list) == 0) {
			st = bind_to(list, &h->listen_fd, err);
			freeaddrinfo(list);
		}
	}
	if (st != SILEX_OK)
		return rc ? st : slx_err_wrap(err, "listen %s", h->o.listen);
	name_address(h);
	return SILEX_OK;
}

/* --- MHD -------------------------------------------------------------------------------------------------------- */

static void on_connection(void *cls, struct MHD_Connection *c, void **context, enum MHD_ConnectionNotificationCode what)
{
	struct slx_http *h = ((struct slx_http_shard *)cls)->h;
	struct slx_http_conn *x = *context;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *i = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
		x = slx_calloc(h->mem, SLX_MEM_OTHER, sizeof *x);
		*context = x;
		if (!x)
			return; /* it is served, unwatched */
		x->fd = i ? i->connect_fd : -1;
		x->deadline = slx_http_now() + (int64_t)h->o.idle_timeout_s * 1000000000;
		pthread_mutex_lock(&h->conns_lock);
		x->next = h->conns;
		if (x->next)
			x->next->prev = x;
		h->conns = x;
		pthread_mutex_unlock(&h->conns_lock);
		atomic_fetch_add(&h->conns_n, 1);
	} else if (x) {
		pthread_mutex_lock(&h->conns_lock);
		if (x->prev)
			x->prev->next = x->next;
		else
			h->conns = x->next;
		if (x->next)
			x->next->prev = x->prev;
		pthread_mutex_unlock(&h->conns_lock);
		atomic_fetch_sub(&h->conns_n, 1);
		slx_free(h->mem, SLX_MEM_OTHER, x, sizeof *x);
		*context = NULL;
	}
}

static size_t no_unescape(void *cls, struct MHD_Connection *c, char *s) { return strlen(s); }

static void on_log(void *cls, const char *fmt, va_list ap)
{
	struct slx_http *h = ((struct slx_http_shard *)cls)->h;
	char text[256];
	vsnprintf(text, sizeof text, fmt, ap);
	text[strcspn(text, "\n")] = 0;
	slx_log(h->core->log, SLX_LOG_DEBUG, text, SLX_TEXT("component", "http"));
}

/* As many connections as there may be files. */
static unsigned connections_max(struct slx_http *h)
{
	struct rlimit r;
	unsigned want = h->o.connections_max;
	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return want;
	rlim_t need = (rlim_t)want + FILES_KEPT;
	if (r.rlim_cur < need) {
		r.rlim_cur = need < r.rlim_max ? need : r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
		getrlimit(RLIMIT_NOFILE, &r);
	}
	if (r.rlim_cur >= need)
		return want;
	unsigned can = r.rlim_cur > 2 * FILES_KEPT ? (unsigned)r.rlim_cur - FILES_KEPT : (unsigned)r.rlim_cur / 2;
	slx_log(h->core->log, SLX_LOG_WARN, "fewer connections than configured: the limit of open files is low", SLX_INT("connections_max", can),
		SLX_INT("files", r.rlim_cur));
	return can;
}

static silex_status read_pem(struct slx_http *h, const char *path, char **ret, silex_error *err)
{
	struct stat s;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &s) != 0) {
		silex_status st = slx_err_errno(err, errno, path);
		if (fd >= 0)
			close(fd);
		return st;
	}
	size_t n = s.st_size > 0 && s.st_size < (1 << 20) ? (size_t)s.st_size : 0;
	char *p = calloc(1, n + 1);
	ssize_t got = p && n ? read(fd, p, n) : -1;
	close(fd);
	if (got != (ssize_t)n || n == 0) {
		free(p);
		return slx_err(err, SILEX_INVALID, "%s: cannot be read as a PEM file", path);
	}
	*ret = p;
	return SILEX_OK;
}

/* A daemon that is polled from outside, on its own copy of the listening socket. */
static silex_status start_shard(struct slx_http_shard *s, unsigned connections, const char *cert, const char *key, silex_error *err)
{
	struct slx_http *h = s->h;
	/* Suspending without MHD's own wake-up pipe: it would cost a write and a read for every answer. */
	unsigned flags = MHD_USE_EPOLL | (MHD_ALLOW_SUSPEND_RESUME & ~MHD_USE_ITC) | MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG | (cert ? MHD_USE_TLS : 0);
	struct MHD_OptionItem tls[] = { { MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)cert }, { MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)key },
		{ MHD_OPTION_END, 0, NULL } };
	struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };
	int fd = fcntl(h->listen_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return slx_err_errno(err, errno, "listening socket");
	s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, slx_http_on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, s, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, h->o.header_max, MHD_OPTION_CONNECTION_TIMEOUT,
		h->o.idle_timeout_s, MHD_OPTION_NOTIFY_COMPLETED, slx_http_on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
		MHD_OPTION_URI_LOG_CALLBACK, slx_http_on_uri, s, MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, s, MHD_OPTION_ARRAY, cert ? tls : none,
		MHD_OPTION_END);
	if (s->daemon)
		return slx_http_shard_start(s, err);
	close(fd);
	return slx_err(err, SILEX_UNAVAILABLE, "HTTP on %s could not be started%s", h->address,
		cert ? "; are certificate and key PEM files that belong together?" : "");
}

static silex_status start_shards(struct slx_http *h, const char *cert, const char *key, silex_error *err)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = h->o.io_threads ? h->o.io_threads : cores > 0 ? (unsigned)cores : 1;
	n = n < SLX_HTTP_SHARDS_MAX ? n : SLX_HTTP_SHARDS_MAX;
	h->shards = slx_calloc(h->mem, SLX_MEM_OTHER, n * sizeof *h->shards);
	if (!h->shards)
		return slx_err_oom(err);
	h->shards_n = n;
	for (unsigned i = 0; i < n; i++)
		slx_http_shard_init(&h->shards[i], h);
	unsigned connections = connections_max(h) / n + 1;
	for (unsigned i = 0; i < n; i++)
		SLX_TRY(start_shard(&h->shards[i], connections, cert, key, err));
	return SILEX_OK;
}

silex_status slx_http_start(struct slx_http *h, silex_error *err)
{
	char *cert = NULL, *key = NULL;
	silex_status st = open_socket(h, err);
	if (st == SILEX_OK && *h->o.tls_cert)
		st = read_pem(h, h->o.tls_cert, &cert, err);
	if (st == SILEX_OK && *h->o.tls_key)
		st = read_pem(h, h->o.tls_key, &key, err);
	if (st == SILEX_OK)
		st = slx_http_lanes_start(h, err);
	if (st == SILEX_OK)
		st = start_shards(h, cert, key, err);
	if (st == SILEX_OK)
		st = slx_http_watch_start(h, err);
	h->started = st == SILEX_OK;
	free(cert);
	if (key)
		explicit_bzero(key, strlen(key));
	free(key);
	return st;
}

const char *slx_http_address(const struct slx_http *h) { return h->address; }
void slx_http_set_ready(struct slx_http *h, bool ready) { atomic_store_explicit(&h->ready, ready, memory_order_release); }

bool slx_http_ready(const struct slx_http *h) { return atomic_load(&h->ready) && !atomic_load(&h->draining); }

/* --- the end ---------------------------------------------------------------------------------------------------- */

static void sleep_ms(long ms) { nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL); }

void slx_http_drain(struct slx_http *h, int64_t grace_ms)
{
	int64_t until = slx_http_now() + grace_ms * 1000000;
	atomic_store(&h->draining, true);
	slx_ws_close_all(h->ws);
	while (atomic_load(&h->running) && slx_http_now() < until)
		sleep_ms(5);
	while (atomic_load_explicit(&h->running, memory_order_acquire)) {
		slx_http_cancel_all(h); /* again and again: requests that were being read come in late */
		sleep_ms(5);
	}
	/* What was answered gets a moment to reach its client. */
	until = slx_http_now() + INT64_C(1000000000);
	while (atomic_load_explicit(&h->exchanges, memory_order_acquire) && slx_http_now() < until)
		sleep_ms(2);
}

void slx_http_free(struct slx_http *h)
{
	if (!h)
		return;
	if (h->started)
		slx_http_drain(h, 0);
	slx_http_watch_stop(h);
	for (unsigned i = 0; i < h->shards_n; i++)
		slx_http_shard_stop(&h->shards[i]);
	slx_http_lanes_stop(h);
	if (h->listen_fd >= 0)
		close(h->listen_fd);
	slx_free(h->mem, SLX_MEM_OTHER, h->shards, h->shards_n * sizeof *h->shards);
	slx_ws_loop_free(h->ws);
	slx_http_routes_free(h->routes);
	slx_free(h->mem, SLX_MEM_OTHER, h->strings, h->strings_size);
	pthread_cond_destroy(&h->watch_wake);
	pthread_mutex_destroy(&h->watch_lock);
	pthread_mutex_destroy(&h->conns_lock);
	slx_free(h->mem, SLX_MEM_OTHER, h, sizeof *h);
}
