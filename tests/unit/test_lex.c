/* SPDX-License-Identifier: GPL-3.0-or-later */
/* base/lex: the grammar of the text protocol */
#include <config.h>

#include "base/lex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

struct lexed {
	char *line;
	struct lex_words words;
	enum lex_result result;
};

/* In memory without slack, so that a sanitizer sees every byte too far. */
static struct lexed lex(const char *text, size_t len)
{
	struct lexed lexed = { .line = malloc(len + 1) };

	lexed.words.word = malloc(LEX_WORDS_MAX(len) * sizeof(char *));
	assert_non_null(lexed.line);
	assert_non_null(lexed.words.word);
	/* cppcheck-suppress uninitvar ; len bytes of it are set */
	memcpy(lexed.line, text, len);
	lexed.line[len] = '\0';
	lexed.result = lex_line(lexed.line, len, &lexed.words);
	return lexed;
}

static void lexed_free(struct lexed *lexed)
{
	free(lexed->words.word);
	free(lexed->line);
}

/* The words, each behind a |. */
static void join(const struct lexed *lexed, char *text, size_t room)
{
	*text = '\0';
	for (size_t i = 0; i < lexed->words.count; i++) {
		assert_true(strlen(text) + strlen(lexed->words.word[i]) + 2 < room);
		strcat(text, "|");
		strcat(text, lexed->words.word[i]);
	}
}

#define BAD_QUOTE "unexpected quote"
#define BAD_END "unexpected end"

static void words_and_errors(void **state)
{
	static const struct {
		const char *line, *want;
		bool ends_empty;
	} rows[] = {
		/* blanks */
		{ "", "", false },
		{ " \t ", "", false },
		{ "a", "|a", false },
		{ "a b", "|a|b", false },
		{ "  a \t b\t", "|a|b", false },
		{ "bridge add_nio_udp b 1 ::1 2", "|bridge|add_nio_udp|b|1|::1|2", false },
		/* quotes */
		{ "\"a b\"", "|a b", false },
		{ "\"a\tb\" c", "|a\tb|c", false },
		{ "\"#a !b\"", "|#a !b", false },
		{ "\"a\"b", "|a|b", false },
		{ "\"a\"\"b\"", "|a|b", false },
		{ "\"a\"#b", "|a", false },
		{ "\"bridge\" \"list\"", "|bridge|list", false },
		{ "\" \"", "| ", false },
		{ "it's 'a b'", "|it's|'a|b'", false },
		/* no escape character */
		{ "\"a\\\" b", "|a\\|b", false },
		{ "a\\ b", "|a\\|b", false },
		{ "\\", "|\\", false },
		/* an empty pair of quotes is no word */
		{ "\"\"", "", true },
		{ "a \"\"", "|a", true },
		{ "a \"\" b", "|a|b", false },
		{ "\"\"a", "|a", false },
		{ "a \"\"\"\"", "|a", true },
		{ "a \"\" \t", "|a", true },
		{ "a \"\" # b", "|a", true },
		{ "a \"\" \"b\"", "|a|b", false },
		/* comments */
		{ "# a", "", false },
		{ "! a", "", false },
		{ "a # b", "|a", false },
		{ "a#b c", "|a", false },
		{ "a!b c", "|a", false },
		{ "br#0", "|br", false },
		{ "a #\"", "|a", false },
		{ "a#\"", "|a", false },
		{ "a ##!", "|a", false },
		/* errors */
		{ "a\"", BAD_QUOTE, false },
		{ "a b\"c\"", BAD_QUOTE, false },
		{ "a\"b", BAD_QUOTE, false },
		{ "\"a\"b\"", BAD_QUOTE, false },
		{ "\"", BAD_END, false },
		{ "\"a", BAD_END, false },
		{ "a \"b # c", BAD_END, false },
		{ "\"a\" \"", BAD_END, false },
		{ "\"\"\"", BAD_END, false },
		{ "\"a b\\", BAD_END, false },
		/* bytes that mean nothing here */
		{ "\xc3\xa4 \xff\x80", "|\xc3\xa4|\xff\x80", false },
		{ "%s%n 100%", "|%s%n|100%", false },
		{ "a\x01\x7f", "|a\x01\x7f", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct lexed lexed = lex(rows[i].line, strlen(rows[i].line));
		char text[100];

		print_message("<%s>\n", rows[i].line);
		if (!strcmp(rows[i].want, BAD_QUOTE)) {
			assert_int_equal(lexed.result, LEX_UNEXPECTED_QUOTE);
		} else if (!strcmp(rows[i].want, BAD_END)) {
			assert_int_equal(lexed.result, LEX_UNEXPECTED_END);
		} else {
			assert_int_equal(lexed.result, LEX_OK);
			join(&lexed, text, sizeof(text));
			assert_string_equal(text, rows[i].want);
			assert_int_equal(lexed.words.ends_empty, rows[i].ends_empty);
		}
		lexed_free(&lexed);
	}
}

static void nul_bytes_separate_words(void **state)
{
	struct lexed lexed = lex("a\0b\0\0c", 6);
	char text[100];

	(void)state;
	assert_int_equal(lexed.result, LEX_OK);
	join(&lexed, text, sizeof(text));
	assert_string_equal(text, "|a|b|c");
	lexed_free(&lexed);
}

static void any_number_of_words(void **state)
{
	enum { WORDS = 30000 };
	char *line = malloc(2 * WORDS);
	struct lexed lexed;

	(void)state;
	for (size_t i = 0; i < WORDS; i++)
		memcpy(line + 2 * i, "x ", 2);
	lexed = lex(line, 2 * WORDS - 1);
	assert_int_equal(lexed.words.count, WORDS);
	assert_true(lexed.words.count <= LEX_WORDS_MAX(2 * WORDS - 1));
	lexed_free(&lexed);
	memset(line, 'x', 2 * WORDS);
	lexed = lex(line, 2 * WORDS);
	assert_int_equal(lexed.words.count, 1);
	assert_int_equal(strlen(lexed.words.word[0]), 2 * WORDS);
	lexed_free(&lexed);
	free(line);
}

/* Whatever a line holds, its words lie in it, one behind the other, none empty. */
static void random_lines(void **state)
{
	static const char bytes[] = { 'a', 'b', ' ',  '\t', '"',  '"',
				      '#', '!', '\\', '\'', '\0', -1 };
	struct rng rng;

	(void)state;
	rng_seed(&rng, 1, 0);
	for (unsigned round = 0; round < 100000; round++) {
		size_t len = rng_next(&rng) % 24;
		struct lexed lexed;
		char text[24], *at;

		for (size_t i = 0; i < len; i++)
			text[i] = bytes[rng_next(&rng) % COUNT(bytes)];
		lexed = lex(text, len);
		at = lexed.line;
		assert_true(lexed.words.count <= LEX_WORDS_MAX(len));
		for (size_t i = 0; i < lexed.words.count; i++) {
			assert_true(lexed.words.word[i] >= at);
			assert_true(*lexed.words.word[i]);
			at = lexed.words.word[i] + strlen(lexed.words.word[i]) + 1;
			assert_true(at <= lexed.line + len + 1);
		}
		lexed_free(&lexed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_and_errors),
		cmocka_unit_test(nul_bytes_separate_words),
		cmocka_unit_test(any_number_of_words),
		cmocka_unit_test(random_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
