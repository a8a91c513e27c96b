/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a line of the text protocol to words. */
#ifndef BASE_LEX_H
#define BASE_LEX_H

#include <stdbool.h>
#include <stddef.h>

enum lex_result { LEX_OK, LEX_UNEXPECTED_QUOTE, LEX_UNEXPECTED_END };

/* The most words that a line of @len bytes can have. */
#define LEX_WORDS_MAX(len) ((len) / 2 + 1)

struct lex_words {
	char **word;		/* room for LEX_WORDS_MAX() of them */
	size_t count;
	bool ends_empty;	/* an empty pair of quotes stood behind the last word */
};

enum lex_result lex_line(char *line, size_t len, struct lex_words *words);

#endif
