#ifndef _NOLIBC_ERROR_H
#define _NOLIBC_ERROR_H

#include "stdio.h"
#include "errno.h"

/* GNU's: a message of the program, of a code when it is not 0, the end when status is not 0. */
NOLIBC_FN NOLIBC_PRINTF(3, 4) void error(int status, int code, const char *format, ...)
{
	va_list ap;

	__nolibc_dprintf(2, "%s: ", program_invocation_name);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	if (code)
		__nolibc_dprintf(2, ": %s", strerror(code));
	fputs("\n", stderr);
	if (status)
		exit(status);
}

#endif
