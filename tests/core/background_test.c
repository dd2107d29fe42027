// SPDX-License-Identifier: GPL-2.0-only
/* The KUnit suite under the sanitizers of user space. */
#include "../kunit/background_test.c"
