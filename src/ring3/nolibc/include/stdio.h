#ifndef _NOLIBC_STDIO_H
#define _NOLIBC_STDIO_H

#include "nolibc/file.h"
#include "nolibc/format.h"
#include "nolibc/stream.h"
#include "nolibc/scan.h"

#define stdin NOLIBC_STREAM(0)
#define stdout NOLIBC_STREAM(1)
#define stderr NOLIBC_STREAM(2)
#define BUFSIZ 1024
#define FILENAME_MAX 4096
#define FOPEN_MAX NOLIBC_STREAMS
#define L_tmpnam 20
#define P_tmpdir "/tmp"
#ifndef SEEK_SET
#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2
#endif

NOLIBC_FN int printf(const char *format, ...) NOLIBC_OWN(printf);
NOLIBC_FN int dprintf(int fd, const char *format, ...) NOLIBC_OWN(dprintf);
NOLIBC_FN int fprintf(FILE *stream, const char *format, ...) NOLIBC_OWN(fprintf);
NOLIBC_FN int snprintf(char *to, size_t size, const char *format, ...) NOLIBC_OWN(snprintf);
NOLIBC_FN int sprintf(char *to, const char *format, ...) NOLIBC_OWN(sprintf);
NOLIBC_FN int vsnprintf(char *to, size_t size, const char *format, va_list ap) NOLIBC_OWN(vsnprintf);
NOLIBC_FN int vsprintf(char *to, const char *format, va_list ap) NOLIBC_OWN(vsprintf);

NOLIBC_FN NOLIBC_PRINTF(1, 0) int vprintf(const char *format, va_list ap)
{
	NOLIBC_WANT_ALL();
	return __nolibc_vdprintf(1, format, ap);
}

NOLIBC_FN NOLIBC_PRINTF(2, 0) int vdprintf(int fd, const char *format, va_list ap)
{
	NOLIBC_WANT_ALL();
	return __nolibc_vdprintf(fd, format, ap);
}

NOLIBC_FN NOLIBC_PRINTF(2, 0) int vfprintf(FILE *stream, const char *format, va_list ap)
{
	NOLIBC_WANT_ALL();
	return __nolibc_vdprintf(__nolibc_fd(stream), format, ap);
}

NOLIBC_FN NOLIBC_PRINTF(3, 0)
int vsnprintf(char *to, size_t size, const char *format, va_list ap)
{
	NOLIBC_WANT_ALL();
	return __nolibc_vsnprintf(to, size, format, ap);
}

NOLIBC_FN NOLIBC_PRINTF(2, 0) int vsprintf(char *to, const char *format, va_list ap)
{
	return vsnprintf(to, NOLIBC_NO_LIMIT(to), format, ap);
}

/* Calls go by the macros of format_needs.h to the functions called __nolibc_; a pointer to one of the
 * functions proper may be handed any format. */
#define NOLIBC_FORWARD(call)                                                                     \
	va_list ap;                                                                              \
	int n;                                                                                   \
                                                                                                 \
	va_start(ap, format);                                                                    \
	n = call;                                                                                \
	va_end(ap);                                                                              \
	return n

NOLIBC_FN NOLIBC_PRINTF(1, 2) int __nolibc_printf(const char *format, ...)
{
	NOLIBC_FORWARD(__nolibc_vdprintf(1, format, ap));
}

NOLIBC_FN NOLIBC_PRINTF(1, 2) int printf(const char *format, ...)
{
	NOLIBC_FORWARD(vprintf(format, ap));
}

NOLIBC_FN NOLIBC_PRINTF(2, 3) int dprintf(int fd, const char *format, ...)
{
	NOLIBC_FORWARD(vdprintf(fd, format, ap));
}

NOLIBC_FN NOLIBC_PRINTF(2, 3) int __nolibc_fprintf(FILE *stream, const char *format, ...)
{
	NOLIBC_FORWARD(__nolibc_vdprintf(__nolibc_fd(stream), format, ap));
}

NOLIBC_FN NOLIBC_PRINTF(2, 3) int fprintf(FILE *stream, const char *format, ...)
{
	NOLIBC_FORWARD(vfprintf(stream, format, ap));
}

NOLIBC_FN NOLIBC_PRINTF(3, 4)
int __nolibc_snprintf(char *to, size_t size, const char *format, ...)
{
	NOLIBC_FORWARD(__nolibc_vsnprintf(to, size, format, ap));
}

NOLIBC_FN NOLIBC_PRINTF(3, 4) int snprintf(char *to, size_t size, const char *format, ...)
{
	NOLIBC_FORWARD(vsnprintf(to, size, format, ap));
}

NOLIBC_FN NOLIBC_PRINTF(2, 3) int __nolibc_sprintf(char *to, const char *format, ...)
{
	NOLIBC_FORWARD(__nolibc_vsnprintf(to, NOLIBC_NO_LIMIT(to), format, ap));
}

NOLIBC_FN NOLIBC_PRINTF(2, 3) int sprintf(char *to, const char *format, ...)
{
	NOLIBC_FORWARD(vsprintf(to, format, ap));
}

NOLIBC_FN int __nolibc_vasprintf(char **to, const char *format, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = __nolibc_vsnprintf(NULL, 0, format, again);
	va_end(again);
	*to = (char *)malloc((size_t)n + 1);
	return *to ? __nolibc_vsnprintf(*to, (size_t)n + 1, format, ap) : -1;
}

NOLIBC_FN NOLIBC_PRINTF(2, 0) int vasprintf(char **to, const char *format, va_list ap)
{
	NOLIBC_WANT_ALL();
	return __nolibc_vasprintf(to, format, ap);
}

NOLIBC_FN NOLIBC_PRINTF(2, 3) int __nolibc_asprintf(char **to, const char *format, ...)
{
	NOLIBC_FORWARD(__nolibc_vasprintf(to, format, ap));
}

NOLIBC_FN NOLIBC_PRINTF(2, 3) int asprintf(char **to, const char *format, ...)
{
	NOLIBC_FORWARD(vasprintf(to, format, ap));
}

#include "nolibc/format_needs.h"
#include "nolibc/process.h"

/* Spelt as in linux/fs.h, which may come after. */
#define RENAME_NOREPLACE (1 << 0)
#define RENAME_EXCHANGE (1 << 1)
#define RENAME_WHITEOUT (1 << 2)

#endif
