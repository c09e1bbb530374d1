// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wire.c - write a question, read an answer, believe nothing
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "wire.h"

/* No isalnum(): it depends on the locale of the daemon we sit in. */
#define NAME "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
#define CLEAR NAME ".:/,+@*[]"

/* True for 1 to VOUCHER_MAX of A-Z a-z 0-9 - _: safe in a log, a terminal, a comment. */
bool wire_name_ok(const char *name)
{
	size_t len = strspn(name, NAME);

	return (len >= 1) && (len <= VOUCHER_MAX) && !name[len];
}

static void _put(struct wire_question *q, const char *bytes, size_t len)
{
	/* One byte is kept for the newline. */
	q->too_long |= (len >= sizeof(q->line) - q->len);
	if (!q->too_long) {
		memcpy(q->line + q->len, bytes, len);
		q->len += len;
	}
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

/* Add one key; a NULL value is an unset one and is left out. */
void wire_put_text(struct wire_question *q, const char *key, const char *value)
{
	char escaped[4];

	if (!value)
		return;
	_put(q, " ", 1);
	_put(q, key, strlen(key));
	_put(q, "=", 1);
	for (; *value && !q->too_long; value++) {
		if (strchr(CLEAR, *value)) {
			_put(q, value, 1);
		} else {
			snprintf(escaped, sizeof(escaped), "%%%02X", (unsigned char) *value);
			_put(q, escaped, 3);
		}
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
	const char *digits = "0123456789ABCDEF", *at = c ? strchr(digits, c) : NULL;

	return at ? at - digits : -1;
}

/* Undo the percent encoding into out[size]; false: bad escape, NUL, bare byte, no room. */
static bool _decode(const char *from, const char *to, char *out, size_t size)
{
	for (; from < to; from++, out++, size--) {
		bool escaped = (*from == '%') && (to - from >= 3);
		int c = escaped ? (_hex(from[1]) * 16) | _hex(from[2]) : *from;

		/* A digit that is none makes c negative, as a bare byte over 0x7f may be. */
		if ((size < 2) || (c <= 0) || (!escaped && ((c <= ' ') || strchr("%=\177", c) ||
							    (c > 0x7f))))
			return false;
		*out = c;
		from += escaped ? 2 : 0;
	}
	*out = '\0';
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

/* Read one key=value; twice the same or an unknown key is no answer to our question. */
static bool _parse_field(struct field *f, const char *from, const char *to)
{
	const char *eq = memchr(from, '=', to - from);

	for (; eq && f->key; f++) {
		bool seen = f->seen;

		if ((strlen(f->key) != (size_t) (eq - from)) || memcmp(f->key, from, eq - from))
			continue;
		f->seen = true;
		return !seen && _decode(eq + 1, to, f->out, f->size);
	}
	return false;
}

/* Cut len bytes " key=value key=value\n" into fields. */
static bool _parse_fields(struct field *fields, const char *at, size_t len)
{
	const char *end = at + len - 1, *to;

	for (; at < end; at = to) {
		to = memchr(at + 1, ' ', end - at - 1);
		if (!to)
			to = end;
		if ((*at != ' ') || !_parse_field(fields, at + 1, to))
			return false;
	}
	return *end == '\n';
}

/*
 * Read the answer to q. True: answer is whole, echoes the id of q and is safe
 * to show. False: answer->why says what is wrong, in a constant text.
 */
bool wire_parse(const struct wire_question *q, const char *line, size_t len,
		struct wire_answer *answer)
{
	bool yes = (len > 5) && !memcmp(line, "1 YES", 5);
	bool no = (len > 4) && !memcmp(line, "1 NO", 4);
	char id[WIRE_ID_MAX + 1] = "", code[VOUCHER_MAX + 1] = "";
	struct field fields[] = {
		{ q->id_key, id, sizeof(id), false },
		{ "held", answer->held_micro, sizeof(answer->held_micro), false },
		{ "voucher", answer->voucher, sizeof(answer->voucher), false },
		{ "code", code, sizeof(code), false },	/* for other clients */
		{ "say", answer->say, sizeof(answer->say), false },
		{ NULL, NULL, 0, false },
	};

	memset(answer, 0, sizeof(*answer));
	answer->why = "answer is not understood";
	if ((!yes && !no) || !_parse_fields(fields, line + (yes ? 5 : 4), len - (yes ? 5 : 4)) ||
	    answer->held_micro[strspn(answer->held_micro, "0123456789")] ||
	    (answer->voucher[0] && !wire_name_ok(answer->voucher)) ||
	    !_is_plain_text(answer->say))
		return false;
	if (strcmp(id, q->id)) {
		answer->why = "answer is to another question";
		return false;
	}
	/* A refusal that says nothing, or a hold of an unknown sum, is no answer. */
	if (no ? !answer->say[0] : (!memcmp(q->line, "1 HOLD", 6) && !answer->held_micro[0] &&
				    strcmp(answer->voucher, WIRE_NOBODYS)))
		return false;
	answer->verdict = yes ? WIRE_YES : WIRE_NO;
	return true;
}
