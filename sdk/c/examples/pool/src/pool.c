/* Addresses as host-local gives them: one of each set of ranges; a pod may keep its own. */
#include "wharfinger.h"

typedef struct {
    wf_subnet *ranges;
    size_t count;
} range_set;

typedef struct {
    range_set *sets;
    size_t count;
    wf_routes routes;
    bool sticky;
} config;

static range_set read_set(const wf_json *value) {
    range_set set = {0};
    if (!wf_is_array(value)) return set;
    if (value->count == 0) wf_problem(value, "is empty: there is nothing to give");
    set.ranges = wf_alloc_array(value->count, sizeof *set.ranges);
    for (const wf_json *it = value->first; it; it = it->next) wf_is_subnet(it, &set.ranges[set.count++]);
    return set;
}

static const void *read_config(const wf_json *value) {
    config *it = wf_alloc(sizeof *it);
    wf_keys(value, "ranges", "routes", "sticky", NULL);
    wf_get_bool(value, "sticky", &it->sticky);
    it->routes = wf_get_routes(value, "routes");
    const wf_json *sets = wf_need(value, "ranges");
    if (!sets || !wf_is_array(sets)) return it;
    if (sets->count == 0) wf_problem(sets, "is empty: there is nothing to give");
    it->sets = wf_alloc_array(sets->count, sizeof *it->sets);
    for (const wf_json *set = sets->first; set; set = set->next) it->sets[it->count++] = read_set(set);
    return it;
}

static wf_ranges ranges_of(const range_set *set) {
    wf_ranges ranges = {0};
    for (size_t i = 0; i < set->count; i++) wf_ranges_add(&ranges, set->ranges[i].range);
    return ranges;
}

static bool pools(const void *given, wf_pools *pools) {
    const config *it = given;
    for (size_t i = 0; i < it->count; i++) wf_pools_add(pools, wf_format("%zu", i), ranges_of(&it->sets[i]));
    return true;
}

/* The range of the set that gives this address. */
static const wf_subnet *giver(const range_set *set, wf_address address) {
    for (size_t i = 0; i < set->count; i++)
        if (wf_subnet_gives(&set->ranges[i], address)) return &set->ranges[i];
    return NULL;
}

static bool wanted_of(const range_set *set, const wf_request *request, wf_address *wanted) {
    for (size_t i = 0; i < request->wanted.count; i++) {
        *wanted = request->wanted.items[i];
        if (giver(set, *wanted)) return true;
    }
    return false;
}

/* The pod's own address in this set, where it can be taken. */
static bool take_own(const range_set *set, const char *identity, wf_address *taken) {
    wf_addresses own = wf_ledger_remembered(identity);
    for (size_t i = 0; i < own.count; i++) {
        *taken = own.items[i];
        if (giver(set, *taken) && wf_ledger_try(*taken, NULL) == WF_TAKEN) return true;
    }
    return false;
}

static bool take_free(const range_set *set, wf_address *taken) {
    wf_ranges ranges = ranges_of(set), excluded = {0};
    for (size_t i = 0; i < set->count; i++) wf_subnet_exclude(&set->ranges[i], &excluded);
    return wf_ledger_take_free(&ranges, &excluded, NULL, taken);
}

static bool take(const range_set *set, size_t index, const wf_request *request, const char *identity,
                 wf_lease *lease) {
    wf_address address;
    if (wanted_of(set, request, &address)) {
        if (!wf_ledger_take(address)) return false;
    } else if (!(identity && take_own(set, identity, &address)) && !take_free(set, &address)) {
        return wf_failure(WF_EXHAUSTED, "set %zu has no free address", index);
    }
    wf_lease_add(lease, wf_subnet_leased(giver(set, address), address));
    return true;
}

static bool in_some_set(const config *it, wf_address address) {
    for (size_t i = 0; i < it->count; i++)
        if (giver(&it->sets[i], address)) return true;
    return false;
}

static bool allocate(const void *given, const wf_request *request, wf_lease *lease) {
    const config *it = given;
    const wf_attachment *whose = &request->attachment;
    const char *identity = NULL;
    for (size_t i = 0; i < request->wanted.count; i++)
        if (!in_some_set(it, request->wanted.items[i]))
            return wf_failure(WF_CONFLICT, "%s is in none of the ranges", wf_address_text(request->wanted.items[i]));
    if (it->sticky && whose->has_pod) identity = wf_format("%s/%s", whose->pod_namespace, whose->pod_name);
    for (size_t i = 0; i < it->count; i++)
        if (!take(&it->sets[i], i, request, identity, lease)) return false;
    if (identity) wf_ledger_remember(identity);
    lease->routes = it->routes;
    return true;
}

const wf_ipam wf_ipam_plugin = {read_config, pools, allocate, NULL};
