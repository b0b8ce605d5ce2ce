#include "statfs.h"
