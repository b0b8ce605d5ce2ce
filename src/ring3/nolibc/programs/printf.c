#include <stdio.h>

int main(int argc, char **argv)
{
	printf("%s was given %d words\n", argv[0], argc - 1);
	return 0;
}
