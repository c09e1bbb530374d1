// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_wire.c - what goes out byte for byte, and every answer that is none
 *
 * Run by "make test" with ASan and UBSan. Prints what failed; exits 1 then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

static int failed;

#define CHECK(is, text)								\
	do {									\
		if (!(is)) {							\
			printf("line %d: not so: %s: %s\n", __LINE__, #is, text); \
			failed = 1;						\
		}								\
	} while (0)

static bool _parse(struct wire_question *q, const char *line, size_t len, struct wire_answer *a)
{
	char *exact = malloc(len ? len : 1);	/* so that ASan sees a read past its end */
	bool ok;

	memcpy(exact, line, len);
	ok = wire_parse(q, exact, len, a);
	free(exact);
	return ok;
}

static void _names(void)
{
	const char *good[] = { "a", "CD24-0007", "a_b", "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345" };
	const char *bad[] = { "", " ", "a b", "a;b", "a=b", "\xe5\x88\xb8", "a\n", "\x1b[2J",
			      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456" };

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		CHECK(wire_name_ok(good[i]), good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK(!wire_name_ok(bad[i]), bad[i]);
}

static void _questions(void)
{
	static char big[WIRE_OUT_MAX];
	struct wire_question q;

	wire_begin(&q, "HOLD", "hold", "0f");
	wire_put_number(&q, "uid", 1000);
	wire_put_text(&q, "absent", NULL);
	wire_put_text(&q, "features", "a&b|c=d %\n\xe5~");
	wire_put_text(&q, "array", "1-3%2,a.b:c/d+e@f*[g]");
	CHECK(wire_end(&q), "");
	q.line[q.len] = '\0';
	CHECK(!strcmp(q.line, "1 HOLD hold=0f uid=1000 features=a%26b%7Cc%3Dd%20%25%0A%E5%7E "
		      "array=1-3%252,a.b:c/d+e@f*[g]\n"), q.line);

	/* "1 HOLD hold=0f" is 14, " k=" 3, the newline 1: 4078 bytes fit and not one more. */
	memset(big, 'x', 4078);
	wire_begin(&q, "HOLD", "hold", "0f");
	wire_put_text(&q, "k", big);
	CHECK(wire_end(&q) && (q.len == WIRE_OUT_MAX), "just fits");
	big[4078] = 'x';
	wire_begin(&q, "HOLD", "hold", "0f");
	wire_put_text(&q, "k", big);
	CHECK(!wire_end(&q) && (q.len <= WIRE_OUT_MAX), "one too many");
}

static void _good_answers(void)
{
	struct wire_question q;
	struct wire_answer a;
	const char *yes = "1 YES hold=0f held=1 say=\xc2\xa0\n";
	const char *no = "1 NO hold=0f code=insufficient-balance say=%E5%88%B8:%20no~\n";
	const char *modify = "1 YES job=16_[1-3] say=\n";

	wire_begin(&q, "HOLD", "hold", "0f");
	CHECK(!_parse(&q, yes, strlen(yes), &a), "bare byte over 7f");
	yes = "1 YES hold=0f held=999999999999999999 say=held%201%2C240.00\n";
	CHECK(_parse(&q, yes, strlen(yes), &a) && (a.verdict == WIRE_YES), a.why);
	CHECK(!strcmp(a.held_micro, "999999999999999999") && !strcmp(a.say, "held 1,240.00"),
	      a.say);
	CHECK(_parse(&q, no, strlen(no), &a) && (a.verdict == WIRE_NO), a.why);
	CHECK(!strcmp(a.say, "\xe5\x88\xb8: no~"), a.say);
	yes = "1 YES hold=0f voucher=-\n";
	CHECK(_parse(&q, yes, strlen(yes), &a) && !strcmp(a.voucher, WIRE_NOBODYS), a.why);
	wire_begin(&q, "MODIFY", "job", "16_[1-3]");
	CHECK(_parse(&q, modify, strlen(modify), &a) && (a.verdict == WIRE_YES), a.why);
}

static void _bad_answers(void)
{
	const char *bad[] = {
		"\n", "1\n", "1 \n", "1 YES", "1 YES\n", "1 NO\n", "2 YES hold=0f held=1 say=a\n",
		"1 YES hold=0f held=1 say=a", "1 YESS hold=0f held=1 say=a\n",
		"1 MAYBE hold=0f held=1 say=a\n", "1 yes hold=0f held=1 say=a\n",
		"1 YES hold=0f held=1\n1 YES hold=0f held=1\n", "1 YES  hold=0f held=1\n",
		"1 YES hold=0f held=1 \n", "1 YES hold=0f held=1\r\n",
		"1 YES hold=0e held=1\n", "1 YES hold=0 held=1\n", "1 YES hold=0ff held=1\n",
		"1 YES held=1 say=a\n", "1 YES job=0f held=1\n", "1 YES hold=0f say=a\n",
		"1 YES hold=0f held= say=a\n", "1 YES hold=0f held=-1\n",
		"1 YES hold=0f held=1.5\n",
		"1 YES hold=0f held=1e3\n", "1 YES hold=0f held=1000000000000000000\n",
		"1 YES hold=0f hold=0f held=1\n", "1 YES hold=0f held=1 held=2\n",
		"1 YES hold=0f held=1 more=1\n", "1 YES hold=0f held=1 say\n",
		"1 YES hold=0f held=1 =a\n", "1 YES hold=0f held=1 say=a=b\n",
		"1 YES hold=0f held=1 say=%\n", "1 YES hold=0f held=1 say=%4\n",
		"1 YES hold=0f held=1 say=%4g\n", "1 YES hold=0f held=1 say=%e5\n",
		"1 YES hold=0f held=1 say=%00\n", "1 YES hold=0f held=1 say=a%00b\n",
		"1 YES hold=0f held=1 say=%0A\n", "1 YES hold=0f held=1 say=%1B[2J\n",
		"1 YES hold=0f held=1 say=%7F\n", "1 YES hold=0f held=1 say=%C2%9B\n",
		"1 YES hold=0f held=1 say=%80\n", "1 YES hold=0f held=1 say=%C0%8A\n",
		"1 YES hold=0f held=1 say=%E5%88\n", "1 YES hold=0f held=1 say=%ED%A0%80\n",
		"1 YES hold=0f held=1 say=%F5%80%80%80\n",
		"1 YES hold=0f held=1 say=%F4%90%80%80\n",
		"1 YES hold=0f held=1 say=%FF\n", "1 YES hold=0f held=1 say=\t\n",
		"1 NO hold=0f code=low say=\n", "1 NO hold=0f code=low\n",
		"1 YES hold=0f voucher=CD24-0007\n", "1 YES hold=0f voucher=a%20b held=1\n",
		"1 YES hold=0f voucher=%1B held=1\n", "1 YES hold=0f voucher=-",
	};
	struct wire_question q;
	struct wire_answer a;
	char line[WIRE_IN_MAX], *at;

	wire_begin(&q, "HOLD", "hold", "0f");
	CHECK(!_parse(&q, "", 0, &a), "empty");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CHECK(!_parse(&q, bad[i], strlen(bad[i]), &a), bad[i]);
		CHECK((a.verdict == WIRE_NONE) && a.why && *a.why, bad[i]);
	}
	for (int len = WIRE_SAY_MAX; len <= WIRE_SAY_MAX + 1; len++) {
		at = line + sprintf(line, "1 YES hold=0f held=1 say=");
		memset(at, 'x', len);
		at[len] = '\n';
		CHECK(_parse(&q, line, at + len + 1 - line, &a) == (len == WIRE_SAY_MAX), "say");
	}
}

/* Answers broken at random: nothing may crash, nothing unsafe may pass. */
static void _broken_answers(unsigned seed)
{
	static const char good[] = "1 YES hold=0f held=12 say=%E5%88%B8%20a-b\n";
	struct wire_question q;
	struct wire_answer a;
	char line[sizeof(good)];

	wire_begin(&q, "HOLD", "hold", "0f");
	srand(seed);
	for (int round = 0; round < 200000; round++) {
		size_t len = sizeof(good) - 1;

		memcpy(line, good, sizeof(good));
		for (int hits = rand() % 4; hits >= 0; hits--)
			line[rand() % len] = (rand() % 2) ? rand() : good[rand() % len];
		if (!(rand() % 4))
			len = rand() % len;
		if (!_parse(&q, line, len, &a))
			continue;
		for (const char *c = a.say; *c; c++)
			CHECK((unsigned char) *c >= ' ' && *c != 0x7f, a.say);
		CHECK(a.held_micro[0] || (a.verdict == WIRE_NO), line);
	}
}

int main(void)
{
	_names();
	_questions();
	_good_answers();
	_bad_answers();
	_broken_answers(20240701);
	if (!failed)
		printf("test_wire: all so\n");
	return failed;
}
