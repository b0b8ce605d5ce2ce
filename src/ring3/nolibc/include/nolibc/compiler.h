/* What the headers ask of the compiler: GCC and Clang, C89 on, C++. */
#ifndef NOLIBC_COMPILER_H
#define NOLIBC_COMPILER_H

/* Every function is static: the compiler sees all of the libc and drops what is not used. */
#define NOLIBC_FN static __attribute__((__unused__))
#define NOLIBC_INLINE static __inline__ __attribute__((__unused__, __always_inline__))
#define NOLIBC_NOINLINE static __attribute__((__unused__, __noinline__))
#define NOLIBC_COLD static __attribute__((__unused__, __noinline__, __cold__))
/* Shared by all translation units; in a section of its own that --gc-sections can drop. */
#define NOLIBC_SHARED(name) __attribute__((__weak__, __section__(".text.nolibc." #name)))
/* A variable that many translation units define and one address serves. */
#define NOLIBC_VAR __attribute__((__weak__))
#define NOLIBC_PRINTF(f, a) __attribute__((__format__(__printf__, f, a)))

/* Under its C name LLVM takes even a static function for the one it knows, and calls of others take its
 * place (printf, puts) that nothing here emits. */
#define NOLIBC_OWN(name) __asm__("__nolibc_own_" #name)

#ifdef __cplusplus
#define NOLIBC_BEGIN extern "C" {
#define NOLIBC_END }
#else
#define NOLIBC_BEGIN
#define NOLIBC_END
#endif

#if defined(__has_attribute)
#if __has_attribute(__no_stack_protector__)
#define NOLIBC_NO_STACK_PROTECTOR __attribute__((__no_stack_protector__))
#endif
#endif
#ifndef NOLIBC_NO_STACK_PROTECTOR
#define NOLIBC_NO_STACK_PROTECTOR __attribute__((__optimize__("-fno-stack-protector")))
#endif

/* The compiler must not turn a loop into a call of the function that the loop implements. */
#define NOLIBC_KEEP_LOOP() __asm__("")

/* GCC 12 for SuperH (pass sh_treg_combine, which no option turns off) drops "if (*p)" for any int or pointer
 * at p, in all code.  It runs with optimization only; the programs that it makes work, if larger. */
#if defined(__sh__) && __GNUC__ == 12 && !defined(__clang__)
#pragma GCC optimize("O0")
#endif

/* File-scope assembler starts in the instruction set that the C code is compiled for. */
#if defined(__thumb__)
#define NOLIBC_ASM_BEGIN ".syntax unified\n.thumb\n.thumb_func\n"
#elif defined(__arm__)
#define NOLIBC_ASM_BEGIN ".syntax unified\n.arm\n"
#else
#define NOLIBC_ASM_BEGIN ""
#endif

#if defined(__mips_isa_rev) && __mips_isa_rev >= 6
#define NOLIBC_HILO
#else
#define NOLIBC_HILO , "hi", "lo"
#endif

#endif
