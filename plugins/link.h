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
	bool let_in;		/* when_unavailable = open */
	unsigned deadline_ms;
	unsigned breaker_misses;
	unsigned breaker_open_ms;
};

int settings_load(struct settings *settings);

void link_open(const struct settings *settings);
void link_close(void);
void link_ask(const struct wire_question *q, struct wire_answer *answer);
uint64_t link_unanswered(void);

#endif
