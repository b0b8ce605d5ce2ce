/* KTAP for tests that are compared with another libc: each case prints what was found, so that the same
 * program must print the same with both; conditions that hold by themselves are checked, too. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int ktap_cases, ktap_failed;

static void ktap_begin(void)
{
	printf("KTAP version 1\n");
}

static void ktap_case(int good, const char *name, const char *found)
{
	ktap_cases++;
	ktap_failed += !good;
	printf("%s %d %s%s%s\n", good ? "ok" : "not ok", ktap_cases, name, found ? " = " : "", found ? found : "");
}

static int ktap_end(void)
{
	printf("1..%d\n", ktap_cases);
	return ktap_failed != 0;
}

/* A value that is the same for every libc is shown; one that is checked here is a condition. */
#define SHOW(name, ...)                                                                          \
	do {                                                                                     \
		char found_[1200];                                                               \
		snprintf(found_, sizeof(found_), __VA_ARGS__);                                   \
		ktap_case(1, name, found_);                                                      \
	} while (0)
#define CHECK(condition) ktap_case(!!(condition), #condition, NULL)
