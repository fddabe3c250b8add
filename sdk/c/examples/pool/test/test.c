#include "wharfinger_testing.h"

#define CONFIG "{\"ranges\": [[{\"subnet\": \"10.1.0.0/30\"}, {\"subnet\": \"10.2.0.0/30\"}], " \
               "[{\"subnet\": \"fd00::/64\"}]], \"routes\": [{\"dst\": \"0.0.0.0/0\"}], \"sticky\": true}"

static wf_attachment container(const char *name) {
    return wf_attachment_of("pods", name, "eth0");
}

static void one_address_of_each_set(wf_host *host) {
    wf_attachment a = container("a"), b = container("b"), c = container("c");
    wf_expect(wf_host_pools(host, CONFIG), "0=10.1.0.1-10.1.0.2,10.2.0.1-10.2.0.2 1=fd00::1-fd00::ffff:ffff:ffff:ffff");
    wf_expect(wf_host_add(host, CONFIG, &a), "10.1.0.2/30 fd00::2/64");
    wf_expect(wf_host_add(host, CONFIG, &a), "10.1.0.2/30 fd00::2/64");
    wf_expect(wf_net_text(wf_host_lease(host)->routes.items[0].destination), "0.0.0.0/0");
    wf_expect(wf_host_add(host, CONFIG, &b), "10.2.0.2/30 fd00::3/64");
    wf_expect(wf_host_add(host, CONFIG, &c), "exhausted: set 0 has no free address");
    wf_host_del(host, &a);
    wf_expect(wf_host_add(host, CONFIG, &c), "10.1.0.2/30 fd00::4/64");
}

static void an_address_asked_for_is_given_or_refused(wf_host *host) {
    wf_attachment a = container("a"), b = container("b");
    wf_expect(wf_host_add_wanting(host, CONFIG, &a, "10.2.0.2"), "10.2.0.2/30 fd00::2/64");
    wf_expect(wf_host_add_wanting(host, CONFIG, &b, "10.2.0.2"), "conflict: 10.2.0.2 is held by pods/a/eth0");
    wf_expect(wf_host_add_wanting(host, CONFIG, &b, "10.3.0.2"), "conflict: 10.3.0.2 is in none of the ranges");
    wf_expect(wf_host_add_wanting(host, CONFIG, &b, "10.1.0.1"), "conflict: 10.1.0.1 is in none of the ranges");
    wf_expect(wf_host_add_wanting(host, CONFIG, &b, "10.1.0.2 10.2.0.2"),
              "conflict: 10.2.0.2 was asked for, but this plugin does not give it");
    wf_host_reserve(host, "fd00::9", "the printer");
    wf_expect(wf_host_add_wanting(host, CONFIG, &b, "fd00::9"), "conflict: fd00::9 is reserved: the printer");
    wf_expect(wf_host_holds(host, &b), "");
}

static void a_pod_keeps_its_address(wf_host *host) {
    wf_attachment old = wf_attachment_of_pod("pods", "old", "eth0", "db", "db-0");
    wf_attachment other = wf_attachment_of_pod("pods", "other", "eth0", "db", "db-1");
    wf_attachment new = wf_attachment_of_pod("pods", "new", "eth0", "db", "db-0");
    wf_expect(wf_host_add(host, CONFIG, &old), "10.1.0.2/30 fd00::2/64");
    wf_host_del(host, &old);
    wf_expect(wf_host_add(host, CONFIG, &other), "10.2.0.2/30 fd00::3/64");
    wf_host_reboot(host);
    wf_expect(wf_host_add(host, CONFIG, &new), "10.1.0.2/30 fd00::2/64");
}

static void what_is_wrong_is_named(wf_host *host) {
    wf_expect(wf_host_problems(host, CONFIG), "");
    wf_expect(wf_host_problems(host, "{\"ranges\": []}"), "/ranges: is empty: there is nothing to give");
    wf_expect(wf_host_problems(host, "{\"ranges\": [[]]}"), "/ranges/0: is empty: there is nothing to give");
    wf_expect(wf_host_problems(host, "{\"ranges\": [[{\"subnet\": \"10.1.0.9/24\"}]]}"),
              "/ranges/0/0/subnet: has host bits set: the network is 10.1.0.0/24");
    wf_expect(wf_host_problems(host, "{\"ranges\": [[{\"subnet\": \"ten\", \"gateway\": \"x\"}]], \"a/b\": 1}"),
              "/a~1b: unknown field `a/b`, expected one of `ranges`, `routes`, `sticky`\n"
              "/ranges/0/0/subnet: invalid IP address syntax");
    wf_expect(wf_host_problems(host, "{\"ranges\": [[{\"subnet\": \"10.1.0.0/24\", \"gateway\": \"fd00::1\"}]]}"),
              "/ranges/0/0/gateway: fd00::1 is of another family than 10.1.0.0/24");
}

int main(void) {
    static void (*const tests[])(wf_host *) = {
        one_address_of_each_set,
        an_address_asked_for_is_given_or_refused,
        a_pod_keeps_its_address,
        what_is_wrong_is_named,
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        wf_host *host = wf_host_new();
        tests[i](host);
        wf_host_free(host);
    }
    return 0;
}
