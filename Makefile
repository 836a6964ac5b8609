# The verbs of this repository; CI calls the same ones. `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
PARTS := core api controller worker client cli
# No browser of caches, no colours in logs: pytest decides by itself.
PYTEST := $(BIN)/pytest

.PHONY: help
help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- two commands on a fresh machine -------------------------------------------------------------

.PHONY: demo
demo: env cluster image ## A cluster, Octo in it, encrypted files, and a job that fetches them
	@$(BIN)/python -m deploy.demo up

.PHONY: test
test: env tools cluster image ## Every test; the cluster is made if there is none
	@$(PYTEST) -m "not cluster and not images and not upgrade"

# ---- parts of the above --------------------------------------------------------------------------

.PHONY: test-unit
test-unit: env helm ## Pure logic; seconds
	@$(PYTEST) -m unit

.PHONY: test-schedules
test-schedules: env ## The calendar of schedules against a second one, at length
	@$(PYTEST) --hypothesis-profile=long tests/unit/octo_core/domain/test_calendar.py

.PHONY: test-integration
test-integration: env tools ## Against a real Postgres, OpenSSH server, gpg and S3 server
	@$(PYTEST) -m integration

.PHONY: test-e2e
test-e2e: env tools cluster image ## Against a real cluster with the chart installed
	@$(PYTEST) -m "e2e or chaos"

.PHONY: test-cluster
test-cluster: env tools ## Take the local cluster down and up, and prove that it leaves nothing behind
	@$(PYTEST) -m cluster

.PHONY: test-reproducible
test-reproducible: env tools ## Build images twice from the start, in two folders: they are the same to the byte (ONLY="worker demo")
	@OCTO_REPRODUCE="$(or $(ONLY),api controller worker postgres demo)" $(PYTEST) -m images

.PHONY: test-upgrade
test-upgrade: env tools cluster image ## From earlier releases to this one under load, and back: nothing is lost, nothing doubled
	@$(PYTEST) -m upgrade

.PHONY: browser
browser: ## Chromium without a window, which the tests of the console look at it with
	@deploy/tools.sh browser

.PHONY: chaos
chaos: env tools ## Rounds of faults on all of Octo's parts as processes (SEEDS=200 FIRST=1 RIGS=1)
	@$(BIN)/python -m tests.chaos $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FIRST),--first $(FIRST)) $(if $(RIGS),--rigs $(RIGS))

.PHONY: chaos-idempotency
chaos-idempotency: env tools ## Clients with the same keys, while api, Postgres and API server are killed (ROUNDS=200 SEED=1)
	@$(BIN)/python -m tests.chaos.idempotency $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SEED),--seed $(SEED))

.PHONY: model-check
model-check: env ## The controller's decisions on a model of a cluster, for long and from a new seed (EXAMPLES=3000)
	@OCTO_MODEL_EXAMPLES=$(or $(EXAMPLES),3000) $(PYTEST) tests/unit/octo_controller/reconcile/test_properties.py

.PHONY: guards
guards: env ## Take each guard of the ten invariants out of a copy of the controller, see its tests fail, and write docs/guards.md
	@$(BIN)/python -m tests.guards $(if $(ONLY),--only "$(ONLY)")

.PHONY: bench-worker
bench-worker: env bench-tools ## The worker beside its peers; writes .octo/bench/worker.json (ROUNDS=5 ONLY=large,small,memory)
	@$(BIN)/python -m tests.bench.worker $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only $(ONLY))

.PHONY: bench-controller
bench-controller: env tools ## The controller beside plain Jobs, on simulated nodes; writes .octo/bench/controller.json (RUNS=2000 ROUNDS=3 ONLY=runs,same,start)
	@deploy/tools.sh kwok
	@$(BIN)/python -m tests.bench.controller $(if $(RUNS),--runs $(RUNS)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only $(ONLY))

.PHONY: bench-api
bench-api: env tools ## The api beside its stores, an archive, many streams; writes .octo/bench/api.json (ONLY=create,get,list,streams ROUNDS=5 REQUESTS=1000 JOBS=1000000 CLIENTS=2000)
	@$(BIN)/python -m tests.bench.api $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
	  $(if $(REQUESTS),--requests $(REQUESTS)) $(if $(JOBS),--jobs $(JOBS)) $(if $(CLIENTS),--clients $(CLIENTS))

.PHONY: test-events
test-events: env tools ## The long form of the test in which clients of streams drop and resume at random
	@OCTO_SSE_CLIENTS=400 OCTO_SSE_JOBS=120 $(PYTEST) tests/integration/api/events/test_order_under_fire.py

.PHONY: fuzz-api
fuzz-api: env tools ## Hostile requests to a whole api: they learn, change and break nothing (REQUESTS=100000 SEED=7)
	@OCTO_FUZZ_REQUESTS=$(or $(REQUESTS),100000) OCTO_FUZZ_SEED=$(or $(SEED),7) $(PYTEST) tests/integration/api/attacks/test_fuzz.py

.PHONY: test-contract
test-contract: env tools ## The api against its OpenAPI document, at length (EXAMPLES=100 SEED=7)
	@OCTO_CONTRACT_EXAMPLES=$(or $(EXAMPLES),100) OCTO_CONTRACT_SEED=$(SEED) $(PYTEST) tests/integration/contract/test_schemathesis.py

.PHONY: lint
lint: env docs ## Format, lint, types, walls between the parts, shell scripts, chart, docs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy $(PARTS) deploy tests
	@$(BIN)/lint-imports --no-cache
	@git ls-files -z '*.sh' .ci/run | xargs -0 $(BIN)/shellcheck -x
	@deploy/tools.sh helm
	@.octo/bin/helm lint --quiet --strict charts/octo --set postgres.embedded.enabled=true

.PHONY: docs
docs: env ## Build the documentation into .octo/site; a link or page that leads nowhere fails it
	@said="$$(NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict 2>&1)" || { echo "$$said" >&2; exit 1; }

.PHONY: format
format: env ## Put all code into the house's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: cluster
cluster: tools ## A cluster: yours (KUBECONFIG), kind (Docker), else our own single node
	@deploy/cluster.sh up

.PHONY: cluster-down
cluster-down: ## Stop and remove that cluster
	@deploy/cluster.sh down

.PHONY: image
image: tools sbom ## Build the images and give them to the cluster
	@deploy/images.sh load

.PHONY: sbom
sbom: env ## Write a bill of materials (CycloneDX) of each image into .octo/sbom
	@$(BIN)/python -m deploy.supply.sbom .octo/sbom

.PHONY: audit
audit: env ## Look for known weaknesses in what the images hold; SKIPPED where the database cannot be reached
	@$(BIN)/python -m deploy.supply.audit

.PHONY: clean
clean: ## Remove everything that was made here, the cluster first
	@deploy/cluster.sh down
	@rm -rf .octo $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- made from other files -----------------------------------------------------------------------

.PHONY: crds
crds: env ## Write crds/, the chart's copy and the reference pages from the models and the command lines
	@$(BIN)/python -m octo_core.crd.definitions crds
	@$(BIN)/python -m octo_core.crd.reference docs/reference/custom-resources.md
	@$(BIN)/python -m octo_worker.cli.reference docs/reference/worker-cli.md
	@$(BIN)/python -m octo_cli.reference docs/reference/cli.md
	@$(BIN)/python -m octo_core.metrics_reference docs/reference/metrics.md $(METRICS)
	@cp crds/*.yaml charts/octo/crds/
METRICS := Controller=octo_controller.metrics:declared API=octo_api.metrics:Metrics

.PHONY: api
api: env ## Write the OpenAPI document, the page of problem types and the Python client; run it after any change of a route
	@mkdir -p api/openapi
	@$(BIN)/python -m octo_api.contract api/openapi/openapi.json docs/reference/problems.md
	@PYTHONPATH=client $(BIN)/python -m octo_client_codegen api/openapi/openapi.json client/octo_client
	@$(BIN)/ruff format --quiet client/octo_client
	@$(BIN)/ruff check --quiet --fix client/octo_client

.PHONY: client
client: api ## The same

.PHONY: release-api
release-api: api ## Say that the API as it is now is released: what breaks it fails from here on
	@cp api/openapi/openapi.json api/openapi/released.json

.PHONY: values
values: env ## Write the reference page of the chart's values from their comments
	@$(BIN)/python -m deploy.chart.values_page charts/octo/values.yaml docs/reference/values.md

.PHONY: kustomize
kustomize: env helm ## Write deploy/kustomize/base, the chart as plain manifests
	@mkdir -p .octo
	@.octo/bin/helm template octo charts/octo --namespace octo --values deploy/kustomize/values.yaml >.octo/kustomize.yaml
	@$(BIN)/python -m deploy.chart.kustomize .octo/kustomize.yaml crds deploy/kustomize/base

.PHONY: rights
rights: env helm ## Write the page of the rights that the chart gives in the cluster
	@mkdir -p .octo
	@.octo/bin/helm template octo charts/octo --namespace octo --set postgres.embedded.enabled=true,auth.subjectAccessReview=true \
	  >.octo/rights.yaml
	@$(BIN)/python -m deploy.chart.rights .octo/rights.yaml docs/reference/rights.md

.PHONY: licences
licences: env ## Write the page of the licences of all that the images hold
	@$(BIN)/python -m deploy.supply.licences docs/reference/licences.md

.PHONY: lock
lock: $(UV) ## Pin all dependencies anew, by hash
	@printf 'uv\n' | $(UV) pip compile $(COMPILE) - -o requirements/bootstrap.lock
	@for part in api controller worker; do \
	  $(UV) pip compile $(COMPILE) --no-emit-package octo-core --no-emit-package octo-$$part \
	    $$part/pyproject.toml -o requirements/$$part.lock; done
	@$(UV) pip compile $(COMPILE) $(addprefix --no-emit-package octo-,$(PARTS)) \
	  --group dev pyproject.toml -o requirements/dev.lock
	@$(UV) pip compile $(COMPILE) tests/bench/peers/requirements.in -o requirements/bench.lock
COMPILE := --quiet --universal --generate-hashes --python-version 3.11 --custom-compile-command "make lock"

# ---- set-up, idempotent --------------------------------------------------------------------------

.PHONY: env tools helm bench-tools
env: $(VENV)/installed

$(UV): requirements/bootstrap.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "[octo] Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) \
	  || { deploy/tools.sh packages && $(PYTHON) -m venv $(VENV); } \
	  || { echo "[octo] python's venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
	@touch $@

$(VENV)/installed: $(UV) requirements/dev.lock $(addsuffix /pyproject.toml,$(PARTS))
	@echo "[octo] python environment in $(VENV)" >&2
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(addprefix -e ,$(PARTS))
	@touch $@

tools:
	@deploy/tools.sh

helm:
	@deploy/tools.sh helm

# The naive peer's libraries conflict with ours, so they have an environment of their own.
BENCH_VENV := .octo/bench/venv
$(BENCH_VENV)/installed: $(UV) requirements/bench.lock
	@mkdir -p .octo/bench
	@$(UV) venv --quiet --clear --python $(BIN)/python $(BENCH_VENV)
	@$(UV) pip install --quiet --python $(BENCH_VENV)/bin/python --require-hashes -r requirements/bench.lock
	@touch $@

bench-tools: $(BENCH_VENV)/installed
	@deploy/tools.sh bench
