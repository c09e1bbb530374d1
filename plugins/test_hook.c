// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_hook.c - loads the hook as slurmctld does and plays slurmctld to it
 *
 *	test_hook path/to/job_submit_voucher.so
 *
 * Each line on stdin, "submit|modify [threads=N|times=N] key=value ...", is one
 * call, N at once, or N one after the other of which the last is told; values
 * are percent-encoded. Each call that is told gives one line on stdout,
 * "rc=<n> us=<time taken> err=<text> admin=<text> priority=<n>". The hook's log is stderr.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>

#define MODIFY_HAS_ERR_MSG (SLURM_VERSION_NUMBER >= SLURM_VERSION_NUM(23, 2, 0))

typedef int (*submit_f)(job_desc_msg_t *job, uint32_t uid, char **err_msg);
typedef int (*modify_f)(job_desc_msg_t *job, void *record, uint32_t uid, char **err_msg);
typedef int (*modify_old_f)(job_desc_msg_t *job, void *record, uint32_t uid);

static void *hook;

/* What slurmctld exports to its plugins. */
char *slurm_xstrdup_printf(const char *format, ...) __attribute__ ((format (printf, 1, 2)));
void slurm_xfree(void **item);
void slurm_info(const char *format, ...) __attribute__ ((format (printf, 1, 2)));
void slurm_verbose(const char *format, ...) __attribute__ ((format (printf, 1, 2)));
void slurm_error(const char *format, ...) __attribute__ ((format (printf, 1, 2)));

char *slurm_xstrdup_printf(const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		abort();
	va_end(args);
	return text;
}

void slurm_xfree(void **item)
{
	free(*item);
	*item = NULL;
}

#define LOG(level)				\
	va_list args;				\
	char text[2048];			\
	va_start(args, format);			\
	vsnprintf(text, sizeof(text), format, args); \
	va_end(args);				\
	fprintf(stderr, level ": %s\n", text)

void slurm_info(const char *format, ...) { LOG("info"); }
void slurm_verbose(const char *format, ...) { LOG("verbose"); }
void slurm_error(const char *format, ...) { LOG("error"); }

static void _decode(char *text)
{
	char *to = text;

	for (; *text; text++) {
		unsigned byte = (unsigned char) *text;

		if ((*text == '%') && (sscanf(text + 1, "%2x", &byte) == 1))
			text += 2;
		*to++ = byte;
	}
	*to = '\0';
}

static void _print(const char *key, const char *text)
{
	printf(" %s=", key);
	for (; text && *text; text++)
		printf(((*text > ' ') && (*text < 0x7f) && (*text != '%')) ? "%c" : "%%%02X",
		       (unsigned char) *text);
}

/* As slurm_init_job_desc_msg() leaves it, as far as the hook looks. */
static void _empty(job_desc_msg_t *job)
{
	memset(job, 0, sizeof(*job));
	job->cpus_per_task = job->ntasks_per_node = job->ntasks_per_tres = job->shared = NO_VAL16;
	job->pn_min_cpus = job->core_spec = job->threads_per_core = job->ntasks_per_core = NO_VAL16;
	job->max_cpus = job->min_cpus = job->max_nodes = job->min_nodes = NO_VAL;
	job->num_tasks = job->time_limit = job->time_min = NO_VAL;
	job->het_job_offset = job->priority = NO_VAL;
	job->pn_min_memory = NO_VAL64;
}

static void _add_env(char ***env, uint32_t *count, const char *name, const char *value)
{
	*env = reallocarray(*env, *count + 1, sizeof(char *));
	(*env)[(*count)++] = slurm_xstrdup_printf("%s=%s", name, value);
}

static void _set(job_desc_msg_t *job, char **err, const char *key, const char *value)
{
	const struct { const char *key; char **to; } texts[] = {
		{ "account", &job->account }, { "partition", &job->partition },
		{ "qos", &job->qos }, { "features", &job->features },
		{ "array", &job->array_inx }, { "job", &job->job_id_str },
		{ "tres_per_job", &job->tres_per_job }, { "tres_per_node", &job->tres_per_node },
		{ "tres_per_socket", &job->tres_per_socket },
		{ "tres_per_task", &job->tres_per_task }, { "comment", &job->comment },
		{ "cpus_per_tres", &job->cpus_per_tres }, { "mem_per_tres", &job->mem_per_tres },
		{ "req_nodes", &job->req_nodes },
		{ "admin_comment", &job->admin_comment }, { "err", err },
	};
	const struct { const char *key; uint32_t *to; } numbers[] = {
		{ "uid", &job->user_id }, { "time_limit", &job->time_limit },
		{ "time_min", &job->time_min }, { "min_nodes", &job->min_nodes },
		{ "max_nodes", &job->max_nodes }, { "num_tasks", &job->num_tasks },
		{ "min_cpus", &job->min_cpus }, { "max_cpus", &job->max_cpus },
		{ "priority", &job->priority }, { "het", &job->het_job_offset },
	};
	const struct { const char *key; uint16_t *to; } shorts[] = {
		{ "cpus_per_task", &job->cpus_per_task }, { "shared", &job->shared },
		{ "ntasks_per_node", &job->ntasks_per_node },
		{ "ntasks_per_tres", &job->ntasks_per_tres },
		{ "pn_min_cpus", &job->pn_min_cpus }, { "core_spec", &job->core_spec },
		{ "threads_per_core", &job->threads_per_core },
		{ "ntasks_per_core", &job->ntasks_per_core },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (!strcmp(key, texts[i].key))
			*texts[i].to = slurm_xstrdup_printf("%s", value);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (!strcmp(key, numbers[i].key))
			*numbers[i].to = strtoul(value, NULL, 10);
	for (size_t i = 0; i < sizeof(shorts) / sizeof(*shorts); i++)
		if (!strcmp(key, shorts[i].key))
			*shorts[i].to = strtoul(value, NULL, 10);
	if (!strcmp(key, "memory"))
		job->pn_min_memory = strtoull(value, NULL, 10);
	if (!strcmp(key, "begin_s"))
		job->begin_time = strtoull(value, NULL, 10);
	if (!strcmp(key, "voucher"))
		_add_env(&job->spank_job_env, &job->spank_job_env_size,
			 "_SLURM_SPANK_OPTION_voucher_voucher", value);
	if (!strcmp(key, "spank_env"))
		_add_env(&job->spank_job_env, &job->spank_job_env_size, "SLURM_VOUCHER", value);
	if (!strcmp(key, "env"))
		_add_env(&job->environment, &job->env_size, "SLURM_VOUCHER", value);
}

static void _free_env(char **env, uint32_t count)
{
	while (count)
		free(env[--count]);
	free(env);
}

static void _free(job_desc_msg_t *job)
{
	char *texts[] = { job->account, job->partition, job->qos, job->features, job->array_inx,
			  job->job_id_str, job->tres_per_job, job->tres_per_node,
			  job->tres_per_socket, job->tres_per_task, job->comment,
			  job->admin_comment, job->cpus_per_tres, job->mem_per_tres,
			  job->req_nodes };

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		free(texts[i]);
	_free_env(job->spank_job_env, job->spank_job_env_size);
	_free_env(job->environment, job->env_size);
}

static int _call_hook(const char *verb, job_desc_msg_t *job, char **err)
{
	void *call = dlsym(hook, strcmp(verb, "modify") ? "job_submit" : "job_modify");

	if (strcmp(verb, "modify"))
		return ((submit_f) call)(job, 0, err);
	if (MODIFY_HAS_ERR_MSG)
		return ((modify_f) call)(job, NULL, job->user_id, err);
	return ((modify_old_f) call)(job, NULL, job->user_id);
}

/* Take a line apart into a job; returns the verb, in words that the caller frees. */
static const char *_read(const char *line, job_desc_msg_t *job, char **err, char **words)
{
	char *save = NULL;
	const char *verb;

	*words = strdup(line);
	verb = strtok_r(*words, " \n", &save);
	_empty(job);
	for (char *key; (key = strtok_r(NULL, " \n", &save)); ) {
		char *value = strchr(key, '=');

		*value++ = '\0';
		_decode(value);
		_set(job, err, key, value);
	}
	return verb;
}

static void _again(const char *line)
{
	char *words, *err = NULL;
	job_desc_msg_t job;
	const char *verb = _read(line, &job, &err, &words);

	_call_hook(verb, &job, &err);
	free(err);
	free(words);
	_free(&job);
}

static void *_one_call(void *arg)
{
	char *words, *err = NULL;
	struct timespec from, to;
	job_desc_msg_t job;
	const char *verb = _read(arg, &job, &err, &words);
	int rc;

	clock_gettime(CLOCK_MONOTONIC, &from);
	rc = _call_hook(verb, &job, &err);
	clock_gettime(CLOCK_MONOTONIC, &to);
	flockfile(stdout);
	printf("rc=%d us=%ld", rc, (to.tv_sec - from.tv_sec) * 1000000L +
				   (to.tv_nsec - from.tv_nsec) / 1000);
	_print("err", err);
	_print("admin", job.admin_comment);
	printf(" priority=%u", job.priority);
	printf("\n");
	fflush(stdout);
	funlockfile(stdout);
	free(err);
	free(words);
	_free(&job);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[64];
	static char line[1 << 17];
	const char *text;
	int count;

	if ((argc != 2) || !(hook = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL))) {
		fprintf(stderr, "test_hook: %s\n", argc == 2 ? dlerror() : "name the plugin");
		return 2;
	}
	if (*(const uint32_t *) dlsym(hook, "plugin_version") != SLURM_VERSION_NUMBER)
		return 2;
	if (((int (*)(void)) dlsym(hook, "init"))() != SLURM_SUCCESS)
		return 1;
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		text = strstr(line, " threads=");
		count = text ? atoi(text + 9) : 1;
		if ((count < 1) || (count > 64))
			return 2;
		text = strstr(line, " times=");
		for (int more = text ? atoi(text + 7) - 1 : 0; more > 0; more--)
			_again(line);
		if (count == 1)
			_one_call(line);	/* as the parts of one job come: in one thread */
		for (int i = 0; (count > 1) && (i < count); i++)
			pthread_create(&threads[i], NULL, _one_call, line);
		for (int i = 0; (count > 1) && (i < count); i++)
			pthread_join(threads[i], NULL);
	}
	((int (*)(void)) dlsym(hook, "fini"))();
	return 0;
}
