/* Streams: what opens, reads and writes them. */
#ifndef NOLIBC_STREAM_H
#define NOLIBC_STREAM_H

#include "file.h"
#include "format.h"
#include "malloc.h"
#include "../fcntl.h"
#include "../unistd.h"

#define _IOFBF 0
#define _IOLBF 1
#define _IONBF 2
typedef off_t fpos_t;

NOLIBC_INLINE struct __nolibc_stream_state *__nolibc_state(FILE *stream)
{
	return &__nolibc_streams[__nolibc_fd(stream) & (NOLIBC_STREAMS - 1)];
}

NOLIBC_FN int fputs(const char *s, FILE *stream) NOLIBC_OWN(fputs);
NOLIBC_FN int fputc(int c, FILE *stream) NOLIBC_OWN(fputc);
NOLIBC_FN int putc(int c, FILE *stream) NOLIBC_OWN(putc);
NOLIBC_FN int putchar(int c) NOLIBC_OWN(putchar);
NOLIBC_FN int puts(const char *s) NOLIBC_OWN(puts);
NOLIBC_FN size_t fwrite(const void *from, size_t each, size_t n, FILE *stream) NOLIBC_OWN(fwrite);
NOLIBC_FN size_t fread(void *to, size_t each, size_t n, FILE *stream) NOLIBC_OWN(fread);
NOLIBC_FN int fclose(FILE *stream) NOLIBC_OWN(fclose);
NOLIBC_FN void perror(const char *message) NOLIBC_OWN(perror);
NOLIBC_FN int fgetc(FILE *stream) NOLIBC_OWN(fgetc);
NOLIBC_FN int ungetc(int c, FILE *stream) NOLIBC_OWN(ungetc);

NOLIBC_FN int fileno(FILE *stream)
{
	return __nolibc_fd(stream);
}

/* open()'s flags for fopen's mode; -1 for none that there is. */
NOLIBC_FN int __nolibc_mode(const char *mode)
{
	int flags;

	if (*mode == 'r')
		flags = O_RDONLY;
	else if (*mode == 'w')
		flags = O_WRONLY | O_CREAT | O_TRUNC;
	else if (*mode == 'a')
		flags = O_WRONLY | O_CREAT | O_APPEND;
	else
		return -1;
	while (*++mode) {
		if (*mode == '+')
			flags = (flags & ~O_ACCMODE) | O_RDWR;
		else if (*mode == 'e')
			flags |= O_CLOEXEC;
		else if (*mode == 'x')
			flags |= O_EXCL;
	}
	return flags;
}

NOLIBC_FN FILE *fdopen(int fd, const char *mode)
{
	int old;

	if (__nolibc_mode(mode) < 0) {
		NOLIBC_SET_ERRNO(EINVAL);
		return NULL;
	}
	old = fcntl(fd, F_GETFL);
	if (old < 0)
		return NULL;
	if (*mode == 'a' && !(old & O_APPEND))
		fcntl(fd, F_SETFL, old | O_APPEND);
	if (fd >= NOLIBC_STREAMS) {
		NOLIBC_SET_ERRNO(EMFILE);
		return NULL;
	}
	memset(&__nolibc_streams[fd], 0, sizeof(__nolibc_streams[fd]));
	return NOLIBC_STREAM(fd);
}

NOLIBC_FN FILE *fopen(const char *path, const char *mode)
{
	int flags = __nolibc_mode(mode), fd;
	FILE *made;

	if (flags < 0) {
		NOLIBC_SET_ERRNO(EINVAL);
		return NULL;
	}
	fd = open(path, flags, 0666);
	if (fd < 0)
		return NULL;
	made = fdopen(fd, mode);
	if (!made)
		close(fd);
	return made;
}

NOLIBC_FN int fclose(FILE *stream)
{
	return close(__nolibc_fd(stream)) ? EOF : 0;
}

NOLIBC_FN FILE *freopen(const char *path, const char *mode, FILE *stream)
{
	FILE *made = fopen(path, mode);
	int fd = __nolibc_fd(stream);

	if (!made || made == stream)
		return made;
	if (dup2(__nolibc_fd(made), fd) < 0)
		return NULL;
	fclose(made);
	memset(__nolibc_state(stream), 0, sizeof(*__nolibc_state(stream)));
	return stream;
}

NOLIBC_FN int fflush(FILE *stream)
{
	(void)stream;
	return 0;
}

NOLIBC_FN int setvbuf(FILE *stream, char *buf, int mode, size_t size)
{
	(void)stream;
	(void)buf;
	(void)size;
	return mode < _IOFBF || mode > _IONBF;
}

NOLIBC_FN void setbuf(FILE *stream, char *buf)
{
	(void)stream;
	(void)buf;
}

NOLIBC_FN void setbuffer(FILE *stream, char *buf, size_t size)
{
	(void)stream;
	(void)buf;
	(void)size;
}

NOLIBC_FN void setlinebuf(FILE *stream)
{
	(void)stream;
}

NOLIBC_FN int fputs(const char *s, FILE *stream)
{
	return __nolibc_write_all(__nolibc_fd(stream), s, strlen(s)) ? EOF : 0;
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

NOLIBC_FN size_t fwrite(const void *from, size_t each, size_t n, FILE *stream)
{
	size_t size = each * n;

	size -= __nolibc_write_all(__nolibc_fd(stream), (const char *)from, size);
	return __nolibc_elements(size, each, n);
}

/* Up to size bytes; fewer at the end of the file or after an error, which the stream remembers. */
NOLIBC_FN size_t __nolibc_read_all(FILE *stream, char *to, size_t size)
{
	struct __nolibc_stream_state *state = __nolibc_state(stream);
	size_t left = size;

	for (; left && state->pushed; left--)
		*to++ = (char)state->bytes[--state->pushed];
	while (left) {
		ssize_t n = read(__nolibc_fd(stream), to, left);

		if (n <= 0) {
			state->eof |= !n;
			state->error |= n < 0;
			break;
		}
		to += n;
		left -= (size_t)n;
	}
	return size - left;
}

NOLIBC_FN size_t fread(void *to, size_t each, size_t n, FILE *stream)
{
	return __nolibc_elements(__nolibc_read_all(stream, (char *)to, each * n), each, n);
}

NOLIBC_FN int fgetc(FILE *stream)
{
	char byte;

	return __nolibc_read_all(stream, &byte, 1) ? (unsigned char)byte : EOF;
}

NOLIBC_FN int getc(FILE *stream)
{
	return fgetc(stream);
}

NOLIBC_FN int getchar(void)
{
	return fgetc(NOLIBC_STREAM(0));
}

NOLIBC_FN int ungetc(int c, FILE *stream)
{
	struct __nolibc_stream_state *state = __nolibc_state(stream);

	if (c == EOF || state->pushed == sizeof(state->bytes))
		return EOF;
	state->eof = 0;
	return state->bytes[state->pushed++] = (unsigned char)c;
}

NOLIBC_FN char *fgets(char *to, int size, FILE *stream)
{
	int n = 0, c = 0;

	while (n < size - 1 && c != '\n' && (c = fgetc(stream)) != EOF)
		to[n++] = (char)c;
	if (!n && size != 1)
		return NULL;
	to[n] = 0;
	return to;
}

/* Lines and what ends like them; the buffer grows as it must. */
NOLIBC_FN ssize_t getdelim(char **to, size_t *size, int end, FILE *stream)
{
	size_t n = 0;
	int c;

	if (!to || !size) {
		NOLIBC_SET_ERRNO(EINVAL);
		return -1;
	}
	do {
		c = fgetc(stream);
		if (c == EOF)
			break;
		if (!*to || n + 2 > *size) {
			size_t more = *size < 64 ? 128 : *size * 2;
			char *made = (char *)realloc(*to, more);

			if (!made)
				return -1;
			*to = made;
			*size = more;
		}
		(*to)[n++] = (char)c;
	} while (c != end);
	if (!n)
		return -1;
	(*to)[n] = 0;
	return (ssize_t)n;
}

NOLIBC_FN ssize_t getline(char **to, size_t *size, FILE *stream)
{
	return getdelim(to, size, '\n', stream);
}

NOLIBC_FN int feof(FILE *stream)
{
	return __nolibc_state(stream)->eof;
}

NOLIBC_FN int ferror(FILE *stream)
{
	__nolibc_wants_errors = 1;
	return __nolibc_state(stream)->error;
}

NOLIBC_FN void clearerr(FILE *stream)
{
	__nolibc_state(stream)->eof = __nolibc_state(stream)->error = 0;
}

NOLIBC_FN int fseeko(FILE *stream, off_t offset, int whence)
{
	struct __nolibc_stream_state *state = __nolibc_state(stream);

	if (whence == SEEK_CUR)
		offset -= state->pushed;
	if (lseek(__nolibc_fd(stream), offset, whence) < 0)
		return -1;
	state->pushed = state->eof = 0;
	return 0;
}

NOLIBC_FN int fseek(FILE *stream, long offset, int whence)
{
	return fseeko(stream, offset, whence);
}

NOLIBC_FN off_t ftello(FILE *stream)
{
	off_t at = lseek(__nolibc_fd(stream), 0, SEEK_CUR);

	return at < 0 ? at : at - __nolibc_state(stream)->pushed;
}

NOLIBC_FN long ftell(FILE *stream)
{
	return (long)ftello(stream);
}

NOLIBC_FN void rewind(FILE *stream)
{
	fseeko(stream, 0, SEEK_SET);
	clearerr(stream);
}

NOLIBC_FN int fgetpos(FILE *stream, fpos_t *to)
{
	*to = ftello(stream);
	return *to < 0 ? -1 : 0;
}

NOLIBC_FN int fsetpos(FILE *stream, const fpos_t *from)
{
	return fseeko(stream, *from, SEEK_SET);
}

NOLIBC_FN void perror(const char *message)
{
	int code = errno;
	const char *between = message && *message ? ": " : "";

	__nolibc_dprintf(2, "%s%serrno=%d\n", message ? message : "", between, code);
}

#endif
