#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	printf("%.3f\n", argc > 1 ? strtod(argv[1], NULL) : 0.5);
	return 0;
}
