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

/* Splits a line of /etc/passwd in place: 0 where it is none. */
NOLIBC_FN int __nolibc_passwd_line(char *line, struct passwd *to)
{
	char *fields[7], *at = line;
	int n;

	for (n = 0; n < 7 && at; n++) {
		fields[n] = at;
		at = strpbrk(at, ":\n");
		if (at)
			*at++ = 0;
	}
	if (n < 7)
		return 0;
	to->pw_name = fields[0];
	to->pw_passwd = fields[1];
	to->pw_uid = (uid_t)strtoul(fields[2], NULL, 10);
	to->pw_gid = (gid_t)strtoul(fields[3], NULL, 10);
	to->pw_gecos = fields[4];
	to->pw_dir = fields[5];
	to->pw_shell = fields[6];
	return 1;
}

/* The first line with that name or, without one, with that user: an error, or 0 with *found NULL for none. */
NOLIBC_FN int __nolibc_passwd(const char *name, uid_t user, struct passwd *to, char *line, size_t size,
			      struct passwd **found)
{
	FILE *file = fopen("/etc/passwd", "r");
	int code = 0;

	*found = NULL;
	if (!file)
		return errno == ENOENT ? 0 : errno;
	while (!*found && !code && fgets(line, (int)size, file)) {
		if (strlen(line) + 1 == size && line[size - 2] != '\n')
			code = ERANGE;
		else if (__nolibc_passwd_line(line, to) && (name ? !strcmp(name, to->pw_name) : to->pw_uid == user))
			*found = to;
	}
	fclose(file);
	return code;
}

NOLIBC_FN int getpwnam_r(const char *name, struct passwd *to, char *buf, size_t size, struct passwd **found)
{
	return __nolibc_passwd(name, 0, to, buf, size, found);
}

NOLIBC_FN int getpwuid_r(uid_t user, struct passwd *to, char *buf, size_t size, struct passwd **found)
{
	return __nolibc_passwd(NULL, user, to, buf, size, found);
}

/* Fields stay until the next call. */
NOLIBC_FN struct passwd *__nolibc_passwd_kept(const char *name, uid_t user)
{
	static char line[1024];
	static struct passwd kept;
	struct passwd *found;
	int code = __nolibc_passwd(name, user, &kept, line, sizeof(line), &found);

	if (code)
		NOLIBC_SET_ERRNO(code);
	return found;
}

NOLIBC_FN struct passwd *getpwnam(const char *name)
{
	return __nolibc_passwd_kept(name, 0);
}

NOLIBC_FN struct passwd *getpwuid(uid_t user)
{
	return __nolibc_passwd_kept(NULL, user);
}

/* One after the other; one set of streams for all translation units. */
NOLIBC_BEGIN
NOLIBC_VAR FILE *__nolibc_passwd_file;
NOLIBC_END

NOLIBC_FN void endpwent(void)
{
	if (__nolibc_passwd_file)
		fclose(__nolibc_passwd_file);
	__nolibc_passwd_file = NULL;
}

NOLIBC_FN void setpwent(void)
{
	endpwent();
}

NOLIBC_FN struct passwd *getpwent(void)
{
	static char line[1024];
	static struct passwd kept;

	if (!__nolibc_passwd_file)
		__nolibc_passwd_file = fopen("/etc/passwd", "re");
	while (__nolibc_passwd_file && fgets(line, sizeof(line), __nolibc_passwd_file))
		if (__nolibc_passwd_line(line, &kept))
			return &kept;
	return NULL;
}

#endif
