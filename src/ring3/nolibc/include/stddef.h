#ifndef _NOLIBC_STDDEF_H
#define _NOLIBC_STDDEF_H

typedef __SIZE_TYPE__ size_t;
typedef __PTRDIFF_TYPE__ ptrdiff_t;
#ifndef __cplusplus
typedef __WCHAR_TYPE__ wchar_t;
#endif
#if defined(__cplusplus) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L)
typedef struct {
	long long __nolibc_ll __attribute__((__aligned__(__alignof__(long long))));
	long double __nolibc_ld __attribute__((__aligned__(__alignof__(long double))));
} max_align_t;
#endif

#undef NULL
#ifdef __cplusplus
#define NULL __null
#else
#define NULL ((void *)0)
#endif
#undef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)

#endif
