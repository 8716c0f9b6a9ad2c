# The commands a newcomer needs; `make help` lists them.

CARGO ?= cargo
DATA ?= ./data
BENCH_ARGS ?=
FUZZ_SECONDS ?= 60

# A newer Node.js than the system's, where tests/install-node had to bring one.
export PATH := $(CURDIR)/target/node/bin:$(PATH)

BUILD_NEEDS := build-essential clang cmake libssl-dev pkg-config
TEST_PEERS := baresip-core bind9 bind9-dnsutils chromium ethtool iproute2 iptables keepalived sip-tester kamailio kamailio-sqlite-modules opus-tools pebble postgresql procps openssl socat python3-venv redis-server rtpengine-daemon sngrep sqlite3 tshark
CLUSTER_PEERS := baresip-core iproute2 postgresql procps python3 redis-server util-linux
BENCH_PEERS := chromium ethtool iproute2 kamailio rtpengine-daemon util-linux

.DEFAULT_GOAL := help
.PHONY: help run cluster install test bench fuzz

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build and start a complete phone system that keeps its data in ./data
	@{ command -v cc && command -v cmake && pkg-config --exists openssl; } >/dev/null || tests/install-peers $(BUILD_NEEDS)
	@tests/install-node || true # without, a page says how to get the panel
	$(CARGO) build --release --package tandem
	exec target/release/tandem up --data $(DATA)

cluster: ## Start three switches, two dispatchers, media servers and stores on addresses of their own (root)
	@tests/install-peers $(BUILD_NEEDS) $(CLUSTER_PEERS)
	@tests/install-node || true
	$(CARGO) build --release --package tandem
	deploy/cluster up

install: ## Put `tandem` on the PATH, into cargo's bin directory
	@{ command -v cc && command -v cmake && pkg-config --exists openssl; } >/dev/null || tests/install-peers $(BUILD_NEEDS)
	@tests/install-node || true
	$(CARGO) install --locked --path crates/tandem

test: ## Install the test peers, then run every check and test
	@tests/install-peers $(BUILD_NEEDS) $(TEST_PEERS)
	@tests/install-node
	@CARGO="$(CARGO)" tests/install-s3-server
	@tests/install-schemathesis
	$(CARGO) xtask ci

bench: ## Measure beside Kamailio and rtpengine; BENCH_ARGS="call --quick" chooses
	@tests/install-peers $(BUILD_NEEDS) $(BENCH_PEERS)
	@tests/install-node
	$(CARGO) build --release --package tandem --package bench
	target/release/bench $(BENCH_ARGS)

fuzz: ## Fuzz every target for FUZZ_SECONDS seconds each (needs cargo-fuzz and nightly Rust)
	$(CARGO) xtask fuzz --seconds $(FUZZ_SECONDS)
