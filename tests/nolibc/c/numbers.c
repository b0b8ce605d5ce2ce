/* Beyond few.c: lengths and bases, no widths and precisions. */
#include "ktap.h"
#include <stddef.h>
#include <stdint.h>

int main(void)
{
	static const long long values[] = {
		0, 1, -1, 7, 8, 15, 16, 255, 99999, 2147483647LL, 2147483648LL, -2147483648LL, 4294967295LL, 4294967296LL,
		1000000000000LL, -1000000000000LL, 9223372036854775807LL, -9223372036854775807LL - 1,
	};
	unsigned int v;

	ktap_begin();
	for (v = 0; v < sizeof(values) / sizeof(*values); v++) {
		SHOW("%lld", "%lld", values[v]);
		SHOW("%llu", "%llu", (unsigned long long)values[v]);
		SHOW("%llx", "%llx", (unsigned long long)values[v]);
		SHOW("%llX", "%llX", (unsigned long long)values[v]);
		SHOW("%llo", "%llo", (unsigned long long)values[v]);
		SHOW("%x", "%x %d", (unsigned int)values[v], 5);
		SHOW("%o", "%o %s", (unsigned int)values[v], "s");
		SHOW("%ld", "%ld %lu", (long)(int)values[v], 17UL);
		SHOW("%jd", "%jd", (intmax_t)values[v]);
		SHOW("%zu", "%zu %td", (size_t)(unsigned int)values[v], (ptrdiff_t)-3);
	}
	return ktap_end();
}
