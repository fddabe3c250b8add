/* What the parts of the library share, and no plugin sees. */
#ifndef WHARFINGER_INTERNAL_H
#define WHARFINGER_INTERNAL_H

#include <string.h>

#include "../wharfinger.h"

/* Adds to a list of `items`, `count` and `room`. */
#define WF_PUSH(list, value)                                                                       \
    ((list)->items = wf_grown((list)->items, (list)->count, &(list)->room, sizeof *(list)->items), \
     (list)->items[(list)->count++] = (value))
void *wf_grown(void *items, size_t count, size_t *room, size_t size);

char *wf_copy(const char *text, size_t length);
/* Control characters become spaces: a message is one line. */
char *wf_one_line(char *text);

typedef struct {
    const char *pointer, *message;
} wf_problem_said;

/* What the call that runs has said so far. */
typedef struct {
    struct {
        wf_problem_said *items;
        size_t count, room;
    } problems;
    struct {
        bool set;
        wf_reason reason;
        const char *message, *detail;
    } failure;
} wf_call;

extern wf_call wf_current;

/* A call begins with nothing said; at its end its memory is freed. */
void wf_call_begin(void);
void wf_call_end(void);
/* Where a call came to nothing, and the plugin did not say why. */
void wf_call_explain(void);

/* The exports, the same on Wasm and in unit tests. False: wf_current says why. */
bool wf_call_validate(const void *(*read)(const wf_json *), const char *config, const void **plugin);
bool wf_call_pools(const char *config, wf_pools *pools);
bool wf_call_allocate(const char *config, const wf_request *request, wf_lease *lease);
bool wf_call_admit(const char *config, const wf_policy_request *request, wf_verdict *verdict);
bool wf_call_review(const char *config, const wf_policy_request *request, const wf_steps *steps,
                    const char *cni_result, wf_verdict *verdict);
bool wf_call_released(const char *config, const wf_attachment *attachment, const wf_lease *lease);

/* What differs between the host and its double. */
void wf_host_log(wf_level level, const char *message);
_Noreturn void wf_host_trap(void);

#endif
