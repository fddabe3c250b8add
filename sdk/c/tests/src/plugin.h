#include "wharfinger.h"

extern bool (*test_allocate)(const wf_request *request, wf_lease *lease);
