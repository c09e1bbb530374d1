// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * unsecured.c - how many jobs each voucher was let in with while nobody answered
 *
 * Mode open lets jobs in without a hold, so there is a limit for each voucher
 * until voucherd answers again. A table of fixed size, under its own lock: it
 * is touched in an outage alone.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "link.h"

#define VOUCHERS 512
#define OF_ONE_USER 16	/* so that names that somebody makes up do not fill the table */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	char name[VOUCHER_MAX + 1];
	uint32_t uid;	/* whose job was the first one */
	unsigned jobs;
} table[VOUCHERS];
static size_t used;

/* Count one more job. False: the voucher has its most, or there is no room for another one. */
bool unsecured_add(const char *voucher, uint32_t uid, unsigned most)
{
	bool room = false;
	size_t i = 0;
	unsigned own = 0;

	pthread_mutex_lock(&lock);
	while ((i < used) && strcmp(table[i].name, voucher))
		own += (table[i++].uid == uid);
	if ((i < used) || ((i < VOUCHERS) && (own < OF_ONE_USER))) {
		if (i == used) {
			snprintf(table[i].name, sizeof(table[i].name), "%s", voucher);
			table[i].uid = uid;
			table[i].jobs = 0;
			used++;
		}
		room = table[i].jobs < most;
		table[i].jobs += room;
	}
	pthread_mutex_unlock(&lock);
	return room;
}

/* voucherd answers again: it knows by the queue what was let in. */
void unsecured_clear(void)
{
	pthread_mutex_lock(&lock);
	used = 0;
	pthread_mutex_unlock(&lock);
}
