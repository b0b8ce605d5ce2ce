/* Streams: what reads and writes them. */
#ifndef NOLIBC_STREAM_H
#define NOLIBC_STREAM_H

#include "file.h"
#include "format.h"
#include "../fcntl.h"

#define _IOFBF 0
#define _IOLBF 1
#define _IONBF 2

/* What a stream remembers; indexed by file descriptor. */
struct __nolibc_stream_state {
	unsigned char eof, error, pushed;
	unsigned char byte; /* pushed back by ungetc */
	int pid;            /* of popen's child */
};
NOLIBC_BEGIN
NOLIBC_VAR struct __nolibc_stream_state __nolibc_streams[NOLIBC_STREAMS];
NOLIBC_END

NOLIBC_INLINE struct __nolibc_stream_state *__nolibc_state(FILE *stream)
{
	return &__nolibc_streams[__nolibc_fd(stream) & (NOLIBC_STREAMS - 1)];
}

NOLIBC_FN int fileno(FILE *stream)
{
	return __nolibc_fd(stream);
}

NOLIBC_FN int fputs(const char *s, FILE *stream)
{
	return __nolibc_write_all(__nolibc_fd(stream), s, strlen(s));
}

NOLIBC_FN int fputc(int c, FILE *stream)
{
	char byte = (char)c;

	return __nolibc_write_all(__nolibc_fd(stream), &byte, 1) ? EOF : (unsigned char)byte;
}

NOLIBC_FN int putc(int c, FILE *stream)
{
	return fputc(c, stream);
}

NOLIBC_FN int putchar(int c)
{
	return fputc(c, NOLIBC_STREAM(1));
}

NOLIBC_FN int puts(const char *s)
{
	return __nolibc_write_all(1, s, strlen(s)) || __nolibc_write_all(1, "\n", 1) ? EOF : 0;
}

NOLIBC_FN void perror(const char *message)
{
	int code = errno;
	const char *between = message && *message ? ": " : "";

	errno = code;
	__nolibc_dprintf(2, "%s%s%m\n", message ? message : "", between);
}

#endif
