// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * link.c - ask voucherd one question before a deadline, or give up
 *
 * From Slurm 23.02 several hooks run at once, so LINKS connections are kept.
 * The deadline counts everything: waiting for a connection, making it, the
 * answer. After breaker_misses misses in a row nobody is made to wait for
 * breaker_open_ms; then one question alone tries, and the others go on unasked.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <slurm/slurm.h>
#include <slurm/spank.h>

#include "link.h"

#define LINKS 4
#define SPIN_US 200	/* most answers come within; to sleep and be woken takes as long */

enum io { IO_DONE, IO_GONE, IO_LATE, IO_BAD };

static const struct settings *set;
static struct link {
	pthread_mutex_t lock;
	int fd;				/* -1: not connected */
} links[LINKS];
static atomic_uint turn;
static atomic_uint misses;		/* in a row */
static atomic_llong open_until_us;	/* the breaker is open until; 0: closed */
static atomic_ullong unanswered;	/* since the hook was loaded */
static atomic_ullong told;		/* of these voucherd knows */

static int64_t _now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

/* A Unix socket connects at once or not at all, so this does not wait. */
static int _connect(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(addr.sun_path, set->socket, sizeof(addr.sun_path));
	if ((fd < 0) || !connect(fd, (struct sockaddr *) &addr, sizeof(addr)))
		return fd;
	close(fd);
	return -1;
}

/* Nothing is under way on fd, so a whole question fits in its buffer or never will. */
static enum io _send(int fd, const struct wire_question *q)
{
	ssize_t sent = send(fd, q->line, q->len, MSG_NOSIGNAL);

	if (sent == (ssize_t) q->len)
		return IO_DONE;
	return (sent < 0) && ((errno == EPIPE) || (errno == ECONNRESET)) ? IO_GONE : IO_BAD;
}

/*
 * Read into line[WIRE_IN_MAX] up to a newline; wire_parse() refuses what stands
 * behind it. For SPIN_US it looks again and again and only then sleeps: slurmctld
 * holds its locks, so nobody else in it has much use for the processor.
 */
static enum io _recv(int fd, char *line, size_t *len, int64_t deadline_us)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	int64_t now_us = _now_us(), spin_until_us = now_us + SPIN_US;

	for (*len = 0; *len < WIRE_IN_MAX; now_us = _now_us()) {
		int64_t left_us = deadline_us - now_us;
		struct timespec left = { left_us / 1000000, left_us % 1000000 * 1000 };
		ssize_t n;

		if (left_us <= 0)
			return IO_LATE;
		n = recv(fd, line + *len, WIRE_IN_MAX - *len, 0);
		if ((n < 0) && ((errno == EAGAIN) || (errno == EINTR))) {
			if (now_us >= spin_until_us)	/* a signal too: the clock decides */
				ppoll(&poller, 1, &left, NULL);
			continue;
		}
		if (n <= 0)
			return *len ? IO_BAD : IO_GONE;
		*len += n;
		if (memchr(line + *len - n, '\n', n))
			return IO_DONE;
	}
	return IO_BAD;
}

/*
 * One question over link, which is closed unless it was answered well. Only a
 * kept connection that turns out closed is made anew, once: voucherd was
 * restarted, and it answers the same hold id the same way.
 */
static void _exchange(struct link *link, const struct wire_question *q, int64_t deadline_us,
		      struct wire_answer *answer)
{
	static const char *const why[] = {
		[IO_GONE] = "connection closed", [IO_LATE] = "no answer in time",
		[IO_BAD] = "answer is not one line",
	};
	char line[WIRE_IN_MAX];
	size_t len;
	enum io io;

	for (int kept = (link->fd >= 0); kept >= 0; kept--) {
		if ((link->fd < 0) && ((link->fd = _connect()) < 0)) {
			answer->why = "cannot connect";
			return;
		}
		io = _send(link->fd, q);
		if (io == IO_DONE)
			io = _recv(link->fd, line, &len, deadline_us);
		if ((io == IO_DONE) && wire_parse(q, line, len, answer))
			return;
		if (io != IO_DONE)
			answer->why = why[io];
		close(link->fd);
		link->fd = -1;
		if (io != IO_GONE)
			return;
	}
}

static int64_t _until_us(void)
{
	return _now_us() + set->breaker_open_ms * INT64_C(1000);
}

/*
 * Without a lock, so that nobody queues while voucherd is away. When the
 * breaker's time is over one caller finds itself the probe, and opens it anew
 * for all others.
 */
static bool _may_ask(bool *probe)
{
	long long until_us = open_until_us;

	*probe = until_us && (_now_us() >= until_us) &&
		 atomic_compare_exchange_strong(&open_until_us, &until_us, _until_us());
	return *probe || !until_us;
}

static void _count(const struct wire_answer *answer)
{
	if (answer->verdict != WIRE_NONE) {
		misses = 0;
		if (atomic_exchange(&open_until_us, 0))
			slurm_info("voucher: link: voucherd answers again");
	} else if (++misses >= set->breaker_misses) {
		/* Several questions may be under way when it opens: one line is enough. */
		if (!atomic_exchange(&open_until_us, _until_us()))
			slurm_error("voucher: link: %s: not asking for %u ms after %u misses in a "
				    "row", answer->why, set->breaker_open_ms, misses);
	}
}

/* By when a call of the hook that begins now is over, however often it asks. */
int64_t link_deadline(void)
{
	return _now_us() + set->deadline_ms * INT64_C(1000);
}

/* Lock the first that is free: what was in use a moment ago is in the caches. NULL: too late. */
static struct link *_lock_one(const struct timespec *until)
{
	struct link *link;

	for (int i = 0; i < LINKS; i++)
		if (!pthread_mutex_trylock(&links[i].lock))
			return &links[i];
	link = &links[turn++ % LINKS];
	return pthread_mutex_clocklock(&link->lock, CLOCK_MONOTONIC, until) ? NULL : link;
}

/*
 * Ask q and wait for the answer until deadline_us of link_deadline(); WIRE_NONE
 * and why when there is none. Any number of threads may call it, under any
 * lock of slurmctld: no lock of slurmctld is ever taken here.
 */
void link_ask(const struct wire_question *q, int64_t deadline_us, struct wire_answer *answer)
{
	struct timespec until = {
		.tv_sec = deadline_us / 1000000, .tv_nsec = deadline_us % 1000000 * 1000,
	};
	struct link *link;
	bool probe, fair;

	memset(answer, 0, sizeof(*answer));
	answer->why = "not asked, the breaker is open";
	if (!_may_ask(&probe)) {
		answer->unanswered = ++unanswered;
		return;
	}
	if (!(link = _lock_one(&until))) {
		answer->why = "all connections are busy";
	} else {
		/* A question that queued for most of its time says nothing about voucherd. */
		fair = deadline_us - _now_us() >= set->deadline_ms * INT64_C(500);
		if (probe || !open_until_us) {	/* it may have opened meanwhile */
			_exchange(link, q, deadline_us, answer);
			if (fair || (answer->verdict != WIRE_NONE))
				_count(answer);
		}
		pthread_mutex_unlock(&link->lock);
	}
	if (answer->verdict == WIRE_NONE)
		answer->unanswered = ++unanswered;
}

/* How many questions had no answer, when voucherd does not know it yet; else 0. */
unsigned long long link_missed(void)
{
	unsigned long long missed = unanswered;

	return (missed == told) ? 0 : missed;
}

/* voucherd answered a question that said so. */
void link_told(unsigned long long missed)
{
	told = missed;
	unsecured_clear();
}

/* Called from init(); nothing is connected before the first question. */
void link_open(const struct settings *settings)
{
	set = settings;
	for (int i = 0; i < LINKS; i++)
		links[i] = (struct link) { PTHREAD_MUTEX_INITIALIZER, -1 };
}

/* Called from fini(), when no hook runs any more. */
void link_close(void)
{
	for (int i = 0; i < LINKS; i++)
		if (links[i].fd >= 0)
			close(links[i].fd);
}
