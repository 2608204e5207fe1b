# Each target does one thing; `make` alone lists them.

GO ?= go
export GO # .ci/deps asks it for its version

# Where goroutines meet: the packages that run under the race detector. The Caddy-heavy
# ones are left out, compiling them for it takes minutes.
RACE ?= ./config/... ./internal/...

GOLANGCI_LINT_VERSION := v2.15.0
linter := bin/golangci-lint-$(GOLANGCI_LINT_VERSION)

# Prints what go test prints, and at the end which tests were skipped and why.
GOTESTSUM_VERSION := v1.13.0
gotestsum := bin/gotestsum-$(GOTESTSUM_VERSION)

# As xcaddy builds, so that both share what the go command has compiled.
binary_flags := -trimpath -ldflags '-w -s' -tags nobadger,nomysql,nopgx

# The demo's world: nothing secret, and nothing outside of this folder. The keys are for
# the simulator; those in the environment win.
demo_env := env XDG_DATA_HOME="$(CURDIR)/.demo/data" XDG_CONFIG_HOME="$(CURDIR)/.demo/config" \
	DODO_PAYMENTS_API_KEY="$${DODO_PAYMENTS_API_KEY:-demo_api_key}" \
	DODO_PAYMENTS_WEBHOOK_SECRET="$${DODO_PAYMENTS_WEBHOOK_SECRET:-whsec_ZG9kb2dhdGUtZGVtby1zZWNyZXQtZG8tbm90LXVzZSE=}"

# The examples for moving over read the variables that the old integrations had.
# Those in deploy read secrets from files.
validate_env := $(demo_env) ENV=development DODO_PRODUCT_ID=pdt_example SECRETS="$(CURDIR)/.demo/secrets"
validate_secrets := dodo_api_key=demo_api_key dodo_webhook_secret=whsec_ZG9kb2dhdGUtZGVtby1zZWNyZXQtZG8tbm90LXVzZSE= \
	dodo_proof_secret=demo_proof_secret_of_the_validation redis_password=demo redis_url=redis://localhost

# Every Caddyfile that people may copy: those that git has, or would add.
caddyfiles = $(shell git ls-files --cached --others --exclude-standard -- \
	':(glob)**/Caddyfile*' ':(glob)**/*.Caddyfile' ':(exclude,glob)**/testdata/**')

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: bin/dodogate ## start the demo at http://localhost:8080/ (building it takes minutes the first time)
	@echo 'dodogate demo: open http://localhost:8080/, and http://localhost:2019/dodo/ for its console (Ctrl-C stops it)'
	@exec $(demo_env) ./bin/dodogate run --config Caddyfile

.PHONY: bin/dodogate
bin/dodogate: # the binary with the simulator; go knows best what is up to date
	CGO_ENABLED=0 $(GO) build $(binary_flags) -o $@ ./cmd/dodogate

.PHONY: build
build: ## build the production binary, ./bin/caddy, from xcaddy.json (without the simulator)
	$(GO) run ./cmd/build -o bin/caddy

.PHONY: release
release: ## make the release VERSION=v1.2.3 of this commit in dist: binaries, SBOMs, notes and checksums
	@test -n '$(VERSION)' || { echo 'release: which one? make release VERSION=v1.2.3' >&2; exit 1; }
	$(GO) run ./cmd/build -release '$(VERSION)' -o dist
	@echo 'release: see dist; then: git tag --annotate $(VERSION) --file dist/NOTES.md --cleanup verbatim'

.PHONY: release-check
release-check: ## make a release twice, in different folders, and compare every byte; takes many minutes
	RELEASE_BUILD=1 $(GO) test -count=1 -timeout 60m -v -run TestReleaseIsReproducible ./cmd/build

.PHONY: deps
deps: ## look for what the tests need besides Go; installs redis-server and npm packages if they are missing
	@./.ci/deps

.PHONY: test
test: deps $(gotestsum) ## run all tests that can run here, and say which ones were skipped and why
	$(gotestsum) --format standard-quiet --raw-command -- $(GO) test -json -timeout 10m ./...
	@$(MAKE) --no-print-directory deploy-check

# Its tests need many libraries, so they are a module of their own.
.PHONY: deploy-check
deploy-check: $(gotestsum) ## check what is in deploy: container file, compose, Kubernetes, systemd, Redis
	cd deploy/check && $(CURDIR)/$(gotestsum) --format standard-quiet --raw-command -- $(GO) test -json -timeout 10m ./...

$(gotestsum):
	GOBIN="$(CURDIR)/bin" $(GO) install gotest.tools/gotestsum@$(GOTESTSUM_VERSION)
	@mv bin/gotestsum $@

.PHONY: race
race: deps ## run the tests with goroutines under the race detector
	$(GO) test -race -timeout 15m $(RACE)

# Where random tests begin. The same one tells the same stories again.
SEED := $(or $(SEED),$(shell od -An -N4 -tu4 /dev/urandom | tr -d ' '))

.PHONY: stories
stories: ## tell every life story in 10,000 shuffles, from SEED or one that it prints
	@echo 'SEED=$(SEED)'
	$(GO) test -count=1 -timeout 30m -run 'TestLifeStories|TestMissedBodies|TestSpentInAnyLife' ./internal/entitlement -rapid.checks=10000 -rapid.seed=$(SEED)

# What `make chaos` may be told: how long each scenario lasts, which ones of embedded, redis,
# sentinel and cluster, which faults, and after how many of them it ends. The names of the
# faults are in its report. SEED decides what happens, though not exactly when.
FOR ?= 5m
FAULTS ?=
TIMES ?=

.PHONY: chaos
chaos: deps ## sell and charge FOR a while (5m) on each store while gateways, stores, disks and clocks fail, from SEED or one that it prints
	@echo 'SEED=$(SEED)'
	DODOGATE_CHAOS='for=$(FOR) seed=$(SEED) only=$(ONLY) faults=$(FAULTS) times=$(TIMES)' \
		$(GO) test -count=1 -timeout 12h -v -run 'TestChaos$$' ./cmd/dodogate

# What Dodo's lists have in long-lists.
LIST_PAYMENTS ?= 250000
LIST_SUBSCRIPTIONS ?= 150000

.PHONY: long-lists
long-lists: deps ## reconcile with 250,000 payments, 150,000 of them of subscriptions, from SEED or one that it prints
	@echo 'SEED=$(SEED)'
	$(GO) test ./internal/gateway -run '^TestLongLists$$' -count=1 -timeout 6h -v \
		-list-payments $(LIST_PAYMENTS) -list-subscriptions $(LIST_SUBSCRIPTIONS) -list-seed $(SEED)

# Other programs on the machine delay gateway and customers alike. If this user may do so, the
# gateway and the good customers get a real-time priority, and the attackers a lower one.
abuse_alone = $(shell chrt -r 2 true 2>/dev/null && echo yes)

.PHONY: abuse
abuse: ## hold 5,000 connections of each kind that strangers may open, and measure memory and good customers' times
	DODOGATE_ABUSE=long $(if $(abuse_alone),DODOGATE_ATTACKER='chrt -r 1') $(GO) test -count=1 -timeout 30m -v -run TestAbuse \
		$(if $(abuse_alone),-exec 'chrt -r 2') ./cmd/dodogate

# The length of a story is random; so many are more than enough, whatever the seed.
.PHONY: model
model: deps ## take each store 100,000 random steps beside package ledger, from SEED or one that it prints
	@echo 'SEED=$(SEED)'
	@$(GO) test -count=1 -timeout 15m -p 2 -v -run 'TestConformance$$/Model' \
		./internal/store/boltstore ./internal/store/redisstore -rapid.checks=440 -rapid.steps=260 -rapid.seed=$(SEED) | \
		awk '{ print } / [0-9]+ steps$$/ { enough += $$(NF - 1) >= 100000 } /^ok/ { ok++ } \
			END { if (ok != 2 || enough != 2) { print "make model: a store failed, or took fewer than 100,000 steps"; exit 1 } }'

# What `make bench` may be told: how much of it, how often, and where its results go. With
# OUT=bench/RESULTS.md, those of some parts replace the older ones of the same parts.
ROUNDS ?= 7
BURST ?= 1s
ONLY ?=
CONTESTANTS ?=
BEFORE ?=
NOTE ?=
OUT ?= $(if $(ONLY)$(CONTESTANTS)$(BEFORE),,bench/RESULTS.md)
bench_flags = -rounds $(ROUNDS) -burst $(BURST) -note '$(NOTE)' \
	-command '$(strip make bench $(foreach v,ROUNDS BURST ONLY CONTESTANTS,$(if $(findstring command,$(origin $(v))),$(v)=$($(v)))))' \
	$(if $(CONTESTANTS),-contestants $(CONTESTANTS)) $(if $(BEFORE),-before $(BEFORE)) \
	$(if $(ONLY),-only $(ONLY)) $(if $(OUT),-out $(OUT))

.PHONY: bench
bench: bin/dodogate bin/bench bench/express/node_modules ## measure dodogate beside the floor of each job; writes bench/RESULTS.md
	./bin/bench $(bench_flags)

.PHONY: bench-profile
bench-profile: bin/dodogate bin/bench ## write CPU profiles of gateways under load to bin/profiles
	@mkdir -p bin/profiles
	./bin/bench -only proxy,webhooks -rounds 1 -events 5000 -profiles bin/profiles $(if $(CONTESTANTS),-contestants $(CONTESTANTS))

.PHONY: failovers
failovers: ## measure what fail-overs of Redis lose, for docs/reliability.md; N=20 SEED=1
	go test ./internal/store/redisstore -run TestFailOverLosses -v -count=1 -timeout 1h -failovers $(or $(N),5) -failovers.seed $(or $(SEED),1)

.PHONY: bench-smoke
bench-smoke: ## check in seconds that the benchmarks work
	$(GO) test -count=1 -timeout 5m ./bench/...

.PHONY: bin/bench
bin/bench:
	CGO_ENABLED=0 $(GO) build $(binary_flags) -o $@ ./bench

bench/express/node_modules: bench/express/package.json bench/express/package-lock.json
	npm ci --prefix bench/express --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: vet
vet: ## run go vet
	$(GO) vet ./...
	cd deploy/check && $(GO) vet ./...
	$(GO) vet -C internal/testing/promql ./...

.PHONY: fmt-check
fmt-check: ## find Go files that gofmt -s would change
	@unformatted=$$(gofmt -s -l .) && \
		{ test -z "$$unformatted" || { echo "gofmt -s -w these:" $$unformatted >&2; exit 1; }; }

.PHONY: tidy-check
tidy-check: ## find what go mod tidy would change
	$(GO) mod tidy -diff
	cd deploy/check && $(GO) mod tidy -diff

.PHONY: lint
lint: $(linter) ## run golangci-lint at the pinned version, building it when it is not there
	$(linter) run ./...
	cd deploy/check && $(CURDIR)/$(linter) run ./...

$(linter):
	GOBIN="$(CURDIR)/bin" $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	@mv bin/golangci-lint $@

.PHONY: validate
validate: bin/dodogate ## check that every shipped Caddyfile is formatted and valid
	@test -n '$(caddyfiles)' || { echo 'validate: found no Caddyfile' >&2; exit 1; }
	@mkdir -p .demo/secrets && for secret in $(validate_secrets); do \
		printf '%s' "$${secret#*=}" > ".demo/secrets/$${secret%%=*}" || exit 1; \
	done
	@for f in $(caddyfiles); do \
		echo "validate $$f"; \
		./bin/dodogate fmt "$$f" >/dev/null || exit 1; \
		log=$$($(validate_env) ./bin/dodogate validate --adapter caddyfile --config "$$f" 2>&1) || \
			{ echo "$$log" >&2; exit 1; }; \
	done

.PHONY: xcaddy
xcaddy: ## prove that production builds work, by xcaddy --with and by xcaddy.json
	PRODUCTION_BUILD=1 $(GO) test -count=1 -timeout 20m -run TestProduction ./cmd/build

.PHONY: clean
clean: ## remove what these targets wrote, with the demo's data
	rm -rf bin dist caddy .demo artifacts internal/dodo/testdata/standardwebhooks/node_modules internal/dodosim/testdata/dodojs/node_modules bench/express/node_modules
