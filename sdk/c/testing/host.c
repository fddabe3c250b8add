/* The host in memory: what it answers the plugin, and what it asks it. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "book.h"
#include "wharfinger_testing.h"

/* Which export runs: it decides what may be called. */
typedef enum { OUTSIDE = 1, ALLOCATE = 2, RELEASED = 4, POLICY = 8 } kind;

struct wf_host {
    book book;
    const char *name;
    wf_pairs labels;
    uint64_t now;
    wf_lease lease;
    const char *log;
};

/* The call that runs. */
static struct {
    wf_host *host;
    kind kind;
    book book;
    wf_attachment_id id;
    wf_addresses taken;
    wf_texts identities;
    const char *words; /* The last that were logged as an error. */
    const char *trap;
    jmp_buf end;
} call;

static int hosts;

wf_host *wf_host_new(void) {
    wf_host *host = calloc(1, sizeof *host);
    if (!host) abort();
    hosts++;
    host->name = "node";
    host->log = "";
    return host;
}

void wf_host_free(wf_host *host) {
    free(host);
    if (--hosts == 0) wf_call_end();
}

void wf_host_name(wf_host *host, const char *name) {
    host->name = wf_format("%s", name);
}

void wf_host_label(wf_host *host, const char *name, const char *value) {
    wf_pair pair = {wf_format("%s", name), wf_format("%s", value)};
    WF_PUSH(&host->labels, pair);
}

void wf_host_clock(wf_host *host, uint64_t now) {
    host->now = now;
}

void wf_host_reserve(wf_host *host, const char *address, const char *why) {
    reserved made = {.why = wf_format("%s", why)};
    if (!wf_address_parse(address, &made.address)) WF_ABORT("%s is no address", address);
    WF_PUSH(&host->book.reserved, made);
}

wf_attachment wf_attachment_of(const char *network, const char *container, const char *ifname) {
    return (wf_attachment){.id = {network, container, ifname}};
}

wf_attachment wf_attachment_of_pod(const char *network, const char *container, const char *ifname,
                                   const char *pod_namespace, const char *pod_name) {
    return (wf_attachment){
        .id = {network, container, ifname}, .has_pod = true, .pod_namespace = pod_namespace, .pod_name = pod_name};
}

void wf_host_trap(void) {
    if (!call.host) {
        fprintf(stderr, "%s\n", call.words ? call.words : "trapped outside of a call of wf_host");
        abort();
    }
    longjmp(call.end, 1);
}

static void trap(const char *why) {
    call.trap = why;
    wf_host_trap();
}

/* ---- What the plugin asks ---- */

static void may(const char *what, unsigned kinds) {
    if (!call.host) trap(wf_format("%s was called outside a call of wf_host", what));
    if (!(call.kind & kinds)) trap(wf_format("%s was called where the contract does not offer it", what));
}

enum { STORE = ALLOCATE | POLICY };

wf_take wf_ledger_try(wf_address address, wf_refusal *refusal) {
    wf_refusal ignored;
    may("wf_ledger_try", ALLOCATE);
    wf_take took = book_take(&call.book, &call.id, address, refusal ? refusal : &ignored);
    if (took == WF_TAKEN) WF_PUSH(&call.taken, address);
    return took;
}

static void valid(const wf_ranges *ranges) {
    for (size_t i = 0; i < ranges->count; i++)
        if (!wf_range_valid(ranges->items[i])) trap("a range mixes families, or is upside down");
}

bool wf_ledger_take_free(const wf_ranges *ranges, const wf_ranges *excluded, const wf_address *start,
                         wf_address *taken) {
    static const wf_ranges none;
    may("wf_ledger_take_free", ALLOCATE);
    if (!excluded) excluded = &none;
    valid(ranges);
    valid(excluded);
    if (!book_take_free(&call.book, &call.id, ranges, excluded, start, taken)) return false;
    WF_PUSH(&call.taken, *taken);
    return true;
}

wf_addresses wf_ledger_remembered(const char *identity) {
    may("wf_ledger_remembered", ALLOCATE);
    return *book_remembered(&call.book, identity);
}

void wf_ledger_remember(const char *identity) {
    may("wf_ledger_remember", ALLOCATE);
    WF_PUSH(&call.identities, wf_format("%s", identity));
}

wf_usage wf_ledger_usage(const wf_ranges *ranges) {
    may("wf_ledger_usage", ALLOCATE);
    valid(ranges);
    return book_usage(&call.book, ranges);
}

const char *wf_store_get(const char *key) {
    may("wf_store_get", STORE);
    const entry *there = book_entry(&call.book, key);
    return there ? there->value : NULL;
}

void wf_store_put(const char *key, const char *value, wf_lifetime lifetime) {
    may("wf_store_put", STORE);
    entry made = {wf_format("%s", key), wf_format("%s", value), lifetime == WF_PERMANENT, call.id};
    book_put(&call.book, made);
}

bool wf_store_remove(const char *key) {
    may("wf_store_remove", STORE);
    return book_remove(&call.book, key);
}

wf_pairs wf_store_scan(const char *prefix, const char *after, uint32_t limit) {
    wf_pairs found = {0};
    may("wf_store_scan", STORE);
    for (size_t i = 0; i < call.book.entries.count && found.count < limit; i++) {
        const entry *one = &call.book.entries.items[i];
        wf_pair pair = {one->key, one->value};
        if (strncmp(one->key, prefix, strlen(prefix)) != 0 || (after && strcmp(one->key, after) <= 0)) continue;
        WF_PUSH(&found, pair);
    }
    return found;
}

uint64_t wf_store_count(const char *prefix) {
    may("wf_store_count", STORE);
    return wf_store_scan(prefix, NULL, UINT32_MAX).count;
}

void wf_host_log(wf_level level, const char *message) {
    static const char *const names[] = {"trace", "debug", "info", "warn", "error"};
    if (level == WF_ERROR) call.words = message;
    if (call.host) call.host->log = wf_format("%s%s: %s\n", call.host->log, names[level], message);
}

const char *wf_node_name(void) {
    may("wf_node_name", ~0u);
    return call.host->name;
}

const char *wf_node_label(const char *name) {
    may("wf_node_label", ~0u);
    for (size_t i = call.host->labels.count; i-- > 0;)
        if (wf_equal(call.host->labels.items[i].name, name)) return call.host->labels.items[i].value;
    return NULL;
}

uint64_t wf_node_now(void) {
    may("wf_node_now", ~0u);
    return call.host->now;
}

/* ---- What it asks the plugin ---- */

static void begin(wf_host *host, kind kind, const wf_attachment *attachment) {
    wf_call_begin();
    call.host = host;
    call.kind = kind;
    call.book = book_copy(&host->book);
    call.taken = (wf_addresses){0};
    call.identities = (wf_texts){0};
    call.words = call.trap = NULL;
    if (!attachment) return;
    const wf_attachment_id *id = &attachment->id;
    call.id = (wf_attachment_id){wf_format("%s", id->network), wf_format("%s", id->container),
                                 wf_format("%s", id->ifname)};
}

/* Where the call did not answer. */
static const char *failed(bool trapped) {
    static const char *const reasons[] = {"invalid-config", "exhausted", "conflict", "try-again", "other"};
    call.host = NULL;
    if (trapped && call.trap) return wf_format("trap: %s", call.trap);
    if (trapped) return call.words ? call.words : "aborted";
    wf_call_explain();
    return wf_format("%s: %s", reasons[wf_current.failure.reason], wf_current.failure.message);
}

static const char *problems_of(wf_host *host, const void *(*read)(const wf_json *), const char *config) {
    const void *plugin;
    begin(host, OUTSIDE, NULL);
    if (setjmp(call.end)) return failed(true);
    wf_call_validate(read, config, &plugin);
    call.host = NULL;
    const char *text = "";
    for (size_t i = 0; i < wf_problems(); i++) {
        wf_problem_said one = wf_current.problems.items[i];
        text = wf_format("%s%s%s: %s", text, i ? "\n" : "", one.pointer, one.message);
    }
    return text;
}

#ifndef WF_POLICY
const char *wf_host_problems(wf_host *host, const char *config) {
    return problems_of(host, wf_ipam_plugin.read, config);
}

const char *wf_host_pools(wf_host *host, const char *config) {
    wf_pools pools = {0};
    begin(host, OUTSIDE, NULL);
    if (setjmp(call.end)) return failed(true);
    if (!wf_call_pools(config, &pools)) return failed(false);
    call.host = NULL;
    const char *text = "";
    for (size_t i = 0; i < pools.count; i++) {
        text = wf_format("%s%s%s=", text, i ? " " : "", pools.items[i].name);
        for (size_t j = 0; j < pools.items[i].ranges.count; j++) {
            wf_range one = pools.items[i].ranges.items[j];
            text = wf_format("%s%s%s-%s", text, j ? "," : "", wf_address_text(one.first), wf_address_text(one.last));
        }
    }
    return text;
}

static bool among(const wf_addresses *list, wf_address address) {
    for (size_t i = 0; i < list->count; i++)
        if (wf_address_equal(list->items[i], address)) return true;
    return false;
}

static void hop(wf_address hop, wf_address of) {
    if (!hop.version) return;
    if (hop.version != of.version) trap("a gateway is of another family");
    if (wf_address_equal(hop, of)) trap(wf_format("%s is its own gateway", wf_address_text(hop)));
}

/* What the real host checks of a lease. */
static wf_addresses judged(const wf_lease *lease) {
    wf_addresses seen = {0};
    for (size_t i = 0; i < lease->addresses.count; i++) {
        wf_address address = lease->addresses.items[i].address.address;
        const char *text = wf_address_text(address);
        if (!among(&call.taken, address)) trap(wf_format("it returned %s, which it did not take in this call", text));
        if (among(&seen, address)) trap(wf_format("it returned %s twice", text));
        hop(lease->addresses.items[i].gateway, address);
        WF_PUSH(&seen, address);
    }
    for (size_t i = 0; i < lease->routes.count; i++) {
        wf_net to = lease->routes.items[i].destination;
        if (!wf_address_equal(to.address, wf_net_first(to))) trap("a route's destination has host bits");
        hop(lease->routes.items[i].gateway, to.address);
    }
    return seen;
}

const char *wf_host_allocate(wf_host *host, const char *config, const wf_request *request) {
    wf_lease *lease = wf_alloc(sizeof *lease);
    begin(host, ALLOCATE, &request->attachment);
    if (setjmp(call.end)) return failed(true);
    if (!wf_call_allocate(config, request, lease)) return failed(false);
    wf_addresses leased = judged(lease);
    book_settle(&call.book, &call.id, &leased);
    for (size_t i = 0; i < call.identities.count; i++)
        *book_remembered(&call.book, call.identities.items[i]) = leased;
    host->book = call.book;
    host->lease = *lease;
    call.host = NULL;
    const char *text = "";
    for (size_t i = 0; i < lease->addresses.count; i++)
        text = wf_format("%s%s%s", text, i ? " " : "", wf_net_text(lease->addresses.items[i].address));
    return text;
}

const char *wf_host_add_wanting(wf_host *host, const char *config, const wf_attachment *attachment,
                                const char *wanted) {
    wf_request request = {.attachment = *attachment, .network = "{}"};
    while (*wanted) {
        size_t length = strcspn(wanted, " ");
        wf_address address;
        if (!wf_address_parse(wf_copy(wanted, length), &address)) WF_ABORT("%s is no address", wanted);
        WF_PUSH(&request.wanted, address);
        wanted += length + (wanted[length] == ' ');
    }
    return wf_host_allocate(host, config, &request);
}

const char *wf_host_add(wf_host *host, const char *config, const wf_attachment *attachment) {
    return wf_host_add_wanting(host, config, attachment, "");
}

const char *wf_host_released(wf_host *host, const char *config, const wf_attachment *attachment,
                             const wf_lease *lease) {
    begin(host, RELEASED, attachment);
    if (setjmp(call.end)) return failed(true);
    if (!wf_call_released(config, attachment, lease)) return failed(false);
    call.host = NULL;
    return "done";
}
#else
const char *wf_host_problems(wf_host *host, const char *config) {
    return problems_of(host, wf_policy_plugin.read, config);
}

static const char *answered(wf_host *host, const wf_verdict *verdict) {
    if (verdict->amend) {
        const wf_json *patch = wf_json_parse(verdict->amend, NULL);
        if (!patch || patch->kind != WF_JSON_OBJECT) trap("it returned a patch that is no object");
    }
    call.host = NULL;
    if (verdict->deny) return wf_format("deny: %s", verdict->deny);
    host->book = call.book;
    return verdict->amend ? wf_format("amend: %s", verdict->amend) : "allow";
}

const char *wf_host_admit_request(wf_host *host, const char *config, const wf_policy_request *request) {
    wf_verdict *verdict = wf_alloc(sizeof *verdict);
    begin(host, POLICY, &request->attachment);
    if (setjmp(call.end)) return failed(true);
    if (!wf_call_admit(config, request, verdict)) return failed(false);
    return answered(host, verdict);
}

const char *wf_host_admit(wf_host *host, const char *config, const wf_attachment *attachment,
                          const char *runtime) {
    const char *network = wf_format("{\"runtimeConfig\": %s}", runtime);
    wf_policy_request request = {*attachment, network, {"{}", runtime, "{}"}};
    return wf_host_admit_request(host, config, &request);
}

const char *wf_host_review(wf_host *host, const char *config, const wf_policy_request *request,
                           const wf_steps *steps, const char *cni_result) {
    wf_verdict *verdict = wf_alloc(sizeof *verdict);
    begin(host, POLICY, &request->attachment);
    if (setjmp(call.end)) return failed(true);
    if (!wf_call_review(config, request, steps, cni_result, verdict)) return failed(false);
    return answered(host, verdict);
}
#endif

const wf_lease *wf_host_lease(const wf_host *host) {
    return &host->lease;
}

void wf_host_del(wf_host *host, const wf_attachment *attachment) {
    book_release(&host->book, &attachment->id);
}

void wf_host_reboot(wf_host *host) {
    book_reboot(&host->book);
}

const char *wf_host_holds(const wf_host *host, const wf_attachment *attachment) {
    const char *text = "";
    for (size_t i = 0; i < host->book.held.count; i++) {
        const held *one = &host->book.held.items[i];
        if (book_same(&one->owner, &attachment->id))
            text = wf_format("%s%s%s", text, *text ? " " : "", wf_address_text(one->address));
    }
    return text;
}

const char *wf_host_stored(const wf_host *host, const char *key) {
    const entry *there = book_entry(&host->book, key);
    return there ? there->value : NULL;
}

const char *wf_host_log_text(const wf_host *host) {
    return host->log;
}

static void told(const char *file, int line, const char *what, const char *is, const char *but) {
    fprintf(stderr, "%s:%d: %s\n  is     %s\n  wanted %s\n", file, line, what, is ? is : "nothing", but);
    exit(1);
}

void wf_expect_at(const char *file, int line, const char *what, const char *is, const char *wanted) {
    if (!wf_equal(is, wanted)) told(file, line, what, is, wanted ? wanted : "nothing");
}

void wf_expect_in_at(const char *file, int line, const char *what, const char *is, const char *part) {
    if (!is || !strstr(is, part)) told(file, line, what, is, part);
}
