/* The exports of a policy component. */
#include "guest.h"

static wf_maybe maybe(wharfinger_bindings_option_u32_t from) {
    return (wf_maybe){from.is_some, from.is_some ? from.val : 0};
}

static bool given_link(const wharfinger_plugin_plan_link_ref_t *from, wf_link *to) {
    to->place = (wf_place)from->place;
    return wit_text(&from->name, "a link's name", &to->name);
}

static bool given_option(const wharfinger_bindings_option_string_t *from, const char **to) {
    return !from->is_some || wit_text(&from->val, "a step", to);
}

static bool given_link_step(const wharfinger_plugin_plan_link_step_t *from, wf_step *to) {
    to->link.id = maybe(from->id);
    to->link.mtu = maybe(from->mtu);
    for (size_t i = 0; i < from->settings.len; i++)
        if (!wit_pair(&from->settings.ptr[i], "a link's setting", &to->link.settings)) return false;
    return given_link(&from->link, &to->link.link) && wit_text(&from->kind, "a link's kind", &to->link.kind) &&
           (!from->peer.is_some || given_link(&from->peer.val, &to->link.peer)) &&
           given_option(&from->mac, &to->link.mac) && given_option(&from->master, &to->link.master);
}

static bool given_firewall(const wharfinger_plugin_plan_firewall_step_t *from, wf_step *to) {
    to->firewall.place = (wf_place)from->place;
    return wit_text(&from->family, "a rule", &to->firewall.family) &&
           wit_text(&from->table, "a rule", &to->firewall.table) &&
           wit_text(&from->chain, "a rule", &to->firewall.chain) && wit_text(&from->rule, "a rule", &to->firewall.rule);
}

static bool given_forward(const wharfinger_plugin_plan_forward_step_t *from, wf_step *to) {
    to->forward.host_port = from->host_port;
    to->forward.port = from->port;
    return wit_text(&from->protocol, "a protocol", &to->forward.protocol) &&
           wit_address(&from->address, &to->forward.address) &&
           (!from->host_address.is_some || wit_address(&from->host_address.val, &to->forward.host_address));
}

static bool given_shaping(const wharfinger_plugin_plan_shaping_step_t *from, wf_step *to) {
    to->shaping.egress = from->direction == WHARFINGER_PLUGIN_PLAN_DIRECTION_EGRESS;
    to->shaping.rate = from->rate;
    to->shaping.burst = from->burst;
    return given_link(&from->link, &to->shaping.link);
}

/* The kinds are numbered as the contract's arms. */
static bool given_step(const wharfinger_plugin_plan_step_t *from, wf_step *to) {
    memset(to, 0, sizeof *to);
    to->kind = from->tag;
    switch (to->kind) {
    case WF_STEP_LINK: return given_link_step(&from->val.link, to);
    case WF_STEP_ADDRESS:
        return given_link(&from->val.address.link, &to->address.link) &&
               wit_net(&from->val.address.address, &to->address.address);
    case WF_STEP_ROUTE:
        return given_link(&from->val.route.link, &to->route.link) &&
               wit_route(&from->val.route.route, &to->route.route);
    case WF_STEP_SYSCTL:
        to->sysctl.place = (wf_place)from->val.sysctl.place;
        return wit_text(&from->val.sysctl.key, "a sysctl", &to->sysctl.key) &&
               wit_text(&from->val.sysctl.value, "a sysctl", &to->sysctl.value);
    case WF_STEP_FIREWALL: return given_firewall(&from->val.firewall, to);
    case WF_STEP_FORWARD: return given_forward(&from->val.forward, to);
    case WF_STEP_SHAPING: return given_shaping(&from->val.shaping, to);
    case WF_STEP_OTHER:
        to->other.place = (wf_place)from->val.other.place;
        return wit_text(&from->val.other.kind, "a step", &to->other.kind) &&
               wit_text(&from->val.other.detail, "a step", &to->other.detail);
    }
    return wf_failure(WF_OTHER, "a step of a kind that the contract does not have");
}

static bool given_request(const exports_wharfinger_plugin_policy_request_t *from, const char **config,
                          wf_policy_request *to) {
    return wit_text(&from->config, "the configuration", config) &&
           wit_text(&from->network_config, "the network configuration", &to->network) &&
           wit_text(&from->written.network, "what the network's author wrote", &to->written.network) &&
           wit_text(&from->written.runtime, "what the runtime wrote", &to->written.runtime) &&
           wit_text(&from->written.pod, "what the pod's author wrote", &to->written.pod) &&
           wit_attachment(&from->attachment, &to->attachment);
}

static bool answered(const wf_verdict *verdict, exports_wharfinger_plugin_policy_verdict_t *ret) {
    if (verdict->deny) {
        ret->tag = EXPORTS_WHARFINGER_PLUGIN_POLICY_VERDICT_DENY;
        ret->val.deny = wit_give(verdict->deny);
    } else if (verdict->amend) {
        ret->tag = EXPORTS_WHARFINGER_PLUGIN_POLICY_VERDICT_AMEND;
        ret->val.amend = wit_give(verdict->amend);
    } else {
        ret->tag = EXPORTS_WHARFINGER_PLUGIN_POLICY_VERDICT_ALLOW;
    }
    wf_call_end();
    return true;
}

void exports_wharfinger_plugin_policy_validate(wit_string *config, exports_wharfinger_plugin_policy_list_problem_t *ret) {
    const char *text;
    const void *plugin;
    wf_call_begin();
    if (wit_text(config, "the configuration", &text)) wf_call_validate(wf_policy_plugin.read, text, &plugin);
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

bool exports_wharfinger_plugin_policy_admit(exports_wharfinger_plugin_policy_request_t *request,
                                            exports_wharfinger_plugin_policy_verdict_t *ret,
                                            wharfinger_plugin_types_failure_t *err) {
    const char *config;
    wf_policy_request asked;
    wf_verdict verdict = {0};
    wf_call_begin();
    bool good = given_request(request, &config, &asked);
    exports_wharfinger_plugin_policy_request_free(request);
    if (!good || !wf_call_admit(config, &asked, &verdict)) return wit_failed(err);
    return answered(&verdict, ret);
}

bool exports_wharfinger_plugin_policy_review(exports_wharfinger_plugin_policy_request_t *request,
                                             exports_wharfinger_plugin_policy_list_step_t *steps,
                                             wit_string *cni_result,
                                             exports_wharfinger_plugin_policy_verdict_t *ret,
                                             wharfinger_plugin_types_failure_t *err) {
    const char *config, *result;
    wf_policy_request asked;
    wf_verdict verdict = {0};
    wf_call_begin();
    wf_steps given = {wf_alloc_array(steps->len, sizeof *given.items), steps->len, steps->len};
    bool good = given_request(request, &config, &asked) && wit_text(cni_result, "the result", &result);
    for (size_t i = 0; good && i < steps->len; i++) good = given_step(&steps->ptr[i], &given.items[i]);
    exports_wharfinger_plugin_policy_request_free(request);
    exports_wharfinger_plugin_policy_list_step_free(steps);
    wharfinger_bindings_string_free(cni_result);
    if (!good || !wf_call_review(config, &asked, &given, result, &verdict)) return wit_failed(err);
    return answered(&verdict, ret);
}
