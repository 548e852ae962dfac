# make start | stop | status   a local cluster of three cells
# make test                    build and run the whole test suite
# make build bench lint format fuzz clean
SHELL := /bin/bash
.DEFAULT_GOAL := build
.PHONY: build binaries deps test start stop status bench lint format fuzz clean

PRESET ?= release
BUILD := build/$(PRESET)
CLUSTER_CONFIG ?= multigres_local
MULTIGRES := $(BUILD)/bin/multigres
# Seconds that `make fuzz` gives each fuzzer.
FUZZ_SECONDS ?= 30
SOURCES = $(shell git ls-files '*.h' '*.cc' '*.inl')

deps:
	@scripts/install-dependencies

$(BUILD)/build.ninja: CMakeLists.txt CMakePresets.json
	cmake --preset $(PRESET)

binaries: deps $(BUILD)/build.ninja
	cmake --build $(BUILD) --target binaries

build: deps $(BUILD)/build.ninja
	cmake --build $(BUILD)

test: build
	ctest --test-dir $(BUILD) --output-on-failure -j $$(nproc)

start: binaries
	@[[ -f $(CLUSTER_CONFIG)/multigres.yaml ]] || $(MULTIGRES) cluster init --config-path $(CLUSTER_CONFIG)
	@$(MULTIGRES) cluster start --config-path $(CLUSTER_CONFIG)

stop:
	@$(MULTIGRES) cluster stop --config-path $(CLUSTER_CONFIG)

status:
	@$(MULTIGRES) cluster status --config-path $(CLUSTER_CONFIG)

bench: deps $(BUILD)/build.ninja
	cmake --build $(BUILD) --target benches binaries
	@for bench in $(BUILD)/bin/*_bench; do echo "== $$(basename $$bench)"; $$bench; done

lint: build
	clang-format-19 --dry-run --Werror $(SOURCES)
	run-clang-tidy-19 -quiet -p $(BUILD) -j $$(nproc) '$(CURDIR)/src/.*\.cc'

format: deps
	clang-format-19 -i $(SOURCES)

fuzz: deps
	cmake --preset fuzz
	cmake --build build/fuzz --target fuzzers
	@for fuzzer in build/fuzz/bin/*_fuzz; do \
	  echo "== $$(basename $$fuzzer)"; \
	  mkdir -p build/fuzz/corpus/$$(basename $$fuzzer); \
	  $$fuzzer -max_total_time=$(FUZZ_SECONDS) -print_final_stats=0 build/fuzz/corpus/$$(basename $$fuzzer) || exit 1; \
	done

clean:
	rm -rf build
