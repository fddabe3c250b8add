/* One call of a plugin: configuration in, answer out, the same on Wasm and in unit tests. */
#include "internal.h"

wf_call wf_current;

/* Keys that the host reads; they may stand in a configuration beside the plugin's own. */
static const char *const hosts[] = {"type",           "plugin", "policies", "coolDown",
                                    "statusWhenFull", "domain", "secrets",  "resolvConf"};

void wf_log(wf_level level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    wf_host_log(level, wf_vformat(format, arguments));
    va_end(arguments);
}

void wf_abort_at(const char *file, int line, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const char *message = wf_vformat(format, arguments);
    va_end(arguments);
    wf_host_log(WF_ERROR, wf_format("aborted at %s:%d: %s", file, line, message));
    wf_host_trap();
}

bool wf_failure(wf_reason reason, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    wf_current.failure.set = true;
    wf_current.failure.reason = reason;
    wf_current.failure.message = wf_one_line(wf_vformat(format, arguments));
    wf_current.failure.detail = NULL;
    va_end(arguments);
    return false;
}

bool wf_failure_detail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    wf_current.failure.detail = wf_vformat(format, arguments);
    va_end(arguments);
    return false;
}

bool wf_recover(wf_reason reason) {
    if (!wf_current.failure.set || wf_current.failure.reason != reason) return false;
    wf_current.failure.set = false;
    return true;
}

void wf_call_explain(void) {
    if (!wf_current.failure.set) wf_failure(WF_OTHER, "the plugin failed, and did not say why");
}

/* The configuration less the keys that are the host's. */
static const wf_json *own(const wf_json *config) {
    if (config->kind != WF_JSON_OBJECT) return config;
    wf_json *copy = wf_alloc(sizeof *copy);
    *copy = (wf_json){.kind = WF_JSON_OBJECT};
    const wf_json **link = &copy->first;
    for (const wf_json *it = config->first; it; it = it->next) {
        bool plugins = true;
        for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) plugins &= strcmp(it->key, hosts[i]) != 0;
        if (!plugins) continue;
        wf_json *kept = wf_alloc(sizeof *kept);
        *kept = *it;
        kept->next = NULL;
        *link = kept;
        link = &kept->next;
        copy->count++;
    }
    return copy;
}

bool wf_call_validate(const void *(*read)(const wf_json *), const char *config, const void **plugin) {
    const char *why;
    const wf_json *parsed = wf_json_parse(config, &why);
    if (!parsed) {
        wf_problem(&(wf_json){0}, "not JSON: %s", why);
        return false;
    }
    parsed = own(parsed);
    if (parsed->kind == WF_JSON_OBJECT) *plugin = read(parsed);
    else wf_problem(parsed, "the configuration is no object");
    return wf_problems() == 0;
}

/* On the way to another function: problems are a failure, which names the first. */
static bool readable(const void *(*read)(const wf_json *), const char *config, const void **plugin) {
    if (wf_call_validate(read, config, plugin)) return true;
    const char *first = NULL, *all = "";
    for (size_t i = 0; i < wf_problems() && i < 100; i++) {
        wf_problem_said it = wf_current.problems.items[i];
        const char *line = wf_format("%s%s%s", it.pointer, *it.pointer ? ": " : "", it.message);
        if (!first) first = line;
        all = wf_format("%s%s%s", all, *all ? "\n" : "", line);
    }
    wf_failure(WF_INVALID_CONFIG, "%s", first);
    return wf_problems() > 1 ? wf_failure_detail("%s", all) : false;
}

#ifndef WF_POLICY
bool wf_call_pools(const char *config, wf_pools *pools) {
    const void *plugin;
    return readable(wf_ipam_plugin.read, config, &plugin) && wf_ipam_plugin.pools(plugin, pools);
}

/* A lease with all that was asked for by name, which the host insists on: an author who does not look
 * at it has a plugin that refuses it, and not one that is broken. */
static bool complete(const wf_request *request, const wf_lease *lease) {
    for (size_t i = 0; i < request->wanted.count; i++) {
        wf_address wanted = request->wanted.items[i];
        bool given = false;
        for (size_t j = 0; j < lease->addresses.count; j++)
            given |= wf_address_equal(lease->addresses.items[j].address.address, wanted);
        if (!given)
            return wf_failure(WF_CONFLICT, "%s was asked for, but this plugin does not give it",
                              wf_address_text(wanted));
    }
    return true;
}

bool wf_call_allocate(const char *config, const wf_request *request, wf_lease *lease) {
    const void *plugin;
    return readable(wf_ipam_plugin.read, config, &plugin) &&
           wf_ipam_plugin.allocate(plugin, request, lease) && complete(request, lease);
}

bool wf_call_released(const char *config, const wf_attachment *attachment, const wf_lease *lease) {
    const void *plugin;
    if (!readable(wf_ipam_plugin.read, config, &plugin)) return false;
    return !wf_ipam_plugin.released || wf_ipam_plugin.released(plugin, attachment, lease);
}
#else
bool wf_call_admit(const char *config, const wf_policy_request *request, wf_verdict *verdict) {
    const void *plugin;
    if (!readable(wf_policy_plugin.read, config, &plugin)) return false;
    return !wf_policy_plugin.admit || wf_policy_plugin.admit(plugin, request, verdict);
}

bool wf_call_review(const char *config, const wf_policy_request *request, const wf_steps *steps,
                    const char *cni_result, wf_verdict *verdict) {
    const void *plugin;
    if (!readable(wf_policy_plugin.read, config, &plugin)) return false;
    return !wf_policy_plugin.review || wf_policy_plugin.review(plugin, request, steps, cni_result, verdict);
}
#endif
