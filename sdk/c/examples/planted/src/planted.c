/* A plugin with a fault, for tests of what the operator then reads. */
#include <stdlib.h>

#include "wharfinger.h"

typedef struct {
    wf_subnet pool;
    const char *plant;
} config;

static const void *read_config(const wf_json *value) {
    config *it = wf_alloc(sizeof *it);
    wf_keys(value, "pool", "plant", NULL);
    const wf_json *pool = wf_need(value, "pool");
    if (pool) wf_is_subnet(pool, &it->pool);
    if (!wf_need(value, "plant") || !wf_get_text(value, "plant", &it->plant)) return it;
    if (!wf_equal(it->plant, "exception") && !wf_equal(it->plant, "loop") && !wf_equal(it->plant, "memory") &&
        !wf_equal(it->plant, "stack"))
        wf_problem(wf_json_member(value, "plant"), "is none of exception, loop, memory, stack");
    return it;
}

static bool pools(const void *given, wf_pools *pools) {
    const config *it = given;
    wf_ranges ranges = {0};
    wf_ranges_add(&ranges, it->pool.range);
    wf_pools_add(pools, wf_net_text(it->pool.net), ranges);
    return true;
}

/* The bug: not every attachment is of a pod. Kept as a function of its own, for the trap's sake. */
__attribute__((noinline)) static wf_address address_of(const wf_attachment *whose) {
    wf_address address = {0};
    if (!whose->has_pod) WF_ABORT("an attachment without a pod");
    wf_address_parse(whose->pod_name, &address);
    return address;
}

__attribute__((noinline)) static void loop(void) {
    volatile unsigned turns = 0;
    for (;;) turns++;
}

__attribute__((noinline)) static void fill_memory(void) {
    for (;;) wf_alloc(1 << 20);
}

static volatile unsigned deepest; /* The compiler cannot know that it never gets there. */

__attribute__((noinline)) static unsigned recurse(unsigned depth) {
    deepest = depth;
    if (deepest == UINT32_MAX) return 0;
    return recurse(depth + 1) + deepest;
}

static bool allocate(const void *given, const wf_request *request, wf_lease *lease) {
    const config *it = given;
    wf_info("planting %s", it->plant);
    if (wf_equal(it->plant, "loop")) loop();
    if (wf_equal(it->plant, "memory")) fill_memory();
    if (wf_equal(it->plant, "stack")) recurse(0);
    return wf_subnet_take(&it->pool, address_of(&request->attachment), lease);
}

const wf_ipam wf_ipam_plugin = {read_config, pools, allocate, NULL};
