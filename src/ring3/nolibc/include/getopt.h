#ifndef _NOLIBC_GETOPT_H
#define _NOLIBC_GETOPT_H

#include "nolibc/format.h"

NOLIBC_BEGIN
NOLIBC_VAR char *optarg;
NOLIBC_VAR int optind = 1;
NOLIBC_VAR int opterr = 1;
NOLIBC_VAR int optopt;
NOLIBC_VAR int __nolibc_optpos;
NOLIBC_END

/* POSIX's: stops at the first operand; a colon first in options asks for ':' in place of messages. */
NOLIBC_FN int getopt(int argc, char *const *argv, const char *options)
{
	const char *word, *found;
	int silent, c;

	if (!optind) {
		optind = 1;
		__nolibc_optpos = 0;
	}
	if (*options == '+' || *options == '-')
		options++;
	silent = *options == ':';
	if (!__nolibc_optpos) {
		if (optind >= argc || !(word = argv[optind]) || *word != '-' || !word[1])
			return -1;
		__nolibc_optpos = 1;
		if (word[1] == '-' && !word[2]) {
			optind++;
			__nolibc_optpos = 0;
			return -1;
		}
	}
	word = argv[optind];
	optopt = c = word[__nolibc_optpos++];
	found = c == ':' ? 0 : __nolibc_strchr(options + silent, c);
	optarg = 0;
	if (found && found[1] == ':') {
		optind++;
		if (word[__nolibc_optpos])
			optarg = (char *)word + __nolibc_optpos;
		else if (found[2] != ':' && !(optarg = optind < argc ? argv[optind++] : 0)) {
			__nolibc_optpos = 0;
			if (silent)
				return ':';
			if (opterr)
				__nolibc_dprintf(2, "%s: option requires an argument -- '%c'\n", argv[0], c);
			return '?';
		}
		__nolibc_optpos = 0;
		return c;
	}
	if (!word[__nolibc_optpos]) {
		optind++;
		__nolibc_optpos = 0;
	}
	if (found)
		return c;
	if (!silent && opterr)
		__nolibc_dprintf(2, "%s: unrecognized option -- '%c'\n", argv[0], c);
	return '?';
}

#define no_argument 0
#define required_argument 1
#define optional_argument 2

struct option {
	const char *name;
	int has_arg;
	int *flag;
	int val;
};

/* The entry that the first n characters of word name: exactly, or as a prefix of that one alone (-2: of
 * several, -1: of none). */
NOLIBC_FN int __nolibc_long_option(const char *word, size_t n, const struct option *options)
{
	int at, found = -1;

	for (at = 0; options[at].name; at++) {
		if (strncmp(options[at].name, word, n))
			continue;
		if (!options[at].name[n])
			return at;
		/* Several that mean the same are no choice. */
		if (found == -1)
			found = at;
		else if (found < 0 || options[at].has_arg != options[found].has_arg ||
			 options[at].flag != options[found].flag || options[at].val != options[found].val)
			found = -2;
	}
	return found;
}

/* GNU's: operands may stand between options, and are moved behind them; "+" first in options, or
 * POSIXLY_CORRECT, stops at the first, "-" first hands each over as the argument of option 1. */
NOLIBC_FN int __nolibc_getopt_long(int argc, char *const *args, const char *options,
				   const struct option *longs, int *which, int alone)
{
	char **argv = (char **)args; /* what GNU's does too: it permutes */
	const struct option *one;
	int skipped = 0, silent, at, dashes, start;
	const char *word;
	size_t n;

	if (!optind) {
		optind = 1;
		__nolibc_optpos = 0;
	}
	silent = options[*options == '+' || *options == '-'] == ':';
	if (__nolibc_optpos)
		return getopt(argc, args, options);
	start = optind;
	while (optind < argc && (argv[optind][0] != '-' || !argv[optind][1])) {
		if (*options == '-') {
			optarg = argv[optind++];
			return 1;
		}
		if (*options == '+')
			return -1;
		optind++;
		skipped++;
	}
	if (optind >= argc) {
		optind = start;
		return -1;
	}
	word = argv[optind];
	dashes = word[1] == '-' ? 2 : 1;
	if (skipped) {
		/* Bring the option, and what may be its argument, before the operands, then go on there. */
		int end = optind + 1, result, taken, move;

		optind = end - 1;
		result = __nolibc_getopt_long(argc, args, options, longs, which, alone);
		taken = optind > end - 1 ? optind - (end - 1) : 1;
		for (move = 0; move < taken; move++) {
			char *moved = argv[end - 1 + move];

			for (at = end - 1 + move; at > start + move; at--)
				argv[at] = argv[at - 1];
			argv[start + move] = moved;
		}
		optind = __nolibc_optpos ? start : start + taken;
		return result;
	}
	if (dashes == 2 && !word[2]) {
		optind++;
		return -1;
	}
	if (dashes == 1 && !alone)
		return getopt(argc, args, options);
	word += dashes;
	for (n = 0; word[n] && word[n] != '='; n++)
		;
	at = __nolibc_long_option(word, n, longs);
	if (at < 0 && dashes == 1 && __nolibc_strchr(options, *word))
		return getopt(argc, args, options);
	optind++;
	optopt = 0;
	if (at < 0) {
		if (opterr && !silent)
			__nolibc_dprintf(2, "%s: %s option '%s%s'\n", argv[0],
					 at == -1 ? "unrecognized" : "ambiguous", dashes == 2 ? "--" : "-", word);
		return '?';
	}
	one = &longs[at];
	optarg = word[n] ? (char *)word + n + 1 : 0;
	if (optarg && one->has_arg == no_argument) {
		if (opterr && !silent)
			__nolibc_dprintf(2, "%s: option '--%s' doesn't allow an argument\n", argv[0], one->name);
		optopt = one->val;
		return '?';
	}
	if (!optarg && one->has_arg == required_argument) {
		if (optind >= argc) {
			if (opterr && !silent)
				__nolibc_dprintf(2, "%s: option '--%s' requires an argument\n", argv[0],
						 one->name);
			optopt = one->val;
			return silent ? ':' : '?';
		}
		optarg = argv[optind++];
	}
	if (which)
		*which = at;
	if (!one->flag)
		return one->val;
	*one->flag = one->val;
	return 0;
}

NOLIBC_FN int getopt_long(int argc, char *const *argv, const char *options, const struct option *longs,
			  int *which)
{
	return __nolibc_getopt_long(argc, argv, options, longs, which, 0);
}

NOLIBC_FN int getopt_long_only(int argc, char *const *argv, const char *options,
			       const struct option *longs, int *which)
{
	return __nolibc_getopt_long(argc, argv, options, longs, which, 1);
}

#endif
