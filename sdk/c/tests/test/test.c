#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/plugin.h"
#include "wharfinger_testing.h"

static const char *address(const char *text) {
    wf_address it;
    return wf_address_parse(text, &it) ? wf_address_text(it) : "none";
}

static void addresses_are_read_strictly_and_written_canonically(wf_host *host) {
    (void)host;
    static const char *const good[][2] = {
        {"10.1.0.7", "10.1.0.7"},       {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"}, {"::", "::"},
        {"::1", "::1"},                 {"FD00::7", "fd00::7"},
        {"fd00:0:0:0:0:0:0:7", "fd00::7"}, {"1:0:0:2:0:0:0:3", "1:0:0:2::3"},
        {"1:0:0:2:3:0:0:4", "1::2:3:0:0:4"}, {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
        {"1:2:3:4:5:6:0:8", "1:2:3:4:5:6:0:8"}, {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
        {"1::", "1::"},                 {"::ffff:a01:7", "::ffff:a01:7"},
    };
    static const char *const bad[] = {
        "", "10.1.0", "10.1.0.256", "10.1.0.07", "10.1.0.1.", "10.1.0.1.1", "10..0.1", "1e1.0.0.1", " 10.1.0.1",
        ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
        "12345::", "fe80::1%eth0", "::ffff:10.1.0.7", "g::", "1:", ":1", "10.1.0.4294967297",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) wf_expect(address(good[i][0]), good[i][1]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) wf_expect(address(bad[i]), "none");
}

static const char *usable(const char *text) {
    wf_net net;
    if (!wf_net_parse(text, &net)) return "none";
    wf_range range = wf_net_usable(net);
    return wf_format("%s-%s", wf_address_text(range.first), wf_address_text(range.last));
}

static void usable_addresses_of_every_size(wf_host *host) {
    (void)host;
    wf_expect(usable("10.1.0.0/24"), "10.1.0.1-10.1.0.254");
    wf_expect(usable("10.1.0.0/30"), "10.1.0.1-10.1.0.2");
    wf_expect(usable("10.1.0.0/31"), "10.1.0.0-10.1.0.1");
    wf_expect(usable("10.1.0.9/32"), "10.1.0.9-10.1.0.9");
    wf_expect(usable("0.0.0.0/0"), "0.0.0.1-255.255.255.254");
    wf_expect(usable("fd00::/126"), "fd00::1-fd00::3");
    wf_expect(usable("fd00::/127"), "fd00::-fd00::1");
    wf_expect(usable("fd00::/64"), "fd00::1-fd00::ffff:ffff:ffff:ffff");
    wf_expect(usable("fd00::/63"), "fd00::1-fd00::1:ffff:ffff:ffff:ffff");
    wf_expect(usable("::/0"), "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    static const char *const bad[] = {"10.1.0.0", "10.1.0.0/33", "10.1.0.0/", "10.1.0.0/-1", "10.1.0.0/08",
                                      "::/129", "::/1x", "/8", "10.1.0.0/8/8", "::/99999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) wf_expect(usable(bad[i]), "none");
}

static void neighbours_do_not_wrap(wf_host *host) {
    (void)host;
    wf_address it;
    wf_address_parse("255.255.255.255", &it);
    wf_expect(wf_address_text(wf_address_after(it)), "255.255.255.255");
    wf_address_parse("fd00::ffff:ffff:ffff:ffff", &it);
    wf_expect(wf_address_text(wf_address_after(it)), "fd00:0:0:1::");
    wf_expect(wf_address_text(wf_address_before(wf_address_after(it))), "fd00::ffff:ffff:ffff:ffff");
    wf_address_parse("::", &it);
    wf_expect(wf_address_text(wf_address_before(it)), "::");
}

static void text_is_formatted_as_by_printf(wf_host *host) {
    (void)host;
    char wanted[200];
    const char *format = "%s|%5s|%-5s|%.2s|%.*s|%c|%%|%d|%05d|%-5d|%ld|%lld|%u|%x|%04x|%zu|%llu|%lu";
#define ALL format, "ab", "ab", "ab", "abc", 1, "abc", 'x', -7, -42, -42, -8L, -9LL, 7u, 255u, 255u, (size_t)3, \
        18446744073709551615ULL, 5UL
    snprintf(wanted, sizeof wanted, ALL);
    wf_expect(wf_format(ALL), wanted);
    wf_expect(wf_format("%d", -2147483647 - 1), "-2147483648");
}

static const char *read(const char *text) {
    const char *why;
    const wf_json *value = wf_json_parse(text, &why);
    return value ? wf_format("%d", (int)value->kind) : why;
}

static void json_is_read_strictly(wf_host *host) {
    (void)host;
    static const char *const good[] = {"null", " true ", "-0", "0.5e-3", "1E+9", "\"\"", "[]", "{}", "[1,[2]]",
                                       "{\"a\":{\"b\":[]}}", "\"\\u00e9\\ud83d\\udea2\\n\""};
    static const char *const bad[] = {
        "", "nul", "nulll", "+1", "01", "1.", ".5", "1e", "-", "[1,]", "[,1]", "[1 2]", "[", "{", "{\"a\"}",
        "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:2}", "\"", "\"a", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u0000\"",
        "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\n\"", "{} {}", "[1]]", "//", "'a'", "NaN", "\"\\u",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) wf_expect_in("012345", read(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) wf_expect_in(read(bad[i]), ", at byte ");
    wf_expect(wf_json_parse("\"\\u00e9\\ud83d\\udea2\\/\"", NULL)->text, "\xc3\xa9\xf0\x9f\x9a\xa2/");
    wf_expect(wf_json_quote("a\"\\\n"), "\"a\\\"\\\\\\u000a\"");
}

static void json_is_bounded_in_depth(wf_host *host) {
    (void)host;
    char deep[4001];
    memset(deep, '[', 4000);
    deep[4000] = 0;
    wf_expect(read(deep), "nested too deeply, at byte 128");
    memset(deep + 128, ']', 128);
    deep[256] = 0;
    wf_expect(read(deep), "4");
}

static void whole_numbers_are_whole_and_within_bounds(wf_host *host) {
    (void)host;
    int64_t number = 0;
    static const char *const bad[] = {"1.0", "1e2", "9223372036854775808", "-9223372036854775809", "\"1\"", "true"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (wf_json_integer(wf_json_parse(bad[i], NULL), INT64_MIN, INT64_MAX, &number)) wf_expect(bad[i], "refused");
    wf_json_integer(wf_json_parse("-9223372036854775808", NULL), INT64_MIN, INT64_MAX, &number);
    wf_expect(wf_format("%lld", (long long)number), "-9223372036854775808");
    if (wf_json_integer(wf_json_parse("65536", NULL), 0, 65535, &number)) wf_expect("65536", "refused");
}

/* Anything may come: under the sanitizers nothing here may be noticed. */
static void changed_documents_are_read_or_refused(wf_host *host) {
    static const char good[] = "{\"text\":\"a\\u00e9\",\"truth\":true,\"net\":\"10.1.0.0/8\",\"list\":[1,{}],"
                               "\"routes\":[{\"dst\":\"::/0\",\"gw\":\"fd00::1\",\"mtu\":1500}],"
                               "\"subnet\":{\"subnet\":\"10.1.0.0/24\",\"rangeStart\":\"10.1.0.9\"}}";
    static const char odd[] = "\"\\{}[]:,/.-+0189aeu\x80\xff";
    unsigned dice = 1;
    char text[sizeof good];
    wf_expect(wf_host_problems(host, good), "/net: has host bits set: the network is 10.0.0.0/8");
    for (int round = 0; round < 20000; round++) {
        memcpy(text, good, sizeof good);
        for (int change = 0; change <= round % 4; change++) {
            dice = dice * 1103515245u + 12345u;
            size_t at = (dice >> 8) % (sizeof good - 1);
            text[at] = (dice >> 4) % 16 == 0 ? 0 : odd[(dice >> 24) % (sizeof odd - 1)];
        }
        wf_host_problems(host, text);
        if (round % 500 == 0) wf_host_log_text(host);
    }
}

static void problems_have_pointers_and_all_are_said(wf_host *host) {
    wf_expect(wf_host_problems(host, "{"), ": not JSON: expected a key, at byte 1");
    wf_expect(wf_host_problems(host, "[]"), ": the configuration is no object");
    wf_expect(wf_host_problems(host, "{\"type\": \"x\", \"coolDown\": 3, \"text\": null}"), "");
    wf_expect(wf_host_problems(host, "{\"text\": 1, \"truth\": 1, \"list\": {}, \"routes\": [{\"gw\": \"x\"}, 7]}"),
              "/text: invalid type: number, expected a string\n"
              "/truth: invalid type: number, expected a boolean\n"
              "/list: invalid type: object, expected a list\n"
              "/routes/0: missing field `dst`\n"
              "/routes/0/gw: invalid IP address syntax\n"
              "/routes/1: invalid type: number, expected an object");
    wf_expect(wf_host_problems(host, "{\"subnet\": {\"subnet\": \"10.1.0.0/24\", \"rangeStart\": \"10.1.0.9\", "
                                     "\"rangeEnd\": \"10.1.0.8\"}}"),
              "/subnet/rangeEnd: lies below the start of the range");
    wf_expect(wf_host_problems(host, "{\"subnet\": {\"subnet\": \"10.1.0.0/24\", \"rangeStart\": \"10.2.0.9\"}}"),
              "/subnet/rangeStart: 10.2.0.9 lies outside 10.1.0.0/24\n"
              "/subnet/rangeStart: lies below the start of the range");
}

/* ---- What the host in memory does not let pass, as the real one does not ---- */

static bool not_taken(const wf_request *request, wf_lease *lease) {
    (void)request;
    wf_leased leased = {0};
    wf_net_parse("10.1.0.7/24", &leased.address);
    wf_lease_add(lease, leased);
    return true;
}

static bool aborts(const wf_request *request, wf_lease *lease) {
    (void)lease;
    wf_store_put("left", "behind", WF_PERMANENT);
    WF_ASSERT(request->attachment.has_pod);
    return true;
}

static bool says_nothing(const wf_request *request, wf_lease *lease) {
    (void)request, (void)lease;
    return false;
}

static bool many_lines(const wf_request *request, wf_lease *lease) {
    (void)request, (void)lease;
    return wf_failure(WF_TRY_AGAIN, "one\ntwo%c", 7);
}

static void faults_are_told_and_leave_nothing(wf_host *host) {
    wf_attachment web = wf_attachment_of("pods", "web", "eth0");
    test_allocate = not_taken;
    wf_expect(wf_host_add(host, "{}", &web), "trap: it returned 10.1.0.7, which it did not take in this call");
    test_allocate = aborts;
    wf_expect_in(wf_host_add(host, "{}", &web), "assertion failed: request->attachment.has_pod");
    wf_expect(wf_host_stored(host, "left"), NULL);
    test_allocate = says_nothing;
    wf_expect(wf_host_add(host, "{}", &web), "other: the plugin failed, and did not say why");
    wf_expect(wf_host_add_wanting(host, "{}", &web, "10.1.0.7"), "other: the plugin failed, and did not say why");
    test_allocate = many_lines;
    wf_expect(wf_host_add(host, "{}", &web), "try-again: one two ");
}

static bool uses_the_host(const wf_request *request, wf_lease *lease) {
    (void)lease;
    wf_range range = {0};
    wf_ranges ranges = {0};
    wf_address_parse("10.1.0.0", &range.first);
    wf_address_parse("10.1.0.9", &range.last);
    wf_ranges_add(&ranges, range);
    wf_address taken;
    WF_ASSERT(wf_ledger_take_free(&ranges, NULL, NULL, &taken));
    wf_usage usage = wf_ledger_usage(&ranges);
    wf_store_put("a/1", "x", WF_ATTACHMENT);
    wf_store_put("a/2", "y", WF_PERMANENT);
    wf_store_put("b", "z", WF_PERMANENT);
    wf_pairs page = wf_store_scan("a/", "a/1", 5);
    return wf_failure(WF_OTHER, "%s %s %llu/%llu %llu %s=%s %s %s", wf_node_name(), wf_node_label("zone"),
                      (unsigned long long)usage.held, (unsigned long long)usage.total,
                      (unsigned long long)wf_store_count("a/"), page.items[0].name, page.items[0].value,
                      wf_store_remove("b") ? "gone" : "there", wf_attachment_arg(&request->attachment, "IP"));
}

static void the_host_answers(wf_host *host) {
    wf_pair args[] = {{"IP", "old"}, {"IP", "10.1.0.7"}};
    wf_attachment web = wf_attachment_of("pods", "web", "eth0");
    web.args.items = args;
    web.args.count = 2;
    wf_host_label(host, "zone", "west");
    test_allocate = uses_the_host;
    wf_expect(wf_host_add(host, "{}", &web), "other: node west 1/10 2 a/2=y gone 10.1.0.7");
}

int main(void) {
    static void (*const tests[])(wf_host *) = {
        addresses_are_read_strictly_and_written_canonically,
        usable_addresses_of_every_size,
        neighbours_do_not_wrap,
        text_is_formatted_as_by_printf,
        json_is_read_strictly,
        json_is_bounded_in_depth,
        whole_numbers_are_whole_and_within_bounds,
        changed_documents_are_read_or_refused,
        problems_have_pointers_and_all_are_said,
        faults_are_told_and_leave_nothing,
        the_host_answers,
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        wf_host *host = wf_host_new();
        tests[i](host);
        wf_host_free(host);
    }
    return 0;
}
