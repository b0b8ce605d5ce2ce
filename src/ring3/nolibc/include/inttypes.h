#ifndef _NOLIBC_INTTYPES_H
#define _NOLIBC_INTTYPES_H

#include "stdint.h"
#include "stdlib.h"

/* The length that goes with the compiler's 64-bit type. */
#if __INT64_MAX__ == __LONG_MAX__
#define NOLIBC_F64 "l"
#else
#define NOLIBC_F64 "ll"
#endif
/* int is as wide as long on 32 bits, but which one intptr_t is differs. */
#if __SIZEOF_POINTER__ == __SIZEOF_LONG__ && __SIZEOF_LONG__ == 8
#define NOLIBC_FPTR "l"
#else
#define NOLIBC_FPTR ""
#endif
#define PRId8 "hh" "d"
#define PRIdLEAST8 PRId8
#define PRId16 "h" "d"
#define PRIdLEAST16 PRId16
#define PRId32 "d"
#define PRIdLEAST32 PRId32
#define PRId64 NOLIBC_F64 "d"
#define PRIdLEAST64 PRId64
#define PRIdMAX NOLIBC_F64 "d"
#define PRIdPTR NOLIBC_FPTR "d"
#define PRIi8 "hh" "i"
#define PRIiLEAST8 PRIi8
#define PRIi16 "h" "i"
#define PRIiLEAST16 PRIi16
#define PRIi32 "i"
#define PRIiLEAST32 PRIi32
#define PRIi64 NOLIBC_F64 "i"
#define PRIiLEAST64 PRIi64
#define PRIiMAX NOLIBC_F64 "i"
#define PRIiPTR NOLIBC_FPTR "i"
#define PRIo8 "hh" "o"
#define PRIoLEAST8 PRIo8
#define PRIo16 "h" "o"
#define PRIoLEAST16 PRIo16
#define PRIo32 "o"
#define PRIoLEAST32 PRIo32
#define PRIo64 NOLIBC_F64 "o"
#define PRIoLEAST64 PRIo64
#define PRIoMAX NOLIBC_F64 "o"
#define PRIoPTR NOLIBC_FPTR "o"
#define PRIu8 "hh" "u"
#define PRIuLEAST8 PRIu8
#define PRIu16 "h" "u"
#define PRIuLEAST16 PRIu16
#define PRIu32 "u"
#define PRIuLEAST32 PRIu32
#define PRIu64 NOLIBC_F64 "u"
#define PRIuLEAST64 PRIu64
#define PRIuMAX NOLIBC_F64 "u"
#define PRIuPTR NOLIBC_FPTR "u"
#define PRIx8 "hh" "x"
#define PRIxLEAST8 PRIx8
#define PRIx16 "h" "x"
#define PRIxLEAST16 PRIx16
#define PRIx32 "x"
#define PRIxLEAST32 PRIx32
#define PRIx64 NOLIBC_F64 "x"
#define PRIxLEAST64 PRIx64
#define PRIxMAX NOLIBC_F64 "x"
#define PRIxPTR NOLIBC_FPTR "x"
#define PRIX8 "hh" "X"
#define PRIXLEAST8 PRIX8
#define PRIX16 "h" "X"
#define PRIXLEAST16 PRIX16
#define PRIX32 "X"
#define PRIXLEAST32 PRIX32
#define PRIX64 NOLIBC_F64 "X"
#define PRIXLEAST64 PRIX64
#define PRIXMAX NOLIBC_F64 "X"
#define PRIXPTR NOLIBC_FPTR "X"
#define SCNd8 "hh" "d"
#define SCNd16 "h" "d"
#define SCNd32 "d"
#define SCNd64 NOLIBC_F64 "d"
#define SCNdMAX NOLIBC_F64 "d"
#define SCNdPTR NOLIBC_FPTR "d"
#define SCNi8 "hh" "i"
#define SCNi16 "h" "i"
#define SCNi32 "i"
#define SCNi64 NOLIBC_F64 "i"
#define SCNiMAX NOLIBC_F64 "i"
#define SCNiPTR NOLIBC_FPTR "i"
#define SCNo8 "hh" "o"
#define SCNo16 "h" "o"
#define SCNo32 "o"
#define SCNo64 NOLIBC_F64 "o"
#define SCNoMAX NOLIBC_F64 "o"
#define SCNoPTR NOLIBC_FPTR "o"
#define SCNu8 "hh" "u"
#define SCNu16 "h" "u"
#define SCNu32 "u"
#define SCNu64 NOLIBC_F64 "u"
#define SCNuMAX NOLIBC_F64 "u"
#define SCNuPTR NOLIBC_FPTR "u"
#define SCNx8 "hh" "x"
#define SCNx16 "h" "x"
#define SCNx32 "x"
#define SCNx64 NOLIBC_F64 "x"
#define SCNxMAX NOLIBC_F64 "x"
#define SCNxPTR NOLIBC_FPTR "x"

typedef struct {
	intmax_t quot, rem;
} imaxdiv_t;

NOLIBC_FN intmax_t imaxabs(intmax_t value)
{
	return value < 0 ? -value : value;
}

#endif
