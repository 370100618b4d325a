# make help lists what there is. Recipes are what you would type; scripts/ holds what is longer.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# A go.work in a folder above is not ours, nor is there a vendor folder.
export GOWORK := off
export GOFLAGS := $(filter-out -mod=% --mod=%,$(GOFLAGS))

PROVIDER ?= auto
CLUSTER ?= .cluster
ARGS ?=
LESSONS := $(sort $(notdir $(wildcard lessons/*)))
MODULES := $(patsubst %/go.mod,%,$(wildcard */go.mod)) # beside the root's
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

##@ Learn
.PHONY: lessons lesson up down status running
lessons: running ## Run every lesson in order; starts a cluster if there is none
	@for lesson in $(LESSONS); do \
		scripts/lesson $$lesson -kubeconfig "$(CLUSTER)/kubeconfig" $(ARGS) || exit; echo; \
	done

lesson: running ## Run one lesson, N=01 (ARGS="-pause", for instance)
	@scripts/lesson "$(N)" -kubeconfig "$(CLUSTER)/kubeconfig" $(ARGS)

.PHONY: learn exercise exercises bin/exercise
learn: running bin/exercise ## Go through the exercises: judged whenever you save
	@bin/exercise $(ARGS)

exercise: bin/exercise ## Judge your exercise N=03 (HINT=1, SOLUTION=1 or RESET=1)
	@bin/exercise $(if $(HINT),-hint) $(if $(SOLUTION),-solution) $(if $(RESET),-reset) $(ARGS) $(N)

exercises: bin/exercise ## Judge all exercises and show which is next
	@bin/exercise -all $(ARGS)

bin/exercise:
	@go generate ./exercises
	@scripts/build "the judge" . -o bin/exercise ./exercises

up: bin/cluster ## Start a cluster (PROVIDER=auto, kind or local)
	@bin/cluster up --provider $(PROVIDER) --dir "$(CLUSTER)"

running: bin/cluster
	@bin/cluster status --dir "$(CLUSTER)" >/dev/null 2>&1 || \
		bin/cluster up --provider $(PROVIDER) --dir "$(CLUSTER)"

down: bin/cluster ## Remove the cluster
	@bin/cluster down --dir "$(CLUSTER)"

status: bin/cluster ## Say how the cluster is
	@bin/cluster status --dir "$(CLUSTER)" || true

.PHONY: bin/cluster
bin/cluster:
	@scripts/build "the cluster tool" cluster -o ../bin/cluster .

##@ Work without a network
.PHONY: offline offline-check
offline: ## Fetch and compile all that lessons, exercises and tests need
	@scripts/offline

offline-check: ## Run lessons, exercises and make e2e with the network cut off (Linux)
	@scripts/offline-check

##@ Check
.PHONY: test e2e e2e-faults soak record docs lint vuln
test: ## Test packages, pages, the cluster tool and the benchmarks' program
	@scripts/test . -race $$(go list ./... | grep -v -e '/e2e$$' -e '/exercises/[^/]*$$')
	@for module in $(MODULES); do scripts/test $$module -race ./... || exit; done

# Without -race it compiles little that lessons have not compiled; the gate sets RACE=1.
SUMMARY ?= bin/e2e-summary
e2e: bin/cluster ## Check every lesson on a cluster made for it (E2E_CLUSTER=auto, kind, local or existing)
	@rm -f $(SUMMARY)
	@scripts/build "the lessons" . $(if $(RACE),-race) ./lessons/...
	@scripts/build "their tests" . -test ./e2e ./exercises/...
	@cd e2e && RACE=$(RACE) E2E_SUMMARY=../$(SUMMARY) \
		go test -vet=off -count=1 -timeout 40m -parallel 8 $(ARGS) || \
		{ cat ../$(SUMMARY) 2>/dev/null; exit 1; }
	@cat $(SUMMARY)

e2e-faults: ## Run the faults that take their time (make e2e runs the others)
	@$(MAKE) --no-print-directory e2e FAULTS=slow \
		ARGS="-run '^Test(Faults|SyncWithoutPause|Restart|Rights|CtrlC|Kill|EightLearners)' $(ARGS)"

TIME ?= 30m
PARALLEL ?= 4
SEED ?=
RUN ?=
soak: ## Run lessons under random faults (TIME=30m PARALLEL=4 SEED= RUN=)
	@mkdir -p bin
	@cd e2e && E2E_CLUSTER=$${E2E_CLUSTER:-local} SOAK_TIME=$(TIME) SOAK_PARALLEL=$(PARALLEL) \
		SOAK_SEED=$(SEED) SOAK_RUN=$(RUN) \
		go test -count=1 -timeout 0 -v -run '^TestSoak$$'

record: ## Record the lessons' output anew, lessons/*/output.txt, and mend docs/ by it
	go test ./e2e -count=1 -timeout 40m -run 'TestDirect|TestWatch|TestInformer|TestFallback|TestMemory|TestControllerLesson' -args -update
	$(MAKE) docs

docs: ## Rewrite the code, output and faults in docs/ from their sources
	go test ./docs -count=1 -run '^(TestBlocks|TestFaultTable)$$' -update

lint: ## Vet and lint all modules, and compile the lessons for Windows
	@scripts/lint $(GOLANGCI)

GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.8.0
# Not cluster/controlplane: what that calls is Kubernetes' own, and mended there.
vuln: ## Look for known vulnerabilities in what our code calls (needs vuln.go.dev)
	go run $(GOVULNCHECK) ./...
	cd cluster && go run $(GOVULNCHECK) . ./internal/...
	cd bench && go run $(GOVULNCHECK) ./...
	cd controller-runtime && go run $(GOVULNCHECK) ./...

##@ Measure
.PHONY: bench bench-guard bench-start
BENCH = cd bench && go test . -run '^$$' -timeout 0
bench: up ## Measure what reading costs; write docs/performance.md and bin/bench.txt (6 minutes)
	@set -o pipefail; $(BENCH) -kubeconfig ../$(CLUSTER)/kubeconfig -rounds 3 \
		-bench 'Read|Sync|Share|Wire' -benchtime 200ms $(ARGS) | tee ../bin/bench.txt
	@set -o pipefail; $(BENCH) -kubeconfig ../$(CLUSTER)/kubeconfig -rounds 2 \
		-bench AfterWrite -benchtime 2s $(ARGS) | tee -a ../bin/bench.txt
	cd bench && go run . -page ../docs/performance.md

bench-guard: bin/cluster ## Compare ratios with bench/limits.json, on a cluster made for it
	@set -e -o pipefail; dir=$$(mktemp -d); \
		trap 'bin/cluster down --dir "$$dir" >/dev/null && rm -rf "$$dir"' EXIT; \
		bin/cluster up --provider local --dir "$$dir"; \
		($(BENCH) -kubeconfig "$$dir/kubeconfig" -benchtime 100ms \
			-bench './(objects=1000|others=0|counted=.*)$$' | tee ../bin/bench-guard.txt); \
		(cd bench && go run . -in ../bin/bench-guard.txt)

bench-start: ## Measure the way from a clone with empty caches to the lessons' last line (15 minutes)
	scripts/bench-start

##@ Help
.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / { \
			line = sprintf("  make %-13s", $$1); words = split($$2, word, " "); \
			for (i = 1; i <= words; i++) { \
				if (length(line " " word[i]) > 80) {print line; line = sprintf("%20s", "")} \
				line = line " " word[i] \
			} \
			print line \
		}' $(MAKEFILE_LIST)
