# Two commands for everyone: make demo, make test. Each sets up what it needs.
# The rest is for those who work on gatehouse: make help.

GO      ?= go
BIN     := bin/gatehouse
LINT    := bin/golangci-lint
# What the tests want beside Go, from Debian's packages: a C compiler for the race detector, peers to talk to. Without
# root the tests that need one skip and say so.
PEERS   := gcc libc6-dev chromium

.PHONY: demo test ci build vet lint peers generated bench load soak fuzz clean help

demo: build ## see gatehouse do its job, on loopback, until Ctrl-C
	./$(BIN) demo

test: peers ## run the whole suite
	@command -v gcc >/dev/null || echo "test: no C compiler, so without the race detector" >&2
	$(GO) test $$(command -v gcc >/dev/null && echo -race) -shuffle=on ./...

build: ## build bin/gatehouse, without cgo
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN) ./cmd/gatehouse

ci: test vet lint generated ## what CI runs

vet: ## vet for Linux and Windows
	$(GO) vet ./...
	GOOS=windows $(GO) vet ./...

$(LINT): tools/go.mod tools/go.sum
	$(GO) build -C tools -o ../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

lint: $(LINT) ## run the linters
	./$(LINT) run ./...

peers: ## install what the tests want to talk to, where that is possible
	@scripts/peers $(PEERS)

generated: ## generate what is generated, and fail when that was stale
	$(GO) run ./internal/config/gen
	git diff --exit-code -- internal/config docs
	$(GO) mod tidy -diff

bench: ## the benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

load: build ## wrk through a farm while a member is drained and workers are killed: errors must be none
	@scripts/peers wrk
	@scripts/load ./$(BIN)

soak: build ## run for MINUTES (default 20) under load; our own verdict on our own workers must not be leak
	@scripts/peers wrk
	@scripts/soak ./$(BIN) $(or $(MINUTES),20)

fuzz: ## each fuzz target for half a minute
	@scripts/fuzz 30s

clean:
	rm -rf bin

help:
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12
