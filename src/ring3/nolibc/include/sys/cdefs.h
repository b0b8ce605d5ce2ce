#ifndef _NOLIBC_SYS_CDEFS_H
#define _NOLIBC_SYS_CDEFS_H

#ifdef __cplusplus
#define __BEGIN_DECLS extern "C" {
#define __END_DECLS }
#else
#define __BEGIN_DECLS
#define __END_DECLS
#endif
#ifndef __always_inline
#define __always_inline __inline__ __attribute__((__always_inline__))
#endif

#endif
