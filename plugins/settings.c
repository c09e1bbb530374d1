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

#define UNSET UINT_MAX

/* $VOUCHER_CONF, else beside $SLURM_CONF, else /etc/slurm. */
static int _find(char *path, size_t size)
{
	const char *own = getenv("VOUCHER_CONF"), *slurm = getenv("SLURM_CONF");
	const char *slash = slurm ? strrchr(slurm, '/') : NULL;
	int len;

	if (own)
		len = snprintf(path, size, "%s", own);
	else if (slash)
		len = snprintf(path, size, "%.*s/voucher.conf", (int) (slash - slurm), slurm);
	else
		len = snprintf(path, size, "/etc/slurm/voucher.conf");
	errno = ENAMETOOLONG;
	return ((len >= 0) && ((size_t) len < size)) ? 0 : -1;
}

static int _number(const char *text, unsigned most, unsigned *out)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if ((*text < '0') || (*text > '9') || *end || (value < 1) || (value > most))
		return -1;
	*out = value;
	return 0;
}

static int _set(struct settings *s, unsigned *let_in, const char *key, const char *value)
{
	size_t len = strlen(value);

	if (!strcmp(key, "socket")) {
		if ((value[0] != '/') || (len >= sizeof(s->socket)))
			return -1;
		memcpy(s->socket, value, len + 1);
		return 0;
	}
	if (!strcmp(key, "when_unavailable")) {
		*let_in = !strcmp(value, "open");
		return (*let_in || !strcmp(value, "closed")) ? 0 : -1;
	}
	if (!strcmp(key, "deadline_ms"))
		return _number(value, 5000, &s->deadline_ms);
	if (!strcmp(key, "breaker_misses"))
		return _number(value, 1000, &s->breaker_misses);
	if (!strcmp(key, "breaker_open_ms"))
		return _number(value, 600000, &s->breaker_open_ms);
	return -1;
}

/* Cut a line into key and value in place. 1: nothing on it, 0: both, -1: neither. */
static int _cut(char *line, char **key, char **value)
{
	static const char blank[] = " \t\r\n";
	char *eq, *end;

	line[strcspn(line, "#\n")] = '\0';
	line += strspn(line, blank);
	if (!*line)
		return 1;
	if (!(eq = strchr(line, '=')))
		return -1;
	*eq = '\0';
	line[strcspn(line, blank)] = '\0';
	*key = line;
	*value = eq + 1 + strspn(eq + 1, blank);
	for (end = *value + strlen(*value); (end > *value) && strchr(blank, end[-1]); )
		*--end = '\0';
	return 0;
}

static int _read(FILE *file, const char *path, struct settings *s, unsigned *let_in)
{
	char line[512], *key, *value;
	int rc, number = 0;

	while (fgets(line, sizeof(line), file)) {
		number++;
		rc = (strlen(line) == sizeof(line) - 1) ? -1 : _cut(line, &key, &value);
		if (!rc)
			rc = _set(s, let_in, key, value);
		if (rc < 0) {
			slurm_error("voucher: settings: %s line %d: unknown key or bad value; "
				    "see plugins/README.md", path, number);
			return -1;
		}
	}
	return ferror(file) ? -1 : 0;
}

/*
 * Read voucher.conf into settings. 0, or -1 after a line in the log that says
 * what to mend. Called from init(): one thread, and the file is closed again.
 */
int settings_load(struct settings *settings)
{
	char path[PATH_MAX];
	unsigned let_in = UNSET;
	FILE *file;
	int rc;

	*settings = (struct settings) {
		.deadline_ms = 50, .breaker_misses = 3, .breaker_open_ms = 10000,
	};
	if (_find(path, sizeof(path)) || !(file = fopen(path, "re"))) {
		slurm_error("voucher: settings: cannot open %s: %s", path, strerror(errno));
		return -1;
	}
	rc = _read(file, path, settings, &let_in);
	fclose(file);
	if (!rc && (!settings->socket[0] || (let_in == UNSET))) {
		slurm_error("voucher: settings: %s: socket and when_unavailable (closed or open) "
			    "must be set", path);
		rc = -1;
	}
	settings->let_in = (let_in == 1);
	return rc;
}
