# The commands people type; CMake does the work (CMakePresets.json). `make help` lists them.
MAKEFLAGS += --no-print-directory
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
N ?= 100000
TIME ?= 600
T ?=
B ?=
QUICK ?=

.PHONY: build page demo test test-clients test-s3 test-readme bench bench-alerts bench-peers fuzz crash lint format format-check install deb test-arm64 test-asan test-tsan coverage clean help

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1	\2/p' Makefile | expand -t 18

build: ## build/silex, libsilex.so, libsilex.a (optimised, with symbols)
	@scripts/setup.sh build
	@scripts/cmake.sh release --target product

page: ## web/dist, the page that the build embeds (npm; commit what it changes)
	@scripts/setup.sh page
	@npm --prefix web ci --no-audit --no-fund --loglevel=error && npm --prefix web run --silent build

demo: build ## a guided tour on a real ICU record and a real ECG
	@build/silex demo

test: ## all tests, or those whose name matches: make test T=name
	@scripts/setup.sh test
	@scripts/cmake.sh release -DSILEX_TESTS=ON
	@ctest --test-dir build -j$(JOBS) --output-on-failure --no-tests=error $(if $(T),-R '$(T)') $(CTEST_ARGS)

test-clients: build ## the page in chromium, other vendors' clients against build/silex, the S3 store against s3rver (npm)
	@scripts/setup.sh clients
	@tests/web/run.sh
	@tests/clients/run.sh
	@scripts/cmake.sh release -DSILEX_TESTS=ON --target store_suite store_tool
	@python3 tests/store/s3_real.py s3rver

test-readme: ## the README's code blocks in a bare Debian root, then its page in chromium (root, a mirror, npm; 6 minutes)
	@scripts/setup.sh readme
	@tests/readme/run.sh

test-s3: ## the S3 store against Debian's Swift with s3api, which checks signatures, and npm's s3rver
	@scripts/setup.sh s3
	@scripts/cmake.sh release -DSILEX_TESTS=ON --target store_suite store_tool
	@tests/clients/install.sh
	@python3 tests/store/s3_real.py s3rver
	@python3 tests/store/s3_real.py swift

bench: build ## the figures of the README; make bench B=name QUICK=1 for one, shorter
	@scripts/cmake.sh release --target bench
	@build/bench/bench $(if $(QUICK),--quick) $(B)

bench-alerts: build ## from the write that crosses a limit to Alertmanager, webhook and WebSocket
	@python3 bench/alerts/latency.py build/silex

bench-peers: build ## Silex beside Debian's victoria-metrics and prometheus; ROWS="rw lp ...", QUICK=1
	@scripts/setup.sh peers
	@scripts/cmake.sh release --target feed
	@python3 bench/peers/peers.py $(if $(QUICK),--quick) $(ROWS)

fuzz: ## every fuzz target in turn for TIME=600 seconds together; T=name for one
	@scripts/setup.sh fuzz
	@scripts/cmake.sh fuzz
	@scripts/fuzz.sh build-fuzz/fuzz $(TIME) '$(T)'

crash: ## crash simulation: N=100000 distinct (call, fault) pairs
	@scripts/setup.sh test
	@scripts/cmake.sh release -DSILEX_TESTS=ON --target crash
	@build/tests/crash/crash --count $(N)

lint: ## cppcheck, the floors and the text of the sources
	@scripts/setup.sh lint
	@scripts/lint.sh

format: ## clang-format over the sources; F='file...' for some
	@scripts/setup.sh format
	@scripts/format.sh $(F)

format-check: ## which files clang-format would change
	@scripts/setup.sh format
	@scripts/format.sh --check $(F)

install: build ## into PREFIX=/usr/local (DESTDIR honoured)
	@cmake --install build --prefix $(PREFIX)

deb: ## Debian packages into build-deb/deb: silex, libsilex0, libsilex-dev
	@scripts/setup.sh deb
	@cmake -S . -B build-deb -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr -DSILEX_DEB=ON -DSILEX_TESTS=OFF -DSILEX_BENCH=OFF >/dev/null
	@cmake --build build-deb && cd build-deb && cpack -G DEB && ls -l deb/*.deb

test-arm64: ## the engine's rooms and their unit tests as arm64 under qemu (root, first time downloads)
	@scripts/setup.sh arm64
	@scripts/arm64.sh '$(T)'

test-asan: ## unit tests under AddressSanitizer and UBSan
	@scripts/setup.sh test
	@scripts/cmake.sh asan -DSILEX_TESTS=ON
	@scripts/sanitized.sh build-asan -L unit $(if $(T),-R '$(T)') $(CTEST_ARGS)

test-tsan: ## concurrent tests under ThreadSanitizer
	@scripts/setup.sh test
	@scripts/cmake.sh tsan -DSILEX_TESTS=ON --tests tsan
	@scripts/sanitized.sh build-tsan -L tsan $(if $(T),-R '$(T)') $(CTEST_ARGS)

coverage: ## line coverage of the unit tests: build-coverage/coverage.txt
	@scripts/setup.sh coverage
	@scripts/cmake.sh coverage -DSILEX_TESTS=ON
	@ctest --test-dir build-coverage -j$(JOBS) -L unit --output-on-failure
	@gcovr -r . --object-directory build-coverage -f src/ -e '.*_test\.c' -e '.*_fuzz\.c' -o build-coverage/coverage.txt
	@tail -3 build-coverage/coverage.txt

clean: ## remove the build folders
	rm -rf build build-debug build-asan build-tsan build-fuzz build-coverage build-arm64 build-deb
