/* argv, environ and the auxiliary vector, saved at start-up when, and only when, something asks for them.
 *
 * A function that reads one of them mentions the entry of .init_array below; the compiler emits the entry
 * only where such a function is used.
 */
#ifndef NOLIBC_SAVED_H
#define NOLIBC_SAVED_H

#include "start.h"

NOLIBC_BEGIN
NOLIBC_VAR char **__nolibc_saved_environ;
NOLIBC_VAR char **__nolibc_saved_argv;
NOLIBC_VAR const unsigned long *__nolibc_saved_auxv;
NOLIBC_END

NOLIBC_FN void __nolibc_save(int argc, char **argv, char **envp)
{
	char *entry;

	__nolibc_saved_argv = argv;
	__nolibc_saved_environ = envp;
	do
		entry = *envp++;
	while (entry);
	__nolibc_saved_auxv = (const unsigned long *)envp;
	(void)argc;
}

/* Runs before the constructors of the program, which may want environ. */
static __nolibc_init __nolibc_save_entry
	__attribute__((__unused__, __section__(".init_array.00001"))) = __nolibc_save;

#define NOLIBC_WANT_SAVED() __asm__ volatile("" : : "m" (__nolibc_save_entry))

NOLIBC_NOINLINE char ***__nolibc_environ(void)
{
	NOLIBC_WANT_SAVED();
	return &__nolibc_saved_environ;
}

NOLIBC_NOINLINE const unsigned long *__nolibc_auxv(void)
{
	NOLIBC_WANT_SAVED();
	return __nolibc_saved_auxv;
}

NOLIBC_NOINLINE char **__nolibc_program_name(void)
{
	NOLIBC_WANT_SAVED();
	return __nolibc_saved_argv;
}

NOLIBC_FN char *__nolibc_short_name(void)
{
	char *name = *__nolibc_program_name(), *at;

	for (at = name; *at; at++)
		if (*at == '/')
			name = at + 1;
	return name;
}

#endif
