/* Who may be attached, with which ports of the host, and how often. */
#include "wharfinger.h"

typedef struct {
    int64_t first, last;
} ports;

typedef struct {
    const wf_json *namespaces; /* NULL: all. */
    bool has_ports;
    ports *ports;
    size_t count;
    int64_t quota, mtu; /* 0: none. */
} config;

/* The number that the text begins with; where it ends, or NULL. */
static const char *port(const char *text, int64_t *number) {
    const char *begin = text;
    for (*number = 0; *text >= '0' && *text <= '9' && text - begin < 5; text++) *number = *number * 10 + *text - '0';
    return text > begin && *number > 0 && *number <= UINT16_MAX ? text : NULL;
}

static ports read_ports(const wf_json *value) {
    ports it = {0};
    const char *text;
    if (!wf_is_text(value, &text)) return it;
    const char *end = port(text, &it.first);
    it.last = it.first;
    if (end && *end == '-') end = port(end + 1, &it.last);
    if (!end || *end || it.last < it.first) wf_problem(value, "%s is no port and no range of ports", wf_json_quote(text));
    return it;
}

static const void *read_config(const wf_json *value) {
    config *it = wf_alloc(sizeof *it);
    const char *text;
    wf_keys(value, "namespaces", "hostPorts", "quota", "mtu", NULL);
    it->namespaces = wf_get_array(value, "namespaces");
    for (const wf_json *one = it->namespaces ? it->namespaces->first : NULL; one; one = one->next) wf_is_text(one, &text);
    const wf_json *list = wf_get_array(value, "hostPorts");
    it->has_ports = list != NULL;
    it->ports = wf_alloc_array(list ? list->count : 0, sizeof *it->ports);
    for (const wf_json *one = list ? list->first : NULL; one; one = one->next) it->ports[it->count++] = read_ports(one);
    wf_get_integer(value, "quota", 1, INT64_MAX, &it->quota);
    wf_get_integer(value, "mtu", 68, UINT16_MAX, &it->mtu);
    return it;
}

static bool named(const wf_json *namespaces, const char *name) {
    for (const wf_json *it = namespaces->first; it; it = it->next)
        if (wf_equal(it->text, name)) return true;
    return false;
}

static bool allowed(const config *it, int64_t port) {
    for (size_t i = 0; i < it->count; i++)
        if (it->ports[i].first <= port && port <= it->ports[i].last) return true;
    return false;
}

/* What cannot be read refuses: a policy that skips it could be passed by. */
static bool unreadable(void) {
    return wf_failure(WF_OTHER, "portMappings: not a list of ports");
}

/* The first port of the host that is not allowed; 0 where there is none. */
static bool forbidden(const config *it, const char *runtime, int64_t *port) {
    const wf_json *written = wf_json_parse(runtime, NULL);
    *port = 0;
    if (!written || written->kind != WF_JSON_OBJECT) return unreadable();
    const wf_json *mappings = wf_json_member(written, "portMappings");
    if (!mappings) return true;
    if (mappings->kind != WF_JSON_ARRAY) return unreadable();
    for (const wf_json *one = mappings->first; one; one = one->next) {
        const wf_json *host = wf_json_member(one, "hostPort");
        int64_t number = 0;
        if (one->kind != WF_JSON_OBJECT || (host && !wf_json_integer(host, 0, UINT16_MAX, &number))) return unreadable();
        if (number > 0 && *port == 0 && !allowed(it, number)) *port = number;
    }
    return true;
}

/* Put first: an ADD that is asked again counts once, and a refusal takes it back. */
static uint64_t attachments(const wf_attachment *whose) {
    const char *prefix = wf_format("%s/", whose->pod_namespace);
    wf_store_put(wf_format("%s%s", prefix, wf_attachment_id_text(&whose->id)), "", WF_ATTACHMENT);
    return wf_store_count(prefix);
}

static bool admit(const void *given, const wf_policy_request *request, wf_verdict *verdict) {
    const config *it = given;
    const wf_attachment *whose = &request->attachment;
    int64_t port;
    if (it->namespaces && !whose->has_pod) return wf_deny(verdict, "an attachment without a pod is refused");
    if (it->namespaces && !named(it->namespaces, whose->pod_namespace))
        return wf_deny(verdict, "namespace %s is not attached", whose->pod_namespace);
    if (it->has_ports) {
        if (!forbidden(it, request->written.runtime, &port)) return false;
        if (port > 0) return wf_deny(verdict, "port %lld of the host is not allowed", (long long)port);
    }
    if (it->quota > 0 && whose->has_pod) {
        uint64_t count = attachments(whose);
        if (count > (uint64_t)it->quota)
            return wf_deny(verdict, "namespace %s has %llu attachments, and may have %lld", whose->pod_namespace,
                           (unsigned long long)count - 1, (long long)it->quota);
    }
    return it->mtu == 0 || wf_amend(verdict, "{\"mtu\": %lld}", (long long)it->mtu);
}

const wf_policy wf_policy_plugin = {read_config, admit, NULL};
