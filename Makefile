# SPDX-License-Identifier: GPL-2.0-only
#
#   make          the module for the running kernel, or for KDIR=
#   make demo     the whole thing end to end on three guests
#   make check    every test that CI runs; "make check GROUP='a b'" for some
#   make check-full   the same with the large amounts, mutants, debug kernels:
#                 hours
#   make sim SEEDS=<first> MINUTES=<n>   the simulator, on and on
#   make mutants  are seeded bugs found?
#   make bench    measurements
#   make install  into the modules of the kernel it was built for
#   make clean    removes what "make" built here; the cache stays
#   make help     says this
#
# The work is done in scripts/ and tests/; kernel objects are built in the
# cache (see scripts/kernel-build), so this tree holds sources only, and
# build/dm-fclock.ko with, where the kernel has DLM, build/dm-fclock-dlm.ko.

SHELL := /bin/bash
export PATH := $(PATH):/usr/sbin:/sbin
KDIR ?=
GROUP ?=
DESTDIR ?=
SEEDS ?= 1
MINUTES ?= 10

all: module

module:
	@mkdir -p build
	@rm -f build/dm-fclock-dlm.ko; ko=$$(scripts/kernel-build $(KDIR)) && \
		cp "$${ko%/*}"/dm-fclock*.ko build/ && \
		echo "build/dm-fclock.ko for" \
		"$$(modinfo -F vermagic build/dm-fclock.ko | cut -d' ' -f1)"

install: module
	@release=$$(modinfo -F vermagic build/dm-fclock.ko | cut -d' ' -f1); \
	dir=$(DESTDIR)/lib/modules/$$release/updates; \
	for ko in build/*.ko; do \
		install -D -m 644 $$ko $$dir/$${ko##*/} && \
		echo "installed $$dir/$${ko##*/}" || exit; \
	done; \
	if [ -z "$(DESTDIR)" ]; then depmod $$release; fi

demo:
	@scripts/demo

check:
	@tests/run $(GROUP)

check-full:
	@tests/run --full $(GROUP)

sim:
	@tests/sim/run --seeds $(SEEDS) --minutes $(MINUTES)

mutants:
	@tests/mutants/run

bench:
	@tests/bench/run

clean:
	rm -rf build

help:
	@sed -n 's/^#   //p' Makefile

.PHONY: all module install demo check check-full sim mutants bench clean help
