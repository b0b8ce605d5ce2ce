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

#endif
