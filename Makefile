SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO ?= go
TOOL := $(GO) tool -modfile=tools/go.mod
DOCS_TOOL := $(GO) tool -modfile=tools/docs/go.mod
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
IMAGE ?= ghcr.io/regcred/regcred
PUSH ?=
KEEP ?=
RUN ?=
SEED ?= 1
NIGHTLY ?=
PARTS ?=
TARGETS ?= 10000
LARGEST ?= 30000
CASES ?= scale calls company hour latency strangers growth neighbours
SOAK ?= 30m
RATE ?= 100
FUZZTIME ?= 3s
HISTORIES ?= 100
CLUSTER ?= kind
CONTEXT ?=
BASE ?= /
VERSIONS ?= $(VERSION)
# The modules with Go code besides the root's and tools/readers, whose dependencies take long to build.
MODULES := release/sbom site/look test/controlplane/binaries test/gitops

# The shell word that makes the control plane's binaries present and names their directory.
ASSETS = "$$($(GO) run ./test/controlplane/install etcd kube-apiserver kubectl kube-controller-manager)"

.PHONY: help
help: ## Show the targets.
	@sed -nE 's/^([a-z0-9-]+):.* ## (.*)/  make \1\t\2/p' "$(firstword $(MAKEFILE_LIST))" | expand -t 16

.PHONY: generate
generate: ## Generate deep copies, CRDs, RBAC rules, the token policy, docs/metrics.md, docs/reference, figures, and what the charts hold.
	$(TOOL) controller-gen object paths=./api/...
	$(TOOL) controller-gen crd:generateEmbeddedObjectMeta=false paths=./api/... output:crd:artifacts:config=config/crd
	version="$$(sed -n 's/^appVersion: //p' charts/regcred/Chart.yaml)"; sed -i "s|^  annotations:$$|&\n    regcred.dev/version: $$version|" config/crd/*.yaml
	$(TOOL) controller-gen rbac:roleName=regcred paths=./controllers/... output:rbac:artifacts:config=config/rbac
	$(TOOL) controller-gen rbac:roleName=regcred-metrics,fileName=metrics_role.yaml paths=./cmd/... output:rbac:artifacts:config=config/rbac
	$(GO) test ./cmd/regcred -run '^TestTheTokenPolicyAllowsWhatProvidersAskFor$$' -update
	$(GO) run ./test/metricsdoc config/monitoring/prometheusrule.yaml docs/metrics.md
	charts/generate
	for figure in flow trust; do \
		$(DOCS_TOOL) d2 --theme=0 --dark-theme=200 --omit-version --pad=20 docs/figures/$$figure.d2 docs/figures/$$figure.svg; \
	done
	$(DOCS_TOOL) crd-ref-docs --source-path=api/v1alpha1 --config=docs/reference/config.yaml --renderer=markdown --output-path=docs/reference/api.md
	sed -i -E 's/<([a-z]+)>/\&lt;\1\&gt;/g' docs/reference/api.md

.PHONY: fmt
fmt: ## Format the Go code.
	$(TOOL) golangci-lint fmt ./...

.PHONY: vet
vet: ## Run go vet, on every module and behind every build tag.
	$(GO) vet -tags lab,live ./...
	for module in $(MODULES); do $(GO) -C $$module vet ./...; done

.PHONY: lint
lint: ## Run the linters of .golangci.yml, and that of the workflows.
	$(TOOL) golangci-lint run ./...
	linter="$$($(TOOL) -n golangci-lint)"; for module in $(MODULES); do (cd $$module && "$$linter" run ./...); done
	$(GO) tool -modfile=tools/actionlint/go.mod actionlint -shellcheck= -pyflakes= .github/workflows/*.yaml

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in what is linked; needs https://vuln.go.dev.
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.1.4 ./cmd/...

# Compares whole trees, not `git status`, so that it also tells the truth while work is uncommitted.
.PHONY: verify
verify: ## Fail if generated or formatted files, go.mod or a linter disagree with what is here.
	@scratch="$$(mktemp -d)"; trap 'rm -rf "$$scratch"' EXIT; \
	tree() { GIT_INDEX_FILE="$$scratch/index" git add --all && GIT_INDEX_FILE="$$scratch/index" git write-tree; }; \
	before="$$(tree)"; \
	$(MAKE) --no-print-directory generate; \
	$(MAKE) --no-print-directory fmt; \
	after="$$(tree)"; \
	if [ "$$before" != "$$after" ]; then \
		echo "make generate fmt changes what is here; it did so now:" >&2; \
		git --no-pager diff "$$before" "$$after" >&2; \
		exit 1; \
	fi
	$(MAKE) --no-print-directory vet
	$(MAKE) --no-print-directory lint
	for module in . $(MODULES); do $(GO) -C $$module mod tidy -diff; done

.PHONY: build
build: ## Build bin/regcred and the plugin of kubectl.
	VERSION="$(VERSION)" cmd/buildenv $(GO) build -o bin/ ./cmd/regcred ./cmd/kubectl-regcred
	cp cmd/kubectl-regcred/kubectl_complete-regcred bin/

.PHONY: image
image: ## Build the image of every platform by docker buildx, buildah or ko: VERSION=, IMAGE=, PUSH=1 pushes it.
	VERSION="$(VERSION)" IMAGE="$(IMAGE)" PUSH="$(PUSH)" release/image

.PHONY: release
release: ## Put archives, charts, manifests, SBOM and checksums into dist: VERSION=v1.2.3, IMAGE=.
	kubectl="$$(KUBEBUILDER_ASSETS= $(GO) run ./test/controlplane/install kubectl)/kubectl"; \
	VERSION="$(VERSION)" IMAGE="$(IMAGE)" GO="$(GO)" HELM="$(TOOL) helm" KUBECTL="$$kubectl" release/build

.PHONY: test
test: build ## Run all tests, with a real API server and Prometheus; RACE= leaves the race detector out.
	GO="$(GO)" test/run

.PHONY: chart
chart: build ## Lint, render, install, upgrade and uninstall the chart, in every order.
	assets=$(ASSETS); KUBEBUILDER_ASSETS="$$assets" $(GO) test ./test/chart -every-order -timeout 30m

.PHONY: demo
demo: build ## Show Regcred at work on this machine; KEEP=1 leaves it running.
	assets=$(ASSETS); $(TOOL) -n helm > /dev/null; $(GO) build -o bin/demo ./test/demo; \
	KUBEBUILDER_ASSETS="$$assets" KEEP="$(KEEP)" exec bin/demo

.PHONY: e2e
e2e: build ## Pull images with a real kubelet and containerd (root); RUN= selects scenarios, E2E_OPTIONAL=1 passes where it cannot run.
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o bin/ ./test/node/pause ./test/e2e/renew
	VERSION="$(VERSION)-next" cmd/buildenv $(GO) build -o bin/regcred-next ./cmd/regcred
	$(GO) build -o bin/e2e ./test/e2e; exec bin/e2e -run "$(RUN)"

.PHONY: faults
faults: ## End the controller, etcd and the API server at their effects, and mix events up; RUN= selects tests, SEED= orders of events, NIGHTLY=1 tries all.
	assets=$(ASSETS); KUBEBUILDER_ASSETS="$$assets" $(GO) test ./test/faults -run "$(RUN)" -seed $(SEED) $(if $(NIGHTLY),-nightly -timeout 90m,-timeout 15m)

.PHONY: soak
soak: ## Let a controller with the race detector rotate RATE= times as often as usual for SOAK=, and fail if memory, goroutines or descriptors grow.
	assets=$(ASSETS); mkdir -p bin; $(GO) build -o bin/soak ./test/soak; \
	KUBEBUILDER_ASSETS="$$assets" exec bin/soak -for $(SOAK) -rate $(RATE) -seed $(SEED)

.PHONY: fuzz
fuzz: ## Feed what others can write to every parser of it; FUZZTIME= is how long for each.
	GO="$(GO)" FUZZTIME="$(FUZZTIME)" test/fuzz

.PHONY: anyorder
anyorder: ## Change everything in random orders, and compare the end with the last wishes applied afresh; SEED= is the first of HISTORIES=.
	assets=$(ASSETS); KUBEBUILDER_ASSETS="$$assets" $(GO) test ./test/anyorder -seed $(SEED) -histories $(HISTORIES) -timeout 3h

.PHONY: year
year: ## Live through a year of 1,000 credentials and lying clouds in virtual time, and through 10,000 short schedules; SEED= is the first.
	$(GO) test ./test/year -run Year -seed $(SEED) -credentials 1000 -days 365 -timeout 3h
	$(GO) test ./test/year -run Schedules -seed $(SEED) -schedules 10000 -timeout 5h

.PHONY: guards
guards: ## Take every guard away in turn, and fail if no test notices; RUN= selects guards by name.
	assets=$(ASSETS); KUBEBUILDER_ASSETS="$$assets" $(GO) run ./test/guards/run "$(RUN)"

.PHONY: bench
bench: build ## Measure Regcred, and every provider, over 1,000 namespaces, and its growth over 10,000 (TARGETS=).
	assets=$(ASSETS); $(GO) build -o bin/bench ./test/bench; export KUBEBUILDER_ASSETS="$$assets"; \
	bin/bench && exec bin/bench -case scale -targets $(TARGETS)

.PHONY: bench-check
bench-check: build ## Measure what test/bench/bounds.yaml bounds, print it as a table, and fail if a bound is missed; CASES= are what to measure.
	assets=$(ASSETS); $(GO) build -o bin/bench ./test/bench; export KUBEBUILDER_ASSETS="$$assets"; \
	rm -rf dist/bench; mkdir -p dist/bench; missed=0; \
	check() { bin/bench -case "$${@:2}" -json dist/bench/$$1.json -check test/bench/bounds.yaml || missed=1; }; \
	for case in $(CASES); do \
		case $$case in \
		scale) for targets in 1000 $(TARGETS); do check $$targets scale -targets $$targets; done ;; \
		latency) check latency latency -targets $(TARGETS) -arrivals 150 ;; \
		growth) check growth growth -targets $(LARGEST) ;; \
		*) check $$case $$case ;; \
		esac; \
	done; \
	bin/bench -table dist/bench -check test/bench/bounds.yaml; exit $$missed

# VERSION and VERSIONS are for the menu, BASE is the path under which the site is served.
.PHONY: site
site: ## Build the site into dist/site (needs node and npm); a link that leads nowhere fails.
	cd site && npm ci --no-audit --no-fund
	ln -sfn ../site/node_modules docs/node_modules
	cd site && VERSION="$(VERSION)" BASE="$(BASE)" VERSIONS="$(VERSIONS)" npx vitepress build .

.PHONY: look
look: ## Look at dist/site in a headless Chromium, as a phone and as a desktop; pictures are in dist/pictures.
	cd site/look && $(GO) build -o ../../bin/look . && cd ../.. && bin/look

.PHONY: record
record: ## Write the demo's output anew, of which README.md shows a part.
	$(MAKE) -s --no-print-directory demo > test/demo/recorded.txt

.PHONY: record-check
record-check: build ## Run the demo, and compare what it prints with the record: numbers may differ.
	$(MAKE) -s --no-print-directory demo > bin/demo.txt
	assets=$(ASSETS); KUBEBUILDER_ASSETS="$$assets" $(GO) test ./test/docs -run TheRecord -args -demo-output "$(CURDIR)/bin/demo.txt"

.PHONY: nightly
nightly: ## Run what takes too long for every change, for hours: see docs/releasing.md; PARTS= selects, "record faults" for example.
	PARTS="$(PARTS)" test/nightly

.PHONY: readers
readers: build ## Have skopeo, podman, buildah (apt-get install them), crane, ORAS, Helm, cosign and Flux pull with a Secret of Regcred.
	assets=$(ASSETS); cd tools/readers; KUBEBUILDER_ASSETS="$$assets" $(GO) test -count=1 -timeout 30m .

.PHONY: kind
kind: ## Install this checkout into the kind cluster CLUSTER=, or into CONTEXT= of kubeconfig by way of the image IMAGE=.
	GO="$(GO)" HELM="$(TOOL) helm" CLUSTER="$(CLUSTER)" CONTEXT="$(CONTEXT)" VERSION="$(VERSION)" IMAGE="$(if $(CONTEXT),$(IMAGE))" test/kind

.PHONY: clean
clean: ## Remove what was built here; the cache of binaries for tests stays.
	rm -rf bin dist
