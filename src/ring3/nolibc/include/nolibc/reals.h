#ifndef NOLIBC_REALS_H
#define NOLIBC_REALS_H
#endif
