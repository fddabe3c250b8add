/* The contract's records and ours, in a component. What a call gives is copied, then freed. */
#ifndef WHARFINGER_GUEST_H
#define WHARFINGER_GUEST_H

#include <stdlib.h>

#include "internal.h"
#include "wharfinger_bindings.h"

typedef wharfinger_bindings_string_t wit_string;

/* A text, to hand in: borrowed. */
wit_string wit_lend(const char *text);
/* A text, to hand back: the bindings free it. */
wit_string wit_give(const char *text);
void *wit_array(size_t count, size_t size);
/* False, with a failure, where it has a NUL: no text in C can. */
bool wit_text(const wit_string *from, const char *what, const char **to);
bool wit_address(const wit_string *from, wf_address *to);
bool wit_net(const wit_string *from, wf_net *to);
bool wit_route(const wharfinger_plugin_types_route_t *from, wf_route *to);
bool wit_attachment(const wharfinger_plugin_types_attachment_t *from, wf_attachment *to);
bool wit_pair(const wharfinger_plugin_types_pair_t *from, const char *what, wf_pairs *to);
/* What the call says it failed with; ends it. Always false. */
bool wit_failed(wharfinger_plugin_types_failure_t *failure);

#endif
