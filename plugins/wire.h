// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wire.h - one question and one answer between the hook and voucherd
 *
 * Bytes only: no socket, no clock, no Slurm. "1 HOLD key=value ..." goes out,
 * "1 YES|NO key=value ..." comes back, one line each, values percent-encoded.
 */
#ifndef VOUCHER_WIRE_H
#define VOUCHER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_OUT_MAX	4096	/* bytes of a question with its newline */
#define WIRE_IN_MAX	1024	/* bytes of an answer with its newline */
#define WIRE_ID_MAX	256	/* hold id (32 hex) or job id as Slurm writes it */
#define WIRE_SAY_MAX	200	/* bytes of UTF-8 that the user reads */
#define VOUCHER_MAX	32
#define WIRE_NOBODYS	"-"	/* the voucher of a job that goes on without one */

struct wire_question {
	char line[WIRE_OUT_MAX];
	size_t len;
	bool too_long;		/* sticks: a cut question is never sent */
	const char *id_key, *id;	/* what the answer must echo */
};

struct wire_answer {
	enum { WIRE_NONE, WIRE_YES, WIRE_NO } verdict;
	char held_micro[19];		/* digits; "" when absent */
	char voucher[VOUCHER_MAX + 1];	/* of a job that named none; "-": nobody's */
	char say[WIRE_SAY_MAX + 1];	/* UTF-8 without control characters */
	const char *why;		/* WIRE_NONE: what went wrong, a constant */
	unsigned long long unanswered;	/* WIRE_NONE: how many by now */
};

bool wire_name_ok(const char *name);
void wire_begin(struct wire_question *q, const char *verb, const char *id_key, const char *id);
void wire_put_text(struct wire_question *q, const char *key, const char *value);
void wire_put_number(struct wire_question *q, const char *key, uint64_t value);
bool wire_end(struct wire_question *q);
bool wire_parse(const struct wire_question *q, const char *line, size_t len,
		struct wire_answer *answer);

#endif
