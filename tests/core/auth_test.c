// SPDX-License-Identifier: GPL-2.0-only
/* The KUnit suite under the sanitizers of user space, on another AES and HMAC. */
#include "../kunit/auth_test.c"
