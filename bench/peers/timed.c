// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * timed.c - a job_submit plugin that calls another one and notes how long it took
 *
 * $TIMED_PLUGIN is loaded and called as it is. Each job_submit leaves one record
 * in the file $TIMED_RECORDS, which is there and as large as it will ever be.
 * job_modify is not passed on: nothing is changed in this benchmark.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>
#include <slurm/spank.h>	/* slurm_error() */

const char plugin_name[] = "Job submit plugin that times another";
const char plugin_type[] = "job_submit/timed";
const uint32_t plugin_version = SLURM_VERSION_NUMBER;

struct record {
	int64_t began_ns;	/* CLOCK_MONOTONIC; 0: no record */
	int32_t took_ns;
	int32_t rc;
	char said[240];		/* AdminComment, or the text of a refusal */
};

static int (*submit)(job_desc_msg_t *, uint32_t, char **);
static struct record *records;
static size_t room;
static atomic_size_t used;

static int64_t _now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static bool _map(const char *path)
{
	struct stat told;
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if ((fd < 0) || fstat(fd, &told))
		return false;
	room = told.st_size / sizeof(struct record);
	records = mmap(NULL, told.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return records != MAP_FAILED;
}

int init(void)
{
	const char *path = getenv("TIMED_PLUGIN");
	void *plugin = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
	int (*begin)(void);

	if (!plugin || !_map(getenv("TIMED_RECORDS"))) {
		slurm_error("timed: %s", plugin ? "no records" : dlerror());
		return SLURM_ERROR;
	}
	begin = (int (*)(void)) dlsym(plugin, "init");
	submit = (int (*)(job_desc_msg_t *, uint32_t, char **)) dlsym(plugin, "job_submit");
	return (submit && (!begin || !begin())) ? SLURM_SUCCESS : SLURM_ERROR;
}

int job_submit(job_desc_msg_t *job, uint32_t submit_uid, char **err_msg)
{
	int64_t began_ns = _now_ns();
	int rc = submit(job, submit_uid, err_msg);
	int64_t took_ns = _now_ns() - began_ns;
	size_t at = used++;
	const char *said = rc ? (err_msg ? *err_msg : NULL) : job->admin_comment;

	if (at < room) {
		strncpy(records[at].said, said ? said : "", sizeof(records[at].said) - 1);
		records[at].took_ns = (took_ns > INT32_MAX) ? INT32_MAX : took_ns;
		records[at].rc = rc;
		records[at].began_ns = began_ns;
	}
	return rc;
}

int job_modify(job_desc_msg_t *job, void *record, uint32_t submit_uid)
{
	(void) job, (void) record, (void) submit_uid;
	return SLURM_SUCCESS;
}
