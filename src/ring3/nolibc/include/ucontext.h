#ifndef _NOLIBC_UCONTEXT_H
#define _NOLIBC_UCONTEXT_H

#include "signal.h"

#endif
