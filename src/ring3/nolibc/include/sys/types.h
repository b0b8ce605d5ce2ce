#ifndef _NOLIBC_SYS_TYPES_H
#define _NOLIBC_SYS_TYPES_H

#include "../nolibc/start.h"
#include "../nolibc/types.h"
#include "select.h"
#include "sysmacros.h"

#endif
