#ifndef _NOLIBC_SYS_SYSCALL_H
#define _NOLIBC_SYS_SYSCALL_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include "../nolibc/syscall.h"
#include "../nolibc/numbers.h"

#endif
