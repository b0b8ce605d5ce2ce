#include "sys/syscall.h"
