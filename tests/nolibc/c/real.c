/* Floating-point numbers to text and back. */
#include "ktap.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#pragma GCC diagnostic ignored "-Wformat"

static const double values[] = { 0.0, -0.0, 1.0, -1.5, 0.1, 0.5, 1.5, 2.5, 3.14159265358979, 123456789.0, 1e10, 1e100, 1e-10, 1e-5, 1e-4, 0.0001234, 99999.95, 999999.5, 9.995, 1e22, 1e23, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 4.35, 0.3, 1.0/3, 2e-308, 1e16, 123456.5 };
static const char *const formats[] = { "%f", "%e", "%g", "%.0f", "%.1f", "%.2e", "%.3g", "%10.2f|", "%-12.3e|", "%+g", "% g", "%#.2f", "%012.4f", "%.17g", "%a", "%.3a", "%G", "%.20f", "%#.0f", "%.0e" };
static const char *const texts[] = {
	"1", "-1.5", "1e10", "1e-10", ".5", "5.", "1e400", "-1e400", "1e-400", "4.9e-324", "2.4703282292062327e-324",
	"2.4703282292062328e-324", "2.2250738585072011e-308", "1.7976931348623158e308", "1.7976931348623159e308",
	"9007199254740993", "9007199254740992.9999999999999999", "0.1", "123456789012345678901234567890", "0x1p3",
	"0x1.8p-1", "0x.8", "-0x1.fffffffffffffp1023", "0x1p-1074", "0x1p-1076", "inf", "-infinity", "nan", "NAN(12)",
	"infx", "abc", "", "-", ".", "1e", "1e+", "1e5x", "  7.25 ", "0x", "8.5e-1", "1.00000000000000011102230246251565",
	"1.00000000000000011102230246251566", "3.4028235677973366e38", "1.17549435e-38", "1e23", "8.41e21", "5e-320",
};

static void shown(void)
{
	char name[64], found[700];
	unsigned int f, v;

	for (f = 0; f < sizeof(formats) / sizeof(*formats); f++)
		for (v = 0; v < sizeof(values) / sizeof(*values); v++) {
			int n = snprintf(found, sizeof(found), formats[f], values[v]);

			snprintf(name, sizeof(name), "%s of %u (%d)", formats[f], v, n);
			ktap_case(1, name, found);
		}
}

static void read_back(void)
{
	char name[96], found[128];
	unsigned int i;

	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		char *end;
		double value;
		float narrow;
		int range;

		errno = 0;
		value = strtod(texts[i], &end);
		range = errno == ERANGE;
		errno = 0;
		narrow = strtof(texts[i], NULL);
		snprintf(name, sizeof(name), "strtod '%s'", texts[i]);
		snprintf(found, sizeof(found), "%.17g %a end %d range %d; float %.9g %d", value, value,
			 (int)(end - texts[i]), range, (double)narrow, errno == ERANGE);
		ktap_case(1, name, found);
	}
}

/* Rounded to nearest by IEEE 754: the bits themselves. */
static void roots(void)
{
	unsigned long long state = 88172645463325252ULL, bits, sum = 0;
	unsigned int i;
	volatile double x;
	double root;

	for (i = 0; i < sizeof(values) / sizeof(*values); i++) {
		x = values[i];
		root = sqrt(x);
		SHOW("sqrt", "%a", root == root ? root : -7.0);
	}
	for (i = 0; i < 3000; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		bits = state & (i % 5 ? ~0ULL : 0x800fffffffffffffULL) & (i % 7 ? ~0ULL : ~0xfffffffULL);
		memcpy(&root, &bits, sizeof(root));
		x = root;
		root = sqrt(x);
		memcpy(&bits, &root, sizeof(bits));
		sum = sum * 31 + (root == root ? bits : 1);
	}
	SHOW("sqrt of many", "%llx", sum);
}

int main(void)
{
	double d = 0;
	float f = 0;
	int n;

	ktap_begin();
	shown();
	read_back();
	roots();
	n = sscanf("1.5 2.25e3", "%f %lf", &f, &d);
	SHOW("sscanf", "%d %g %g", n, f, d);
	SHOW("long double", "%Lg %.3Lf", 1.5L, -2.125L);
	/* Not of 999999.5: glibc 2.36 forgets the zeros there. */
	SHOW("alternative form", "%#g %#g %#x", 1.5, 0.0, 17);
	SHOW("mixed", "%d %g %s %lld", 1, 2.5, "x", 3LL);
	return ktap_end();
}
