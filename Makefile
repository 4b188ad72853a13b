# bootlace: make lab runs it, make test proves it.
#
# Where things lie: build results in target/ (or CARGO_TARGET_DIR); loaders and the Debian installer, for lab and tests,
# always in target/lab-cache/firmware and target/lab-cache/installer/ARCH. SETUP=no leaves the machine's packages alone.

SHELL := /bin/bash
CARGO := scripts/cargo
CACHE := target/lab-cache

# make lab FIRMWARE=uefi MODE=proxy UNTIL=script NODE=compute2: what is not said is bootlace lab's own default.
FIRMWARE ?=
MODE     ?=
UNTIL    ?=
NODE     ?=
LAB_FLAGS = $(if $(FIRMWARE),--firmware '$(FIRMWARE)') $(if $(MODE),--mode '$(MODE)') \
            $(if $(UNTIL),--until '$(UNTIL)') $(if $(NODE),--node '$(NODE)')

# Root, for what needs network namespaces; the build never does.
SUDO = $(if $(filter 0,$(shell id -u)),,sudo)
# The binary, also when a user's cargo settings move the target folder.
BOOTLACE = $$($(CARGO) metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug/bootlace
# Has cargo run test programs as root.
RUNNER = CARGO_TARGET_$$($(CARGO) -vV | sed -n 's/^host: //p' | tr a-z- A-Z_)_RUNNER
AS_ROOT = $(if $(SUDO),export $(RUNNER)='$(SUDO) -E --';)

# Steps stand in order, and cargo is parallel by itself.
.NOTPARALLEL:
.PHONY: help build lab check test setup setup-build setup-lab supplies supplies-test clean

help:
	@echo 'make lab      boot a virtual machine through bootlace to the Debian installer, on its serial console'
	@echo '              FIRMWARE=bios|uefi|...  MODE=proxy|reservation  UNTIL=script|kernel|installer  NODE=name'
	@echo 'make test     prove everything, with real clients (installs what it needs)'
	@echo 'make check    the quick part: format, clippy, unit and property tests'
	@echo 'make build    build $(CURDIR)/target/debug/bootlace'
	@echo 'make setup    install what lab and tests need'
	@echo 'make clean    remove everything built and fetched'

setup:
	@$(if $(filter no,$(SETUP)),:,scripts/setup.sh test)

setup-lab:
	@$(if $(filter no,$(SETUP)),:,scripts/setup.sh lab)

setup-build:
	@$(if $(filter no,$(SETUP)),:,scripts/setup.sh build)

build: setup-build
	@$(CARGO) build --locked

# Fetched as the user, before anything runs as root. Quick when they are there and match their checksums.
supplies: build
	@"$(BOOTLACE)" firmware fetch --to $(CACHE)/firmware
	@"$(BOOTLACE)" firmware installer --to $(CACHE)/installer/amd64 $(LOADERS)

# And what the tests' other machines boot: shim, GRUB and PXELINUX of the same package, the arm64 installer.
test supplies-test: LOADERS = --loaders
supplies-test: supplies
	@"$(BOOTLACE)" firmware installer --to $(CACHE)/installer/arm64 --arch arm64 $(LOADERS)

lab: setup-lab supplies
	@$(SUDO) "$(BOOTLACE)" lab run --cache $(CACHE) $(LAB_FLAGS)

check: setup-build
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) test --locked --lib --bins

# Real clients one after another: they share two processors and their times.
test: setup check supplies-test
	$(AS_ROOT) $(CARGO) test --locked --no-fail-fast --test '*' -- --test-threads=1

clean:
	$(CARGO) clean
	rm -rf target
