#include "../signal.h"
