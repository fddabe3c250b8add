/* A plugin that does what the test says. */
#include "plugin.h"

bool (*test_allocate)(const wf_request *request, wf_lease *lease);

static const void *read_config(const wf_json *value) {
    const char *text;
    bool truth;
    wf_keys(value, "text", "truth", "net", "list", "routes", "subnet", NULL);
    wf_get_text(value, "text", &text);
    wf_get_bool(value, "truth", &truth);
    wf_net net;
    wf_get_net(value, "net", &net);
    wf_get_array(value, "list");
    wf_get_routes(value, "routes");
    wf_subnet subnet;
    if (wf_json_member(value, "subnet")) wf_is_subnet(wf_json_member(value, "subnet"), &subnet);
    return value;
}

static bool pools(const void *config, wf_pools *pools) {
    wf_ranges ranges = {0};
    (void)config;
    wf_pools_add(pools, "none", ranges);
    return true;
}

static bool allocate(const void *config, const wf_request *request, wf_lease *lease) {
    (void)config;
    return test_allocate(request, lease);
}

const wf_ipam wf_ipam_plugin = {read_config, pools, allocate, NULL};
