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
	enum { UNSET, REFUSE, LET_IN } when_unavailable;
	unsigned deadline_ms, breaker_misses, breaker_open_ms;
};

bool settings_load(struct settings *settings);

void link_open(const struct settings *settings);
void link_close(void);
void link_ask(const struct wire_question *q, struct wire_answer *answer);

#endif
