# `make demo` and `make test` set up a virtual environment in .venv by themselves.
PYTHON ?= python3
WORKERS ?= auto
BIN := .venv/bin

.PHONY: demo docs gallery test lint unit conformance test-pythons test-clients test-gui test-torch
.PHONY: fuzz fuzz-python fuzz-calls stress soak soak-gui soak-interrupts soak-starts clean

demo: .venv/demo
	$(BIN)/python examples/digits.py

# The site, in site/. A warning, or a broken link, is an error (with --quiet, MkDocs ignores them).
docs: .venv-docs/ready docs/gallery/index.md
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict
	@echo "The site is in site/: open site/index.html"

test: lint unit conformance

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: .venv/test
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

conformance: .venv/test
	$(BIN)/python tests/conformance/run_nengo_suite.py -n $(WORKERS) --dist worksteal

# Both README commands from a clean clone, on every version of Python that is found.
test-pythons:
	$(PYTHON) tests/pythons.py

# Long proofs that kernels keep to their memory; see docs/architecture.md. FLAGS goes to the script,
# such as FLAGS="--count 10 --seed 5".
fuzz: .venv/test
	NENGO_JIT_CHECK=1 $(BIN)/python tests/soak/fuzz.py $(FLAGS)

# Long proof that Python functions give the same bits when they are compiled.
fuzz-python: .venv/test
	$(BIN)/python tests/soak/fuzz_python.py $(FLAGS)

# Long proof that Python is called in nengo's order.
fuzz-calls: .venv/test
	$(BIN)/python tests/soak/fuzz_calls.py $(FLAGS)

stress: .venv/test
	NENGO_JIT_CHECK=1 $(BIN)/python tests/soak/stress.py $(FLAGS)
	tests/soak/under_valgrind.sh $(BIN)/python tests/soak/stress.py --count 1 $(FLAGS)

soak-interrupts: .venv/test
	$(BIN)/python tests/soak/interrupts.py $(FLAGS)

# Long proof that whatever happens to the cache of machine code, models start with the same results.
soak-starts: .venv/test
	$(BIN)/python tests/soak/starts.py $(FLAGS)

# Long proof that runs survive: killed 200 times and more, on a full disk, and with flat memory.
soak: .venv/test
	timeout 1800 sh -c '$(BIN)/python tests/soak/killed.py $(FLAGS) && \
		$(BIN)/python tests/soak/lasting.py'

# Networks from PyTorch's modules. PyTorch is large, so it has an environment of its own, and is the
# one for CPUs where that can be had.
TORCH_FOR_CPUS := https://download.pytorch.org/whl/cpu
test-torch: .venv-torch/ready
	.venv-torch/bin/pytest -q tests/converters

.venv-torch/ready: pyproject.toml
	test -x .venv-torch/bin/python || $(PYTHON) -m venv .venv-torch
	-.venv-torch/bin/python -m pip install --quiet --no-deps torch --index-url $(TORCH_FOR_CPUS)
	.venv-torch/bin/python -m pip install --quiet --editable '.[test,torch]' 'snntorch>=0.9,<2'
	touch $@

# The tests of packages that use simulators, on nengo's and on ours.
test-clients: .venv-clients/ready
	.venv-clients/bin/python tests/clients/run_clients.py $(FLAGS)

# nengolib and nengo-loihi ask for older versions than these; tests/clients/old_names.py helps them.
.venv-clients/ready: pyproject.toml
	test -x .venv-clients/bin/python || $(PYTHON) -m venv .venv-clients
	.venv-clients/bin/python -m pip install --quiet --editable '.[test]' \
		nengo-spa==2.0.0 nengo-gui==0.6.0 nengo-extras==0.5.0 matplotlib selenium jinja2 nbformat
	.venv-clients/bin/python -m pip install --quiet --no-deps nengolib==0.5.2 nengo-loihi==1.1.0
	touch $@

# A model in nengo-gui, from end to end in a headless Chromium.
test-gui: .venv/test
	@command -v chromium chromium-browser google-chrome >/dev/null || \
		{ echo "Chromium is not installed. On Debian: apt-get install chromium"; exit 1; }
	$(BIN)/pytest tests/gui/in_chromium.py

# Ten minutes of random clicks, after ten of play and pause: soak-gui FLAGS="--seed 5".
soak-gui: .venv-gui/ready
	.venv-gui/bin/python tests/soak/gui.py $(FLAGS)
	.venv-gui/bin/python tests/soak/gui.py --clicks --count 1 --seconds 600 $(FLAGS)

.venv-gui/ready: pyproject.toml
	test -x .venv-gui/bin/python || $(PYTHON) -m venv .venv-gui
	.venv-gui/bin/python -m pip install --quiet --editable '.[gui]' websocket-client
	touch $@

.venv-docs/ready: pyproject.toml
	test -x .venv-docs/bin/python || $(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --editable '.[docs]'
	touch $@

# The examples of gallery/: their pictures, times, pages and notebooks, in docs/gallery/.
gallery: .venv-gallery/ready
	.venv-gallery/bin/python gallery/tools/build_gallery.py $(FLAGS)
	NENGO_JIT_GALLERY=1 .venv-gallery/bin/pytest -q tests/gallery

docs/gallery/index.md: $(wildcard gallery/*.py gallery/tools/*)
	$(MAKE) gallery

.venv-gallery/ready: pyproject.toml
	test -x .venv-gallery/bin/python || $(PYTHON) -m venv .venv-gallery
	.venv-gallery/bin/python -m pip install --quiet --editable '.[gallery]'
	touch $@

.venv/%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	$(BIN)/python -m compileall -q nengo_jit
	touch $@

clean:
	rm -rf .venv .venv-clients .venv-docs .venv-gallery .venv-gui .venv-torch docs/gallery site
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache digits.png
