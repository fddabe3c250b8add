/* A component of any kind: texts, and the imports that all kinds have. */
#include "guest.h"

wit_string wit_lend(const char *text) {
    return (wit_string){(uint8_t *)(uintptr_t)text, strlen(text)};
}

wit_string wit_give(const char *text) {
    wit_string given;
    wharfinger_bindings_string_dup(&given, text);
    return given;
}

void *wit_array(size_t count, size_t size) {
    if (count == 0) return NULL;
    void *made = calloc(count, size);
    if (!made) WF_ABORT("out of memory");
    return made;
}

bool wit_text(const wit_string *from, const char *what, const char **to) {
    if (from->len && memchr(from->ptr, 0, from->len)) return wf_failure(WF_OTHER, "%s holds a NUL character", what);
    *to = wf_copy((const char *)from->ptr, from->len);
    return true;
}

bool wit_address(const wit_string *from, wf_address *to) {
    const char *text;
    if (!wit_text(from, "an address", &text)) return false;
    return wf_address_parse(text, to) || wf_failure(WF_OTHER, "%s is no address", text);
}

bool wit_net(const wit_string *from, wf_net *to) {
    const char *text;
    if (!wit_text(from, "an address", &text)) return false;
    return wf_net_parse(text, to) || wf_failure(WF_OTHER, "%s is no address with a prefix length", text);
}

static wf_maybe maybe(wharfinger_bindings_option_u32_t from) {
    return (wf_maybe){from.is_some, from.is_some ? from.val : 0};
}

bool wit_route(const wharfinger_plugin_types_route_t *from, wf_route *to) {
    *to = (wf_route){.mtu = maybe(from->mtu),
                     .advmss = maybe(from->advmss),
                     .priority = maybe(from->priority),
                     .table = maybe(from->table),
                     .scope = {from->scope.is_some, from->scope.is_some ? from->scope.val : 0}};
    return wit_net(&from->destination, &to->destination) &&
           (!from->gateway.is_some || wit_address(&from->gateway.val, &to->gateway));
}

bool wit_pair(const wharfinger_plugin_types_pair_t *from, const char *what, wf_pairs *to) {
    wf_pair pair;
    if (!wit_text(&from->name, what, &pair.name) || !wit_text(&from->value, what, &pair.value)) return false;
    WF_PUSH(to, pair);
    return true;
}

bool wit_attachment(const wharfinger_plugin_types_attachment_t *from, wf_attachment *to) {
    *to = (wf_attachment){.has_pod = from->pod.is_some};
    if (!wit_text(&from->id.network, "the network's name", &to->id.network) ||
        !wit_text(&from->id.container, "the container's id", &to->id.container) ||
        !wit_text(&from->id.ifname, "the interface's name", &to->id.ifname))
        return false;
    for (size_t i = 0; i < from->args.len; i++)
        if (!wit_pair(&from->args.ptr[i], "an argument", &to->args)) return false;
    if (!from->pod.is_some) return true;
    const wharfinger_plugin_types_pod_t *pod = &from->pod.val;
    return wit_text(&pod->namespace_, "the pod's namespace", &to->pod_namespace) &&
           wit_text(&pod->name, "the pod's name", &to->pod_name) &&
           (!pod->uid.is_some || wit_text(&pod->uid.val, "the pod's uid", &to->pod_uid));
}

bool wit_failed(wharfinger_plugin_types_failure_t *failure) {
    wf_call_explain();
    *failure = (wharfinger_plugin_types_failure_t){.reason = (uint8_t)wf_current.failure.reason,
                                                   .message = wit_give(wf_current.failure.message)};
    failure->detail.is_some = wf_current.failure.detail;
    if (wf_current.failure.detail) failure->detail.val = wit_give(wf_current.failure.detail);
    wf_call_end();
    return false;
}

/* What the host gave, until the end of the call. It writes no NUL where the plugin wrote none. */
static const char *kept(wit_string *given) {
    const char *copy = wf_copy((const char *)given->ptr, given->len);
    wharfinger_bindings_string_free(given);
    return copy;
}

void wf_host_log(wf_level level, const char *message) {
    wit_string text = wit_lend(message);
    wharfinger_plugin_logger_log((uint8_t)level, &text);
}

void wf_host_trap(void) {
    __builtin_trap();
}

/* What assert() of the C library ends in; its own would want WASI to print. */
_Noreturn void __assert_fail(const char *what, const char *file, int line, const char *function) {
    wf_abort_at(file, line, "%s: assertion failed: %s", function, what);
}

const char *wf_store_get(const char *key) {
    wit_string name = wit_lend(key), value;
    return wharfinger_plugin_store_get(&name, &value) ? kept(&value) : NULL;
}

void wf_store_put(const char *key, const char *value, wf_lifetime lifetime) {
    wit_string name = wit_lend(key), text = wit_lend(value);
    wharfinger_plugin_store_put(&name, &text, (uint8_t)lifetime);
}

bool wf_store_remove(const char *key) {
    wit_string name = wit_lend(key);
    return wharfinger_plugin_store_remove(&name);
}

wf_pairs wf_store_scan(const char *prefix, const char *after, uint32_t limit) {
    wit_string begin = wit_lend(prefix), above = wit_lend(after ? after : "");
    wharfinger_plugin_store_list_pair_t found;
    wf_pairs pairs = {0};
    wharfinger_plugin_store_scan(&begin, after ? &above : NULL, limit, &found);
    for (size_t i = 0; i < found.len; i++) {
        wf_pair pair = {kept(&found.ptr[i].name), kept(&found.ptr[i].value)};
        WF_PUSH(&pairs, pair);
    }
    wharfinger_plugin_store_list_pair_free(&found);
    return pairs;
}

uint64_t wf_store_count(const char *prefix) {
    wit_string begin = wit_lend(prefix);
    return wharfinger_plugin_store_count(&begin);
}

const char *wf_node_name(void) {
    wit_string name;
    wharfinger_plugin_node_name(&name);
    return kept(&name);
}

const char *wf_node_label(const char *name) {
    wit_string text = wit_lend(name), value;
    return wharfinger_plugin_node_label(&text, &value) ? kept(&value) : NULL;
}

uint64_t wf_node_now(void) {
    return wharfinger_plugin_node_now();
}
