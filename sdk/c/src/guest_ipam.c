/* The exports of an IPAM component, and the ledger. */
#include "guest.h"

typedef wharfinger_plugin_ledger_list_address_range_t wit_ranges;

/* ---- The ledger ---- */

static wit_ranges lend_ranges(const wf_ranges *ranges) {
    size_t count = ranges ? ranges->count : 0;
    wit_ranges lent = {wf_alloc_array(count, sizeof *lent.ptr), count};
    for (size_t i = 0; i < count; i++) {
        lent.ptr[i].first = wit_lend(wf_address_text(ranges->items[i].first));
        lent.ptr[i].last = wit_lend(wf_address_text(ranges->items[i].last));
    }
    return lent;
}

/* What the host writes is an address. */
static wf_address given_address(const wit_string *text) {
    wf_address address = {0};
    if (!wf_address_parse(wf_copy((const char *)text->ptr, text->len), &address))
        WF_ABORT("the host gave %.*s for an address", (int)text->len, (const char *)text->ptr);
    return address;
}

static const char *copied(const wit_string *text) {
    return wf_copy((const char *)text->ptr, text->len);
}

wf_take wf_ledger_try(wf_address address, wf_refusal *refusal) {
    wit_string text = wit_lend(wf_address_text(address));
    wharfinger_plugin_ledger_refusal_t why;
    wf_refusal ignored;
    if (!refusal) refusal = &ignored;
    if (wharfinger_plugin_ledger_take(&text, &why)) return WF_TAKEN;
    bool held = why.tag == WHARFINGER_PLUGIN_LEDGER_REFUSAL_HELD;
    if (held)
        refusal->held = (wf_attachment_id){copied(&why.val.held.network), copied(&why.val.held.container),
                                           copied(&why.val.held.ifname)};
    else refusal->reserved = copied(&why.val.reserved);
    wharfinger_plugin_ledger_refusal_free(&why);
    return held ? WF_HELD : WF_RESERVED;
}

bool wf_ledger_take_free(const wf_ranges *ranges, const wf_ranges *excluded, const wf_address *start,
                         wf_address *taken) {
    wit_ranges from = lend_ranges(ranges), less = lend_ranges(excluded);
    wit_string begin = wit_lend(start ? wf_address_text(*start) : ""), text;
    if (!wharfinger_plugin_ledger_take_free(&from, &less, start ? &begin : NULL, &text)) return false;
    *taken = given_address(&text);
    wharfinger_bindings_string_free(&text);
    return true;
}

wf_addresses wf_ledger_remembered(const char *identity) {
    wit_string name = wit_lend(identity);
    wharfinger_plugin_ledger_list_ip_address_t found;
    wf_addresses addresses = {0};
    wharfinger_plugin_ledger_remembered(&name, &found);
    for (size_t i = 0; i < found.len; i++) {
        wf_address address = given_address(&found.ptr[i]);
        WF_PUSH(&addresses, address);
    }
    wharfinger_plugin_ledger_list_ip_address_free(&found);
    return addresses;
}

void wf_ledger_remember(const char *identity) {
    wit_string name = wit_lend(identity);
    wharfinger_plugin_ledger_remember(&name);
}

wf_usage wf_ledger_usage(const wf_ranges *ranges) {
    wit_ranges of = lend_ranges(ranges);
    wharfinger_plugin_ledger_counts_t counts;
    wharfinger_plugin_ledger_usage(&of, &counts);
    return (wf_usage){counts.total, counts.held, counts.resting, counts.remembered};
}

/* ---- What is handed back ---- */

static wit_string give_address(wf_address address) {
    return wit_give(wf_address_text(address));
}

static wharfinger_plugin_types_option_ip_address_t give_maybe(wf_address address) {
    wharfinger_plugin_types_option_ip_address_t given = {.is_some = address.version != 0};
    if (given.is_some) given.val = give_address(address);
    return given;
}

static wharfinger_bindings_option_u32_t give_number(wf_maybe number) {
    return (wharfinger_bindings_option_u32_t){number.set, number.value};
}

static wharfinger_plugin_types_route_t give_route(const wf_route *route) {
    return (wharfinger_plugin_types_route_t){
        .destination = wit_give(wf_net_text(route->destination)),
        .gateway = give_maybe(route->gateway),
        .mtu = give_number(route->mtu),
        .advmss = give_number(route->advmss),
        .priority = give_number(route->priority),
        .table = give_number(route->table),
        .scope = {route->scope.set, (uint8_t)route->scope.value},
    };
}

static wharfinger_bindings_list_string_t give_texts(const wf_texts *texts) {
    wharfinger_bindings_list_string_t given = {wit_array(texts->count, sizeof *given.ptr), texts->count};
    for (size_t i = 0; i < texts->count; i++) given.ptr[i] = wit_give(texts->items[i]);
    return given;
}

static void give_dns(const wf_lease *lease, wharfinger_plugin_types_dns_t *dns) {
    const wf_addresses *servers = &lease->dns.nameservers;
    dns->nameservers.ptr = wit_array(servers->count, sizeof *dns->nameservers.ptr);
    dns->nameservers.len = servers->count;
    for (size_t i = 0; i < servers->count; i++) dns->nameservers.ptr[i] = give_address(servers->items[i]);
    dns->domain.is_some = lease->dns.domain != NULL;
    if (lease->dns.domain) dns->domain.val = wit_give(lease->dns.domain);
    dns->search = give_texts(&lease->dns.search);
    dns->options = give_texts(&lease->dns.options);
}

static void give_lease(const wf_lease *lease, wharfinger_plugin_types_lease_t *given) {
    memset(given, 0, sizeof *given);
    given->addresses.len = lease->addresses.count;
    given->addresses.ptr = wit_array(given->addresses.len, sizeof *given->addresses.ptr);
    for (size_t i = 0; i < given->addresses.len; i++) {
        given->addresses.ptr[i].address = wit_give(wf_net_text(lease->addresses.items[i].address));
        given->addresses.ptr[i].gateway = give_maybe(lease->addresses.items[i].gateway);
    }
    given->routes.len = lease->routes.count;
    given->routes.ptr = wit_array(given->routes.len, sizeof *given->routes.ptr);
    for (size_t i = 0; i < given->routes.len; i++) given->routes.ptr[i] = give_route(&lease->routes.items[i]);
    give_dns(lease, &given->dns);
}

/* ---- The exports ---- */

void exports_wharfinger_plugin_ipam_validate(wit_string *config, exports_wharfinger_plugin_ipam_list_problem_t *ret) {
    const char *text;
    const void *plugin;
    wf_call_begin();
    if (wit_text(config, "the configuration", &text)) wf_call_validate(wf_ipam_plugin.read, text, &plugin);
    else wf_problem(&(wf_json){0}, "not JSON: a NUL character");
    wharfinger_bindings_string_free(config);
    ret->len = wf_problems();
    ret->ptr = wit_array(ret->len, sizeof *ret->ptr);
    for (size_t i = 0; i < ret->len; i++) {
        ret->ptr[i].pointer = wit_give(wf_current.problems.items[i].pointer);
        ret->ptr[i].message = wit_give(wf_current.problems.items[i].message);
    }
    wf_call_end();
}

bool exports_wharfinger_plugin_ipam_pools(wit_string *config, exports_wharfinger_plugin_ipam_list_pool_t *ret,
                                          wharfinger_plugin_types_failure_t *err) {
    const char *text;
    wf_pools pools = {0};
    wf_call_begin();
    bool good = wit_text(config, "the configuration", &text) && wf_call_pools(text, &pools);
    wharfinger_bindings_string_free(config);
    if (!good) return wit_failed(err);
    ret->len = pools.count;
    ret->ptr = wit_array(ret->len, sizeof *ret->ptr);
    for (size_t i = 0; i < ret->len; i++) {
        const wf_ranges *ranges = &pools.items[i].ranges;
        ret->ptr[i].name = wit_give(pools.items[i].name);
        ret->ptr[i].ranges.len = ranges->count;
        ret->ptr[i].ranges.ptr = wit_array(ranges->count, sizeof *ret->ptr[i].ranges.ptr);
        for (size_t j = 0; j < ranges->count; j++) {
            ret->ptr[i].ranges.ptr[j].first = give_address(ranges->items[j].first);
            ret->ptr[i].ranges.ptr[j].last = give_address(ranges->items[j].last);
        }
    }
    wf_call_end();
    return true;
}

static bool given_request(const exports_wharfinger_plugin_ipam_request_t *from, const char **config, wf_request *to) {
    for (size_t i = 0; i < from->wanted.len; i++) {
        wf_address address;
        if (!wit_address(&from->wanted.ptr[i], &address)) return false;
        WF_PUSH(&to->wanted, address);
    }
    return wit_text(&from->config, "the configuration", config) &&
           wit_text(&from->network_config, "the network configuration", &to->network) &&
           wit_attachment(&from->attachment, &to->attachment);
}

bool exports_wharfinger_plugin_ipam_allocate(exports_wharfinger_plugin_ipam_request_t *request,
                                             wharfinger_plugin_types_lease_t *ret,
                                             wharfinger_plugin_types_failure_t *err) {
    const char *config;
    wf_request asked = {0};
    wf_lease lease = {0};
    wf_call_begin();
    bool good = given_request(request, &config, &asked);
    exports_wharfinger_plugin_ipam_request_free(request);
    if (!good || !wf_call_allocate(config, &asked, &lease)) return wit_failed(err);
    give_lease(&lease, ret);
    wf_call_end();
    return true;
}

#ifdef WF_REMOTE
static bool given_texts(const wharfinger_bindings_list_string_t *from, wf_texts *to) {
    for (size_t i = 0; i < from->len; i++) {
        const char *text;
        if (!wit_text(&from->ptr[i], "a setting of the resolver", &text)) return false;
        WF_PUSH(to, text);
    }
    return true;
}

static bool given_dns(const wharfinger_plugin_types_dns_t *from, wf_lease *to) {
    for (size_t i = 0; i < from->nameservers.len; i++) {
        wf_address address;
        if (!wit_address(&from->nameservers.ptr[i], &address)) return false;
        WF_PUSH(&to->dns.nameservers, address);
    }
    if (from->domain.is_some && !wit_text(&from->domain.val, "the domain", &to->dns.domain)) return false;
    return given_texts(&from->search, &to->dns.search) && given_texts(&from->options, &to->dns.options);
}

static bool given_lease(const wharfinger_plugin_types_lease_t *from, wf_lease *to) {
    for (size_t i = 0; i < from->addresses.len; i++) {
        const wharfinger_plugin_types_leased_address_t *one = &from->addresses.ptr[i];
        wf_leased leased = {0};
        if (!wit_net(&one->address, &leased.address)) return false;
        if (one->gateway.is_some && !wit_address(&one->gateway.val, &leased.gateway)) return false;
        wf_lease_add(to, leased);
    }
    for (size_t i = 0; i < from->routes.len; i++) {
        wf_route route;
        if (!wit_route(&from->routes.ptr[i], &route)) return false;
        WF_PUSH(&to->routes, route);
    }
    return given_dns(&from->dns, to);
}

bool exports_wharfinger_plugin_ipam_remote_released(wit_string *config, wharfinger_plugin_types_attachment_t *attachment,
                                                    wharfinger_plugin_types_lease_t *maybe_lease,
                                                    wharfinger_plugin_types_failure_t *err) {
    const char *text;
    wf_attachment whose;
    wf_lease lease = {0};
    bool leased = maybe_lease != NULL;
    wf_call_begin();
    bool good = wit_text(config, "the configuration", &text) && wit_attachment(attachment, &whose) &&
                (!leased || given_lease(maybe_lease, &lease));
    wharfinger_bindings_string_free(config);
    wharfinger_plugin_types_attachment_free(attachment);
    if (leased) wharfinger_plugin_types_lease_free(maybe_lease);
    if (!good || !wf_call_released(text, &whose, leased ? &lease : NULL)) return wit_failed(err);
    wf_call_end();
    return true;
}
#endif
