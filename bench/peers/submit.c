// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * submit.c - submit held jobs through libslurm: submit FIRST COUNT ACCOUNTS PER_S KEEP
 *
 * Waits for a byte on stdin, submits COUNT jobs, as fast as it can or PER_S a
 * second, and prints for each: job id (0: refused), when it began, nanoseconds it
 * took. With KEEP above 0 a job is cancelled once so many came after it. Job
 * FIRST + i names account (FIRST + i) * 7919 modulo ACCOUNTS, and is its member's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>

#define UID_FIRST 20000		/* as in bench/hook.py */

struct done {
	uint32_t job_id;
	int64_t began_ns, took_ns;
};

static int64_t _now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void _submit(long account, struct done *done)
{
	char voucher[64], *env[] = { voucher, "PATH=/usr/bin:/bin", "HOME=/tmp", NULL };
	submit_response_msg_t *told = NULL;
	job_desc_msg_t job;

	snprintf(voucher, sizeof(voucher), "SLURM_VOUCHER=%s%04ld", getenv("ACCOUNTS_NAMED"),
		 account + 1);
	slurm_init_job_desc_msg(&job);
	job.name = "bench";
	job.user_id = job.group_id = UID_FIRST + account;
	job.partition = "ai";
	job.time_limit = 60;
	job.tres_per_node = "gres:gpu:ascend_910b:1";
	job.min_nodes = 1;
	job.priority = 0;	/* held */
	job.script = "#!/bin/sh\nexit 0\n";
	job.work_dir = "/tmp";
	job.std_out = "/dev/null";
	job.environment = env;
	job.env_size = 3;
	done->began_ns = _now_ns();
	if (!slurm_submit_batch_job(&job, &told)) {
		done->job_id = told->job_id;
		slurm_free_submit_response_response_msg(told);
	}
	done->took_ns = _now_ns() - done->began_ns;
}

int main(int argc, char **argv)
{
	long first, count, accounts, per_s, keep;
	struct done *done;
	int64_t began_ns;

	if (argc != 6)
		return 2;
	first = atol(argv[1]), count = atol(argv[2]), accounts = atol(argv[3]);
	per_s = atol(argv[4]), keep = atol(argv[5]);
	done = calloc(count, sizeof(*done));
	slurm_init(NULL);
	if (!done || (read(STDIN_FILENO, &began_ns, 1) != 1))
		return 1;
	began_ns = _now_ns();
	for (long i = 0; i < count; i++) {
		if (per_s) {
			int64_t at_ns = began_ns + i * INT64_C(1000000000) / per_s;
			struct timespec at = { at_ns / 1000000000, at_ns % 1000000000 };

			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		}
		_submit((first + i) * 7919 % accounts, &done[i]);
		if (keep && (i >= keep) && done[i - keep].job_id)
			slurm_kill_job(done[i - keep].job_id, SIGKILL, 0);
	}
	for (long i = 0; i < count; i++)
		printf("%u %lld %lld\n", done[i].job_id, (long long) done[i].began_ns,
		       (long long) done[i].took_ns);
	return 0;
}
