#include "../fcntl.h"
