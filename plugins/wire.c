// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wire.c - write a question, read an answer, believe nothing
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "wire.h"

/* No isalnum(): its answer depends on the locale of the daemon we sit in. */
static bool _is_alnum(unsigned char c)
{
	return ((c >= 'A') && (c <= 'Z')) || ((c >= 'a') && (c <= 'z')) ||
	       ((c >= '0') && (c <= '9'));
}

static bool _is_clear(unsigned char c)
{
	return _is_alnum(c) || (c && strchr("-_.:/,+@*[]", c));
}

/* True for 1 to VOUCHER_MAX of A-Z a-z 0-9 - _: safe in a log, a terminal, a comment. */
bool wire_name_ok(const char *name)
{
	size_t len = strnlen(name, VOUCHER_MAX + 1);

	for (size_t i = 0; i < len; i++)
		if (!_is_alnum(name[i]) && (name[i] != '-') && (name[i] != '_'))
			return false;
	return (len >= 1) && (len <= VOUCHER_MAX);
}

static void _put(struct wire_question *q, const char *bytes, size_t len)
{
	/* One byte is kept for the newline. */
	if (q->too_long || (len > sizeof(q->line) - 1 - q->len)) {
		q->too_long = true;
		return;
	}
	memcpy(q->line + q->len, bytes, len);
	q->len += len;
}

/* Start a question; id must live as long as q does. */
void wire_begin(struct wire_question *q, const char *verb, const char *id_key, const char *id)
{
	q->len = 0;
	q->too_long = false;
	q->id_key = id_key;
	q->id = id;
	_put(q, "1 ", 2);
	_put(q, verb, strlen(verb));
	wire_put_text(q, id_key, id);
}

/* Add one key; a NULL value is an unset one and is left out. Stops at the limit. */
void wire_put_text(struct wire_question *q, const char *key, const char *value)
{
	static const char hex[] = "0123456789ABCDEF";

	if (!value)
		return;
	_put(q, " ", 1);
	_put(q, key, strlen(key));
	_put(q, "=", 1);
	for (; *value && !q->too_long; value++) {
		unsigned char c = *value;
		char escaped[3] = { '%', hex[c >> 4], hex[c & 15] };

		if (_is_clear(c))
			_put(q, value, 1);
		else
			_put(q, escaped, sizeof(escaped));
	}
}

void wire_put_number(struct wire_question *q, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	wire_put_text(q, key, digits);
}

/* Close the line. False: it does not fit and must not be sent. */
bool wire_end(struct wire_question *q)
{
	if (!q->too_long)
		q->line[q->len++] = '\n';
	return !q->too_long;
}

static int _hex(char c)
{
	if ((c >= '0') && (c <= '9'))
		return c - '0';
	if ((c >= 'A') && (c <= 'F'))
		return c - 'A' + 10;
	return -1;
}

/* Undo the percent encoding into out[size]; false: bad escape, NUL, bare byte, no room. */
static bool _decode(const char *from, const char *to, char *out, size_t size)
{
	size_t len = 0;

	while (from < to) {
		unsigned char c = *from++;

		if (c == '%') {
			if ((to - from < 2) || (_hex(from[0]) < 0) || (_hex(from[1]) < 0))
				return false;
			c = (_hex(from[0]) << 4) | _hex(from[1]);
			from += 2;
		} else if ((c <= ' ') || (c >= 0x7f) || (c == '=')) {
			return false;
		}
		if (!c || (len + 1 >= size))
			return false;
		out[len++] = c;
	}
	out[len] = '\0';
	return true;
}

/* UTF-8 a terminal may see: no C0, DEL, C1, surrogate, overlong or out-of-range sequence. */
static bool _is_plain_text(const char *text)
{
	static const uint32_t least[] = { 0x20, 0xa0, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *) text;

	while (*s) {
		int more = (*s < 0x80) ? 0 : (*s >= 0xf0) ? 3 : (*s >= 0xe0) ? 2 : 1;
		uint32_t point = more ? (*s & (0x3f >> more)) : *s;

		if (((*s >= 0x80) && (*s < 0xc0)) || (*s >= 0xf8))
			return false;
		s++;
		for (int i = 0; i < more; i++, s++) {
			if ((*s & 0xc0) != 0x80)
				return false;
			point = (point << 6) | (*s & 0x3f);
		}
		if ((point < least[more]) || (point > 0x10ffff) || (point == 0x7f) ||
		    ((point >= 0xd800) && (point <= 0xdfff)))
			return false;
	}
	return true;
}

struct field {
	const char *key;
	char *out;
	size_t size;
	bool seen;
};

/* Read one key=value; an unknown key is an answer to a question we did not ask. */
static bool _parse_field(struct field *fields, const char *from, const char *to)
{
	const char *eq = memchr(from, '=', to - from);

	for (struct field *f = fields; eq && f->key; f++) {
		if ((strlen(f->key) != (size_t) (eq - from)) ||
		    memcmp(f->key, from, eq - from))
			continue;
		if (f->seen)
			return false;
		f->seen = true;
		return _decode(eq + 1, to, f->out, f->size);
	}
	return false;
}

/*
 * Read the answer to q from len bytes that end in a newline. True: answer is
 * whole, echoes the id of q and is safe to show. False: answer->why says what
 * is wrong, in a constant text.
 */
bool wire_parse(const struct wire_question *q, const char *line, size_t len,
		struct wire_answer *answer)
{
	char id[WIRE_ID_MAX + 1] = "";
	struct field fields[] = {
		{ q->id_key, id, sizeof(id), false },
		{ "held", answer->held_micro, sizeof(answer->held_micro), false },
		{ "code", answer->code, sizeof(answer->code), false },
		{ "say", answer->say, sizeof(answer->say), false },
		{ NULL, NULL, 0, false },
	};
	const char *end = line + (len ? len - 1 : 0), *at;
	bool yes = (len >= 6) && !memcmp(line, "1 YES", 5);

	memset(answer, 0, sizeof(*answer));
	answer->why = "answer is not understood";
	if ((!yes && ((len < 5) || memcmp(line, "1 NO", 4))) || (*end != '\n'))
		return false;
	for (at = line + (yes ? 5 : 4); at < end; ) {
		const char *to = memchr(at + 1, ' ', end - at - 1);

		if (!to)
			to = end;
		if ((*at != ' ') || !_parse_field(fields, at + 1, to))
			return false;
		at = to;
	}
	if (strspn(answer->held_micro, "0123456789") != strlen(answer->held_micro) ||
	    (answer->code[0] && !wire_name_ok(answer->code)) || !_is_plain_text(answer->say))
		return false;
	if (strcmp(id, q->id)) {
		answer->why = "answer is to another question";
		return false;
	}
	/* A refusal that the user cannot read, or a yes that holds an unknown sum, is none. */
	if (yes ? (!strcmp(q->id_key, "hold") && !answer->held_micro[0]) : !answer->say[0])
		return false;
	answer->verdict = yes ? WIRE_YES : WIRE_NO;
	answer->why = "";
	return true;
}
