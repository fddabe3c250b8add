#include "wharfinger_testing.h"

/* Two pools: of one address, and of many. */
#define CONFIG "{\"pools\": [{\"subnet\": \"10.1.0.0/30\"}, {\"subnet\": \"10.2.0.0/24\"}]}"

static wf_attachment container(const char *name) {
    return wf_attachment_of("pods", name, "eth0");
}

static void the_second_pool_serves_when_the_first_is_full(wf_host *host) {
    wf_attachment a = container("a"), b = container("b"), c = container("c");
    wf_expect(wf_host_add(host, CONFIG, &a), "10.1.0.2/30");
    wf_expect(wf_host_add(host, CONFIG, &b), "10.2.0.2/24");
    wf_expect(wf_host_add(host, CONFIG, &c), "10.2.0.3/24");
}

static void asked_twice_it_answers_the_same(wf_host *host) {
    wf_attachment a = container("a");
    wf_expect(wf_host_add(host, CONFIG, &a), "10.1.0.2/30");
    wf_expect(wf_host_add(host, CONFIG, &a), "10.1.0.2/30");
}

static void an_address_asked_for_is_given_or_refused(wf_host *host) {
    wf_attachment a = container("a"), b = container("b");
    wf_expect(wf_host_add_wanting(host, CONFIG, &a, "10.2.0.77"), "10.2.0.77/24");
    wf_expect(wf_host_add_wanting(host, CONFIG, &b, "10.2.0.77"), "conflict: 10.2.0.77 is held by pods/a/eth0");
}

static void what_is_wrong_is_named(wf_host *host) {
    wf_expect_in(wf_host_problems(host, "{\"pools\": [{\"subnet\": \"10.1.0.0/24\", \"gateway\": \"fd00::1\"}]}"),
                 "/pools/0/gateway: ");
}

int main(void) {
    static void (*const tests[])(wf_host *) = {
        the_second_pool_serves_when_the_first_is_full,
        asked_twice_it_answers_the_same,
        an_address_asked_for_is_given_or_refused,
        what_is_wrong_is_named,
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        wf_host *host = wf_host_new();
        tests[i](host);
        wf_host_free(host);
    }
    return 0;
}
