# make demo   segment a real image, and open napari on the result when there is a screen
# make test   run the tests, headless on Linux
# make lint   what CI checks besides
# make clean  remove what these made
#
# PYTHON=python3.12           another interpreter (3.11 or newer)
# TORCH_INDEX=https://…       another place for torch, such as https://download.pytorch.org/whl/cpu
# ARGS="-k tiling"            more words for pytest

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP_OPTIONS := --quiet --disable-pip-version-check -c constraints.txt \
	$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
# What Qt, OpenGL and a virtual screen need on Debian and Ubuntu.
DEBIAN := xvfb xauth libdbus-1-3 libegl1 libfontconfig1 libgl1 libglib2.0-0 libxcb-cursor0 \
	libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 \
	libxcb-shape0 libxkbcommon-x11-0
APT := DEBIAN_FRONTEND=noninteractive apt-get -qq

.PHONY: demo test lint clean screen
.DEFAULT_GOAL := demo

demo: $(READY) screen
	@$(BIN)/napari-medai demo

test: export GOMP_SPINCOUNT = 0
test: $(READY) screen
	@if [ "$$(uname)" = Linux ]; then \
		command -v xvfb-run >/dev/null || { echo "make: xvfb-run is missing; install xvfb" >&2; exit 1; }; \
		QT_QPA_PLATFORM=xcb xvfb-run -a -s "-screen 0 1400x1000x24" \
			$(BIN)/python -m pytest $(ARGS); \
	else $(BIN)/python -m pytest $(ARGS); fi

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist medai-demo nuclei-training hippocampus-training \
		blood-cells-training .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null && [ "$$(id -u)" = 0 ] && \
			command -v apt-get >/dev/null; then \
		$(APT) update && $(APT) install -y --no-install-recommends \
			$(notdir $(PYTHON)) $(notdir $(PYTHON))-venv || true; \
	fi
	@$(PYTHON) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "make: $(PYTHON) is missing, older than 3.11, or has no venv; on Debian and Ubuntu:" \
			"sudo apt-get install $(notdir $(PYTHON))-venv; or say make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV); the first time this takes some minutes"
	@$(BIN)/python -m pip install $(PIP_OPTIONS) -e '.[all,cpu,dev]'
	@touch $@

# Debian packages: only what is missing, only as root; napari opens without them where Qt does.
# Newer releases have some of them with t64 at the end of the name.
screen:
	@command -v apt-get >/dev/null && command -v dpkg >/dev/null || exit 0; \
	missing=; for name in $(DEBIAN); do \
		dpkg -s $$name >/dev/null 2>&1 || dpkg -s $${name}t64 >/dev/null 2>&1 || \
			missing="$$missing $$name"; \
	done; \
	test -n "$$missing" || exit 0; \
	if [ "$$(id -u)" = 0 ]; then \
		$(APT) update && names= && for name in $$missing; do \
			if apt-cache show $${name}t64 >/dev/null 2>&1; then name=$${name}t64; fi; \
			names="$$names $$name"; \
		done && $(APT) install -y --no-install-recommends $$names >/dev/null || \
			echo "make: could not install$$missing; going on without" >&2; \
	else echo "make: for a screen: sudo apt-get install$$missing" >&2; fi
