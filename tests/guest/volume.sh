# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A volume on one node for the tests: devices o (fclock-origin) and c0, c1, ...
# (fclock-copy) over $A, ${B[0]}, ${B[1]}, ... and $M. Contents are told by stamps
# (tests/tools/stamp.c): A begins with stamp 1 everywhere, the copy devices with 9.

. "${0%/*}/lib.sh"

GRAIN=128		# sectors

# disks MIB COPIES: A, B and M are memory disks of this size
disks() {
	local i
	brd_up $(($2 + 2)) "$1"
	A=/dev/ram0 M=/dev/ram$(($2 + 1)) B=()
	for ((i = 1; i <= $2; i++)); do
		B+=("/dev/ram$i")
	done
	LEN=$(sectors $A)
	fresh
}

# loops MIB COPIES: the same on loop devices, which discard, flush and count
loops() {
	local i
	A=$(loop_up a "$1") M=$(loop_up m "$1") B=()
	cleanup losetup -d "$A" "$M"
	for ((i = 0; i < $2; i++)); do
		B+=("$(loop_up "b$i" "$1")")
		cleanup losetup -d "${B[i]}"
	done
	LEN=$(sectors "$A")
	fresh
}

# fresh: M empty, first contents on A and the copy devices
fresh() {
	local dev
	must stamp write "$A" 1
	for dev in "${B[@]}"; do
		must stamp write "$dev" 9
	done
	wipe
}

# wipe: M is all zero
wipe() {
	must dd if=/dev/zero of="$M" bs=1M count=$(($(sectors "$M") / 2048)) \
		oflag=direct
}

# origin [FEATURE WORDS...]: without them `grain_size $GRAIN`
origin() {
	local args=("$@")
	[ $# -gt 0 ] || args=(grain_size "$GRAIN")
	dmsetup create o \
		--table "0 $LEN fclock-origin $M $A 1 ${#args[*]} ${args[*]}"
}

copy() {
	dmsetup create "c$1" --table "0 $LEN fclock-copy $M $1 ${B[$1]}"
}

# volume COPIES [FEATURE WORDS...]: all of it, taking part
volume() {
	local copies=$1 i
	shift
	must origin "$@"
	for ((i = 0; i < copies; i++)); do
		must copy "$i"
	done
	must wait_for 10 ready "$copies"
}

# ready COPIES: is the volume active, with all copies attached and announced?
ready() {
	local line want
	line=$(dmsetup status o)
	want=$(seq -s, 0 $(($1 - 1)))
	[ "$(state o)" = active ] && [ "$(field "$line" slots)" = "${want:--}" ]
}

volume_down() {
	local dev rc=0
	for dev in $(dmsetup ls --target fclock-copy | awk '$2 ~ /^\(/ {print $1}') \
		$(dmsetup ls --target fclock-origin | awk '$2 ~ /^\(/ {print $1}'); do
		dmsetup remove --retry "$dev" || rc=1
	done
	return $rc
}

o() {
	dmsetup message o 0 "$@"
}

# state DEVICE: the first word of its status
state() {
	dmsetup status "$1" | awk '{print $4}'
}

# st NAME [DEVICE]: one value of the status, of o
st() {
	field "$(dmsetup status "${2:-o}")" "$1"
}

# counters "NAME=VALUE ..." DESCRIPTION: exactly these, of o
counters() {
	local line word got=
	line=$(dmsetup status o)
	for word in $1; do
		got+="${got:+ }${word%%=*}=$(field "$line" "${word%%=*}")"
	done
	is "$got" "$1" "$2"
}

# split SLOT: grains
split() {
	local n
	n=$(st split "c$1")
	echo "${n%/*}"
}

# at GRAIN: its first sector
at() {
	echo $(($1 * GRAIN))
}

# holds DEVICE OFF LEN RUNS DESCRIPTION: what stamps are there
holds() {
	is "$(stamp read "$1" "$2" "$3")" "$4" "$5"
}

# is_state DEVICE STATE [SECONDS]
is_state() {
	wait_for "${3:-10}" eval '[ "$(state '"$1"')" = '"$2"' ]'
}

# for the tests
# shellcheck disable=SC2034
O=/dev/mapper/o C0=/dev/mapper/c0 C1=/dev/mapper/c1 C2=/dev/mapper/c2

# swappable NAME DEVICE: prints a linear device over it, for swap
swappable() {
	dm_up "$1" "0 $(sectors "$2") linear $2 0" >&2
	echo "/dev/mapper/$1"
}

# swap NAME TABLE: another table under whoever uses the device, at once
swap() {
	must dmsetup suspend --noflush --nolockfs "$1"
	must dmsetup reload "$1" --table "$2"
	must dmsetup resume --noflush "$1"
}

# gone NAME: every I/O of the device fails; back NAME DEVICE: no more
gone() {
	swap "$1" "0 $(sectors "/dev/mapper/$1") error"
}

back() {
	swap "$1" "0 $(sectors "/dev/mapper/$1") linear $2 0"
}

# bad NAME DEVICE SECTOR COUNT: I/O of these sectors fails, until it is back
bad() {
	local end=$(($3 + $4))
	swap "$1" "0 $3 linear $2 0
$3 $4 error
$end $(($(sectors "$2") - end)) linear $2 $end"
}

# cached NAME: prints a loop device over that device, which has a volatile cache: while NAME is
# gone, writes go on and a flush of them fails
cached() {
	[ -d /sys/module/loop ] || modprobe loop || return 1
	losetup -f --show --direct-io=off "/dev/mapper/$1"
}
