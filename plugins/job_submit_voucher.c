// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * job_submit_voucher.c - ask voucherd for a hold before a job enters the queue
 *
 * A guest in slurmctld, under its read locks and, from Slurm 23.02, in several
 * threads at once. It says what the job asks for and repeats the answer; it
 * knows no price, opens no file after init() and never waits past the deadline.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>
#include <slurm/spank.h>	/* slurm_error() and its like */

#include "link.h"

#define ID_LEN		32	/* hex digits of a hold's id */
#define HET_MOST	128	/* components of one job; Slurm's own limit */

const char plugin_name[] = "Job submit voucher plugin";
const char plugin_type[] = "job_submit/voucher";
const uint32_t plugin_version = SLURM_VERSION_NUMBER;

/* slurmctld exports these and owns what they made; its public headers leave them out. */
extern char *slurm_xstrdup_printf(const char *format, ...)
	__attribute__ ((format (printf, 1, 2)));
extern void slurm_xfree(void **item);

static struct settings settings;

/* Called once by slurmctld, which does not start when this fails. */
int init(void)
{
	if (!settings_load(&settings))
		return SLURM_ERROR;
	link_open(&settings);
	return SLURM_SUCCESS;
}

int fini(void)
{
	link_close();
	return SLURM_SUCCESS;
}

/* Put text behind what an earlier plugin said or an administrator wrote. */
static void _append(char **to, const char *between, const char *text)
{
	char *old = *to;

	*to = (old && *old) ? slurm_xstrdup_printf("%s%s%s", old, between, text) :
			      slurm_xstrdup_printf("%s", text);
	slurm_xfree((void **) &old);
}

/* Say no to the user, or to the log where Slurm has no way to the user (NULL). */
__attribute__ ((format (printf, 2, 3)))
static int _refuse(char **err_msg, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(err_msg ? slurm_verbose : slurm_info)("voucher: refused: %s", text);
	if (err_msg)
		_append(err_msg, "\n", text);
	return ESLURM_ACCOUNTING_POLICY;
}

static const char *_env(char **env, uint32_t count, const char *name)
{
	size_t len = strlen(name);

	for (uint32_t i = 0; env && (i < count); i++)
		if (env[i] && !strncmp(env[i], name, len) && (env[i][len] == '='))
			return env[i] + len + 1;
	return NULL;
}

/* --voucher, else SLURM_VOUCHER: by SPANK, or in the environment (sbatch, libslurm). */
static const char *_voucher(const job_desc_msg_t *job)
{
	const char *name = _env(job->spank_job_env, job->spank_job_env_size,
				"_SLURM_SPANK_OPTION_voucher_voucher");

	if (name)
		return name;	/* "--voucher=" is a mistake, an empty variable is none */
	name = _env(job->spank_job_env, job->spank_job_env_size, "SLURM_VOUCHER");
	if (!name || !*name)
		name = _env(job->environment, job->env_size, "SLURM_VOUCHER");
	return (name && *name) ? name : NULL;
}

static void _put32(struct wire_question *q, const char *key, uint32_t value)
{
	if (value == INFINITE)
		wire_put_text(q, key, "unlimited");
	else if (value != NO_VAL)
		wire_put_number(q, key, value);
}

static void _put16(struct wire_question *q, const char *key, uint16_t value)
{
	if (value != NO_VAL16)
		wire_put_number(q, key, value);
}

/* Slurm says unset by NO_VAL16, by INFINITE16, and where nothing may be 0 by 0. */
static bool _is_set16(uint16_t value)
{
	return value && (value < NO_VAL16);
}

static void _put_memory(struct wire_question *q, uint64_t value)
{
	if (value == NO_VAL64)
		return;
	if (value & MEM_PER_CPU)
		wire_put_number(q, "mem_per_cpu_mb", value & ~MEM_PER_CPU);
	else
		wire_put_number(q, "mem_per_node_mb", value);
}

/* Everything that can change a price, as far as the job says it. */
static void _put_priced(struct wire_question *q, const job_desc_msg_t *job)
{
	wire_put_text(q, "account", job->account);
	wire_put_text(q, "partition", job->partition);
	wire_put_text(q, "qos", job->qos);
	_put32(q, "time_limit", job->time_limit);
	_put32(q, "time_min", job->time_min);
	_put32(q, "min_nodes", job->min_nodes);
	/* 0 is Slurm's other way of saying: no limit was asked for. */
	_put32(q, "max_nodes", job->max_nodes ? job->max_nodes : NO_VAL);
	_put32(q, "num_tasks", job->num_tasks);
	_put16(q, "cpus_per_task", job->cpus_per_task);
	_put16(q, "ntasks_per_node", job->ntasks_per_node);
	_put32(q, "min_cpus", job->min_cpus);
	_put32(q, "max_cpus", job->max_cpus ? job->max_cpus : NO_VAL);
	_put16(q, "pn_min_cpus", job->pn_min_cpus);
	wire_put_text(q, "req_nodes", job->req_nodes);
	/* Slurm gives whole nodes for --core-spec, too. */
	if ((job->shared == JOB_SHARED_NONE) || _is_set16(job->core_spec))
		wire_put_text(q, "exclusive", "1");
	if (_is_set16(job->threads_per_core) || _is_set16(job->ntasks_per_core))
		wire_put_text(q, "cores_alone", "1");
	wire_put_text(q, "tres_per_job", job->tres_per_job);
	wire_put_text(q, "tres_per_node", job->tres_per_node);
	wire_put_text(q, "tres_per_socket", job->tres_per_socket);
	wire_put_text(q, "tres_per_task", job->tres_per_task);
	wire_put_text(q, "cpus_per_tres", job->cpus_per_tres);
	wire_put_text(q, "mem_per_tres", job->mem_per_tres);
	if (_is_set16(job->ntasks_per_tres))
		wire_put_number(q, "ntasks_per_tres", job->ntasks_per_tres);
	_put_memory(q, job->pn_min_memory);
	wire_put_text(q, "features", job->features);
	if (job->begin_time)
		wire_put_number(q, "begin_s", job->begin_time);
}

static bool _make_id(char id[ID_LEN + 1])
{
	unsigned char raw[ID_LEN / 2];

	if (getrandom(raw, sizeof(raw), GRND_NONBLOCK) != sizeof(raw))
		return false;
	for (size_t i = 0; i < ID_LEN; i++)
		id[i] = "0123456789abcdef"[(raw[i / 2] >> (i % 2 ? 0 : 4)) & 15];
	id[ID_LEN] = '\0';
	return true;
}

/* Ask, and tell with it how many questions before had no answer. */
static void _ask(struct wire_question *q, int64_t deadline_us, const char *who,
		 struct wire_answer *answer)
{
	static const char *const mode[] = {
		[REFUSE] = "refused", [LET_IN] = "let in", [LET_WAIT] = "made to wait",
	};
	unsigned long long missed = link_missed();

	if (missed)
		wire_put_number(q, "missed", missed);
	if (!wire_end(q)) {
		answer->verdict = WIRE_NO;
		snprintf(answer->say, sizeof(answer->say), "%s: the request is over %d bytes; "
			 "shorten --array, --constraint or --nodelist", who, WIRE_OUT_MAX);
		return;
	}
	link_ask(q, deadline_us, answer);
	if (answer->verdict == WIRE_NONE)
		slurm_error("voucher: no answer: %s: %s: %s; %llu unanswered so far", who,
			    answer->why, mode[settings.when_unavailable], answer->unanswered);
	else if (missed)
		link_told(missed);
}

static int _refuse_unanswered(char **err_msg, const char *who)
{
	return _refuse(err_msg, "%s: the voucher service did not answer within %u ms; try again "
		       "in a minute or tell the administrator", who, settings.deadline_ms);
}

/*
 * Cards that only --ntasks-per-gpu implies are worked out after this hook, so
 * voucherd would see none and hold nothing for them.
 */
static bool _hides_cards(const job_desc_msg_t *job)
{
	return _is_set16(job->ntasks_per_tres) && !job->tres_per_job && !job->tres_per_node &&
	       !job->tres_per_socket && !job->tres_per_task;
}

/* Whether a job without a voucher is asked about: by its partitions, or the default one. */
static bool _is_asked_for(const job_desc_msg_t *job)
{
	const char *at = job->partition;

	if (!settings.ask_for[0] || !at || !*at)
		return settings.ask_for[0];
	for (size_t len; *at; at += len + (at[len] == ',')) {
		const char *found = settings.ask_for;

		len = strcspn(at, ",");
		while (len && (found = strstr(found, ",")) && *++found)
			if (!strncmp(found, at, len) && (found[len] == ','))
				return true;
	}
	return false;
}

/* Write voucher and hold where slurmdbd keeps them and the user cannot. */
static void _mark(job_desc_msg_t *job, const char *voucher, const char *id, const char *held)
{
	char comment[128];

	snprintf(comment, sizeof(comment), "voucher=%s;hold=%s;held=%s", voucher, id, held);
	_append(&job->admin_comment, " ", comment);
}

/* Without an answer the site's setting decides; that is always logged and counted. */
static int _unanswered(job_desc_msg_t *job, const char *voucher, const char *who, const char *id,
		       char **err_msg)
{
	switch (settings.when_unavailable) {
	case LET_IN:
		if (!voucher)
			return SLURM_SUCCESS;	/* nobody asked for a voucher to pay */
		if (!unsecured_add(voucher, job->user_id, settings.open_most))
			return _refuse(err_msg, "%s: %u of its jobs were let in while the voucher "
				       "service is away, more may not be; try again in a minute",
				       who, settings.open_most);
		_mark(job, voucher, id, "?");
		return SLURM_SUCCESS;
	case LET_WAIT:
		/* Held: voucherd lets it go when it has its hold, but not what its user held. */
		_mark(job, voucher ? voucher : WIRE_NOBODYS, id, job->priority ? "wait" : "own");
		job->priority = 0;
		if (err_msg)
			_append(err_msg, "\n", "voucher: the job waits until the voucher service is "
				"back");
		return SLURM_SUCCESS;
	default:
		return _refuse_unanswered(err_msg, who);
	}
}

/* Take a hold for a job; *taken says that voucherd has it. */
static int _hold(job_desc_msg_t *job, int64_t deadline_us, char id[ID_LEN + 1], bool *taken,
		 char **err_msg)
{
	const char *voucher = _voucher(job);
	struct wire_question q;
	struct wire_answer answer;
	char who[48];

	if (!voucher && !_is_asked_for(job))
		return SLURM_SUCCESS;
	if (voucher && !wire_name_ok(voucher))
		return _refuse(err_msg, "voucher: the name given is not 1 to 32 of A-Z a-z 0-9 - "
			       "_; check --voucher or SLURM_VOUCHER");
	snprintf(who, sizeof(who), "voucher%s%s", voucher ? " " : "", voucher ? voucher : "");
	if (_hides_cards(job))
		return _refuse(err_msg, "%s: --ntasks-per-gpu does not say how many cards; "
			       "ask for them with --gpus or --gres", who);
	if (!_make_id(id))
		return _refuse(err_msg, "%s: no random numbers yet; try again in a minute", who);

	wire_begin(&q, "HOLD", "hold", id);
	wire_put_number(&q, "uid", job->user_id);
	wire_put_text(&q, "voucher", voucher);
	wire_put_text(&q, "array", job->array_inx);
	_put_priced(&q, job);
	_ask(&q, deadline_us, who, &answer);
	if (answer.verdict == WIRE_NO)
		return _refuse(err_msg, "%s", answer.say);
	if (answer.verdict == WIRE_NONE)
		return _unanswered(job, voucher, who, id, err_msg);
	if (!voucher && !strcmp(answer.voucher, WIRE_NOBODYS))
		return SLURM_SUCCESS;
	*taken = true;
	_mark(job, voucher ? voucher : answer.voucher, id, answer.held_micro);
	if (answer.say[0] && err_msg)
		_append(err_msg, "\n", answer.say);
	return SLURM_SUCCESS;
}

/*
 * The holds of a heterogeneous job so far. slurmctld hands its components to
 * the hook one after the other, in one thread, numbered from 0; where one is
 * refused none enters the queue.
 */
static _Thread_local struct {
	uint32_t uid, count;
	char ids[HET_MOST][ID_LEN + 1];
} het;

static void _note_component(const job_desc_msg_t *job, int64_t deadline_us, const char *id,
			    bool taken, int rc)
{
	struct wire_answer answer = { .verdict = WIRE_YES };

	if (job->het_job_offset == NO_VAL)
		return;
	if (!job->het_job_offset || (het.uid != job->user_id))
		het.count = 0;
	het.uid = job->user_id;
	if (taken && (het.count < HET_MOST))
		memcpy(het.ids[het.count++], id, ID_LEN + 1);
	/* What cannot be told in the time of this call lapses: the queue never shows it. */
	while ((rc != SLURM_SUCCESS) && het.count && (answer.verdict == WIRE_YES)) {
		struct wire_question q;

		wire_begin(&q, "DROP", "hold", het.ids[--het.count]);
		wire_put_number(&q, "uid", het.uid);
		_ask(&q, deadline_us, "a refused component's sibling", &answer);
	}
}

/*
 * Called by slurmctld for each job and each het component, read locks held.
 * SLURM_SUCCESS: it needs no voucher, or admin_comment carries the hold.
 * Else ESLURM_ACCOUNTING_POLICY, and *err_msg says why in one line.
 */
int job_submit(job_desc_msg_t *job, uint32_t submit_uid, char **err_msg)
{
	int64_t deadline_us = link_deadline();
	char id[ID_LEN + 1];
	bool taken = false;
	int rc;

	(void) submit_uid;	/* root may submit for others: the job's user pays */
	rc = _hold(job, deadline_us, id, &taken, err_msg);
	_note_component(job, deadline_us, id, taken, rc);
	return rc;
}

/* The job as the user named it ("15", "16_2"); false: not a job id at all. */
static bool _job_id(const job_desc_msg_t *job, char *id, size_t size)
{
#if SLURM_VERSION_NUMBER >= SLURM_VERSION_NUM(25, 11, 0)
	uint32_t number = job->step_id.job_id;
#else
	uint32_t number = job->job_id;
#endif
	int len = job->job_id_str ? snprintf(id, size, "%s", job->job_id_str) :
				    snprintf(id, size, "%u", number);

	return (len > 0) && ((size_t) len < size) &&
	       (strspn(id, "0123456789_+-,:%[]") == (size_t) len);
}

/*
 * To Slurm a job that was made to wait is held by its user, who may release it:
 * not before it was asked about. root may.
 */
static bool _lets_go(const job_desc_msg_t *job, uint32_t submit_uid)
{
	return (settings.when_unavailable == LET_WAIT) && submit_uid && job->priority &&
	       (job->priority != NO_VAL);
}

static int _modify(job_desc_msg_t *job, uint32_t submit_uid, char **err_msg)
{
	struct wire_question q;
	struct wire_answer answer;
	char id[WIRE_ID_MAX + 1], who[WIRE_ID_MAX + 8];
	size_t bare;

	wire_begin(&q, "MODIFY", "job", "");
	bare = q.len;
	_put_priced(&q, job);
	if ((q.len == bare) && !_lets_go(job, submit_uid))
		return SLURM_SUCCESS;	/* hold, release, nice, comment: no price moves */
	if (!_job_id(job, id, sizeof(id)))
		return _refuse(err_msg, "voucher: the job id is over %d bytes or not one; "
			       "change fewer tasks at a time", WIRE_ID_MAX);
	snprintf(who, sizeof(who), "job %s", id);
	wire_begin(&q, "MODIFY", "job", id);
	wire_put_number(&q, "uid", submit_uid);
	if (_lets_go(job, submit_uid))
		wire_put_text(&q, "release", "1");
	if (job->partition && _is_asked_for(job))
		wire_put_text(&q, "asked_for", "1");
	_put_priced(&q, job);
	_ask(&q, link_deadline(), who, &answer);
	if (answer.verdict == WIRE_NO)
		return _refuse(err_msg, "%s", answer.say);
	/* A job cannot be made to wait for its change, so queue is closed here. */
	if ((answer.verdict == WIRE_NONE) && (settings.when_unavailable != LET_IN))
		return _refuse_unanswered(err_msg, who);
	return SLURM_SUCCESS;
}

/*
 * Called by slurmctld before a job is changed, once per array record, read
 * locks held, for administrators too. Whether the job has a voucher is in
 * Slurm's private headers, so voucherd is asked whenever a price could move.
 */
#if SLURM_VERSION_NUMBER >= SLURM_VERSION_NUM(23, 2, 0)
int job_modify(job_desc_msg_t *job, void *record, uint32_t submit_uid, char **err_msg)
{
#else
int job_modify(job_desc_msg_t *job, void *record, uint32_t submit_uid)
{
	char **err_msg = NULL;	/* this Slurm has no way to tell the user */
#endif
	(void) record;
	return _modify(job, submit_uid, err_msg);
}
