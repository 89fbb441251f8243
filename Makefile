# Every job of the project is a target here; `make` alone lists them.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
GO          ?= go
MODULE      := github.com/lockd-io/lockd
COVERED     := fsm lockapi cluster
COVER_MIN   := 85
FUZZTIME    ?= 1m
SEEDS       ?= 10000
FIRST       ?= 1
LASTS       ?= 2m30s
HOURS       ?= 8
SEED        ?= 0
WORKLOAD    ?=
REPORT      ?=
ONLY        ?=
PLANTED     ?=
TRIES       ?= 3
TOOL        := $(GO) tool -modfile=tools/go.mod
# By the environment, so that what tests build is made of the same parts, and those once.
RACING      = $(shell $(GO) env GOFLAGS) -race

.PHONY: help run check test test-system jepsen jepsen-long jepsen-clock teeth sim faults bench fuzz lint proto deps
help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

run: ## a three-node cluster in this terminal; Ctrl-C ends it
	@$(GO) build -o bin/lockd ./cmd/lockd && exec bin/lockd dev

check: ## vet and every test without the race detector: quick, for each save
	$(GO) vet ./... && $(GO) test ./...

test: ## every test with the race detector; fails under 85 % coverage of fsm, lockapi or cluster
	@echo "Every test, with the race detector. On two idle cores this takes five to six minutes the first time,"
	@echo "which is half building, and three after that. Modules that are not here are downloaded first;"
	@echo "then each package is told of when it ends, the first after a minute or two."
	@$(GO) mod download
	@GOFLAGS="$(RACING)" $(GO) test -timeout 30m -cover -json -v=false ./... | .ci/tested $(COVER_MIN) $(addprefix $(MODULE)/,$(COVERED))

test-system: ## real processes, kills and pauses: go test -tags system ./systemtest
	$(GO) test -tags system -count=1 -timeout 20m -v ./systemtest/...

jepsen: ## clients and faults on real processes (root): LASTS (2m30s) for each workload, SEED, WORKLOAD, ONLY, REPORT
	$(GO) test -tags jepsen -count=1 -timeout 60m -v ./jepsen -run 'Test(Suite|Pauses)/$(WORKLOAD)' -args -lasts $(LASTS) -seed $(SEED) -report '$(REPORT)' -only "$(ONLY)" \
	  $(if $(WORKLOAD)$(ONLY)$(filter-out file,$(origin LASTS)),,-enough)

jepsen-long: ## the same for HOURS (8), seed after seed from SEED; keeps in REPORT what failed
	$(GO) test -tags jepsen -count=1 -timeout 0 -v ./jepsen -run 'TestSuite' -args -lasts $(LASTS) -seed $(SEED) -report '$(REPORT)' -hours $(HOURS)

jepsen-clock: ## clients while this machine's clock is stepped to and fro (root); it is set right in the end
	$(GO) test -tags jepsen -count=1 -timeout 60m -v ./jepsen -run 'TestWallClock' -args -clock -lasts $(LASTS) -seed $(SEED) -report '$(REPORT)'

teeth: ## plant faults in lockd, PLANTED (all) by name, and see that the suite catches each of them TRIES (3) times (root)
	$(GO) test -tags planted -count=1 -timeout 180m -v ./jepsen -run 'TestPlanted$$' -args -planted '$(PLANTED)' -tries $(TRIES)

sim: ## SEEDS (10000) histories of the replicated lock machine under faults, from seed FIRST (1)
	@$(GO) test -c -o bin/sim.test ./fsm/sim && exec bin/sim.test -test.run '^TestSimulation$$' -seeds $(SEEDS) -first $(FIRST)

faults: ## plant each known fault and see that its test turns red
	@$(GO) run ./faults

bench: ## every benchmark once, with allocations
	$(GO) test -run '^$$' -bench . -benchmem ./...

fuzz: ## every fuzz target for FUZZTIME (1m)
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$p; done; done

lint: ## go vet, gofmt, staticcheck
	$(GO) vet ./... && $(GO) vet -tags system,jepsen ./systemtest/... ./jepsen/... && $(GO) vet -tags planted ./jepsen
	@test -z "$$(gofmt -l . | tee /dev/stderr)"
	$(TOOL) staticcheck -tags system ./...

proto: ## generate transport/rpc from its .proto
	cd transport/rpc && $(GO) generate ./...

deps: ## modules, and (by apt) what test-system runs
	$(GO) mod download
	@hash ip nft unshare mkfs.ext4 curl strace less 2>/dev/null || { s=; [ "$$(id -u)" = 0 ] || s=sudo; \
	  $$s apt-get update -q && $$s apt-get install -q -y --no-install-recommends iproute2 nftables util-linux e2fsprogs curl strace less; }
