/* Which address an attachment gets: a free one of the first pool that has room. */
#include "wharfinger.h"

/* The "ipam" object of a network. */
typedef struct {
    wf_subnet *pools; /* Where addresses come from, in the order they are tried. */
    size_t count;
    wf_routes routes; /* Copied to the lease. */
} config;

static const void *read_config(const wf_json *value) {
    config *it = wf_alloc(sizeof *it);
    wf_keys(value, "pools", "routes", NULL);
    it->routes = wf_get_routes(value, "routes");
    const wf_json *pools = wf_need(value, "pools");
    if (!pools || !wf_is_array(pools)) return it;
    if (pools->count == 0) wf_problem(pools, "is empty: there is nothing to give");
    it->pools = wf_alloc_array(pools->count, sizeof *it->pools);
    for (const wf_json *pool = pools->first; pool; pool = pool->next) wf_is_subnet(pool, &it->pools[it->count++]);
    return it;
}

static bool pools(const void *given, wf_pools *pools) {
    const config *it = given;
    for (size_t i = 0; i < it->count; i++) {
        wf_ranges ranges = {0};
        wf_ranges_add(&ranges, it->pools[i].range);
        wf_pools_add(pools, wf_net_text(it->pools[i].net), ranges);
    }
    return true;
}

/* An address that was asked for. */
static bool named(const config *it, wf_address wanted, wf_lease *lease) {
    for (size_t i = 0; i < it->count; i++)
        if (wf_subnet_gives(&it->pools[i], wanted)) return wf_subnet_take(&it->pools[i], wanted, lease);
    return wf_failure(WF_CONFLICT, "%s is in none of the pools", wf_address_text(wanted));
}

static bool free_one(const config *it, wf_lease *lease) {
    for (size_t i = 0; i < it->count; i++) {
        if (wf_subnet_take_free(&it->pools[i], lease)) return true;
        if (!wf_recover(WF_EXHAUSTED)) return false;
    }
    return wf_failure(WF_EXHAUSTED, "no pool has a free address");
}

static bool allocate(const void *given, const wf_request *request, wf_lease *lease) {
    const config *it = given;
    lease->routes = it->routes;
    if (request->wanted.count > 0) return named(it, request->wanted.items[0], lease);
    return free_one(it, lease);
}

const wf_ipam wf_ipam_plugin = {read_config, pools, allocate, NULL};
