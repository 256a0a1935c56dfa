/* How far a long verb is: a bar on a terminal, plain lines elsewhere. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Begins; `doing` is the participle shown ("imported"). Quiet: shows nothing. */
void cli_progress_begin(const char *doing, bool quiet);
/* Shows how many pairs are done; `position` of `total` (0: not known) is for the bar. Call it often. */
void cli_progress_show(uint64_t pairs, uint64_t position, uint64_t total);
/* Whether there is a bar, which is better with a total. */
bool cli_progress_is_bar(void);
/* Takes the bar off the terminal before something else is said. */
void cli_progress_clear(void);
/* "imported 7,910 pairs in 0.12 s". */
void cli_progress_summary(uint64_t pairs, char *text, size_t capacity);
/* A number with commas. */
#define CLI_NUMBER_MAX 32
const char *cli_number(uint64_t number, char text[CLI_NUMBER_MAX]);
/* The same of pairs: "1 pair", "2,000 pairs". */
#define CLI_PAIRS_MAX 40
const char *cli_pairs(uint64_t number, char text[CLI_PAIRS_MAX]);

#endif
