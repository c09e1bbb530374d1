// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_wire.c - answers that nobody would think of, by libFuzzer
 *
 *	make fuzz; build/fuzz_wire -max_total_time=600 corpus
 *
 * Built WITHOUT_FUZZER it goes over the files it is given, with any compiler.
 * The first byte chooses the question. Whatever comes: nothing is read or
 * written out of bounds, and what is taken for an answer is safe to show, to
 * write into AdminComment, and to the question that was asked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

static void _must(bool so)
{
	if (!so)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct { const char *verb, *key, *id; } asked[] = {
		{ "HOLD", "hold", "0123456789abcdef0123456789abcdef" },
		{ "MODIFY", "job", "16_[1-3]" }, { "DROP", "hold", "0f" },
	};
	struct wire_question q;
	struct wire_answer a;
	char *line, *text;
	unsigned which;

	if (!size)
		return 0;
	which = data[0] % 3;
	wire_begin(&q, asked[which].verb, asked[which].key, asked[which].id);
	line = malloc(size - 1);	/* exactly as long as it is, so that ASan sees its end */
	memcpy(line, data + 1, size - 1);
	if (wire_parse(&q, line, size - 1, &a)) {
		_must((a.verdict == WIRE_YES) || (a.verdict == WIRE_NO));
		_must(memchr(line, '\n', size - 1) == line + size - 2);
		_must(!a.voucher[0] || wire_name_ok(a.voucher));
		_must(a.held_micro[strspn(a.held_micro, "0123456789")] == '\0');
		_must(strlen(a.say) <= WIRE_SAY_MAX);
		for (const char *c = a.say; *c; c++)
			_must(((unsigned char) *c >= ' ') && (*c != 0x7f));
	} else {
		_must((a.verdict == WIRE_NONE) && a.why);
	}
	/* What goes out: any text becomes one line that ends, or is not sent. */
	wire_begin(&q, "HOLD", "hold", "0f");
	text = strndup(line, size - 1);
	wire_put_text(&q, "features", text);
	if (wire_end(&q))
		_must(memchr(q.line, '\n', q.len) == q.line + q.len - 1);
	free(line);
	free(text);
	return 0;
}

#ifdef WITHOUT_FUZZER
int main(int argc, char **argv)
{
	static uint8_t data[1 << 16];

	for (int i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "rb");

		_must(file != NULL);
		LLVMFuzzerTestOneInput(data, fread(data, 1, sizeof(data), file));
		fclose(file);
	}
	return 0;
}
#endif
