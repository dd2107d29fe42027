# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A volume on several nodes in one kernel for the tests: devices o<n> (fclock-origin)
# and c<n>0, c<n>1 (fclock-copy) over what node_up makes of a, b, d and m in $SHARED.

. "${0%/*}/volume.sh"

NODES='1 2 3'
TIMEOUT=30000		# trigger_timeout: busy machines are slow; or none
FAMILY=4

addr() {	# NODE
	[ $FAMILY = 4 ] && echo "10.78.0.$1:7788" || echo "[fd78::$1]:7788"
}

# origin_of NODE [FEATURE WORDS...]: its table
origin_of() {
	local n=$1 p args
	args="listen $(addr "$n") ${TIMEOUT:+trigger_timeout $TIMEOUT} insecure ${*:2}"
	for p in $NODES; do
		[ "$p" = "$n" ] || args+=" peer $p $(addr "$p")"
	done
	echo "0 $LEN fclock-origin /dev/mapper/m$n /dev/mapper/a$n $n" \
		"$(wc -w <<<"$args") $args"
}

# join NODE [COPIES [FEATURE WORDS...]]: origin o<n>, copies c<n>0 (over b) and
# c<n>1 (over d)
join() {
	local n=$1 copies=${2:-1}
	must in_node "$n" dmsetup create "o$n" \
		--table "$(origin_of "$n" "${@:3}")"
	[ "$copies" -lt 1 ] || attach "$n" 0
	[ "$copies" -lt 2 ] || attach "$n" 1
}

attach() {	# NODE SLOT
	must dmsetup create "c$1$2" --table "0 $LEN fclock-copy \
/dev/mapper/m$1 $2 /dev/mapper/$([ "$2" = 0 ] && echo b || echo d)$1"
}

leave() {	# NODE
	local dev rc=0
	for dev in "c${1}0" "c${1}1" "o$1"; do
		dm_down "$dev" || rc=1
	done
	return $rc
}

nodes_down() {
	local n rc=0
	for n in $(tac -s ' ' <<<"$NODES "); do leave "$n" || rc=1; done
	return $rc
}

node() {	# NODE FIELD
	st "$2" "o$1"
}

# together NODE...: all of them are active and connected to each other
together() {
	local n line
	for n in "$@"; do
		line=$(dmsetup status "o$n")
		[[ $line == *" active "* ]] || return 1
		[ "$(field "$line" connected)" = $(($# - 1)) ] || return 1
	done
}

# cluster COPIES [FEATURE WORDS...]: all of $NODES over $A, $B and $M, taking part
cluster() {
	local n
	SHARED="a=$A b=${B[0]} ${B[1]:+d=${B[1]}} m=$M"
	for n in $NODES; do node_up "$n"; done
	cleanup nodes_down
	for n in $NODES; do join "$n" "$@"; done
	must wait_for 60 everywhere "$1"
}

# everywhere COPIES: are all nodes together, with so many copies attached?
everywhere() {
	local n want
	# shellcheck disable=SC2086
	together $NODES || return 1
	want=$(seq -s, 0 $(($1 - 1)))
	for n in $NODES; do
		[ "$(node "$n" slots)" = "${want:--}" ] || return 1
	done
}

m() {	# NODE MESSAGE...
	local n=$1
	shift
	dmsetup message "o$n" 0 "$@"
}
