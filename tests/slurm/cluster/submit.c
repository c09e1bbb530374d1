/*
 * submit.c - submit a held job of one Ascend card and an hour through libslurm
 *
 * libslurm-submit [SLURM_VOUCHER=ID [ADMIN_COMMENT [TIMES]]]: the words are the
 * job's environment, what it wants AdminComment to be if it is not empty, and how
 * often it is submitted. No SPANK plugin is asked.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>

#if SLURM_VERSION_NUMBER >= SLURM_VERSION_NUM(25, 11, 0)
#define JOB_ID step_id.job_id
#else
#define JOB_ID job_id
#endif

int main(int argc, char **argv)
{
	char *environment[] = { "PATH=/usr/bin:/bin", (argc > 1) ? argv[1] : "A=b", NULL };
	submit_response_msg_t *response = NULL;
	job_desc_msg_t job;

	slurm_init(NULL);
	slurm_init_job_desc_msg(&job);
	job.name = "libslurm";
	job.partition = "ai";
	job.tres_per_node = "gres/gpu:ascend_910b:1";
#if SLURM_VERSION_NUMBER < SLURM_VERSION_NUM(22, 11, 0)
	job.tres_per_node = "gres:gpu:ascend_910b:1";
#endif
	job.time_limit = 60;
	job.min_nodes = job.max_nodes = 1;
	job.priority = 0;
	job.user_id = getuid();
	job.group_id = getgid();
	job.work_dir = "/tmp";
	job.std_out = job.std_err = job.std_in = "/dev/null";
	job.script = "#!/bin/sh\ntrue\n";
	job.environment = environment;
	job.env_size = 2;
	job.admin_comment = ((argc > 2) && argv[2][0]) ? argv[2] : NULL;
	for (int more = (argc > 3) ? atoi(argv[3]) - 1 : 0; more > 0; more--)
		slurm_submit_batch_job(&job, &response);
	if (slurm_submit_batch_job(&job, &response) != SLURM_SUCCESS) {
		fprintf(stderr, "error: %s\n", slurm_strerror(errno));
		return 1;
	}
	if (response->job_submit_user_msg)
		fprintf(stderr, "%s\n", response->job_submit_user_msg);
	printf("Submitted batch job %u\n", response->JOB_ID);
	return 0;
}
