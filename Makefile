# Everything runs in .venv, which deploy/bootstrap.py sets up and keeps up to date.
PYTHON := $(or $(PYTHON),$(shell for python in python3.11 python3 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done))
BIN := .venv/bin
LOCKS := deploy/locks
# The three that vLLM lists but text does not need never enter a lock; setuptools and pip do.
COMPILE = $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-header \
	--no-emit-options --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	$(foreach name,torchaudio torchcodec torchvision,--unsafe-package $(name)) $(if $(UPGRADE),--upgrade)
# $(call option,NAME): --NAME and the value of the variable of that name in capitals, where it has one.
option = $(if $($(call variable,$(1))),--$(1) "$($(call variable,$(1)))")
variable = $(shell echo "$(1)" | tr 'a-z-' 'A-Z_')
# $(call pin,NAME,ARGUMENTS): write NAME.txt, without pip-tools' remarks about constraints and what is left out.
define pin
@echo "$(LOCKS)/$(1).txt"
@$(COMPILE) -o $(LOCKS)/$(1).txt $(2)
@sed -i -e '/^# WARNING: The following/,$$d' -e '/^    #   -c /d' $(LOCKS)/$(1).txt
endef

.DEFAULT_GOAL := help
.PHONY: help bootstrap build-env bench bench-exporter demo test test-unit test-e2e test-host test-container lint lint-ansible format docs dashboards lock offline-kit clean

help: ## List the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

bootstrap: ## Set up .venv from the locks (every target below does it first)
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed. Run: sudo apt-get install -y python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) deploy/bootstrap.py

build-env: ## Set up .venv-build, where bundles are built: torch, PEFT, TRL, llm-compressor
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed. Run: sudo apt-get install -y python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) deploy/bootstrap.py --build

demo: bootstrap ## Start the appliance and ask it one question; ONCE=1 ends after the answer
	@$(BIN)/appliance demo $(if $(filter-out 0 no,$(ONCE)),--once)

test: bootstrap ## All tests that need no GPU: unit, contracts, end to end with real vLLM
	@$(BIN)/python -m pytest -n auto --dist loadfile

test-unit: bootstrap ## The unit tests on all cores: no vLLM, no whole processes, no contracts
	@$(BIN)/python -m pytest -m "not e2e and not process" --ignore=tests/contracts -n auto --dist loadfile

test-e2e: bootstrap ## The tests with real vLLM and the real Llama
	@$(BIN)/python -m pytest -m e2e

test-host: bootstrap ## A booted machine, installed by the playbook from a kit and examined: as root, with systemd-container, debootstrap, tcpdump
	@HOST_TESTS=1 $(BIN)/python -m pytest tests/host

test-container: bootstrap ## The image, built from Debian's packages and the locks, and the appliance in containers: as root, with podman and buildah
	@CONTAINER_TESTS=1 $(BIN)/python -m pytest -s tests/container

bench: bootstrap ## The gateway beside nginx, LiteLLM and vllm-router (docs/benchmarks.md); PART= one part, ENGINE=real, WRITE=1
	@command -v wrk >/dev/null || { echo "error: wrk is missing. Run: sudo apt-get install -y wrk nginx-light" >&2; exit 1; }
	@$(BIN)/python -m tests.bench $(if $(PART),--part $(PART)) $(if $(ENGINE),--engine $(ENGINE)) $(if $(filter-out 0 no,$(WRITE)),--write)

bench-exporter: bootstrap ## The GPU exporter over a replayed H100: wait, memory, a call that hangs (docs/exporter.md)
	@$(BIN)/python -m tests.bench.exporter

offline-kit: bootstrap ## All that a host without a network is installed from: KIT=DIR; VARIANT=gpu, RELEASE=, BUNDLE=, TRUST=, KEY=, NVIDIA=, DEBS= (docs/installation.md)
	@test -n "$(KIT)" || { echo "error: name the directory to make: make offline-kit KIT=/media/usb/kit" >&2; exit 1; }
	@$(BIN)/python -m deploy.kit --out "$(KIT)" $(foreach name,variant release bundle trust key password-file nvidia debs wheels,$(call option,$(name)))

lint-ansible: .venv-ansible/installed ## The playbook, by ansible-lint's profile for production
	@cd ansible && PATH="$(CURDIR)/.venv-ansible/bin:$$PATH" ansible-lint --offline -q

.venv-ansible/installed: $(LOCKS)/host.txt
	@rm -rf .venv-ansible && $(PYTHON) -m venv .venv-ansible
	@.venv-ansible/bin/pip --quiet --disable-pip-version-check install --no-deps --require-hashes -r $< > .venv-ansible/pip.log 2>&1 \
		|| { tail -n 3 .venv-ansible/pip.log >&2; exit 1; }
	@touch $@

lint: bootstrap ## Style, types and the arrows between the packages
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: bootstrap ## Rewrite the code the way lint wants it
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

docs: bootstrap ## Write the pages that are made from the code
	@$(BIN)/appliance settings --markdown > docs/settings.md.new && mv docs/settings.md.new docs/settings.md
	@$(BIN)/appliance openapi > docs/openapi.json.new && mv docs/openapi.json.new docs/openapi.json
	@$(BIN)/appliance metrics --markdown > docs/metrics.md.new && mv docs/metrics.md.new docs/metrics.md
	@$(BIN)/appliance report --list > docs/controls.md.new && mv docs/controls.md.new docs/controls.md
	@$(BIN)/python -m tests.exporter.page

dashboards: bootstrap ## Write Grafana's dashboards and docs/dashboards.md from deploy/grafana and the alert rules
	@$(BIN)/python -m deploy.grafana

# The order matters: what a GPU box runs is resolved first (minutes), the rest takes its versions from there.
# Needs a pip that finds torch's CPU build (docs/decisions.md).
lock: bootstrap ## Pin every dependency by hash in deploy/locks; UPGRADE=1 takes newer versions
	$(call pin,engine-gpu,-c $(LOCKS)/shared.in -c $(LOCKS)/torch-cuda.in --unsafe-package torch --extra engine-gpu pyproject.toml)
	$(call pin,gateway,-c $(LOCKS)/engine-gpu.txt pyproject.toml)
	$(call pin,torch-cuda,-c $(LOCKS)/engine-gpu.txt $(LOCKS)/torch-cuda.in)
	$(call pin,torch-cpu,-c $(LOCKS)/engine-gpu.txt $(LOCKS)/torch-cpu.in)
	$(call pin,engine-cpu,-c $(LOCKS)/engine-gpu.txt --unsafe-package torch --extra engine-cpu pyproject.toml)
	$(call pin,dev,-c $(LOCKS)/engine-cpu.txt --extra dev pyproject.toml)
	$(call pin,build,-c $(LOCKS)/gateway.txt -c $(LOCKS)/torch-cpu.txt --unsafe-package torch --extra build pyproject.toml)
	$(call pin,host,-c $(LOCKS)/dev.txt $(LOCKS)/host.in $(LOCKS)/ansible.in)
	$(call pin,ansible,-c $(LOCKS)/host.txt $(LOCKS)/ansible.in)
	$(call pin,pip,-c $(LOCKS)/dev.txt $(LOCKS)/pip.in)

clean: ## Remove what the other targets made: .venv, caches and the demo's state
	@rm -rf .venv .venv-build .state .cache build dist *.egg-info .*_cache .hypothesis
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
