/* The functions that compilers call of their own accord, and strlen. */
#ifndef NOLIBC_MEMORY_H
#define NOLIBC_MEMORY_H

#include "compiler.h"
#include "../stddef.h"

NOLIBC_BEGIN
void *memcpy(void *__restrict__ to, const void *__restrict__ from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
int bcmp(const void *a, const void *b, size_t n);

NOLIBC_SHARED(memcpy) void *memcpy(void *__restrict__ to, const void *__restrict__ from, size_t n)
{
	char *out = (char *)to;
	const char *in = (const char *)from;

	while (n--) {
		*out++ = *in++;
		NOLIBC_KEEP_LOOP();
	}
	return to;
}

NOLIBC_SHARED(memmove) void *memmove(void *to, const void *from, size_t n)
{
	char *out = (char *)to;
	const char *in = (const char *)from;

	if ((size_t)(out - in) >= n) {
		while (n--) {
			*out++ = *in++;
			NOLIBC_KEEP_LOOP();
		}
	} else {
		while (n--) {
			out[n] = in[n];
			NOLIBC_KEEP_LOOP();
		}
	}
	return to;
}

NOLIBC_SHARED(memset) void *memset(void *to, int c, size_t n)
{
	char *out = (char *)to;

	while (n--) {
		*out++ = (char)c;
		NOLIBC_KEEP_LOOP();
	}
	return to;
}

NOLIBC_SHARED(memcmp) int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = (const unsigned char *)a, *y = (const unsigned char *)b;
	int order = 0;

	while (n-- && !(order = *x++ - *y++))
		NOLIBC_KEEP_LOOP();
	return order;
}

/* What LLVM makes of a memcmp whose sign does not matter. */
NOLIBC_SHARED(bcmp) int bcmp(const void *a, const void *b, size_t n)
{
	return memcmp(a, b, n);
}
NOLIBC_END

NOLIBC_FN size_t __nolibc_strlen(const char *s)
{
	size_t n = 0;

	while (s[n]) {
		n++;
		NOLIBC_KEEP_LOOP();
	}
	return n;
}

/* The length of a literal is known to the compiler. */
NOLIBC_INLINE size_t strlen(const char *s)
{
	return __builtin_constant_p(__builtin_strlen(s)) ? __builtin_strlen(s) : __nolibc_strlen(s);
}

#endif
