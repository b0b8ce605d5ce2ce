/* malloc: powers of two from free lists, larger blocks straight from the kernel. */
#ifndef NOLIBC_MALLOC_H
#define NOLIBC_MALLOC_H

#include "memory.h"
#include "types.h"
#include "lock.h"
#include "../sys/mman.h"

/* Before each block; its size keeps blocks aligned for every type. */
union __nolibc_block {
	struct {
		union __nolibc_block *next; /* while it is free */
		size_t size;                /* of the whole block, this header included */
	} head;
	char align[16];
};

enum {
	NOLIBC_CLASSES = 12,     /* 32 bytes to 64 KiB */
	NOLIBC_CHUNK = 1 << 17   /* taken from the kernel at a time */
};

NOLIBC_BEGIN
NOLIBC_VAR union __nolibc_block *__nolibc_free[NOLIBC_CLASSES];
NOLIBC_VAR char *__nolibc_chunk;
NOLIBC_VAR size_t __nolibc_chunk_left;
#if NOLIBC_THREADS
NOLIBC_VAR int __nolibc_heap;
#define NOLIBC_HEAP_LOCK() __nolibc_lock(&__nolibc_heap)
#define NOLIBC_HEAP_UNLOCK() __nolibc_unlock(&__nolibc_heap)
#else
#define NOLIBC_HEAP_LOCK() ((void)0)
#define NOLIBC_HEAP_UNLOCK() ((void)0)
#endif
NOLIBC_END

/* Under their own names LLVM takes these for its libc's: stores before the block are dropped, malloc and
 * memset become calloc. */
NOLIBC_FN void *malloc(size_t size) __asm__("__nolibc_malloc");
NOLIBC_FN void *calloc(size_t n, size_t each) __asm__("__nolibc_calloc");
NOLIBC_FN void *realloc(void *at, size_t size) __asm__("__nolibc_realloc");
NOLIBC_FN void free(void *at) __asm__("__nolibc_free_block");

NOLIBC_FN void *__nolibc_pages(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

/* A block of one class: a free one, or the next of the chunk. */
NOLIBC_FN union __nolibc_block *__nolibc_take(int which, size_t whole)
{
	union __nolibc_block *block = __nolibc_free[which];

	if (block) {
		__nolibc_free[which] = block->head.next;
		return block;
	}
	if (__nolibc_chunk_left < whole) {
		char *chunk = (char *)__nolibc_pages(NOLIBC_CHUNK);

		if (!chunk)
			return NULL;
		__nolibc_chunk = chunk;
		__nolibc_chunk_left = NOLIBC_CHUNK;
	}
	block = (union __nolibc_block *)(void *)__nolibc_chunk;
	__nolibc_chunk += whole;
	__nolibc_chunk_left -= whole;
	return block;
}

NOLIBC_FN void *malloc(size_t size)
{
	union __nolibc_block *block;
	size_t whole = 32;
	int which = 0;

	if (size > (size_t)-1 / 2) {
		NOLIBC_SET_ERRNO(ENOMEM);
		return NULL;
	}
	while (whole - sizeof(*block) < size && which < NOLIBC_CLASSES) {
		whole <<= 1;
		which++;
	}
	if (which == NOLIBC_CLASSES) {
		whole = (size + sizeof(*block) + 4095) & ~(size_t)4095;
		block = (union __nolibc_block *)__nolibc_pages(whole);
	} else {
		NOLIBC_HEAP_LOCK();
		block = __nolibc_take(which, whole);
		NOLIBC_HEAP_UNLOCK();
	}
	if (!block)
		return NULL;
	block->head.size = whole;
	return block + 1;
}

/* The header of a block; one with size 0 stands before memory aligned within a larger block. */
NOLIBC_FN union __nolibc_block *__nolibc_header(void *at)
{
	union __nolibc_block *block = (union __nolibc_block *)at - 1;

	return block->head.size ? block : block->head.next - 1;
}

NOLIBC_FN void free(void *at)
{
	union __nolibc_block *block;
	size_t whole;
	int which = 0;

	if (!at)
		return;
	block = __nolibc_header(at);
	for (whole = 32; whole < block->head.size && which < NOLIBC_CLASSES; whole <<= 1)
		which++;
	if (which == NOLIBC_CLASSES) {
		int saved = errno;

		munmap(block, block->head.size);
		NOLIBC_SET_ERRNO(saved);
		return;
	}
	NOLIBC_HEAP_LOCK();
	block->head.next = __nolibc_free[which];
	__nolibc_free[which] = block;
	NOLIBC_HEAP_UNLOCK();
}

NOLIBC_FN void *calloc(size_t n, size_t each)
{
	size_t size;
	void *made;

	if (__builtin_mul_overflow(n, each, &size)) {
		NOLIBC_SET_ERRNO(ENOMEM);
		return NULL;
	}
	made = malloc(size);
	return made ? memset(made, 0, size) : NULL;
}

NOLIBC_FN size_t malloc_usable_size(void *at)
{
	union __nolibc_block *block;

	if (!at)
		return 0;
	block = __nolibc_header(at);
	return (size_t)((char *)block + block->head.size - (char *)at);
}

NOLIBC_FN void *realloc(void *at, size_t size)
{
	size_t old;
	void *made;

	if (!at)
		return malloc(size);
	old = malloc_usable_size(at);
	if (size <= old)
		return at;
	made = malloc(size);
	if (made) {
		memcpy(made, at, old);
		free(at);
	}
	return made;
}

NOLIBC_FN void *reallocarray(void *at, size_t n, size_t each)
{
	size_t size;

	if (__builtin_mul_overflow(n, each, &size)) {
		NOLIBC_SET_ERRNO(ENOMEM);
		return NULL;
	}
	return realloc(at, size);
}

/* A larger block; the header before the aligned part leads back to its beginning. */
NOLIBC_FN int posix_memalign(void **to, size_t alignment, size_t size)
{
	union __nolibc_block *whole, *moved;
	__UINTPTR_TYPE__ at;

	if (alignment & (alignment - 1) || alignment < sizeof(void *))
		return EINVAL;
	if (size > (size_t)-1 / 2 - alignment)
		return ENOMEM;
	whole = (union __nolibc_block *)malloc(size + alignment);
	if (!whole)
		return ENOMEM;
	at = ((__UINTPTR_TYPE__)whole + alignment - 1) & ~(__UINTPTR_TYPE__)(alignment - 1);
	if (alignment > sizeof(*whole) && at != (__UINTPTR_TYPE__)whole) {
		moved = (union __nolibc_block *)at - 1;
		moved->head.next = whole;
		moved->head.size = 0;
	}
	*to = (void *)at;
	return 0;
}

NOLIBC_FN void *aligned_alloc(size_t alignment, size_t size)
{
	void *made = NULL;
	int code = posix_memalign(&made, alignment < sizeof(void *) ? sizeof(void *) : alignment, size);

	if (code)
		NOLIBC_SET_ERRNO(code);
	return code ? NULL : made;
}

NOLIBC_FN void *memalign(size_t alignment, size_t size)
{
	return aligned_alloc(alignment, size);
}

#endif
