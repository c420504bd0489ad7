# Everything a fresh machine with rustup's Rust and a C compiler needs. The host's build script builds the components:
# the recipe is in plugins/builder.

CARGO ?= cargo
RAYLINE = target/release/rayline
DEMO = target/demo

# Most tests wait: for servers, and for time to pass.
export RUST_TEST_THREADS ?= $(shell expr 2 '*' $$(getconf _NPROCESSORS_ONLN))

.PHONY: build demo test lint bench clean

build: ## The host, with the stages it ships.
	$(CARGO) build --release --bin rayline

demo: build ## The main job, on samples of three accounts: events, collection, queue, archive, documents.
	@rm -rf $(DEMO)
	@echo "== status events of three accounts -> event queue"
	RAYLINE_ARCHIVE=file:../samples/events RAYLINE_QUEUE=file:../target/demo/events.queue \
	    RAYLINE_DATA_DIR=../target/demo/events $(RAYLINE) replay pipelines/demo-replay.toml
	@echo "== event queue -> executions and traces -> queue"
	$(RAYLINE) run pipelines/demo-collect.toml
	@echo "== messages that others sent -> queue"
	RAYLINE_ARCHIVE=file:../samples/messages $(RAYLINE) replay pipelines/demo-replay.toml
	@echo "== queue -> archive and documents"
	$(RAYLINE) run pipelines/demo.toml
	@echo "Results are in $(DEMO)/archive and $(DEMO)/documents"

test: lint ## Everything that must hold.
	@rm -f target/release/skipped.txt
	$(CARGO) test --release --workspace --no-fail-fast --features rayline/failpoints
	@cat target/release/skipped.txt 2>/dev/null || true

lint: deny ## Formatting, lints, dependencies, docs.
	$(CARGO) fmt --all --check
	for package in plugins/examples/redact-rust tests/guests; do \
	    $(CARGO) fmt --all --check --manifest-path $$package/Cargo.toml || exit 1; done
	$(CARGO) clippy --release --workspace --all-targets --features rayline/failpoints -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --workspace --no-deps --features rayline/failpoints

.PHONY: deny
deny:
	@command -v cargo-deny >/dev/null || $(CARGO) install --locked --debug cargo-deny
	$(CARGO) deny --all-features check bans licenses sources

bench: ## Ratios within one run; writes target/bench.json. Installs Elasticsearch into target/servers as `test` does.
	$(CARGO) bench --profile release --workspace --features rayline/failpoints --bench rates

clean:
	$(CARGO) clean
