// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * link.h - the settings, and the way to voucherd
 */
#ifndef VOUCHER_LINK_H
#define VOUCHER_LINK_H

#include <sys/un.h>

#include "wire.h"

struct settings {
	char socket[sizeof(((struct sockaddr_un *) 0)->sun_path)];
	enum { UNSET, REFUSE, LET_IN, LET_WAIT } when_unavailable;
	unsigned deadline_ms, breaker_misses, breaker_open_ms, open_most;
	char ask_for[256];	/* ",ai,sc,": partitions where a job without a voucher is asked about */
};

bool settings_load(struct settings *settings);

void link_open(const struct settings *settings);
void link_close(void);
int64_t link_deadline(void);
void link_ask(const struct wire_question *q, int64_t deadline_us, struct wire_answer *answer);
unsigned long long link_missed(void);
void link_told(unsigned long long missed);

bool unsecured_add(const char *voucher, uint32_t uid, unsigned most);
void unsecured_clear(void);

#endif
