# Everything a contributor runs. `make help` lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

LINT_VERSION := v2.15.0
LINT := bin/golangci-lint-$(LINT_VERSION)

# Services of their own for tests: those of `make services-up` stay as they are.
with_services = export WEIR_SERVICES_DIR="$(CURDIR)/.services/test"; \
	trap 'scripts/services down >/dev/null 2>&1 || true' EXIT; \
	scripts/services up; \
	eval "$$(scripts/services env)"

# Long tests at full size, on real services: $(call full_test,NAME,TIMEOUT)
full_test = $(with_services); WEIR_FULL=1 go test ./e2e -run '^$(1)' -count=1 -v -timeout $(2)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | sort | awk -F'\t' '{printf "  %-18s %s\n", $$1, $$2}'

.PHONY: demo
demo: ## Run the whole pipeline on simulated traffic
	go run ./cmd/weir demo

.PHONY: build
build: ## Build bin/weir
	CGO_ENABLED=0 go build -trimpath -o bin/weir ./cmd/weir

# The race detector watches the packages; the end-to-end tests drive processes
# that it cannot see into, and the short form of make eval and what is measured
# on public data sets are one goroutine.
# -count=1: files outside a module do not invalidate its cached test results.
.PHONY: test
test: ## Run all tests, with real services where their tools are installed
	@$(with_services); \
	status=0; \
	go test -race -timeout 20m $$(go list ./... | grep -v /e2e) || status=$$?; \
	go test -timeout 20m ./e2e || status=$$?; \
	go test -timeout 20m ./eval ./features/parameters ./features/payload || status=$$?; \
	(cd deploy/composetest && go test -count=1 ./...) || status=$$?; \
	(cd benchmarks/waf && go test ./...) || status=$$?; \
	skipped=(); \
	if [[ -z $${WEIR_TEST_KAFKA:-} ]]; then skipped+=("tests on a real Kafka: they need java and mvn"); fi; \
	if [[ -z $${WEIR_TEST_CLICKHOUSE:-} ]]; then skipped+=("tests on a real ClickHouse: they need npm, on Linux x86-64"); fi; \
	if [[ $${CI:-} != true ]] && (($${#skipped[@]})); then printf 'not run: %s\n' "$${skipped[@]}"; fi; \
	exit $$status

.PHONY: lint
lint: $(LINT) ## Check style, import direction and common mistakes
	$(LINT) run ./...
	cd deploy/composetest && ../../$(LINT) run ./...
	cd benchmarks/waf && ../../$(LINT) run ./...

# An installed golangci-lint of the right version is used as it is; building one
# takes minutes.
$(LINT):
	@mkdir -p bin; \
	for have in "$$(command -v golangci-lint || true)" "$$(go env GOPATH)/bin/golangci-lint"; do \
		if [[ -x $$have && v$$("$$have" version --short) == $(LINT_VERSION) ]]; then \
			ln -sf "$$have" $@; exit 0; \
		fi; \
	done; \
	echo "installing golangci-lint $(LINT_VERSION)"; \
	GOBIN="$(CURDIR)/bin" go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION); \
	mv bin/golangci-lint $@

.PHONY: bench
bench: ## Measure, into benchmarks/results/latest.json
	go run ./benchmarks/cmd/bench -out benchmarks/results/latest.json

# WEIR_DATASETS names the folder with the labelled payloads; without it the
# suite of payloads says that it was not run.
.PHONY: eval
eval: ## Measure detection against its targets, into eval/results
	@beside=(); \
	if [[ -n $${WEIR_DATASETS:-} ]]; then \
		(cd benchmarks/waf && go run . -data "$$WEIR_DATASETS" -out "$(CURDIR)/eval/results/waf.json"); \
		beside=(--beside eval/results/waf.json); \
	fi; \
	go run ./cmd/weir eval --suite all --strict --output table --out eval/results "$${beside[@]}"

FUZZ_TIME ?= 20s

.PHONY: fuzz
fuzz: ## Run every fuzz test for FUZZ_TIME (20s)
	@for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' "$$package" | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZ_TIME) "$$package"; \
		done; \
	done

.PHONY: generate
generate: ## Regenerate what is derived from other files
	go generate ./...

.PHONY: services-up
services-up: ## Start a Kafka and a ClickHouse for tests
	scripts/services up
	@echo 'now: eval "$$(scripts/services env)"'

.PHONY: services-down
services-down: ## Stop them and remove their data
	scripts/services down

.PHONY: kill-test
kill-test: ## Kill workers and brokers while they work; nothing may be lost or doubled
	@$(call full_test,TestKill,60m)

.PHONY: determinism-test
determinism-test: ## The same events must give the same verdicts, however they are processed
	@$(call full_test,TestDeterminism,60m)

.PHONY: flood-test
flood-test: ## A flood of identities may change neither memory nor a benign client's score
	@$(call full_test,TestFlood,60m)
