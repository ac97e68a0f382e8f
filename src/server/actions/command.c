/* A local command: started for each event without a shell, the event as JSON on its standard input, its output to the log. One at a
 * time; what finds the queue full is dropped and counted. Only the configuration file names commands: nothing that comes over the
 * network decides what runs. */
#include "base/clock.h"
#include "server/actions/actions_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_MAX = 2000, POLL_MS = 100 };

extern char **environ;

struct act_command {
	struct act_shared *s;
	const struct act_program *p;
	struct act_metrics metrics;
	pthread_t thread;
	bool started;

	pthread_mutex_t lock; /* all below */
	pthread_cond_t wake;
	struct act_note *queue[ACT_COMMAND_QUEUE_MAX]; /* a ring */
	size_t first, n;
};

void act_command_take(struct act_command *c, struct act_note *n)
{
	if (!act_filter_takes(&c->p->filter, n))
		return;
	pthread_mutex_lock(&c->lock);
	if (c->n == ACT_COMMAND_QUEUE_MAX)
		slx_metric_add(c->metrics.dropped, 1);
	else
		c->queue[(c->first + c->n++) % ACT_COMMAND_QUEUE_MAX] = act_note_ref(n);
	slx_metric_set(c->metrics.waiting, (double)c->n);
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

/* ---- one run ---- */

struct child {
	pid_t pid;
	int in, out; /* its standard input, its output; -1: closed */
	char said[OUTPUT_MAX];
	size_t n;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* in[0] and out[1] are the child's. A process group of its own, so that what it starts ends with it; signals as usual. */
static int spawn(const struct act_program *p, const int in[2], const int out[2], pid_t *ret)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, out[1], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, out[1], STDERR_FILENO);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	int failed = posix_spawn(ret, p->argv[0], &files, &attr, (char *const *)p->argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return failed;
}

static silex_status start(const struct act_program *p, struct child *ret, silex_error *err)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };
	*ret = (struct child){ .in = -1, .out = -1 };
	int failed = pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 ? errno : spawn(p, in, out, &ret->pid);
	close_fd(&in[0]);
	close_fd(&out[1]);
	if (failed) {
		close_fd(&in[1]);
		close_fd(&out[0]);
		return slx_err_errno(err, failed, p->argv[0]);
	}
	ret->in = in[1];
	ret->out = out[0];
	fcntl(ret->in, F_SETFL, O_NONBLOCK);
	fcntl(ret->out, F_SETFL, O_NONBLOCK);
	return SILEX_OK;
}

/* Writes what is left of the body, reads what it says; what is too much is read and forgotten. */
static void exchange(struct child *c, struct slx_rd *body)
{
	struct pollfd fds[2] = { { .fd = c->in, .events = POLLOUT }, { .fd = c->out, .events = POLLIN } };
	char room[512];
	if (poll(fds, 2, POLL_MS) <= 0)
		return;
	if (fds[0].revents) {
		ssize_t n = write(c->in, body->p, slx_rd_left(body));
		if (n > 0)
			slx_rd_bytes(body, (size_t)n);
		if (!slx_rd_left(body) || (n < 0 && errno != EAGAIN))
			close_fd(&c->in);
	}
	if (fds[1].revents) {
		ssize_t n = read(c->out, room, sizeof room);
		size_t take = n > 0 && (size_t)n < OUTPUT_MAX - c->n ? (size_t)n : n > 0 ? OUTPUT_MAX - c->n : 0;
		memcpy(c->said + c->n, room, take);
		c->n += take;
		if (n == 0 || (n < 0 && errno != EAGAIN))
			close_fd(&c->out);
	}
}

/* Until it ended and its output is closed, its time is over, or the server ends. Returns its wait status. */
static int attend(struct act_command *c, struct child *x, const struct slx_buf *body, bool *ret_timeout)
{
	struct slx_rd left = slx_rd_init(body->p, body->n);
	int64_t end = slx_monotonic_ns(c->s->clock) + c->p->timeout;
	int status = 0;
	bool ended = false;
	*ret_timeout = false;
	while (!ended || x->out >= 0) {
		if (slx_monotonic_ns(c->s->clock) >= end || atomic_load(&c->s->stop)) {
			*ret_timeout = !ended;
			break;
		}
		exchange(x, &left);
		if (!ended)
			ended = waitpid(x->pid, &status, WNOHANG) == x->pid;
	}
	kill(-x->pid, SIGKILL);
	if (!ended)
		waitpid(x->pid, &status, 0);
	close_fd(&x->in);
	close_fd(&x->out);
	return status;
}

static void run_command(struct act_command *c, const struct act_note *n)
{
	struct act_attempt t = { .receiver = c->p->name, .number = 1, .now = slx_wall_ns(c->s->clock) };
	struct slx_buf body;
	struct child x;
	silex_error err;
	bool timeout = false;
	slx_buf_init(&body, c->s->core->mem, SLX_MEM_OTHER, ACT_BODY_MAX);
	act_put_event(&body, &c->s->links, &n->event, &t);
	silex_status st = body.failed ? slx_err_oom(&err) : start(c->p, &x, &err);
	int status = st == SILEX_OK ? attend(c, &x, &body, &timeout) : 0;
	slx_buf_free(&body);
	if (st != SILEX_OK) {
		slx_log(c->s->core->log, SLX_LOG_ERROR, "a command was not started", SLX_TEXT("receiver", c->p->name), SLX_TEXT("error", err.message));
	} else {
		bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0 && !timeout;
		slx_log(c->s->core->log, good ? SLX_LOG_INFO : SLX_LOG_WARN, timeout ? "a command took too long and was killed" : "a command ended",
			SLX_TEXT("receiver", c->p->name), SLX_INT("exit", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)),
			SLX_BYTES("output", ((struct slx_str){ x.said, x.n })));
		if (good) {
			act_metrics_sent(&c->metrics, c->s, n);
			return;
		}
	}
	slx_metric_add(c->metrics.failed, 1);
}

/* ---- life ---- */

static void *run(void *arg)
{
	struct act_command *c = arg;
	struct slx_mute mute;
	pthread_mutex_lock(&c->lock);
	while (!atomic_load(&c->s->stop)) {
		if (!c->n) {
			act_wait(&c->wake, &c->lock, c->s->clock, INT64_MAX);
			continue;
		}
		struct act_note *n = c->queue[c->first];
		c->first = (c->first + 1) % ACT_COMMAND_QUEUE_MAX;
		c->n--;
		slx_metric_set(c->metrics.waiting, (double)c->n);
		pthread_mutex_unlock(&c->lock);
		if (act_note_fires(n) && slx_silences_mute(c->s->silences, &n->event.alert, slx_wall_ns(c->s->clock), &mute))
			slx_metric_add(c->metrics.dropped, 1);
		else
			run_command(c, n);
		act_note_unref(n);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

silex_status act_command_start(struct act_shared *s, const struct act_program *p, struct act_command **ret, silex_error *err)
{
	struct act_command *c = slx_calloc(s->core->mem, SLX_MEM_OTHER, sizeof *c);
	if (!c)
		return slx_err_oom(err);
	c->s = s;
	c->p = p;
	silex_status st = act_cond_init(&c->wake, err);
	if (st != SILEX_OK) {
		slx_free(s->core->mem, SLX_MEM_OTHER, c, sizeof *c);
		return st;
	}
	pthread_mutex_init(&c->lock, NULL);
	act_metrics_init(&c->metrics, s->core->metrics, "command", p->name);
	*ret = c; /* stopped by the caller, on failure too */
	int failed = pthread_create(&c->thread, NULL, run, c);
	if (failed)
		return slx_err_errno(err, failed, "thread of a command");
	pthread_setname_np(c->thread, "command");
	c->started = true;
	return SILEX_OK;
}

void act_command_stop(struct act_command *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	pthread_cond_broadcast(&c->wake);
	pthread_mutex_unlock(&c->lock);
	if (c->started)
		pthread_join(c->thread, NULL);
	for (; c->n; c->n--, c->first = (c->first + 1) % ACT_COMMAND_QUEUE_MAX)
		act_note_unref(c->queue[c->first]);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	slx_free(c->s->core->mem, SLX_MEM_OTHER, c, sizeof *c);
}
