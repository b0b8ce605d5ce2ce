#ifndef _NOLIBC_SYS_UCONTEXT_H
#define _NOLIBC_SYS_UCONTEXT_H

#include "../signal.h"

#endif
