#ifndef _NOLIBC_PWD_H
#define _NOLIBC_PWD_H

#include "stdio.h"
#include "stdlib.h"
#include "string.h"

struct passwd {
	char *pw_name, *pw_passwd;
	uid_t pw_uid;
	gid_t pw_gid;
	char *pw_gecos, *pw_dir, *pw_shell;
};

/* The first line of /etc/passwd with that name or, without one, with that user; its fields stay until the
 * next call. */
NOLIBC_FN struct passwd *__nolibc_passwd(const char *name, uid_t user)
{
	static char line[1024];
	static struct passwd found;
	struct passwd *result = NULL;
	FILE *file = fopen("/etc/passwd", "r");

	while (file && !result && fgets(line, sizeof(line), file)) {
		char *fields[7], *at = line;
		int n;

		for (n = 0; n < 7 && at; n++) {
			fields[n] = at;
			at = strpbrk(at, ":\n");
			if (at)
				*at++ = 0;
		}
		if (n < 7)
			continue;
		found.pw_uid = (uid_t)strtoul(fields[2], NULL, 10);
		if (name ? strcmp(name, fields[0]) : found.pw_uid != user)
			continue;
		found.pw_name = fields[0];
		found.pw_passwd = fields[1];
		found.pw_gid = (gid_t)strtoul(fields[3], NULL, 10);
		found.pw_gecos = fields[4];
		found.pw_dir = fields[5];
		found.pw_shell = fields[6];
		result = &found;
	}
	if (file)
		fclose(file);
	return result;
}

NOLIBC_FN struct passwd *getpwnam(const char *name)
{
	return __nolibc_passwd(name, 0);
}

NOLIBC_FN struct passwd *getpwuid(uid_t user)
{
	return __nolibc_passwd(NULL, user);
}

#endif
