/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The grammar, in full: blanks and tabs separate words; a quote at the beginning
 * of a word makes it run to the next quote; an empty pair of quotes is no word;
 * # and ! outside quotes end the line; there is no escape character.
 */
#include <config.h>

#include "base/lex.h"

#include <stdbool.h>
#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\0';
}

static bool begins_comment(char c)
{
	return c == '#' || c == '!';
}

/* A word that begins with a NUL is as empty as one of no bytes. */
static void add_word(struct lex_words *words, char *word)
{
	words->ends_empty = !*word;
	if (*word)
		words->word[words->count++] = word;
}

/* lex_line() - cut a line into words, in place
 * @line: @len bytes and one more that may be written; no line end in it
 * @words: its array is filled with pointers into @line
 */
enum lex_result lex_line(char *line, size_t len, struct lex_words *words)
{
	char *end = line + len;

	words->count = 0;
	words->ends_empty = false;
	for (char *at = line; at < end; at++) {
		char *word = at;

		if (is_blank(*at))
			continue;
		if (begins_comment(*at))
			return LEX_OK;
		if (*at == '"') {
			word = at + 1;
			at = memchr(word, '"', (size_t)(end - word));
			if (!at)
				return LEX_UNEXPECTED_END;
		} else {
			while (at < end && !is_blank(*at) && !begins_comment(*at) && *at != '"')
				at++;
			if (at < end && *at == '"')
				return LEX_UNEXPECTED_QUOTE;
			if (at < end && begins_comment(*at))
				end = at;
		}
		*at = '\0';
		add_word(words, word);
	}
	return LEX_OK;
}
