// SPDX-License-Identifier: GPL-2.0-or-later
/* noop.c - a job_submit plugin that does nothing: what Slurm takes for calling one */
#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>

const char plugin_name[] = "Job submit plugin that does nothing";
const char plugin_type[] = "job_submit/noop";
const uint32_t plugin_version = SLURM_VERSION_NUMBER;

int job_submit(job_desc_msg_t *job, uint32_t submit_uid, char **err_msg)
{
	(void) job, (void) submit_uid, (void) err_msg;
	return SLURM_SUCCESS;
}

int job_modify(job_desc_msg_t *job, void *record, uint32_t submit_uid)
{
	(void) job, (void) record, (void) submit_uid;
	return SLURM_SUCCESS;
}
