// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * settings.c - voucher.conf, read once when slurmctld loads the hook
 *
 * Every line is understood or the hook does not load: a mistyped setting
 * must not turn into computing for free.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <slurm/slurm.h>
#include <slurm/spank.h>

#include "link.h"

/* $VOUCHER_CONF, else beside $SLURM_CONF, else in /etc/slurm. */
static FILE *_open(char path[PATH_MAX])
{
	const char *own = getenv("VOUCHER_CONF"), *slurm = getenv("SLURM_CONF");
	const char *slash = slurm ? strrchr(slurm, '/') : NULL;

	if (own)
		snprintf(path, PATH_MAX, "%s", own);
	else if (slash)
		snprintf(path, PATH_MAX, "%.*s/voucher.conf", (int) (slash - slurm), slurm);
	else
		snprintf(path, PATH_MAX, "/etc/slurm/voucher.conf");
	return fopen(path, "re");
}

/* Take one setting over; false: unknown key or a value out of its range. */
static bool _set(struct settings *s, const char *key, const char *value)
{
	const struct { const char *key; unsigned most, *to; } numbers[] = {
		{ "deadline_ms", 5000, &s->deadline_ms },
		{ "breaker_misses", 1000, &s->breaker_misses },
		{ "breaker_open_ms", 600000, &s->breaker_open_ms },
		{ "open_most", 1000000, &s->open_most },
	};

	if (!strcmp(key, "socket"))
		return (value[0] == '/') && (snprintf(s->socket, sizeof(s->socket), "%s", value) <
					     (int) sizeof(s->socket));
	if (!strcmp(key, "when_unavailable")) {
		s->when_unavailable = !strcmp(value, "open") ? LET_IN :
				      !strcmp(value, "queue") ? LET_WAIT :
				      !strcmp(value, "closed") ? REFUSE : UNSET;
		return s->when_unavailable != UNSET;
	}
	if (!strcmp(key, "ask_for"))
		return snprintf(s->ask_for, sizeof(s->ask_for), ",%s,", value) <
		       (int) sizeof(s->ask_for);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		unsigned long number = strtoul(value, NULL, 10);

		if (strcmp(key, numbers[i].key))
			continue;
		*numbers[i].to = number;
		return (strspn(value, "0123456789") == strlen(value)) && (number >= 1) &&
		       (number <= numbers[i].most);
	}
	return false;
}

/*
 * Read voucher.conf into settings. False after a line in the log that says
 * what to mend. Called from init(): one thread, and the file is closed again.
 */
bool settings_load(struct settings *settings)
{
	char path[PATH_MAX], line[512], key[32], value[256], rest;
	FILE *file = _open(path);
	bool ok = true;
	int found, number = 0;

	*settings = (struct settings) {
		.deadline_ms = 50, .breaker_misses = 3, .breaker_open_ms = 10000,
		.open_most = 100,
	};
	if (!file) {
		slurm_error("voucher: settings: cannot open %s: %s", path, strerror(errno));
		return false;
	}
	while (ok && fgets(line, sizeof(line), file)) {
		number++;
		line[strcspn(line, "#")] = '\0';
		found = sscanf(line, " %31[a-z_] = %255s %c", key, value, &rest);
		ok = (found == 2) ? _set(settings, key, value) : !line[strspn(line, " \t\r\n")];
	}
	fclose(file);
	if (!ok)
		slurm_error("voucher: settings: %s line %d: unknown key or bad value", path,
			    number);
	else if (!settings->socket[0] || (settings->when_unavailable == UNSET))
		slurm_error("voucher: settings: %s: set socket and when_unavailable (closed, open "
			    "or queue)", path);
	return ok && settings->socket[0] && (settings->when_unavailable != UNSET);
}
