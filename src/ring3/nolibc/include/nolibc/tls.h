/* Variables of threads (__thread), errno among them: in programs compiled with -pthread only.
 *
 * An entry of .init_array gives the first thread its variables before anything else runs; pthread_create does
 * the same for the others.  Source of the layout: "ELF Handling For Thread-Local Storage" and the psABIs; what
 * differs between architectures is declared in ring3.arch.
 */
#ifndef NOLIBC_TLS_H
#define NOLIBC_TLS_H

#include "start.h"
#include NOLIBC_TLS_FILE

/* The linker knows where it is: no table and no function is asked. */
#define NOLIBC_THREAD_VAR NOLIBC_VAR __thread __attribute__((__tls_model__("local-exec")))

struct __nolibc_thread;
NOLIBC_BEGIN
NOLIBC_THREAD_VAR int __nolibc_errno;
NOLIBC_THREAD_VAR struct __nolibc_thread *__nolibc_self; /* none: the first, which has not asked yet */
/* Where a thread may be ended by pthread_cancel: how many such calls it is in, and what they ask first. */
NOLIBC_THREAD_VAR int __nolibc_waits_here;
NOLIBC_VAR void (*__nolibc_ask)(void);
/* The program's initial values, and how much room they take. */
NOLIBC_VAR const char *__nolibc_tls_image;
NOLIBC_VAR __SIZE_TYPE__ __nolibc_tls_filled, __nolibc_tls_bytes, __nolibc_tls_align;
NOLIBC_END

#include <linux/auxvec.h>
#include <linux/elf.h>
#include <linux/mman.h>

/* On both sides of the thread pointer: its own address, the guard of -fstack-protector. */
#define NOLIBC_TLS_MARGIN 64
#define NOLIBC_TLS_UP(n, to) (((n) + (to) - 1) & ~((__SIZE_TYPE__)(to) - 1))

NOLIBC_FN __SIZE_TYPE__ __nolibc_tls_size(void)
{
	return 2 * (NOLIBC_TLS_MARGIN + 16 + __nolibc_tls_align) + NOLIBC_TLS_GAP + __nolibc_tls_bytes;
}

/* Fills a block of __nolibc_tls_size() zero bytes; the thread pointer that goes with it. */
NOLIBC_FN char *__nolibc_tls_fill(char *block)
{
	__SIZE_TYPE__ align = __nolibc_tls_align, n;
	char *pointer, *to;

#if NOLIBC_TLS_ABOVE
	block += NOLIBC_TLS_MARGIN;
	pointer = (char *)NOLIBC_TLS_UP((__SIZE_TYPE__)block, align < 16 ? 16 : align);
	to = pointer + NOLIBC_TLS_UP(NOLIBC_TLS_GAP, align);
#else
	block += NOLIBC_TLS_UP(__nolibc_tls_bytes, align);
	pointer = (char *)NOLIBC_TLS_UP((__SIZE_TYPE__)block, align < 16 ? 16 : align);
	to = pointer - NOLIBC_TLS_UP(__nolibc_tls_bytes, align);
	*(char **)(void *)pointer = pointer;
#endif
	for (n = 0; n < __nolibc_tls_filled; n++) {
		to[n] = __nolibc_tls_image[n];
		NOLIBC_KEEP_LOOP();
	}
	pointer += NOLIBC_TLS_BIAS;
#if defined(_NOLIBC_STACKPROTECTOR) && defined(NOLIBC_GUARD_OFFSET)
	__builtin_memcpy(pointer + NOLIBC_GUARD_OFFSET, &__stack_chk_guard, sizeof(__stack_chk_guard));
#endif
	return pointer;
}

NOLIBC_FN void __nolibc_tls_start(int argc, char **argv, char **envp)
{
#if __SIZEOF_POINTER__ == 8
	const Elf64_Phdr *header = 0;
#else
	const Elf32_Phdr *header = 0;
#endif
	const unsigned long *at;
	unsigned long count = 0;
	__nolibc_word block;
	char *p;

	(void)argc;
	(void)argv;
	if (__nolibc_tls_align) /* another translation unit's entry was first */
		return;
	while (*envp++)
		NOLIBC_KEEP_LOOP();
	for (at = (const unsigned long *)(void *)envp; *at != AT_NULL; at += 2) {
		if (*at == AT_PHDR)
			header = (__typeof__(header))at[1];
		if (*at == AT_PHNUM)
			count = at[1];
	}
	for (; header && count; count--, header++)
		if (header->p_type == PT_TLS) {
			__nolibc_tls_image = (const char *)(__SIZE_TYPE__)header->p_vaddr;
			__nolibc_tls_filled = (__SIZE_TYPE__)header->p_filesz;
			__nolibc_tls_bytes = (__SIZE_TYPE__)header->p_memsz;
			__nolibc_tls_align = header->p_align ? (__SIZE_TYPE__)header->p_align : 1;
		}
	block = __nolibc_map(0, __nolibc_tls_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* There is one, for errno at least, but a linker may have left the headers out of memory. */
	if (!__nolibc_tls_align || (__nolibc_uword)block > (__nolibc_uword)-4096) {
		static const char text[] = "no program headers in memory, or no memory: no variables of threads\n";

		__nolibc_syscall3(__NR_write, 2, (__nolibc_word)(unsigned long)text, sizeof(text) - 1);
		_exit(127);
	}
	p = __nolibc_tls_fill((char *)(__SIZE_TYPE__)block);
	NOLIBC_SET_THREAD(p);
}

/* Before all other entries, also that of saved.h. */
static __nolibc_init __nolibc_tls_entry
	__attribute__((__used__, __section__(".init_array.00000"))) = __nolibc_tls_start;

#endif
