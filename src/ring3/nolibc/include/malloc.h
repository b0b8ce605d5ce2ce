#ifndef _NOLIBC_MALLOC_H
#define _NOLIBC_MALLOC_H

#include "stdlib.h"

#endif
