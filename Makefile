# make start | stop | status   a local cluster of three cells
# make test                    build and run the whole test suite
# make chaos                   a real cluster, real clients, every fault, and a table; FAULTS, RUNS, DURATION, SYSTEM (docs/chaos.md)
# make model                   explore the rule change exhaustively (docs/model); MODEL=walk and others: a part of it
# make sim SEEDS=20000         the simulation of agent, manager and orchestrators (docs/simulation.md)
# make build bench lint format fuzz clean
SHELL := /bin/bash
.DEFAULT_GOAL := build
.PHONY: build binaries deps test chaos model sim start stop status bench lint format fuzz clean

PRESET ?= release
BUILD := build/$(PRESET)
CLUSTER_CONFIG ?= multigres_local
MULTIGRES := $(BUILD)/bin/multigres
# Every fault once, then a hundred failovers of the kinds that have a target, then the same kinds on Patroni.
FAULTS ?= all,measured:20
RUNS ?= 1
DURATION ?= 0
SYSTEM ?= both
CHAOS_OPTIONS ?=
# How many runs `make sim` makes.
SEEDS ?= 20000
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

chaos: binaries
	MULTIGRES_BIN_DIR=$(BUILD)/bin /usr/bin/python3 -B test/chaos/chaos.py --results chaos-results --faults $(FAULTS) --runs $(RUNS) \
	  --duration $(DURATION) --system $(SYSTEM) $(CHAOS_OPTIONS)

sim: deps $(BUILD)/build.ninja
	cmake --build $(BUILD) --target sim
	$(BUILD)/bin/sim --seeds $(SEEDS) --workers $$(nproc)

start: binaries
	@[[ -f $(CLUSTER_CONFIG)/multigres.yaml ]] || $(MULTIGRES) cluster init --config-path $(CLUSTER_CONFIG)
	@$(MULTIGRES) cluster start --config-path $(CLUSTER_CONFIG)

stop:
	@$(MULTIGRES) cluster stop --config-path $(CLUSTER_CONFIG)

status:
	@$(MULTIGRES) cluster status --config-path $(CLUSTER_CONFIG)

# all, exhaustive, traces, switches, walk, quick; or `explore attempts=2 crashes=1 --off fence`
MODEL ?= all

model: deps $(BUILD)/build.ninja
	cmake --build $(BUILD) --target rule_model
	$(BUILD)/bin/rule_model $(MODEL)

bench: deps $(BUILD)/build.ninja
	cmake --build $(BUILD) --target benches binaries
	@for bench in $(BUILD)/bin/*_bench; do echo "== $$(basename $$bench)"; $$bench; done

lint: build
	clang-format-19 --dry-run --Werror $(SOURCES)
	scripts/lint $(BUILD)

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
