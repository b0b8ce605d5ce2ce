/* Positions beyond 32 bits in calls that take them as two words and in no pair of registers. */
#define _GNU_SOURCE
#include "ktap.h"
#include <stdlib.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static void far_away(void)
{
	char text[4] = "far";
	struct iovec part;
	off_t at = 5LL << 32;
	FILE *file = tmpfile();

	part.iov_base = text;
	part.iov_len = 3;
	CHECK(pwritev(fileno(file), &part, 1, at) == 3);
	CHECK(lseek(fileno(file), 0, SEEK_END) == at + 3);
	text[0] = 0;
	CHECK(preadv(fileno(file), &part, 1, at) == 3 && text[0] == 'f');
	fclose(file);
}

int main(void)
{
	ktap_begin();
	far_away();
	return ktap_end();
}
