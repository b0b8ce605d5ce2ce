#ifndef _NOLIBC_GRP_H
#define _NOLIBC_GRP_H

#include "stdio.h"
#include "stdlib.h"
#include "string.h"
#include "unistd.h"

struct group {
	char *gr_name, *gr_passwd;
	gid_t gr_gid;
	char **gr_mem;
};

/* The first line of /etc/group with that name or, without one, with that group; its fields stay until the
 * next call. */
NOLIBC_FN struct group *__nolibc_group(const char *name, gid_t id)
{
	static char line[4096];
	static char *members[256];
	static struct group found;
	struct group *result = NULL;
	FILE *file = fopen("/etc/group", "r");

	while (file && !result && fgets(line, sizeof(line), file)) {
		char *fields[4], *at = line, *rest = NULL;
		int n;

		for (n = 0; n < 4 && at; n++) {
			fields[n] = at;
			at = strpbrk(at, ":\n");
			if (at)
				*at++ = 0;
		}
		if (n < 4)
			continue;
		found.gr_gid = (gid_t)strtoul(fields[2], NULL, 10);
		if (name ? strcmp(name, fields[0]) : found.gr_gid != id)
			continue;
		found.gr_name = fields[0];
		found.gr_passwd = fields[1];
		for (n = 0; n < 255 && (members[n] = strtok_r(n ? NULL : fields[3], ",", &rest)); n++)
			;
		members[n] = NULL;
		found.gr_mem = members;
		result = &found;
	}
	if (file)
		fclose(file);
	return result;
}

NOLIBC_FN struct group *getgrnam(const char *name)
{
	return __nolibc_group(name, 0);
}

NOLIBC_FN struct group *getgrgid(gid_t id)
{
	return __nolibc_group(NULL, id);
}

#endif
