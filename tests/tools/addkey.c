// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keys for tests, without keyutils:
 *
 *   addkey add TYPE DESCRIPTION PAYLOAD	into the user's keyring
 *   addkey revoke TYPE DESCRIPTION
 *
 * PAYLOAD stands for itself, byte by byte.
 */
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int add_key_of(char **word)
{
	return syscall(SYS_add_key, word[0], word[1], word[2], strlen(word[2]),
		       KEY_SPEC_USER_KEYRING) < 0;
}

static int revoke_key(char **word)
{
	long key = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING,
			   word[0], word[1], 0);

	return key < 0 || syscall(SYS_keyctl, KEYCTL_REVOKE, key) < 0;
}

int main(int argc, char **argv)
{
	int failed;

	if (argc == 5 && !strcmp(argv[1], "add")) {
		failed = add_key_of(argv + 2);
	} else if (argc == 4 && !strcmp(argv[1], "revoke")) {
		failed = revoke_key(argv + 2);
	} else {
		fprintf(stderr, "usage: addkey add|revoke TYPE DESCRIPTION [PAYLOAD]\n");
		return 2;
	}
	if (failed)
		perror("addkey");
	return failed;
}
