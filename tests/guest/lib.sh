# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# For tests that run inside one guest: TAP, the kernel log, devices, and several
# nodes in one kernel. A test is a bash script, tests/guest/NAME.test:
#
#	#!/bin/bash
#	# timeout: 60
#	. "${0%/*}/lib.sh"
#	load_fclock
#	ok 'a device is made' dmsetup create x --table '0 8 zero'
#	cleanup dmsetup remove x
#	is "$(dmsetup status x)" '0 8 zero' 'its status'
#
# There is no need to plan: the end of the script prints the plan, fails on
# forbidden words in the kernel log, and runs the cleanups, the last one first.
# tests/guest/run starts the next file in a new guest if one leaves a device
# mapper device or the module behind.

set -uo pipefail

FC_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
FC_COUNT=0
FC_FAILED=0
FC_PLAN=
FC_ALLOWED=()
FC_CLEANUPS=()
FC_TMP=/tmp/test.$$
mkdir "$FC_TMP"
FC_KO=${FC_KO:-/fc/dm-fclock.ko}

# ---- TAP ----

diag() {
	local line
	while IFS= read -r line; do
		printf '# %s\n' "$line"
	done <<<"$*"
}

pass() {
	FC_COUNT=$((FC_COUNT + 1))
	printf 'ok %d - %s\n' "$FC_COUNT" "$*"
}

fail() {
	FC_COUNT=$((FC_COUNT + 1))
	FC_FAILED=$((FC_FAILED + 1))
	printf 'not ok %d - %s\n' "$FC_COUNT" "$*"
	return 1
}

# plan N, or plan skip WHY: ends the script
plan() {
	FC_PLAN=$1
	if [ "$1" = skip ]; then
		shift
		printf '1..0 # SKIP %s\n' "$*"
		exit 0
	fi
	printf '1..%d\n' "$1"
}

# skip DESCRIPTION WHY: one test that cannot be run here
skip() {
	FC_COUNT=$((FC_COUNT + 1))
	printf 'ok %d - %s # SKIP %s\n' "$FC_COUNT" "$1" "$2"
}

# exits DESCRIPTION LEAST MOST COMMAND...: the exit code must lie between the two
exits() {
	local what=$1 least=$2 most=$3 rc=0
	shift 3
	"$@" >"$FC_TMP/out" 2>&1 || rc=$?
	if [ $rc -ge "$least" ] && [ $rc -le "$most" ]; then
		pass "$what"
		return 0
	fi
	fail "$what"
	diag "$*: exit $rc"
	diag "$(tail -n 20 "$FC_TMP/out")"
	return 1
}

# ok DESCRIPTION COMMAND...: the command must return 0
ok() {
	exits "$1" 0 0 "${@:2}"
}

# fails DESCRIPTION COMMAND...: the command must refuse. One that is not there, that is
# killed, or that the time runs out for (124) proves nothing.
fails() {
	exits "$1" 1 123 "${@:2}"
}

# is GOT WANTED DESCRIPTION
is() {
	if [ "$1" = "$2" ]; then
		pass "$3"
		return 0
	fi
	fail "$3"
	diag "got:    $1"
	diag "wanted: $2"
	return 1
}

# isnt GOT UNWANTED DESCRIPTION
isnt() {
	if [ "$1" != "$2" ]; then
		pass "$3"
		return 0
	fi
	fail "$3"
	diag "got: $1"
	return 1
}

# like GOT REGEX DESCRIPTION: an extended regular expression
like() {
	if [[ $1 =~ $2 ]]; then
		pass "$3"
		return 0
	fi
	fail "$3"
	diag "got:    $1"
	diag "wanted: $2"
	return 1
}

# num GOT OPERATOR WANTED DESCRIPTION: -eq -ne -lt -le -gt -ge
num() {
	if test "$1" "$2" "$3"; then
		pass "$4"
		return 0
	fi
	fail "$4"
	diag "got: $1, wanted: $2 $3"
	return 1
}

# timely GOT OPERATOR WANTED DESCRIPTION: num for what depends on how fast the guest
# is: no test on kernels that are slow because they look for bugs
timely() {
	if [ "${FCLOCK_SLOW:-1}" = 1 ]; then
		num "$@"
	else
		skip "$4" 'a slow kernel'
	fi
}

# bail WHY: nothing further makes sense
bail() {
	printf 'Bail out! %s\n' "$*"
	exit 1
}

# must COMMAND...: preparation, not a test; bails out if it fails
must() {
	"$@" >"$FC_TMP/must" 2>&1 && return 0
	diag "$(tail -n 20 "$FC_TMP/must")"
	bail "$*"
}

# wait_for SECONDS COMMAND...: repeats the command until it succeeds; $FCLOCK_SLOW
# times as long where the kernel is that slow
wait_for() {
	local end=$((SECONDS + $1 * ${FCLOCK_SLOW:-1}))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

# waits PID: does it sleep in the kernel, for what no signal ends (I/O, a frozen file
# system), and go on doing so? That it has not ended says only that it may be slow.
waits() {
	wait_for 20 asleep "$1" && sleep 0.3 && asleep "$1"
}

asleep() {
	grep -q '^State:.D' "/proc/$1/status"
}

# cleanup COMMAND...: run at the end, in reverse order
cleanup() {
	FC_CLEANUPS+=("$(printf '%q ' "$@")")
}

run_cleanups() {
	local i
	for ((i = ${#FC_CLEANUPS[@]} - 1; i >= 0; i--)); do
		eval "${FC_CLEANUPS[i]}" >"$FC_TMP/out" 2>&1 ||
			diag "cleanup: ${FC_CLEANUPS[i]}: $(tail -n 3 "$FC_TMP/out")"
	done
	FC_CLEANUPS=()
}

finish() {
	local rc=$?
	trap - EXIT
	run_cleanups
	if [ "$FC_PLAN" != skip ]; then
		fail_on_dmesg 'no forbidden words in the kernel log'
		[ -n "$FC_PLAN" ] || printf '1..%d\n' "$FC_COUNT"
		[ $FC_FAILED = 0 ] || rc=1
	fi
	rm -rf "$FC_TMP"
	exit $rc
}

# ---- the kernel log ----

# mark_log: expect_log and log_since look at what comes after
mark_log() {
	FC_MARK="fc-mark-$$-$RANDOM-$SECONDS"
	echo "<7>$FC_MARK" >/dev/kmsg
}

# log_since [MARK]: the kernel log since the last mark; all of it, and a word that is
# forbidden, if so much came that the mark is gone
log_since() {
	dmesg | awk -v mark="${1:-$FC_MARK}" '
		found { print; next }
		index($0, mark) { found = 1; next }
		{ kept[++n] = $0 }
		END {
			if (found)
				exit
			print "BUG: lib.sh: the kernel log has lost its mark"
			for (i = 1; i <= n; i++)
				print kept[i]
		}'
}

log_has() {
	# -q would end early, and where there are more lines awk by SIGPIPE
	log_since | grep -E -- "$1" >/dev/null
}

# expect_log REGEX DESCRIPTION [SECONDS]: since the last mark there is (or
# comes within the time) a line that matches; that line is then allowed
expect_log() {
	FC_ALLOWED+=("$1")
	if wait_for "${3:-2}" log_has "$1"; then
		pass "$2"
		return 0
	fi
	fail "$2"
	diag "wanted in the log: $1"
	diag "$(log_since | tail -n 10)"
	return 1
}

# allow_log REGEX: such lines are no failure
allow_log() {
	FC_ALLOWED+=("$1")
}

# fail_on_dmesg DESCRIPTION: no forbidden line since the test began
fail_on_dmesg() {
	local bad allowed
	[ -s "$FC_DIR/forbidden-log" ] || bail 'no list of forbidden words'
	bad=$(log_since "$FC_START" | grep -E -f "$FC_DIR/forbidden-log")
	for allowed in "${FC_ALLOWED[@]}"; do
		bad=$(grep -vE -- "$allowed" <<<"$bad")
	done
	if [ -z "${bad//$'\n'/}" ]; then
		pass "$1"
		return 0
	fi
	fail "$1"
	diag "$(head -n 20 <<<"$bad")"
	return 1
}

# ---- devices ----

# load_fclock: the module and what it depends on; skips all without one
load_fclock() {
	[ -d /sys/module/dm_fclock ] && return 0
	[ -f "$FC_KO" ] || plan skip "no module at $FC_KO"
	must load-fclock "$FC_KO"
	cleanup rmmod dm_fclock
}

# brd_up COUNT MIB: /dev/ram0.. of equal size
brd_up() {
	[ -d /sys/module/brd ] && must rmmod brd
	must modprobe brd rd_nr="$1" rd_size=$(($2 * 1024)) max_part=0
	cleanup rmmod brd
}

# loop_up NAME MIB: prints a loop device over a file in memory
loop_up() {
	local dev
	[ -d /sys/module/loop ] || modprobe loop || return 1
	truncate -s "$2M" "$FC_TMP/$1.img" &&
		dev=$(losetup -f --show "$FC_TMP/$1.img") || return 1
	echo "$dev"
}

# null_up NAME MIB [ATTRIBUTE=VALUE...]: a null_blk device with memory behind
# it, /dev/NAME; attributes as in configfs (discard=1, blocksize=4096, ...)
null_up() {
	local dir=/sys/kernel/config/nullb/$1 name=$1 mib=$2 attr
	shift 2
	[ -d /sys/module/null_blk ] || must modprobe null_blk nr_devices=0
	[ -d /sys/kernel/config/nullb ] ||
		must mount -t configfs none /sys/kernel/config
	must mkdir "$dir"
	for attr in "size=$mib" memory_backed=1 "$@"; do
		must bash -c "echo ${attr#*=} >$dir/${attr%%=*}"
	done
	must bash -c "echo 1 >$dir/power"
	must wait_for 5 test -b "/dev/$name"
	cleanup rmdir "$dir"
}

# dm_up NAME TABLE: a device mapper device that is removed at the end
dm_up() {
	must dmsetup create "$1" --table "$2"
	cleanup dm_down "$1"
}

dm_down() {
	dmsetup info "$1" >/dev/null 2>&1 || return 0
	dmsetup remove --retry "$1"
}

sectors() {
	blockdev --getsz "$1"
}

# field NAME=VALUE-LINE NAME: "field 'a=1 b=2' b" prints 2
field() {
	local word
	for word in $1; do
		if [ "${word%%=*}" = "$2" ]; then
			echo "${word#*=}"
			return 0
		fi
	done
	return 1
}

# ---- several nodes in one kernel ----
#
# A node is a network namespace node<i> with 10.78.0.<i> and fd78::<i>, and
# dm-linear devices of its own over the shared ones, so that each node has other
# device numbers: with SHARED='a=/dev/ram0 m=/dev/ram1' node 2 has
# /dev/mapper/a2 and /dev/mapper/m2.

net_up() {
	ip link show brfc >/dev/null 2>&1 && return 0
	must modprobe bridge
	must ip link add brfc type bridge
	cleanup ip link del brfc
	must ip addr add 10.78.0.254/24 dev brfc
	must ip link set brfc up
}

# node_up ID [NAME=DEVICE...]: without devices those of $SHARED
node_up() {
	local id=$1 pair name dev
	shift
	[ $# -gt 0 ] || read -ra pair <<<"${SHARED:-}"
	[ $# -gt 0 ] || set -- "${pair[@]}"
	net_up
	must ip netns add "node$id"
	cleanup node_down "$id"
	must ip link add "v$id" type veth peer name eth0 netns "node$id"
	must ip link set "v$id" master brfc up
	in_node "$id" sh -c 'echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad'
	must in_node "$id" ip -batch - <<-END
		link set lo up
		link set eth0 up
		addr add 10.78.0.$id/24 dev eth0
		addr add fd78::$id/64 dev eth0 nodad
	END
	for pair in "$@"; do
		name=${pair%%=*} dev=${pair#*=}
		must dmsetup create "$name$id" \
			--table "0 $(sectors "$dev") linear $dev 0"
		cleanup dm_down "$name$id"
	done
}

node_down() {
	ip link del "v$1" 2>/dev/null
	[ ! -e "/run/netns/node$1" ] || ip netns del "node$1"
}

# in_node ID COMMAND...: with the node's network; mounts and devices are shared
in_node() {
	local id=$1
	shift
	nsenter --net="/run/netns/node$id" -- "$@"
}

# cut_node ID: its frames vanish, its carrier stays. heal_node ID: undo it
cut_node() {
	ip link set "v$1" nomaster
}

heal_node() {
	ip link set "v$1" master brfc
}

# The runner judges those in which the module takes part.
[ "${FCLOCK_DEBUG:-}" != kcsan ] || allow_log 'BUG: KCSAN:'
mark_log
FC_START=$FC_MARK
trap finish EXIT
trap 'exit 130' INT TERM HUP

# A test that gave a name of these another meaning would change what the others do.
mapfile -t FC_FUNCTIONS < <(compgen -A function)
readonly -f "${FC_FUNCTIONS[@]}"
