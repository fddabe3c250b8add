/* What an attachment gets, and subnets that give it. */
#include "internal.h"

void wf_lease_add(wf_lease *lease, wf_leased leased) {
    WF_PUSH(&lease->addresses, leased);
}

void wf_pools_add(wf_pools *pools, const char *name, wf_ranges ranges) {
    struct wf_pool one = {name, ranges};
    WF_PUSH(pools, one);
}

const char *wf_attachment_id_text(const wf_attachment_id *id) {
    return wf_format("%s/%s/%s", id->network, id->container, id->ifname);
}

const char *wf_attachment_arg(const wf_attachment *attachment, const char *name) {
    for (size_t i = attachment->args.count; i-- > 0;)
        if (strcmp(attachment->args.items[i].name, name) == 0) return attachment->args.items[i].value;
    return NULL;
}

bool wf_ledger_take(wf_address address) {
    wf_refusal refusal = {0};
    const char *text = wf_address_text(address);
    switch (wf_ledger_try(address, &refusal)) {
    case WF_TAKEN: return true;
    case WF_HELD: return wf_failure(WF_CONFLICT, "%s is held by %s", text, wf_attachment_id_text(&refusal.held));
    case WF_RESERVED: break;
    }
    return wf_failure(WF_CONFLICT, "%s is reserved: %s", text, refusal.reserved);
}

void wf_subnet_exclude(const wf_subnet *subnet, wf_ranges *excluded) {
    wf_range usable = wf_net_usable(subnet->net);
    wf_address own[] = {subnet->gateway, wf_net_first(subnet->net), wf_net_last(subnet->net)};
    for (size_t i = 0; i < 3; i++)
        if (own[i].version && (i == 0 || !wf_range_contains(usable, own[i])))
            wf_ranges_add(excluded, wf_range_single(own[i]));
}

bool wf_subnet_gives(const wf_subnet *subnet, wf_address address) {
    wf_ranges excluded = {0};
    wf_subnet_exclude(subnet, &excluded);
    return wf_range_contains(subnet->range, address) && !wf_ranges_contain(&excluded, address);
}

wf_leased wf_subnet_leased(const wf_subnet *subnet, wf_address address) {
    return (wf_leased){{address, subnet->net.length}, subnet->gateway};
}

bool wf_subnet_take(const wf_subnet *subnet, wf_address address, wf_lease *lease) {
    if (!wf_subnet_gives(subnet, address))
        return wf_failure(WF_CONFLICT, "%s was asked for, but %s does not give it", wf_address_text(address),
                          wf_net_text(subnet->net));
    if (!wf_ledger_take(address)) return false;
    wf_lease_add(lease, wf_subnet_leased(subnet, address));
    return true;
}

bool wf_subnet_take_free(const wf_subnet *subnet, wf_lease *lease) {
    wf_ranges ranges = {0}, excluded = {0};
    wf_address taken;
    wf_ranges_add(&ranges, subnet->range);
    wf_subnet_exclude(subnet, &excluded);
    if (!wf_ledger_take_free(&ranges, &excluded, NULL, &taken))
        return wf_failure(WF_EXHAUSTED, "no address is free in %s", wf_net_text(subnet->net));
    wf_lease_add(lease, wf_subnet_leased(subnet, taken));
    return true;
}

bool wf_deny(wf_verdict *verdict, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    *verdict = (wf_verdict){.deny = wf_one_line(wf_vformat(format, arguments))};
    va_end(arguments);
    return true;
}

bool wf_amend(wf_verdict *verdict, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    *verdict = (wf_verdict){.amend = wf_vformat(format, arguments)};
    va_end(arguments);
    return true;
}
