#include "../poll.h"
