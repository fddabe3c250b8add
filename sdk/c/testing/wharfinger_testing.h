/*
 * A host in memory, for unit tests: a ledger, a store, a node and a log that behave as the real ones.
 * The plugin is compiled for this machine, beside it, and called through its exports.
 *
 *     wf_host *host = wf_host_new();
 *     wf_attachment web = wf_attachment_of("pods", "web", "eth0");
 *     wf_expect(wf_host_add(host, CONFIG, &web), "10.1.0.2/24");
 *     wf_host_free(host);
 *
 * Every call answers in one line of text:
 *   an answer                       "10.1.0.2/24 fd00::2/64", "allow", "deny: WHY", "amend: PATCH"
 *   a failure                       "conflict: MESSAGE"; also invalid-config, exhausted, try-again, other
 *   an abort of the plugin          "aborted at FILE:LINE: MESSAGE"
 *   what the real host would trap   "trap: WHY" (an import where it is not allowed, an address that
 *                                   was not taken)
 * Texts live until wf_host_free.
 */
#ifndef WHARFINGER_TESTING_H
#define WHARFINGER_TESTING_H

#include "wharfinger.h"

typedef struct wf_host wf_host;

/* With an empty book, a node named "node", and the clock at zero. */
wf_host *wf_host_new(void);
void wf_host_free(wf_host *host);
void wf_host_name(wf_host *host, const char *name);
void wf_host_label(wf_host *host, const char *name, const char *value);
void wf_host_clock(wf_host *host, uint64_t now);
/* As an operator reserves it. */
void wf_host_reserve(wf_host *host, const char *address, const char *why);

wf_attachment wf_attachment_of(const char *network, const char *container, const char *ifname);
wf_attachment wf_attachment_of_pod(const char *network, const char *container, const char *ifname,
                                   const char *pod_namespace, const char *pod_name);

/* An ADD: allocates, checks the lease as the real host does, and keeps it. After a failure nothing
 * has changed but the log. */
const char *wf_host_add(wf_host *host, const char *config, const wf_attachment *attachment);
/* The same with these addresses asked for by name: "10.1.0.7 fd00::7". */
const char *wf_host_add_wanting(wf_host *host, const char *config, const wf_attachment *attachment,
                                const char *wanted);
/* The same with all of a request. */
const char *wf_host_allocate(wf_host *host, const char *config, const wf_request *request);
/* What the last ADD answered, with routes and name servers. */
const wf_lease *wf_host_lease(const wf_host *host);
/* A DEL; a reboot of the node. */
void wf_host_del(wf_host *host, const wf_attachment *attachment);
void wf_host_reboot(wf_host *host);
/* What a remote plugin is told: "done". */
const char *wf_host_released(wf_host *host, const char *config, const wf_attachment *attachment,
                             const wf_lease *lease);
/* What is wrong with a configuration: "POINTER: MESSAGE", a line each; "" where it is good. */
const char *wf_host_problems(wf_host *host, const char *config);
/* "NAME=FIRST-LAST,FIRST-LAST NAME=..." */
const char *wf_host_pools(wf_host *host, const char *config);

/* Asks a policy, with what the runtime wrote ("{}" for nothing). What it stored is kept, if it did
 * not refuse. */
const char *wf_host_admit(wf_host *host, const char *config, const wf_attachment *attachment,
                          const char *runtime);
/* The same with all of a request. */
const char *wf_host_admit_request(wf_host *host, const char *config, const wf_policy_request *request);
const char *wf_host_review(wf_host *host, const char *config, const wf_policy_request *request,
                           const wf_steps *steps, const char *cni_result);

/* What an attachment holds, "10.1.0.2 10.1.0.3"; an entry of the store, or NULL; all that was logged,
 * "info: MESSAGE", a line each. */
const char *wf_host_holds(const wf_host *host, const wf_attachment *attachment);
const char *wf_host_stored(const wf_host *host, const char *key);
const char *wf_host_log_text(const wf_host *host);

/* Ends the test program where two texts differ, and shows both. */
#define wf_expect(is, wanted) wf_expect_at(__FILE__, __LINE__, #is, is, wanted)
/* Where the text does not hold the other. */
#define wf_expect_in(is, part) wf_expect_in_at(__FILE__, __LINE__, #is, is, part)
void wf_expect_at(const char *file, int line, const char *what, const char *is, const char *wanted);
void wf_expect_in_at(const char *file, int line, const char *what, const char *is, const char *part);

#endif
