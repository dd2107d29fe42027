# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
#
# Other machines, by the names of Debian's cross compilers. To be sourced.

# machine <name> - sets CC, SANITIZE, LINK and the array runner
machine() {
	case $1 in
	s390x)
		# 64 bits, big endian
		CC=s390x-linux-gnu-gcc
		SANITIZE=
		LINK=
		runner=(qemu-s390x -L /usr/s390x-linux-gnu)
		;;
	i386)
		# 32 bits; this processor runs it
		CC=i686-linux-gnu-gcc
		SANITIZE=
		LINK="-Wl,--dynamic-linker=/usr/i686-linux-gnu/lib/ld-linux.so.2"
		LINK+=" -Wl,-rpath,/usr/i686-linux-gnu/lib"
		runner=()
		;;
	*) die "unknown machine $1; known: s390x i386" ;;
	esac
}
