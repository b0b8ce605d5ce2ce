#include "sys/wait.h"
