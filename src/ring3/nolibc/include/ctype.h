#ifndef _NOLIBC_CTYPE_H
#define _NOLIBC_CTYPE_H

#include "nolibc/start.h"

/* The "C" locale; unsigned differences make each a single comparison. */
NOLIBC_FN int isascii(int c) { return (unsigned int)c < 128; }
NOLIBC_FN int toascii(int c) { return c & 127; }
NOLIBC_FN int isblank(int c) { return c == ' ' || c == '\t'; }
NOLIBC_FN int iscntrl(int c) { return (unsigned int)c < 32 || c == 127; }
NOLIBC_FN int isdigit(int c) { return (unsigned int)c - '0' < 10; }
NOLIBC_FN int isgraph(int c) { return (unsigned int)c - '!' < 94; }
NOLIBC_FN int islower(int c) { return (unsigned int)c - 'a' < 26; }
NOLIBC_FN int isprint(int c) { return (unsigned int)c - ' ' < 95; }
NOLIBC_FN int isspace(int c) { return c == ' ' || (unsigned int)c - '\t' < 5; }
NOLIBC_FN int isupper(int c) { return (unsigned int)c - 'A' < 26; }
NOLIBC_FN int isalpha(int c) { return ((unsigned int)c | 32) - 'a' < 26; }
NOLIBC_FN int isalnum(int c) { return isalpha(c) || isdigit(c); }
NOLIBC_FN int ispunct(int c) { return isgraph(c) && !isalnum(c); }
NOLIBC_FN int isxdigit(int c) { return isdigit(c) || ((unsigned int)c | 32) - 'a' < 6; }
NOLIBC_FN int tolower(int c) { return isupper(c) ? c + 32 : c; }
NOLIBC_FN int toupper(int c) { return islower(c) ? c - 32 : c; }

#endif
