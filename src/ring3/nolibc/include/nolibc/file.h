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

/* Writes all of it, over interruptions of long writes too; 0, or -1 with errno. */
NOLIBC_FN int __nolibc_write_all(int fd, const char *data, size_t size)
{
	while (size) {
		long n = __nolibc_ret(__nolibc_call(__NR_write, fd, NOLIBC_P(data), NOLIBC_P(size)));

		if (n < 0)
			return -1;
		data += n;
		size -= n;
	}
	return 0;
}

#endif
