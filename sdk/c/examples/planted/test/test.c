#include "wharfinger_testing.h"

#define CONFIG "{\"pool\": {\"subnet\": \"10.1.0.0/24\"}, \"plant\": \"exception\"}"

int main(void) {
    wf_host *host = wf_host_new();
    wf_attachment web = wf_attachment_of("pods", "web", "eth0");
    wf_expect(wf_host_pools(host, CONFIG), "10.1.0.0/24=10.1.0.1-10.1.0.254");
    const char *answer = wf_host_add(host, CONFIG, &web);
    wf_expect_in(answer, "aborted at src/planted.c:");
    wf_expect_in(answer, "an attachment without a pod");
    wf_expect_in(wf_host_log_text(host), "info: planting exception\n");
    wf_host_free(host);
    return 0;
}
