# The front door. Each target is a script of tools/ or a line of CMake; see `make help`.
PRESET ?= dev
PREFIX ?= /usr/local

.PHONY: help demo build test test-long coverage bench wheels servers servers-stop install uninstall clean

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | expand -t 16

demo: ## install what is missing, build, and show a real data set going in and out
	tools/install-packages
	tools/build $(PRESET)
	tools/demo

build: ## build into build/ (PRESET=dev); then `. build/env.sh`
	tools/build $(PRESET)

test: ## everything that must hold: tests, sanitizers, fuzzers
	tools/test

test-long: ## the same with ten times the random operations, rounds and fuzzing; takes hours
	LONG=1 tools/test

coverage: ## how much of libkivi the tests run, and what they do not
	tools/install-packages
	tools/coverage

bench: ## measure beside the raw libraries and rewrite libkivi/docs/performance.md
	tools/install-packages
	tools/build release
	tools/bench

wheels: ## build audited Python wheels, one for each CPython found here, into build/wheels
	tools/install-packages
	tools/wheels

servers: ## start the servers that tests run against; their URLs go to build/servers.env
	tests/servers/start

servers-stop: ## stop those servers
	tests/servers/stop

install: ## build for release and install under PREFIX (/usr/local)
	tools/build install
	cmake --install build/install --prefix $(PREFIX)

uninstall: ## take away what the last install put in place
	tools/uninstall build/install

clean: servers-stop ## remove build/
	rm -rf build
