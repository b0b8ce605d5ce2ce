/* Streams are file descriptors: FILE * is the complement of one, so that none of them needs memory.
 *
 * Nothing is buffered between calls.  What a stream must remember - a character pushed back, the end of
 * the file, an error - lies in a table that only the functions which need it bring along.
 */
#ifndef NOLIBC_FILE_H
#define NOLIBC_FILE_H

#include "sys.h"
#include "types.h"
#include "memory.h"

#define EOF (-1)
#define NOLIBC_STREAMS 256

typedef struct __nolibc_file FILE;

#define NOLIBC_STREAM(fd) ((FILE *)(__INTPTR_TYPE__)~(fd))

NOLIBC_INLINE int __nolibc_fd(FILE *stream)
{
	return (int)~(__INTPTR_TYPE__)stream;
}

/* What a stream remembers; indexed by file descriptor. */
struct __nolibc_stream_state {
	unsigned char eof, error, pushed;
	unsigned char bytes[5]; /* that many of them pushed back, by scanf and ungetc */
	pid_t pid;              /* of popen's child */
};
NOLIBC_BEGIN
NOLIBC_VAR struct __nolibc_stream_state __nolibc_streams[NOLIBC_STREAMS];
NOLIBC_END

/* Constants to the compiler where nothing in the translation unit sets them: what they rule is left out. */
#define NOLIBC_NEVER(x) (__builtin_constant_p(x) && !(x))
/* Set where ferror is called: only there do writes remember their errors. */
static unsigned char __nolibc_wants_errors __attribute__((__unused__));

/* Writes all of it, over interruptions of long writes too; what is left after an error, which is in errno. */
NOLIBC_FN size_t __nolibc_write_all(int fd, const char *data, size_t size)
{
	while (size) {
		long n = __nolibc_ret(__nolibc_call(__NR_write, fd, NOLIBC_P(data), NOLIBC_P(size)));

		if (n < 0) {
			if (!NOLIBC_NEVER(__nolibc_wants_errors) && fd < NOLIBC_STREAMS)
				__nolibc_streams[fd & (NOLIBC_STREAMS - 1)].error = 1;
			break;
		}
		data += n;
		size -= n;
	}
	return size;
}

/* How many whole elements there are in done bytes of n elements: no division, which may be a function. */
NOLIBC_FN size_t __nolibc_elements(size_t done, size_t each, size_t n)
{
	size_t whole = 0;

	if (done == each * n)
		return done ? n : 0;
	for (; done >= each; done -= each)
		whole++;
	return whole;
}

#endif
