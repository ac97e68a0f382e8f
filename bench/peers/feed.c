/* Load for `bench/peers/peers.py`: writes that look like a fleet of hosts, and reads over kept-alive connections.
 *
 *     feed write FORMAT HOST:PORT PATH hosts=100 fields=10 points=8640 step=10 start=SECONDS decimals=0 per=1 conns=2 rate=0
 *     feed read HOST:PORT PATH conns=16 seconds=5
 *
 * FORMAT: rw (remote write 1.0, `per` samples a TimeSeries) or lp (line protocol). Values walk at random in 0..100; the seed is fixed, so
 * every server gets the same points. Requests of 10,000 points are built before the clock starts, as far as memory allows (rate 0), and
 * sent in time order by conns threads, each with its share of the hosts. Prints one line of JSON: points, their sum, seconds, errors, and
 * the 50th and 99th percentile of requests in ms. */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <snappy-c.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_POINTS = 10000, FIELDS_MAX = 32, TAGS = 10 };

static const char *const field_names[] = { "usage_user", "usage_system", "usage_idle", "usage_nice", "usage_iowait", "usage_irq", "usage_softirq",
	"usage_steal", "usage_guest", "usage_guest_nice" };
static const char *const regions[] = { "eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-south-1" };

static struct {
	const char *format, *host, *port, *path;
	long hosts, fields, points, step, start, decimals, per, conns, rate, seconds;
} o = { .hosts = 100, .fields = 10, .points = 8640, .step = 10, .start = 1767225600, .per = 1, .conns = 2, .seconds = 5 };

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- growing bytes ---- */

struct bytes {
	char *p;
	size_t n, cap;
};

static void put(struct bytes *b, const void *p, size_t n)
{
	if (b->n + n > b->cap) {
		b->cap = (b->n + n) * 2 + 4096;
		b->p = realloc(b->p, b->cap);
		if (!b->p)
			die("memory");
	}
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static void put_varint(struct bytes *b, uint64_t v)
{
	uint8_t out[10];
	size_t n = 0;
	for (; v >= 0x80; v >>= 7)
		out[n++] = (uint8_t)(v | 0x80);
	out[n++] = (uint8_t)v;
	put(b, out, n);
}

static void put_field(struct bytes *b, unsigned number, const void *p, size_t n)
{
	put_varint(b, number << 3 | 2);
	put_varint(b, n);
	put(b, p, n);
}

/* ---- the fleet ---- */

struct host {
	uint64_t rng;
	double v[FIELDS_MAX];
	struct bytes labels[FIELDS_MAX]; /* rw: the encoded labels of each series */
	char tags[400];                  /* lp */
};

static double uniform(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return (double)(*s >> 11) * 0x1p-53;
}

static double step_value(struct host *h, long f)
{
	double normal = -6; /* the sum of twelve uniforms is near enough to normal */
	for (int i = 0; i < 12; i++)
		normal += uniform(&h->rng);
	double v = h->v[f] + normal, unit = o.decimals ? pow(10, (double)-o.decimals) : 1;
	h->v[f] = v < 0 ? 0 : v > 100 ? 100 : v;
	return round(h->v[f] / unit) / (o.decimals ? pow(10, (double)o.decimals) : 1);
}

static void put_label(struct bytes *b, const char *name, const char *value)
{
	struct bytes l = { 0 };
	put_field(&l, 1, name, strlen(name));
	put_field(&l, 2, value, strlen(value));
	put_field(b, 1, l.p, l.n);
	free(l.p);
}

static void make_host(struct host *h, long i)
{
	char name[32], rack[16], service[16], metric[64];
	h->rng = 88172645463325252ull + (uint64_t)i * 7919;
	snprintf(name, sizeof name, "host_%ld", i);
	snprintf(rack, sizeof rack, "%ld", i % 97);
	snprintf(service, sizeof service, "%ld", i % 20);
	const char *pairs[TAGS][2] = { { "arch", i % 3 ? "x64" : "arm64" }, { "datacenter", i % 2 ? "a" : "b" }, { "hostname", name }, { "os", "debian12" },
		{ "rack", rack }, { "region", regions[i % 5] }, { "service", service }, { "service_environment", i % 4 ? "production" : "test" },
		{ "service_version", i % 2 ? "1" : "0" }, { "team", i % 3 ? "lon" : "nyc" } };
	int n = snprintf(h->tags, sizeof h->tags, "cpu");
	for (int k = 0; k < TAGS; k++)
		n += snprintf(h->tags + n, sizeof h->tags - (size_t)n, ",%s=%s", pairs[k][0], pairs[k][1]);
	for (long f = 0; f < o.fields; f++) {
		h->v[f] = 100 * uniform(&h->rng);
		snprintf(metric, sizeof metric, "cpu_%s", field_names[f]);
		put_label(&h->labels[f], "__name__", metric);
		for (int k = 0; k < TAGS; k++)
			put_label(&h->labels[f], pairs[k][0], pairs[k][1]);
	}
}

/* ---- requests ---- */

struct request {
	struct bytes body;
	long points;
	double due; /* seconds after the start */
};

struct worker {
	pthread_t thread;
	long first, hosts; /* its share */
	struct host *h;
	struct request *r;
	size_t n, cap;
	double *ms;
	double sum;
	long points, errors, done;
};

static void put_series(struct bytes *raw, struct worker *w, struct host *h, long f, long from, long n, double (*values)[FIELDS_MAX])
{
	struct bytes ts = { 0 };
	put(&ts, h->labels[f].p, h->labels[f].n);
	for (long i = 0; i < n; i++) {
		uint8_t sample[20] = { 0x09 };
		struct bytes t = { 0 };
		memcpy(sample + 1, &values[i][f], 8);
		put_varint(&t, 2 << 3);
		put_varint(&t, (uint64_t)((o.start + (from + i) * o.step) * 1000));
		struct bytes s = { 0 };
		put(&s, sample, 9);
		put(&s, t.p, t.n);
		put_field(&ts, 2, s.p, s.n);
		free(s.p);
		free(t.p);
		w->sum += values[i][f];
		w->points++;
	}
	put_field(raw, 1, ts.p, ts.n);
	free(ts.p);
}

static void put_line(struct bytes *raw, struct worker *w, struct host *h, long at, const double *values)
{
	char text[64];
	put(raw, h->tags, strlen(h->tags));
	for (long f = 0; f < o.fields; f++) {
		int n = snprintf(text, sizeof text, o.decimals ? "%c%s=%.*f" : "%c%s=%.*fi", f ? ',' : ' ', field_names[f], (int)o.decimals, values[f]);
		put(raw, text, (size_t)n);
		w->sum += values[f];
		w->points++;
	}
	put(raw, text, (size_t)snprintf(text, sizeof text, " %ld000000000\n", o.start + at * o.step));
}

static void end_request(struct worker *w, struct bytes *raw, long points, double due)
{
	if (w->n == w->cap) {
		w->cap = w->cap * 2 + 64;
		w->r = realloc(w->r, w->cap * sizeof *w->r);
		if (!w->r)
			die("memory");
	}
	struct request *r = &w->r[w->n++];
	*r = (struct request){ .points = points, .due = due };
	if (strcmp(o.format, "rw") == 0) {
		r->body.cap = snappy_max_compressed_length(raw->n);
		r->body.p = malloc(r->body.cap);
		r->body.n = r->body.cap;
		if (!r->body.p || snappy_compress(raw->p, raw->n, r->body.p, &r->body.n) != SNAPPY_OK)
			die("snappy");
	} else {
		put(&r->body, raw->p, raw->n);
	}
	raw->n = 0;
}

static void build(struct worker *w)
{
	struct bytes raw = { 0 };
	long in_request = 0, sent = 0, per = o.per > 1 ? o.per : 1;
	double (*values)[FIELDS_MAX] = calloc((size_t)per, sizeof *values);
	bool lp = strcmp(o.format, "lp") == 0;
	for (long at = 0; at < o.points; at += per) {
		long n = o.points - at < per ? o.points - at : per;
		for (long i = 0; i < w->hosts; i++) {
			struct host *h = &w->h[i];
			for (long k = 0; k < n; k++)
				for (long f = 0; f < o.fields; f++)
					values[k][f] = step_value(h, f);
			for (long k = 0; lp && k < n; k++)
				put_line(&raw, w, h, at + k, values[k]);
			for (long f = 0; !lp && f < o.fields; f++)
				put_series(&raw, w, h, f, at, n, values);
			in_request += n * o.fields;
			if (in_request >= REQUEST_POINTS) {
				sent += in_request;
				end_request(w, &raw, in_request, o.rate ? (double)sent / ((double)o.rate / (double)o.conns) : 0);
				in_request = 0;
			}
		}
	}
	if (in_request)
		end_request(w, &raw, in_request, 0);
	free(values);
	free(raw.p);
}

/* ---- HTTP ---- */

static int dial(void)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *a;
	int one = 1;
	if (getaddrinfo(o.host, o.port, &hints, &a) != 0)
		die(o.host);
	int fd = socket(a->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) != 0)
		die("connect");
	freeaddrinfo(a);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

static void send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
		if (k <= 0)
			die("send");
		p += k;
		n -= (size_t)k;
	}
}

/* Reads one answer; its status. Bodies by Content-Length, chunks, or none. */
static int answer(int fd, char *buf, size_t cap)
{
	size_t n = 0;
	char *end = NULL;
	while (!end) {
		ssize_t k = recv(fd, buf + n, cap - 1 - n, 0);
		if (k <= 0)
			return -1;
		n += (size_t)k;
		buf[n] = 0;
		end = strstr(buf, "\r\n\r\n");
	}
	int status = atoi(buf + 9);
	char *length = strcasestr(buf, "\r\ncontent-length:");
	size_t head = (size_t)(end + 4 - buf), have = n - head;
	if (length && length < end) {
		size_t want = strtoul(length + 17, NULL, 10);
		while (have < want) {
			ssize_t k = recv(fd, buf, want - have < cap ? want - have : cap, 0);
			if (k <= 0)
				return -1;
			have += (size_t)k;
		}
	} else if (status != 204) { /* chunks: up to the empty one */
		memmove(buf, buf + head, have);
		while (have < 5 || memcmp(buf + have - 5, "0\r\n\r\n", 5) != 0) {
			size_t keep = have < 4 ? have : 4;
			memmove(buf, buf + have - keep, keep);
			ssize_t k = recv(fd, buf + keep, cap - keep, 0);
			if (k <= 0)
				return -1;
			have = keep + (size_t)k;
		}
	}
	return status;
}

static double started;

static void *write_main(void *arg)
{
	struct worker *w = arg;
	int fd = dial();
	char head[600], buf[65536];
	for (size_t i = 0; i < w->n; i++) {
		struct request *r = &w->r[i];
		double wait = started + r->due - now();
		if (o.rate && wait > 0)
			usleep((useconds_t)(wait * 1e6));
		int n = snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: %s:%s\r\nContent-Length: %zu\r\n%s\r\n", o.path, o.host, o.port, r->body.n,
			strcmp(o.format, "rw") == 0 ? "Content-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n"
										: "Content-Type: text/plain\r\n");
		double t = now();
		send_all(fd, head, (size_t)n);
		send_all(fd, r->body.p, r->body.n);
		int status = answer(fd, buf, sizeof buf);
		w->ms[i] = (now() - t) * 1e3;
		w->errors += status / 100 != 2;
		free(r->body.p);
	}
	close(fd);
	return NULL;
}

static void *read_main(void *arg)
{
	struct worker *w = arg;
	int fd = dial(), n;
	char head[4096], *buf = malloc(1 << 20);
	n = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: %s:%s\r\n\r\n", o.path, o.host, o.port);
	while (now() - started < (double)o.seconds) {
		double t = now();
		send_all(fd, head, (size_t)n);
		w->errors += answer(fd, buf, 1 << 20) != 200;
		if ((size_t)w->done == w->cap) {
			w->cap = w->cap * 2 + 4096;
			w->ms = realloc(w->ms, w->cap * sizeof *w->ms);
		}
		w->ms[w->done++] = (now() - t) * 1e3;
	}
	close(fd);
	free(buf);
	return NULL;
}

/* ---- the command ---- */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void report(struct worker *w, bool reads, double seconds)
{
	size_t n = 0, at = 0;
	long points = 0, errors = 0;
	double sum = 0;
	for (long i = 0; i < o.conns; i++)
		n += reads ? (size_t)w[i].done : w[i].n;
	double *ms = malloc((n + 1) * sizeof *ms);
	for (long i = 0; i < o.conns; i++) {
		size_t k = reads ? (size_t)w[i].done : w[i].n;
		memcpy(ms + at, w[i].ms, k * sizeof *ms);
		at += k;
		points += w[i].points;
		errors += w[i].errors;
		sum += w[i].sum;
	}
	qsort(ms, n, sizeof *ms, by_size);
	printf("{\"points\": %ld, \"sum\": %.6f, \"requests\": %zu, \"seconds\": %.4f, \"errors\": %ld, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n", points, sum, n,
		seconds, errors, n ? ms[n / 2] : 0, n ? ms[n * 99 / 100] : 0);
}

static void options(int argc, char **argv)
{
	const struct {
		const char *name;
		long *to;
	} all[] = { { "hosts", &o.hosts }, { "fields", &o.fields }, { "points", &o.points }, { "step", &o.step }, { "start", &o.start },
		{ "decimals", &o.decimals }, { "per", &o.per }, { "conns", &o.conns }, { "rate", &o.rate }, { "seconds", &o.seconds } };
	for (int i = 0; i < argc; i++) {
		char *eq = strchr(argv[i], '=');
		size_t k = 0;
		while (k < sizeof all / sizeof all[0] && !(eq && strncmp(argv[i], all[k].name, (size_t)(eq - argv[i])) == 0 && !all[k].name[eq - argv[i]]))
			k++;
		if (k == sizeof all / sizeof all[0]) {
			fprintf(stderr, "feed: unknown option %s\n", argv[i]);
			exit(2);
		}
		*all[k].to = strtol(eq + 1, NULL, 10);
	}
	if (o.fields < 1 || o.fields > (long)(sizeof field_names / sizeof field_names[0]) || o.conns < 1 || o.hosts < o.conns)
		exit(2);
}

int main(int argc, char **argv)
{
	bool reads = argc > 3 && strcmp(argv[1], "read") == 0;
	if (argc < 4 || (!reads && (argc < 5 || strcmp(argv[1], "write") != 0))) {
		fprintf(stderr, "usage: feed write rw|lp HOST:PORT PATH [name=value...]\n       feed read HOST:PORT PATH [name=value...]\n");
		return 2;
	}
	char *address = argv[reads ? 2 : 3], *colon = strrchr(address, ':');
	o.format = argv[2];
	o.path = argv[reads ? 3 : 4];
	options(argc - (reads ? 4 : 5), argv + (reads ? 4 : 5));
	if (!colon)
		return 2;
	*colon = 0;
	o.host = address;
	o.port = colon + 1;
	struct worker *w = calloc((size_t)o.conns, sizeof *w);
	for (long i = 0; i < o.conns && !reads; i++) {
		w[i].first = o.hosts * i / o.conns;
		w[i].hosts = o.hosts * (i + 1) / o.conns - w[i].first;
		w[i].h = calloc((size_t)w[i].hosts, sizeof *w[i].h);
		for (long k = 0; k < w[i].hosts; k++)
			make_host(&w[i].h[k], w[i].first + k);
		build(&w[i]);
		w[i].ms = calloc(w[i].n + 1, sizeof *w[i].ms);
	}
	started = now();
	for (long i = 0; i < o.conns; i++)
		if (pthread_create(&w[i].thread, NULL, reads ? read_main : write_main, &w[i]) != 0)
			die("thread");
	for (long i = 0; i < o.conns; i++)
		pthread_join(w[i].thread, NULL);
	report(w, reads, now() - started);
	return 0;
}
