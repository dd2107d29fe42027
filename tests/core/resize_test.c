// SPDX-License-Identifier: GPL-2.0-only
/* The KUnit suite under the sanitizers of user space, and on other machines. */
#include "../kunit/resize_test.c"
