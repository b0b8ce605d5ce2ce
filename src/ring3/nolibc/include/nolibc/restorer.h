/* The way back from a signal handler, where the kernel leaves it to the program. */
#ifndef NOLIBC_RESTORER_H
#define NOLIBC_RESTORER_H

#include "start.h"

#if NOLIBC_RESTORER
#include NOLIBC_RESTORER_FILE

NOLIBC_BEGIN
extern void __nolibc_restorer(void);
NOLIBC_END
#define NOLIBC_RESTORER_ADDRESS                                                                  \
	((void (*)(void))((__UINTPTR_TYPE__)&__nolibc_restorer + NOLIBC_RESTORER_OFFSET))
#else
#define NOLIBC_RESTORER_ADDRESS 0
#endif

#endif
