/* Only %s %c %d %i %u %%: the engine of printf without the rest. */
#include "ktap.h"

int main(int argc, char **argv)
{
	static const int values[] = { 0, 1, -1, 9, 10, -10, 12345, 2147483647, -2147483647 - 1 };
	unsigned int v;
	char small[8];
	int n;

	ktap_begin();
	for (v = 0; v < sizeof(values) / sizeof(*values); v++) {
		SHOW("%d", "%d", values[v]);
		SHOW("%i", "<%i>", values[v]);
		SHOW("%u", "%u%%", (unsigned int)values[v]);
	}
	SHOW("%s", "%s", "");
	SHOW("%s of NULL", "%s", argc ? (char *)NULL : *argv);
	SHOW("eight", "%s%c%d%i%u%s%c%%", "a", 'b', 1, -2, 3U, "c", 'd');
	SHOW("text", "no conversion");
	SHOW("%c of 0", "[%c]", 0);
	n = snprintf(small, sizeof(small), "%s %d", "too long", 1);
	SHOW("cut", "%d %s", n, small);
	n = snprintf(small, 1, "%d", 12);
	SHOW("cut to nothing", "%d %s", n, small);
	n = printf("%s", "");
	CHECK(n == 0);
	n = printf("%d %u %c %s\n", -1, 1U, 'x', "y");
	CHECK(n == 9);
	CHECK(fprintf(stdout, "%s\n", "a line") == 7);
	return ktap_end();
}
