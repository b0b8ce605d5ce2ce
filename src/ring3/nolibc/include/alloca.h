#ifndef _NOLIBC_ALLOCA_H
#define _NOLIBC_ALLOCA_H

#define alloca(size) __builtin_alloca(size)

#endif
