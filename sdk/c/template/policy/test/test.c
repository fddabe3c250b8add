#include "wharfinger_testing.h"

#define CONFIG "{\"namespaces\": [\"web\"]}"

static void namespaces_that_are_named_pass(wf_host *host) {
    wf_attachment web = wf_attachment_of_pod("pods", "a", "eth0", "web", "a");
    wf_attachment db = wf_attachment_of_pod("pods", "a", "eth0", "db", "a");
    wf_expect(wf_host_admit(host, CONFIG, &web, "{}"), "allow");
    wf_expect(wf_host_admit(host, CONFIG, &db, "{}"), "deny: namespace db is not attached to this network");
}

static void what_is_no_pod_is_refused(wf_host *host) {
    wf_attachment none = wf_attachment_of("pods", "a", "eth0");
    wf_expect(wf_host_admit(host, CONFIG, &none, "{}"), "deny: only pods are attached here");
}

static void what_is_wrong_is_named(wf_host *host) {
    wf_expect_in(wf_host_problems(host, "{\"namespaces\": [1]}"), "/namespaces/0: ");
}

int main(void) {
    static void (*const tests[])(wf_host *) = {
        namespaces_that_are_named_pass,
        what_is_no_pod_is_refused,
        what_is_wrong_is_named,
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        wf_host *host = wf_host_new();
        tests[i](host);
        wf_host_free(host);
    }
    return 0;
}
