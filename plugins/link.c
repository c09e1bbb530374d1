// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * link.c - ask voucherd one question before a deadline, or give up
 *
 * From Slurm 23.02 several hooks run at once, so there are LINKS kept
 * connections. The deadline counts everything: waiting for a free one,
 * connecting, sending, the answer. After breaker_misses misses in a row
 * nobody is made to wait for breaker_open_ms; then one miss opens it again.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <slurm/slurm.h>
#include <slurm/spank.h>

#include "link.h"

#define LINKS 4

enum io { IO_DONE, IO_GONE, IO_LATE, IO_BAD };

static struct {
	struct settings set;
	sem_t free_links;
	pthread_mutex_t lock;		/* guards what follows */
	int idle[LINKS];		/* kept connections nobody uses */
	int idle_count;
	unsigned misses;		/* in a row */
	int64_t broken_until_us;	/* breaker is open until; 0: closed */
	uint64_t unanswered;		/* since the hook was loaded */
} ctx = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int64_t _now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

/* Wait until fd is ready or the deadline has passed. */
static bool _ready(int fd, short events, int64_t deadline_us)
{
	struct pollfd poller = { .fd = fd, .events = events };
	int64_t left_us;
	int rc;

	do {
		if ((left_us = deadline_us - _now_us()) <= 0)
			return false;
		rc = poll(&poller, 1, (left_us + 999) / 1000);
	} while ((rc < 0) && (errno == EINTR));
	return rc > 0;
}

/* A Unix socket connects at once or not at all, also a non-blocking one. */
static int _connect(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	memcpy(addr.sun_path, ctx.set.socket, sizeof(addr.sun_path));
	if (!connect(fd, (struct sockaddr *) &addr, sizeof(addr)))
		return fd;
	close(fd);
	return -1;
}

static enum io _send(int fd, const char *line, size_t len, int64_t deadline_us)
{
	while (len) {
		ssize_t n = send(fd, line, len, MSG_NOSIGNAL);

		if (n > 0) {
			line += n;
			len -= n;
		} else if ((n < 0) && (errno != EAGAIN) && (errno != EINTR)) {
			return IO_GONE;
		} else if (!_ready(fd, POLLOUT, deadline_us)) {
			return IO_LATE;
		}
	}
	return IO_DONE;
}

/* Read one line into line[WIRE_IN_MAX]; what follows its newline makes it bad. */
static enum io _recv(int fd, char *line, size_t *len, int64_t deadline_us)
{
	*len = 0;
	while (*len < WIRE_IN_MAX) {
		ssize_t n = recv(fd, line + *len, WIRE_IN_MAX - *len, 0);
		const char *newline;

		if ((n < 0) && ((errno == EAGAIN) || (errno == EINTR))) {
			if (!_ready(fd, POLLIN, deadline_us))
				return IO_LATE;
			continue;
		}
		if (n <= 0)
			return *len ? IO_BAD : IO_GONE;
		newline = memchr(line + *len, '\n', n);
		*len += n;
		if (newline)
			return (newline == line + *len - 1) ? IO_DONE : IO_BAD;
	}
	return IO_BAD;
}

/*
 * One question on *fd, which is -1 afterwards unless it was answered well.
 * Only a kept connection that turns out closed is made anew, once: voucherd
 * was restarted, and it answers the same hold id the same way.
 */
static void _exchange(int *fd, const struct wire_question *q, int64_t deadline_us,
		      struct wire_answer *answer)
{
	static const char *const why[] = {
		[IO_GONE] = "connection closed", [IO_LATE] = "no answer in time",
		[IO_BAD] = "answer is not one line",
	};
	char line[WIRE_IN_MAX];
	bool kept = (*fd >= 0);
	size_t len;
	enum io io;

	do {
		if ((*fd < 0) && ((*fd = _connect()) < 0)) {
			answer->why = "cannot connect";
			return;
		}
		io = _send(*fd, q->line, q->len, deadline_us);
		if (io == IO_DONE)
			io = _recv(*fd, line, &len, deadline_us);
		if ((io == IO_DONE) && wire_parse(q, line, len, answer))
			return;
		if (io != IO_DONE)
			answer->why = why[io];
		close(*fd);
		*fd = -1;
	} while ((io == IO_GONE) && kept && !(kept = false));
}

/* Take a kept connection; false: the breaker is open, do not ask. */
static bool _take(int *fd)
{
	bool may_ask;

	pthread_mutex_lock(&ctx.lock);
	may_ask = _now_us() >= ctx.broken_until_us;
	*fd = (may_ask && ctx.idle_count) ? ctx.idle[--ctx.idle_count] : -1;
	pthread_mutex_unlock(&ctx.lock);
	return may_ask;
}

/* Put the connection back and count. fair: voucherd had at least half the deadline. */
static void _give_back(int fd, const struct wire_answer *answer, bool fair)
{
	bool miss = (answer->verdict == WIRE_NONE), opens = false, closes = false;

	pthread_mutex_lock(&ctx.lock);
	if (fd >= 0)
		ctx.idle[ctx.idle_count++] = fd;
	if (!miss) {
		closes = (ctx.broken_until_us != 0);
		ctx.broken_until_us = 0;
		ctx.misses = 0;
	} else if (fair && (++ctx.misses >= ctx.set.breaker_misses)) {
		opens = true;
		ctx.broken_until_us = _now_us() + ctx.set.breaker_open_ms * INT64_C(1000);
	}
	pthread_mutex_unlock(&ctx.lock);
	if (opens)
		slurm_error("voucher: link: %s: not asking for %u ms after %u misses in a row",
			    answer->why, ctx.set.breaker_open_ms, ctx.set.breaker_misses);
	if (closes)
		slurm_info("voucher: link: voucherd answers again");
}

/*
 * Ask q and wait for the answer, at most deadline_ms. WIRE_NONE and why when
 * there is none. Any number of threads may call it, under any lock of
 * slurmctld: it takes only its own, and never while it waits for voucherd.
 */
void link_ask(const struct wire_question *q, struct wire_answer *answer)
{
	int64_t start_us = _now_us(), window_us = ctx.set.deadline_ms * INT64_C(1000);
	int64_t deadline_us = start_us + window_us;
	struct timespec until = {
		.tv_sec = deadline_us / 1000000, .tv_nsec = deadline_us % 1000000 * 1000,
	};
	bool fair;
	int fd, rc;

	memset(answer, 0, sizeof(*answer));
	while ((rc = sem_clockwait(&ctx.free_links, CLOCK_MONOTONIC, &until)) && (errno == EINTR))
		;
	if (rc) {
		answer->why = "all connections are busy";
	} else {
		if (_take(&fd)) {
			fair = deadline_us - _now_us() >= window_us / 2;
			_exchange(&fd, q, deadline_us, answer);
			_give_back(fd, answer, fair);
		} else {
			answer->why = "not asked, voucherd did not answer before";
		}
		sem_post(&ctx.free_links);
	}
	if (answer->verdict == WIRE_NONE)
		__atomic_add_fetch(&ctx.unanswered, 1, __ATOMIC_RELAXED);
}

/* Questions without an answer since the hook was loaded. */
uint64_t link_unanswered(void)
{
	return __atomic_load_n(&ctx.unanswered, __ATOMIC_RELAXED);
}

/* Called from init(): nothing is connected before the first question. */
void link_open(const struct settings *settings)
{
	ctx.set = *settings;
	sem_init(&ctx.free_links, 0, LINKS);
}

/* Called from fini(), when no hook runs any more. */
void link_close(void)
{
	while (ctx.idle_count)
		close(ctx.idle[--ctx.idle_count]);
	sem_destroy(&ctx.free_links);
}
