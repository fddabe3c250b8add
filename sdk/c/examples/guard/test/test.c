#include "wharfinger_testing.h"

static wf_attachment pod(const char *namespace, const char *container) {
    return wf_attachment_of_pod("pods", container, "eth0", namespace, container);
}

static void namespaces(wf_host *host) {
    const char *config = "{\"namespaces\": [\"web\"]}";
    wf_attachment web = pod("web", "a"), db = pod("db", "a"), none = wf_attachment_of("pods", "a", "eth0");
    wf_expect(wf_host_admit(host, config, &web, "{}"), "allow");
    wf_expect(wf_host_admit(host, config, &db, "{}"), "deny: namespace db is not attached");
    wf_expect(wf_host_admit(host, config, &none, "{}"), "deny: an attachment without a pod is refused");
    wf_expect(wf_host_admit(host, "{}", &none, "{}"), "allow");
}

static void ports(wf_host *host) {
    const char *config = "{\"hostPorts\": [\"80\", \"8000-8100\"]}";
    const char *unreadable = "other: portMappings: not a list of ports";
    wf_attachment web = pod("web", "a");
    wf_expect(wf_host_admit(host, config, &web, "{}"), "allow");
    wf_expect(wf_host_admit(host, config, &web, "{\"portMappings\": [{\"hostPort\": 8100}, {\"containerPort\": 1}]}"),
              "allow");
    wf_expect(wf_host_admit(host, config, &web, "{\"portMappings\": [{\"hostPort\": 0}, {\"hostPort\": 8101}]}"),
              "deny: port 8101 of the host is not allowed");
    wf_expect(wf_host_admit(host, config, &web, "{\"portMappings\": 80}"), unreadable);
    wf_expect(wf_host_admit(host, config, &web, "{\"portMappings\": [80]}"), unreadable);
    wf_expect(wf_host_admit(host, config, &web, "{\"portMappings\": [{\"hostPort\": \"81\"}]}"), unreadable);
    wf_expect(wf_host_admit(host, config, &web, "{\"portMappings\": [{\"hostPort\": 80.5}]}"), unreadable);
    wf_expect(wf_host_admit(host, config, &web, "[]"), unreadable);
}

static void a_quota(wf_host *host) {
    const char *config = "{\"quota\": 2}";
    wf_attachment a = pod("web", "a"), b = pod("web", "b"), c = pod("web", "c"), too = pod("web-too", "d");
    wf_expect(wf_host_admit(host, config, &a, "{}"), "allow");
    wf_expect(wf_host_admit(host, config, &a, "{}"), "allow");
    wf_expect(wf_host_admit(host, config, &b, "{}"), "allow");
    wf_expect(wf_host_admit(host, config, &c, "{}"), "deny: namespace web has 2 attachments, and may have 2");
    wf_expect(wf_host_stored(host, "web/pods/c/eth0"), NULL);
    wf_expect(wf_host_admit(host, config, &too, "{}"), "allow");
    wf_host_del(host, &a);
    wf_expect(wf_host_admit(host, config, &c, "{}"), "allow");
}

static void an_mtu(wf_host *host) {
    wf_attachment web = pod("web", "a");
    wf_expect(wf_host_admit(host, "{\"mtu\": 1400}", &web, "{}"), "amend: {\"mtu\": 1400}");
}

static void what_is_about_to_happen_is_allowed(wf_host *host) {
    wf_policy_request request = {.attachment = pod("web", "a"), .network = "{}"};
    wf_step step = {.kind = WF_STEP_SYSCTL, .sysctl = {WF_HOST, "net/ipv4/ip_forward", "1"}};
    wf_steps steps = {&step, 1, 0};
    wf_expect(wf_host_review(host, "{}", &request, &steps, "{}"), "allow");
}

static void what_is_wrong_is_named(wf_host *host) {
    wf_expect(wf_host_problems(host, "{\"hostPorts\": [\"x\", \"9-8\", \"0\", \"65536\", \"80-\", \"80\"]}"),
              "/hostPorts/0: \"x\" is no port and no range of ports\n"
              "/hostPorts/1: \"9-8\" is no port and no range of ports\n"
              "/hostPorts/2: \"0\" is no port and no range of ports\n"
              "/hostPorts/3: \"65536\" is no port and no range of ports\n"
              "/hostPorts/4: \"80-\" is no port and no range of ports");
    wf_expect(wf_host_problems(host, "{\"quota\": 0}"), "/quota: 0 is out of range: at least 1");
    wf_expect(wf_host_problems(host, "{\"mtu\": 67}"), "/mtu: 67 is out of range: 68 to 65535");
    wf_expect(wf_host_problems(host, "{\"mtu\": 67.5}"), "/mtu: 67.5 is no whole number, or too large");
    wf_expect_in(wf_host_problems(host, "{\"namespace\": []}"), "/namespace: unknown field `namespace`");
}

int main(void) {
    static void (*const tests[])(wf_host *) = {
        namespaces, ports, a_quota, an_mtu, what_is_about_to_happen_is_allowed, what_is_wrong_is_named,
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        wf_host *host = wf_host_new();
        tests[i](host);
        wf_host_free(host);
    }
    return 0;
}
