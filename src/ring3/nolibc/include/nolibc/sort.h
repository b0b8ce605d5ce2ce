/* qsort and bsearch. */
#ifndef NOLIBC_SORT_H
#define NOLIBC_SORT_H

#include "memory.h"

typedef int (*__nolibc_compare)(const void *, const void *, void *);

NOLIBC_FN void __nolibc_swap(char *a, char *b, size_t size)
{
	while (size--) {
		char kept = a[size];

		a[size] = b[size];
		b[size] = kept;
	}
}

NOLIBC_FN void __nolibc_sift(char *base, size_t at, size_t n, size_t size,
			     __nolibc_compare compare, void *arg)
{
	size_t child;

	while ((child = 2 * at + 1) < n) {
		if (child + 1 < n &&
		    compare(base + child * size, base + (child + 1) * size, arg) < 0)
			child++;
		if (compare(base + at * size, base + child * size, arg) >= 0)
			return;
		__nolibc_swap(base + at * size, base + child * size, size);
		at = child;
	}
}

/* Heap sort: n log n always, no memory, little code. */
NOLIBC_FN void qsort_r(void *base, size_t n, size_t size, __nolibc_compare compare, void *arg)
{
	char *at = (char *)base;
	size_t i;

	for (i = n / 2; i--;)
		__nolibc_sift(at, i, n, size, compare, arg);
	while (n > 1) {
		n--;
		__nolibc_swap(at, at + n * size, size);
		__nolibc_sift(at, 0, n, size, compare, arg);
	}
}

struct __nolibc_plain_compare {
	int (*compare)(const void *, const void *);
};

NOLIBC_FN int __nolibc_compare_plain(const void *a, const void *b, void *arg)
{
	return ((struct __nolibc_plain_compare *)arg)->compare(a, b);
}

NOLIBC_FN void qsort(void *base, size_t n, size_t size, int (*compare)(const void *, const void *))
{
	struct __nolibc_plain_compare plain;

	plain.compare = compare;
	qsort_r(base, n, size, __nolibc_compare_plain, &plain);
}

NOLIBC_FN void *bsearch(const void *key, const void *base, size_t n, size_t size,
			int (*compare)(const void *, const void *))
{
	const char *low = (const char *)base;

	while (n) {
		const char *middle = low + n / 2 * size;
		int order = compare(key, middle);

		if (!order)
			return (void *)middle;
		if (order > 0) {
			low = middle + size;
			n--;
		}
		n /= 2;
	}
	return NULL;
}

#endif
