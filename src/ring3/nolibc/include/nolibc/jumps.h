#ifndef NOLIBC_JUMPS_H
#define NOLIBC_JUMPS_H

#include "start.h"
#include NOLIBC_JUMPS_FILE

#endif
