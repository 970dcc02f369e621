# The ways into this repository; `make help` lists them.

CARGO ?= cargo
TOOLS := $(CURDIR)/target/tools
DENY_VERSION := 0.20.2
DENY := $(TOOLS)/bin/cargo-deny
LISTEN ?= 127.0.0.1:8443
OPS_LISTEN ?= 127.0.0.1:8080

.DEFAULT_GOAL := help
.PHONY: help run test bed image oracle-test cluster bench bench-gate lint deny fmt docs

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: ## build, serve on loopback with an embedded default, print commands to try
	$(CARGO) build --locked
	@mkdir -p target/run
	@printf '\n%s\n\n' 'tidegate serves the preset "recommended" at https://$(LISTEN)/validate. From another terminal:'
	@printf '  %s\n' \
	  "curl --cacert target/run/ca.crt -H 'Content-Type: application/json' \\" \
	  "  --data-binary @tests/reviews/privileged-pod.json https://$(LISTEN)/validate" \
	  'curl http://$(OPS_LISTEN)/readyz?verbose' \
	  'curl http://$(OPS_LISTEN)/metrics' \
	  'target/debug/tidegate check tests/controls/pod-security'
	@printf '\n%s\n\n' 'Ctrl-C stops it. LISTEN=… and OPS_LISTEN=… choose other ports.'
	@exec target/debug/tidegate serve --standalone --self-signed target/run --dns-name localhost --dns-name 127.0.0.1 \
	  --listen $(LISTEN) --ops-listen $(OPS_LISTEN) --drain-delay 0s --drain-timeout 5s

test: bed image oracle-test ## every test, on real parts that it builds where they are missing
	$(CARGO) test --locked

bed: ## build etcd, kube-apiserver, kubectl, helm and the other programs of the tests once
	tests/bed/build.sh

image: ## the image as an OCI layout in target/image/oci; PROFILE=release for the one to ship
	tests/bed/image.sh

oracle-test: bed
	cd tests/oracle && go test ./...

cluster: ## a real API server with tidegate in front of it, until Ctrl-C; EMPTY=1: one to install it on
	EMPTY=$(EMPTY) tests/bed/cluster.sh

bench: ## ratios to the echo server of the same run, and target/bench/report.json
	$(CARGO) bench --locked --bench admission -- run

bench-gate: ## instructions per request; fails when 5 % worse
	$(CARGO) bench --locked --bench admission -- gate

lint: deny ## formatting, clippy, dependencies
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	cd tests/oracle && test -z "$$(gofmt -l .)" && go vet ./...

$(DENY):
	@echo "building cargo-deny $(DENY_VERSION), once"
	$(CARGO) install cargo-deny --version $(DENY_VERSION) --locked --debug --root $(TOOLS)

deny: $(DENY) ## licences, sources, bans, advisories of the dependencies
	$(DENY) check bans licenses sources
	@if $(DENY) fetch db 2>/dev/null; then $(DENY) check --disable-fetch advisories; \
	  else echo 'ADVISORIES NOT CHECKED: the advisory database cannot be fetched from here'; fi

fmt: ## format everything
	$(CARGO) fmt
	cd tests/oracle && gofmt -w .

docs: ## regenerate docs/ and build the crate's pages
	$(CARGO) build --locked
	target/debug/tidegate controls -o markdown > docs/controls.md
	$(CARGO) doc --locked --no-deps --document-private-items
