# Builds a plugin: PLUGIN (its name), KIND (ipam, ipam-remote, policy), and perhaps SOURCES and TESTS
# are set before this is included; CFLAGS are for unit tests, WASM_CFLAGS for the component.
#
#   make         dist/PLUGIN.wasm
#   make test    unit tests on this machine, under sanitizers where the compiler has them
#   make clean
WHARFINGER_SDK := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
WHARFINGER ?= wharfinger
WASM_CC ?= clang-19
KIND ?= ipam
SOURCES ?= $(wildcard src/*.c)
TESTS ?= $(wildcard test/*.c)
ifeq ($(origin CC),default)
CC := $(if $(shell command -v cc),cc,$(WASM_CC))
endif

wf_flags := -std=gnu11 -Wall -Wextra -Werror -I$(WHARFINGER_SDK) $(if $(filter policy,$(KIND)),-DWF_POLICY)
wf_common := $(addprefix $(WHARFINGER_SDK)/src/,text.c address.c json.c config.c lease.c call.c)
wf_bindings := $(WHARFINGER_SDK)/generated/$(KIND)
wf_headers := $(wildcard $(WHARFINGER_SDK)/*.h $(WHARFINGER_SDK)/*/*.h src/*.h)

# ---- The component. What is not called is left out; the names of functions stay, so that a trap can
# be read. The stack comes first in memory: one that overflows meets the end, and not the data.
wf_guest := $(wf_common) $(addprefix $(WHARFINGER_SDK)/src/,guest.c guest_$(if $(filter policy,$(KIND)),policy,ipam).c)
wf_guest_flags := --target=wasm32-wasi -Oz -flto -I$(wf_bindings) $(if $(filter ipam-remote,$(KIND)),-DWF_REMOTE)
wf_link := -mexec-model=reactor -Wl,--stack-first -Wl,-z,stack-size=131072 -Wl,--strip-debug

dist/$(PLUGIN).wasm: build/core.wasm
	@mkdir -p dist
	$(WHARFINGER) plugin component $< --world $(KIND)-plugin -o $@

build/core.wasm: $(SOURCES) $(wf_guest) $(wf_headers) $(wf_bindings)/wharfinger_bindings.c
	@command -v $(WASM_CC) >/dev/null || { echo "$(WASM_CC) is not there: apt-get install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32" >&2; exit 1; }
	@mkdir -p build
	$(WASM_CC) $(wf_guest_flags) -w -c $(wf_bindings)/wharfinger_bindings.c -o build/bindings.o
	$(WASM_CC) $(wf_flags) $(wf_guest_flags) $(WASM_CFLAGS) $(wf_link) $(SOURCES) $(wf_guest) build/bindings.o $(wf_bindings)/wharfinger_bindings_component_type.o -o $@

# ---- Unit tests.
wf_sanitize := $(shell echo 'int main(void) { return 0; }' | $(CC) -x c - -fsanitize=address,undefined -o /dev/null 2>/dev/null && echo -fsanitize=address,undefined -fno-sanitize-recover=all)

.PHONY: test clean
test: build/test
	./build/test

build/test: $(SOURCES) $(TESTS) $(wf_common) $(wildcard $(WHARFINGER_SDK)/testing/*.c) $(wf_headers)
	@mkdir -p build
	$(CC) $(wf_flags) -g -O1 $(wf_sanitize) $(CFLAGS) -I$(WHARFINGER_SDK)/testing $(filter %.c,$^) -o $@

clean:
	rm -rf build dist
