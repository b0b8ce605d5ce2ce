/* Random formats and numbers, the same for every libc: a digest of each hundred, and "r" COUNT for more. */
#include "ktap.h"
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"

static uint64_t state = 88172645463325252ULL;
static uint32_t digest;
static volatile double rounded; /* x87 computes with more bits than a double has */

/* xorshift64 (Marsaglia 2003). */
static uint64_t any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Of any size: small ones are as likely as large ones. */
static uint64_t sized(void)
{
	uint64_t value = any();

	return value >> any() % 64;
}

/* FNV-1a. */
static void add(const char *text)
{
	for (; *text; text++)
		digest = (digest ^ (unsigned char)*text) * 16777619U;
}

static void spell(char *format, const char *length, const char *kinds)
{
	static const char flags[] = "-+ #0";
	char *at = format;
	int n, precise;

	*at++ = '%';
	for (n = 0; n < 5; n++)
		if (any() % 4 == 0)
			*at++ = flags[n];
	if (any() % 2)
		at += sprintf(at, "%d", (int)(any() % 40));
	precise = any() % 2;
	if (precise)
		at += sprintf(at, ".%d", (int)(any() % 30));
	at += sprintf(at, "%s%c", length, kinds[any() % strlen(kinds)]);
	*at = 0;
}

/* Every bit pattern, short decimals, halves between neighbours. */
static double number(void)
{
	union { uint64_t bits; double real; } made;

	switch (any() % 4) {
	case 0:
		rounded = (double)(int64_t)(any() % 2000001 - 1000000) / 1000.0;
		return rounded;
	case 1:
		rounded = (double)(int64_t)any();
		return rounded;
	case 2:
		made.bits = any() & 0xfff0000000000000ULL;
		return made.real == made.real ? made.real : 0.5;
	default:
		made.bits = any();
		return made.real == made.real ? made.real : 1.0;
	}
}

static void one(int verbose)
{
	char format[64], found[1024], text[64], *end;
	union { uint64_t bits; double real; } back;
	unsigned int part[5];
	int n;

	spell(format, "ll", "diuxXo");
	n = snprintf(found, sizeof(found), format, (long long)sized());
	add(found);
	if (verbose)
		printf("%s %d [%s]\n", format, n, found);
	spell(format, "", "diuxXoc");
	n = snprintf(found, sizeof(found), format, (int)sized() | 1);
	add(found);
	if (verbose)
		printf("%s %d [%s]\n", format, n, found);
	spell(format, "", "eEfFgGaA");
	n = snprintf(found, sizeof(found), format, number());
	add(found);
	if (verbose)
		printf("%s %d [%s]\n", format, n, found);
	for (n = 0; n < 5; n++)
		part[n] = (unsigned int)any();
	sprintf(text, "%s%u%u.%ue%d", part[0] % 2 ? "-" : "", part[1], part[2], part[3], (int)(part[4] % 700) - 350);
	errno = 0;
	back.real = strtod(text, &end);
	sprintf(found, "%08x%08x %d %d", (unsigned int)(back.bits >> 32), (unsigned int)back.bits, (int)(end - text),
		errno == ERANGE);
	add(found);
	if (verbose)
		printf("strtod %s [%s]\n", text, found);
	back.real = number();
	sprintf(text, "%.17g", back.real);
	sprintf(format, "%a %a", back.real, strtod(text, NULL));
	add(format);
	if (verbose)
		printf("%s %s\n", text, format);
}

int main(int argc, char **argv)
{
	char found[16];
	long n, count;

	if (argc > 2 && !strcmp(argv[1], "r")) {
		state += (uint64_t)strtol(argv[2], NULL, 10) * 7919;
		for (n = 0; n < 50000; n++)
			one(1);
		return 0;
	}
	ktap_begin();
	for (count = 0; count < 10; count++) {
		digest = 2166136261U;
		for (n = 0; n < 100; n++)
			one(0);
		sprintf(found, "%08x", digest);
		ktap_case(1, "a hundred", found);
	}
	return ktap_end();
}
