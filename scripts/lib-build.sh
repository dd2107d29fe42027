# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the build scripts share. To be sourced, after "set -euo pipefail".

# The tree this file belongs to, and where everything that is not source goes.
FCLOCK_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Without $HOME, ~ is what the password file says.
FCLOCK_CACHE=${FCLOCK_CACHE:-${XDG_CACHE_HOME:-${HOME:-$(unset HOME; echo ~)}/.cache}/dm-fclock}
[[ $FCLOCK_CACHE == /* ]] || FCLOCK_CACHE=$PWD/$FCLOCK_CACHE
export FCLOCK_CACHE

# modinfo, dmsetup and mke2fs lie where only root looks.
PATH=$PATH:/usr/sbin:/sbin

# What the tools print is compared and cached, so speak one language.
export LC_ALL=C

say() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
	say "$@"
	exit 1
}

# usage <argument>... - for who asks for it: what the program's head says of it
usage() {
	case ${1:-} in
	-h | --help)
		sed -n '4,/^$/s/^# \?//p' "$0"
		exit
		;;
	esac
}

# plain_path <path> - make takes spaces for the ends of names, and kernels colons, too
plain_path() {
	[[ $1 != *[[:space:]:]* ]] ||
		die "nothing can be built below a path with spaces or colons: $1"
}

plain_path "$FCLOCK_CACHE"

# is_debian - does this machine install with apt?
is_debian() {
	[ -e /etc/debian_version ] && command -v apt-get >/dev/null
}

# pkg_version <package> - version of an installed Debian package, else nothing
pkg_version() {
	# shellcheck disable=SC2016
	dpkg-query -W -f '${db:Status-Abbrev}${Version}\n' "$1" 2>/dev/null |
		sed -n 's/^ii *//p'
}

# lock <file> - wait for, and hold until exit, an exclusive lock on fd 9.
# Whoever starts a background process from under a lock closes fd 9 there.
lock() {
	mkdir -p "$(dirname "$1")"
	exec 9>"$1"
	flock 9
}

unlock() {
	exec 9>&-
}

# hash_of <file>... - a short key for the names and contents of files
hash_of() {
	sha256sum "$@" | sha256sum | cut -c1-16
}

# sync_dir <from> <to> - make <to> hold the files of the folder <from>, flat.
# A file that did not change keeps its time stamp, so make does not rebuild.
sync_dir() {
	local from=$1 to=$2 f

	mkdir -p "$to"
	for f in "$from"/*.[ch] "$from"/Kbuild "$from"/Kconfig; do
		[ -e "$f" ] || continue
		cmp -s "$f" "$to/${f##*/}" || cp "$f" "$to/${f##*/}"
	done
	for f in "$to"/*.[ch]; do
		case ${f##*/} in
		*.mod.c | compat-config.h) continue ;;
		esac
		[ -e "$from/${f##*/}" ] || rm -f "$f"
	done
}
