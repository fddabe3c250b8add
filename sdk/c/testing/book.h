/* The ledger and the store of the host in memory, as plain as can be. */
#ifndef WHARFINGER_BOOK_H
#define WHARFINGER_BOOK_H

#include "../src/internal.h"

#define LIST(type)          \
    struct {                \
        type *items;        \
        size_t count, room; \
    }

typedef struct {
    wf_address address;
    wf_attachment_id owner;
} held;

typedef struct {
    wf_address address;
    const char *why;
} reserved;

typedef struct {
    const char *identity;
    wf_addresses addresses;
} remembered;

/* The last address taken of these ranges. */
typedef struct {
    wf_ranges ranges;
    wf_address last;
} cursor;

typedef struct {
    const char *key, *value;
    bool permanent;
    wf_attachment_id owner;
} entry;

typedef struct {
    LIST(held) held;
    wf_addresses resting;
    LIST(reserved) reserved;
    LIST(remembered) identities;
    LIST(cursor) cursors;
    LIST(entry) entries; /* By key. */
} book;

/* A copy that can be changed alone. */
book book_copy(const book *from);
bool book_same(const wf_attachment_id *a, const wf_attachment_id *b);
/* The attachment holds these and no others. */
void book_settle(book *it, const wf_attachment_id *id, const wf_addresses *leased);
void book_release(book *it, const wf_attachment_id *id);
void book_reboot(book *it);
wf_take book_take(book *it, const wf_attachment_id *id, wf_address address, wf_refusal *refusal);
bool book_take_free(book *it, const wf_attachment_id *id, const wf_ranges *ranges,
                    const wf_ranges *excluded, const wf_address *start, wf_address *taken);
wf_addresses *book_remembered(book *it, const char *identity);
wf_usage book_usage(const book *it, const wf_ranges *ranges);
entry *book_entry(const book *it, const char *key);
void book_put(book *it, entry entry);
bool book_remove(book *it, const char *key);

#endif
