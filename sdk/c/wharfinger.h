/*
 * Write an IPAM or a policy plugin of wharfinger in C: a component that decides which addresses an
 * attachment gets, or whether there may be one. Start reading at wf_ipam or wf_policy, at the end.
 *
 * Texts are UTF-8 and end with a NUL. Lists are `items` and `count`; `room` is for what adds to them. All that functions here return lives until the call of the
 * plugin ends, and is freed then: nothing of it is freed by hand, nothing is kept in statics.
 * What a plugin cannot do it says by `return wf_failure(...)`; a bug it says by WF_ABORT or assert.
 *
 * All calls of one ADD are one transaction of the host: a failure, an abort or a missed deadline
 * leaves nothing behind. After a conflict with another node the host calls again. Each call may meet
 * a fresh instance: a plugin depends on its arguments and on what the host answers.
 */
#ifndef WHARFINGER_H
#define WHARFINGER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Texts are made by our own formatter, as printf would: %s %.*s %c %d %u %x with the sizes of
 * integers, %%, widths and no floating point. So nothing needs stdio, which would want WASI. */
#define WF_FORMAT(at, first) __attribute__((format(printf, at, first)))

/* ---- Memory and text ---- */

/* Zeroed memory until the end of the call. Where there is none left, the call ends. */
void *wf_alloc(size_t size);
/* `count` of `size` bytes each. */
void *wf_alloc_array(size_t count, size_t size);
/* A new text. */
char *wf_format(const char *format, ...) WF_FORMAT(1, 2);
char *wf_vformat(const char *format, va_list arguments) WF_FORMAT(1, 0);
/* Whether two texts are equal; NULL is equal to NULL alone. */
bool wf_equal(const char *a, const char *b);

/* ---- Bugs ---- */

/* Ends the call with a message and its place, as an uncaught exception does elsewhere: the operator
 * reads both, and the functions that it happened in. */
#define WF_ABORT(...) wf_abort_at(__FILE__, __LINE__, __VA_ARGS__)
/* The same where something that must hold does not. The C library's assert() does this too. */
#define WF_ASSERT(condition) ((condition) ? (void)0 : WF_ABORT("assertion failed: %s", #condition))
_Noreturn void wf_abort_at(const char *file, int line, const char *format, ...) WF_FORMAT(3, 4);

/* ---- Log ---- */

typedef enum { WF_TRACE, WF_DEBUG, WF_INFO, WF_WARN, WF_ERROR } wf_level;

/* A line for the operator's log; the host adds plugin, network and container. */
void wf_log(wf_level level, const char *format, ...) WF_FORMAT(2, 3);
#define wf_debug(...) wf_log(WF_DEBUG, __VA_ARGS__)
#define wf_info(...) wf_log(WF_INFO, __VA_ARGS__)
#define wf_warn(...) wf_log(WF_WARN, __VA_ARGS__)
#define wf_error(...) wf_log(WF_ERROR, __VA_ARGS__)

/* ---- Failures ---- */

/* What kind of failure it is: it decides what the host tells the runtime. */
typedef enum {
    WF_INVALID_CONFIG, /* The configuration is wrong: trying again cannot help. */
    WF_EXHAUSTED,      /* Every address that the request allows is taken; the host adds the counts. */
    WF_CONFLICT,       /* An address asked for by name cannot be had. */
    WF_TRY_AGAIN,      /* Might work later. */
    WF_OTHER,
} wf_reason;

/* Says why the call comes to nothing: `return wf_failure(WF_CONFLICT, "...", ...)`. Always false.
 * One line: what cannot be done, why, what to do. A later one takes the place of an earlier one. */
bool wf_failure(wf_reason reason, const char *format, ...) WF_FORMAT(2, 3);
/* Adds more to it, over several lines if need be. Always false. */
bool wf_failure_detail(const char *format, ...) WF_FORMAT(1, 2);
/* Whether the last one is of this kind; and forgotten, to try something else. */
bool wf_recover(wf_reason reason);

/* ---- Addresses ---- */

/* Numbers: IPv4 stands in `low`. */
typedef struct {
    uint8_t version; /* 4, 6; 0 where there is none. */
    uint64_t high, low;
} wf_address;

/* An address with a prefix length: a network, or an interface's address. */
typedef struct {
    wf_address address;
    uint8_t length;
} wf_net;

/* From the first to the last, both included, of one family. */
typedef struct {
    wf_address first, last;
} wf_range;

/* Strict: no zones, no leading zeros in IPv4, no IPv4 inside IPv6. */
bool wf_address_parse(const char *text, wf_address *address);
/* As in RFC 5952. */
const char *wf_address_text(wf_address address);
/* Below, equal, above; IPv4 is below IPv6. */
int wf_address_compare(wf_address a, wf_address b);
bool wf_address_equal(wf_address a, wf_address b);
/* The next higher one, or lower one; the last has none, and stays. */
wf_address wf_address_after(wf_address address);
wf_address wf_address_before(wf_address address);

/* "10.1.0.7/24"; host bits are kept. */
bool wf_net_parse(const char *text, wf_net *net);
const char *wf_net_text(wf_net net);
/* Its own address, and its highest. */
wf_address wf_net_first(wf_net net);
wf_address wf_net_last(wf_net net);
bool wf_net_contains(wf_net net, wf_address address);
/* What it may give to containers: not its own address, nor, in IPv4, the broadcast; all of a
 * network of one or two addresses. */
wf_range wf_net_usable(wf_net net);

wf_range wf_range_single(wf_address address);
bool wf_range_contains(wf_range range, wf_address address);
/* False where the families differ or it is upside down. */
bool wf_range_valid(wf_range range);

/* Ranges that addresses come from. */
typedef struct {
    wf_range *items;
    size_t count, room;
} wf_ranges;

void wf_ranges_add(wf_ranges *ranges, wf_range range);
bool wf_ranges_contain(const wf_ranges *ranges, wf_address address);

typedef struct {
    wf_address *items;
    size_t count, room;
} wf_addresses;

/* ---- JSON ---- */

typedef enum {
    WF_JSON_NULL,
    WF_JSON_BOOL,
    WF_JSON_NUMBER,
    WF_JSON_STRING,
    WF_JSON_ARRAY,
    WF_JSON_OBJECT,
} wf_json_kind;

/* A value in a document. It knows where it stands, so a problem with it has its pointer. */
typedef struct wf_json {
    wf_json_kind kind;
    bool truth;                  /* Of a boolean. */
    const char *text;            /* Of a string; of a number, as it was written. */
    const struct wf_json *first; /* Of an array or object: its members, in order. */
    size_t count;                /* How many. */
    const struct wf_json *next;  /* The next in the same array or object. */
    const struct wf_json *parent;
    const char *key; /* In an object. */
    size_t index;    /* In an array. */
} wf_json;

/* Reads a document: strictly RFC 8259, no deeper than 128, no text with a NUL. NULL where it is
 * none, and then `*why` says what is wrong with it. */
const wf_json *wf_json_parse(const char *text, const char **why);
/* The member of this name; the last one, where it comes twice; NULL where there is none or null. */
const wf_json *wf_json_member(const wf_json *object, const char *key);
/* For members of arrays and objects: for (const wf_json *it = v->first; it; it = it->next). */

/* A whole number from `least` to `most`, without fraction or exponent. */
bool wf_json_integer(const wf_json *value, int64_t least, int64_t most, int64_t *number);
/* RFC 6901: "/ranges/0/subnet". */
const char *wf_json_pointer(const wf_json *value);
/* A text with its quotes, for a document of one's own. */
const char *wf_json_quote(const char *text);

/* ---- Reading a configuration ---- */
/* Each of these says itself what is wrong, with its pointer, and goes on. */

/* Says what is wrong with a value of the configuration. */
void wf_problem(const wf_json *at, const char *format, ...) WF_FORMAT(2, 3);
/* How many there are by now. */
size_t wf_problems(void);
/* Whether it is an object of these keys alone: wf_keys(config, "pools", "routes", NULL). Every
 * other one is a problem. Keys that the host reads (type, plugin, ...) are gone before. */
bool wf_keys(const wf_json *object, ...) __attribute__((sentinel));
/* Members by name. NULL, or false, where it is not there, is null or wrong. */
const wf_json *wf_need(const wf_json *object, const char *key);
const wf_json *wf_get_array(const wf_json *object, const char *key);
bool wf_get_text(const wf_json *object, const char *key, const char **text);
bool wf_get_bool(const wf_json *object, const char *key, bool *truth);
bool wf_get_integer(const wf_json *object, const char *key, int64_t least, int64_t most, int64_t *number);
bool wf_get_address(const wf_json *object, const char *key, wf_address *address);
bool wf_get_net(const wf_json *object, const char *key, wf_net *net);
/* A value by itself. */
bool wf_is_text(const wf_json *value, const char **text);
bool wf_is_array(const wf_json *value);

/* ---- What an attachment gets ---- */

/* A number that may be missing. */
typedef struct {
    bool set;
    uint32_t value;
} wf_maybe;

typedef struct {
    wf_net destination;  /* A network: host bits are zero. */
    wf_address gateway;  /* Without it (version 0), that of the first address of the family. */
    wf_maybe mtu, advmss, priority, table, scope;
} wf_route;

typedef struct {
    wf_route *items;
    size_t count, room;
} wf_routes;

typedef struct {
    wf_net address;     /* With the prefix length of its network; host bits kept. */
    wf_address gateway; /* Version 0: none. */
} wf_leased;

typedef struct {
    const char **items;
    size_t count, room;
} wf_texts;

/* Every address was taken from the ledger in this call, and comes once. */
typedef struct {
    struct {
        wf_leased *items;
        size_t count, room;
    } addresses;
    wf_routes routes;
    struct {
        wf_addresses nameservers;
        const char *domain; /* NULL: none. */
        wf_texts search, options;
    } dns;
} wf_lease;

void wf_lease_add(wf_lease *lease, wf_leased leased);
/* Routes by CNI's keys: [{"dst", "gw"?, "mtu"?, "advmss"?, "priority"?, "table"?, "scope"?}]. */
wf_routes wf_get_routes(const wf_json *object, const char *key);

/* ---- Whose call it is ---- */

/* CNI's key for one attachment. */
typedef struct {
    const char *network, *container, *ifname;
} wf_attachment_id;

/* "NETWORK/CONTAINER/IFNAME". */
const char *wf_attachment_id_text(const wf_attachment_id *id);

typedef struct {
    const char *name, *value;
} wf_pair;

typedef struct {
    wf_pair *items;
    size_t count, room;
} wf_pairs;

typedef struct {
    wf_attachment_id id;
    /* The Kubernetes pod, where the runtime says so. `pod_uid` may be NULL even then. */
    bool has_pod;
    const char *pod_namespace, *pod_name, *pod_uid;
    /* CNI_ARGS, then the strings of args.cni, as given; a name may come twice. */
    wf_pairs args;
} wf_attachment;

/* The last argument of this name, or NULL. */
const char *wf_attachment_arg(const wf_attachment *attachment, const char *name);

/* ---- The ledger: for `allocate` alone ---- */

typedef enum { WF_TAKEN, WF_HELD, WF_RESERVED } wf_take;

typedef struct {
    wf_attachment_id held; /* WF_HELD: who has it. */
    const char *reserved;  /* WF_RESERVED: why. */
} wf_refusal;

/* Takes this address. One that the attachment holds already, or that rests after its release, is
 * granted. `refusal` may be NULL. */
wf_take wf_ledger_try(wf_address address, wf_refusal *refusal);
/* The same; a refusal is a failure, of WF_CONFLICT. */
bool wf_ledger_take(wf_address address);
/* Takes a free address of the ranges, less the excluded ones; false where all are taken, and no
 * failure is set. The search goes up from `start` (NULL: from above the last one taken), and
 * wraps round once; what the attachment holds comes first, what rests and is remembered last. */
bool wf_ledger_take_free(const wf_ranges *ranges, const wf_ranges *excluded, const wf_address *start,
                         wf_address *taken);
/* What was last remembered for `identity`; perhaps held by somebody else. */
wf_addresses wf_ledger_remembered(const char *identity);
/* Remembers this call's lease for `identity`: past release and reboot. */
void wf_ledger_remember(const char *identity);

typedef struct {
    uint64_t total, held, resting, remembered;
} wf_usage;

/* How full these ranges are now: to choose between pools by. */
wf_usage wf_ledger_usage(const wf_ranges *ranges);

/* ---- The store: small entries of the plugin's own; not for reading a configuration and pools ---- */

typedef enum {
    WF_ATTACHMENT, /* Until this call's attachment is released. */
    WF_PERMANENT,  /* Until it is removed. */
} wf_lifetime;

/* The value, or NULL. */
const char *wf_store_get(const char *key);
void wf_store_put(const char *key, const char *value, wf_lifetime lifetime);
/* True where the key was there. */
bool wf_store_remove(const char *key);
/* At most `limit` entries with this prefix and above `after` (may be NULL), in the keys' order. */
wf_pairs wf_store_scan(const char *prefix, const char *after, uint32_t limit);
/* What was counted still holds when this call lands, or the call is run again. */
uint64_t wf_store_count(const char *prefix);

/* ---- The node ---- */

const char *wf_node_name(void);
/* What the operator wrote down about it, or NULL. */
const char *wf_node_label(const char *name);
/* Seconds since the Unix epoch. */
uint64_t wf_node_now(void);

/* ---- A subnet to give addresses from ---- */

/* {"subnet": "10.1.0.0/24", "rangeStart"?, "rangeEnd"?, "gateway"?}. Neither the gateway nor the
 * network's own addresses are ever given. */
typedef struct {
    wf_net net;
    wf_range range;     /* What addresses come from. */
    wf_address gateway; /* The subnet's first address where it has more than two; version 0: none. */
} wf_subnet;

/* Reads one, and says what is wrong with it. */
bool wf_is_subnet(const wf_json *value, wf_subnet *subnet);
/* Adds what it never gives. */
void wf_subnet_exclude(const wf_subnet *subnet, wf_ranges *excluded);
/* Whether it may give this address. */
bool wf_subnet_gives(const wf_subnet *subnet, wf_address address);
/* The address as a lease has it: with prefix length and gateway. */
wf_leased wf_subnet_leased(const wf_subnet *subnet, wf_address address);
/* Takes this address, into the lease; a failure where it cannot be had. */
bool wf_subnet_take(const wf_subnet *subnet, wf_address address, wf_lease *lease);
/* Takes a free one; WF_EXHAUSTED where there is none. */
bool wf_subnet_take_free(const wf_subnet *subnet, wf_lease *lease);

/* ---- An IPAM plugin ---- */

typedef struct {
    wf_attachment attachment;
    const char *network; /* The whole network configuration, runtimeConfig included: JSON. */
    wf_addresses wanted; /* Asked for by name, each once. The lease has them all, or fails. */
} wf_request;

typedef struct {
    struct wf_pool {
        const char *name;
        wf_ranges ranges;
    } *items;
    size_t count, room;
} wf_pools;

/* A pool, for people: as STATUS shows it. */
void wf_pools_add(wf_pools *pools, const char *name, wf_ranges ranges);

/* What an IPAM plugin defines: const wf_ipam wf_ipam_plugin = {read, pools, allocate, NULL}; */
typedef struct {
    /* Reads the "ipam" object of a network, says what is wrong with it, and returns what the
     * functions below get as `config`; they are not called where there was a problem. */
    const void *(*read)(const wf_json *config);
    /* The pools that addresses come from. */
    bool (*pools)(const void *config, wf_pools *pools);
    /* Which addresses the attachment gets. Asked twice for one attachment, it answers the same. */
    bool (*allocate)(const void *config, const wf_request *request, wf_lease *lease);
    /* KIND = ipam-remote: told of what was given back, with the configuration of the ADD; again
     * where it fails or that is unknown. `lease` is NULL where the ADD did not come to one. */
    bool (*released)(const void *config, const wf_attachment *attachment, const wf_lease *lease);
} wf_ipam;

extern const wf_ipam wf_ipam_plugin;

/* ---- A policy ---- */

typedef struct {
    wf_attachment attachment;
    const char *network; /* The whole network configuration as it stands, prevResult included: JSON. */
    /* The same by who wrote it, each JSON. A conflist may come from somebody less trusted than the
     * node's operator; what is the pod's certainly does. */
    struct {
        const char *network; /* The conflist's author: all that is not below. */
        const char *runtime; /* The runtime: "runtimeConfig", less annotations. */
        const char *pod;     /* {"CNI_ARGS": {name: value}, "args": args.cni, "annotations": {...}} */
    } written;
} wf_policy_request;

/* Allow, unless something else is said. */
typedef struct {
    const char *deny;  /* One line for the operator. */
    const char *amend; /* An RFC 7396 merge patch, JSON. */
} wf_verdict;

/* Refuses the attachment: `return wf_deny(verdict, "...", ...)`. Always true: it is an answer. */
bool wf_deny(wf_verdict *verdict, const char *format, ...) WF_FORMAT(2, 3);
/* Goes on with this patch. */
bool wf_amend(wf_verdict *verdict, const char *format, ...) WF_FORMAT(2, 3);

typedef enum { WF_HOST, WF_CONTAINER } wf_place;

typedef struct {
    wf_place place;
    const char *name; /* NULL: none. */
} wf_link;

/* What the host is about to do to the kernel. */
typedef struct {
    enum {
        WF_STEP_LINK,
        WF_STEP_ADDRESS,
        WF_STEP_ROUTE,
        WF_STEP_SYSCTL,
        WF_STEP_FIREWALL,
        WF_STEP_FORWARD,
        WF_STEP_SHAPING,
        WF_STEP_OTHER, /* A kind that this version of the contract has no arm for. */
    } kind;
    union {
        struct {
            wf_link link;
            const char *kind; /* As the kernel names it; "existing" for a device moved in. */
            wf_link peer;
            wf_maybe id, mtu;
            const char *mac, *master; /* NULL: none. */
            wf_pairs settings;
        } link;
        struct {
            wf_link link;
            wf_net address;
        } address;
        struct {
            wf_link link;
            wf_route route;
        } route;
        struct {
            wf_place place;
            const char *key, *value;
        } sysctl;
        struct {
            wf_place place;
            const char *family, *table, *chain, *rule;
        } firewall;
        struct {
            const char *protocol;
            wf_address host_address; /* Version 0: any. */
            uint16_t host_port;
            wf_address address;
            uint16_t port;
        } forward;
        struct {
            wf_link link;
            bool egress; /* As the container sees it. */
            uint64_t rate, burst;
        } shaping;
        struct {
            wf_place place;
            const char *kind, *detail; /* The detail is JSON. */
        } other;
    };
} wf_step;

typedef struct {
    wf_step *items;
    size_t count, room;
} wf_steps;

/* What a policy defines: const wf_policy wf_policy_plugin = {read, admit, NULL};
 * What it cannot read it should fail on: a failure refuses, skipping lets pass. */
typedef struct {
    /* As that of wf_ipam, for the policy's own configuration. */
    const void *(*read)(const wf_json *config);
    /* ADD, before anything is allocated. A patch is for the network configuration. */
    bool (*admit)(const void *config, const wf_policy_request *request, wf_verdict *verdict);
    /* ADD, with all that is about to happen in hand. A patch is for the CNI result, where only
     * "dns" may change. NULL allows. */
    bool (*review)(const void *config, const wf_policy_request *request, const wf_steps *steps,
                   const char *cni_result, wf_verdict *verdict);
} wf_policy;

extern const wf_policy wf_policy_plugin;

#endif
