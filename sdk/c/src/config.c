/* Reading a configuration: a problem says where it is, and reading goes on. */
#include "internal.h"

void wf_problem(const wf_json *at, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    wf_problem_said said = {wf_json_pointer(at), wf_one_line(wf_vformat(format, arguments))};
    va_end(arguments);
    WF_PUSH(&wf_current.problems, said);
}

size_t wf_problems(void) {
    return wf_current.problems.count;
}

static const char *kind(const wf_json *value) {
    static const char *const kinds[] = {"null", "boolean", "number", "string", "list", "object"};
    return kinds[value->kind];
}

static bool is(const wf_json *value, wf_json_kind wanted, const char *what) {
    if (!value) return false;
    if (value->kind == wanted) return true;
    wf_problem(value, "invalid type: %s, expected %s", kind(value), what);
    return false;
}

/* "`a`, `b`, `c`": what a key could be. */
static const char *expected(va_list keys) {
    const char *text = "", *key;
    while ((key = va_arg(keys, const char *))) text = wf_format("%s%s`%s`", text, *text ? ", " : "", key);
    return text;
}

static bool known(const char *key, va_list keys) {
    const char *one;
    while ((one = va_arg(keys, const char *)))
        if (strcmp(one, key) == 0) return true;
    return false;
}

bool wf_keys(const wf_json *object, ...) {
    if (!is(object, WF_JSON_OBJECT, "an object")) return false;
    bool good = true;
    for (const wf_json *it = object->first; it; it = it->next) {
        va_list keys;
        va_start(keys, object);
        bool found = known(it->key, keys);
        va_end(keys);
        if (found) continue;
        good = false;
        va_start(keys, object);
        wf_problem(it, "unknown field `%s`, expected one of %s", it->key, expected(keys));
        va_end(keys);
    }
    return good;
}

const wf_json *wf_need(const wf_json *object, const char *key) {
    const wf_json *found = wf_json_member(object, key);
    if (!found && object && object->kind == WF_JSON_OBJECT) wf_problem(object, "missing field `%s`", key);
    return found;
}

bool wf_is_array(const wf_json *value) {
    return is(value, WF_JSON_ARRAY, "a list");
}

bool wf_is_text(const wf_json *value, const char **text) {
    if (!is(value, WF_JSON_STRING, "a string")) return false;
    *text = value->text;
    return true;
}

const wf_json *wf_get_array(const wf_json *object, const char *key) {
    const wf_json *found = wf_json_member(object, key);
    return wf_is_array(found) ? found : NULL;
}

bool wf_get_text(const wf_json *object, const char *key, const char **text) {
    return wf_is_text(wf_json_member(object, key), text);
}

bool wf_get_bool(const wf_json *object, const char *key, bool *truth) {
    const wf_json *found = wf_json_member(object, key);
    if (!is(found, WF_JSON_BOOL, "a boolean")) return false;
    *truth = found->truth;
    return true;
}

bool wf_get_integer(const wf_json *object, const char *key, int64_t least, int64_t most, int64_t *number) {
    const wf_json *found = wf_json_member(object, key);
    if (!is(found, WF_JSON_NUMBER, "a number")) return false;
    int64_t any;
    if (wf_json_integer(found, least, most, number)) return true;
    if (!wf_json_integer(found, INT64_MIN, INT64_MAX, &any))
        wf_problem(found, "%.40s is no whole number, or too large", found->text);
    else if (most == INT64_MAX) wf_problem(found, "%s is out of range: at least %lld", found->text, (long long)least);
    else wf_problem(found, "%s is out of range: %lld to %lld", found->text, (long long)least, (long long)most);
    return false;
}

bool wf_get_address(const wf_json *object, const char *key, wf_address *address) {
    const char *text;
    if (!wf_get_text(object, key, &text)) return false;
    if (wf_address_parse(text, address)) return true;
    *address = (wf_address){0};
    wf_problem(wf_json_member(object, key), "invalid IP address syntax");
    return false;
}

bool wf_get_net(const wf_json *object, const char *key, wf_net *net) {
    const char *text;
    if (!wf_get_text(object, key, &text)) return false;
    const wf_json *found = wf_json_member(object, key);
    if (!wf_net_parse(text, net)) {
        wf_problem(found, "invalid IP address syntax");
        return false;
    }
    wf_net network = {wf_net_first(*net), net->length};
    if (wf_address_equal(network.address, net->address)) return true;
    wf_problem(found, "has host bits set: the network is %s", wf_net_text(network));
    return false;
}

static void maybe(const wf_json *object, const char *key, int64_t most, wf_maybe *to) {
    int64_t number;
    if (wf_get_integer(object, key, 0, most, &number)) *to = (wf_maybe){true, (uint32_t)number};
}

static wf_route route(const wf_json *it) {
    wf_route made = {0};
    wf_keys(it, "dst", "gw", "mtu", "advmss", "priority", "table", "scope", NULL);
    if (wf_need(it, "dst")) wf_get_net(it, "dst", &made.destination);
    wf_get_address(it, "gw", &made.gateway);
    maybe(it, "mtu", UINT32_MAX, &made.mtu);
    maybe(it, "advmss", UINT32_MAX, &made.advmss);
    maybe(it, "priority", UINT32_MAX, &made.priority);
    maybe(it, "table", UINT32_MAX, &made.table);
    maybe(it, "scope", UINT8_MAX, &made.scope);
    return made;
}

wf_routes wf_get_routes(const wf_json *object, const char *key) {
    wf_routes routes = {0};
    const wf_json *list = wf_get_array(object, key);
    for (const wf_json *it = list ? list->first : NULL; it; it = it->next) {
        wf_route one = route(it);
        wf_range hop = {one.gateway, one.destination.address};
        if (hop.first.version && hop.last.version && hop.first.version != hop.last.version)
            wf_problem(wf_json_member(it, "gw"), "%s is of another family than %s", wf_address_text(one.gateway),
                       wf_net_text(one.destination));
        WF_PUSH(&routes, one);
    }
    return routes;
}

static void inside(const wf_json *value, const char *key, wf_net net, wf_address *address) {
    wf_address given;
    if (!wf_get_address(value, key, &given)) return;
    *address = given;
    if (!wf_net_contains(net, given))
        wf_problem(wf_json_member(value, key), "%s lies outside %s", wf_address_text(given), wf_net_text(net));
}

bool wf_is_subnet(const wf_json *value, wf_subnet *subnet) {
    size_t before = wf_problems();
    *subnet = (wf_subnet){0};
    wf_keys(value, "subnet", "rangeStart", "rangeEnd", "gateway", NULL);
    if (!wf_need(value, "subnet") || !wf_get_net(value, "subnet", &subnet->net)) return false;
    wf_net net = subnet->net;
    wf_range usable = wf_net_usable(net);
    subnet->range = usable;
    inside(value, "rangeStart", net, &subnet->range.first);
    inside(value, "rangeEnd", net, &subnet->range.last);
    bool room = !wf_address_equal(usable.first, wf_net_first(net));
    if (!wf_get_address(value, "gateway", &subnet->gateway) && room) subnet->gateway = usable.first;
    if (subnet->gateway.version && subnet->gateway.version != net.address.version)
        wf_problem(wf_json_member(value, "gateway"), "%s is of another family than %s",
                   wf_address_text(subnet->gateway), wf_net_text(net));
    if (!wf_range_valid(subnet->range)) {
        const wf_json *end = wf_json_member(value, "rangeEnd");
        wf_problem(end ? end : wf_json_member(value, "rangeStart"), "lies below the start of the range");
    }
    return wf_problems() == before;
}
