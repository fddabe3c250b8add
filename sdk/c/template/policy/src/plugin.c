/* Who may be attached: pods of the namespaces that the configuration names. */
#include "wharfinger.h"

/* The policy's configuration. */
typedef struct {
    const wf_json *namespaces; /* Their pods may be attached. */
} config;

static const void *read_config(const wf_json *value) {
    config *it = wf_alloc(sizeof *it);
    const char *text;
    wf_keys(value, "namespaces", NULL);
    it->namespaces = wf_need(value, "namespaces");
    if (!it->namespaces || !wf_is_array(it->namespaces)) return it;
    if (it->namespaces->count == 0) wf_problem(it->namespaces, "is empty: nobody could be attached");
    for (const wf_json *one = it->namespaces->first; one; one = one->next) wf_is_text(one, &text);
    return it;
}

static bool admit(const void *given, const wf_policy_request *request, wf_verdict *verdict) {
    const config *it = given;
    const wf_attachment *whose = &request->attachment;
    if (!whose->has_pod) return wf_deny(verdict, "only pods are attached here");
    for (const wf_json *one = it->namespaces->first; one; one = one->next) {
        if (!wf_equal(one->text, whose->pod_namespace)) continue;
        wf_debug("namespace %s is allowed", whose->pod_namespace);
        return true;
    }
    return wf_deny(verdict, "namespace %s is not attached to this network", whose->pod_namespace);
}

const wf_policy wf_policy_plugin = {read_config, admit, NULL};
