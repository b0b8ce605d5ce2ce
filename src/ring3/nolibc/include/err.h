#ifndef _NOLIBC_ERR_H
#define _NOLIBC_ERR_H

#include "stdio.h"
#include "errno.h"

NOLIBC_FN NOLIBC_PRINTF(2, 0) void __nolibc_warn(int code, const char *format, va_list ap)
{
	__nolibc_dprintf(2, "%s: ", program_invocation_short_name);
	if (format)
		vfprintf(stderr, format, ap);
	if (code >= 0)
		__nolibc_dprintf(2, "%s%s", format ? ": " : "", strerror(code));
	fputs("\n", stderr);
}

NOLIBC_FN NOLIBC_PRINTF(1, 0) void vwarn(const char *format, va_list ap)
{
	__nolibc_warn(errno, format, ap);
}

NOLIBC_FN NOLIBC_PRINTF(1, 0) void vwarnx(const char *format, va_list ap)
{
	__nolibc_warn(-1, format, ap);
}

NOLIBC_FN NOLIBC_PRINTF(1, 2) void warn(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vwarn(format, ap);
	va_end(ap);
}

NOLIBC_FN NOLIBC_PRINTF(1, 2) void warnx(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vwarnx(format, ap);
	va_end(ap);
}

NOLIBC_FN NOLIBC_PRINTF(2, 0) __attribute__((__noreturn__))
void verr(int status, const char *format, va_list ap)
{
	vwarn(format, ap);
	exit(status);
}

NOLIBC_FN NOLIBC_PRINTF(2, 0) __attribute__((__noreturn__))
void verrx(int status, const char *format, va_list ap)
{
	vwarnx(format, ap);
	exit(status);
}

NOLIBC_FN NOLIBC_PRINTF(2, 3) __attribute__((__noreturn__)) void err(int status, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	verr(status, format, ap);
}

NOLIBC_FN NOLIBC_PRINTF(2, 3) __attribute__((__noreturn__)) void errx(int status, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	verrx(status, format, ap);
}

#endif
