#include "book.h"

#define COPY(list)                                                                       \
    do {                                                                                 \
        const void *from_ = (list)->items;                                               \
        (list)->items = wf_alloc_array((list)->count, sizeof *(list)->items);            \
        (list)->room = (list)->count;                                                    \
        if (from_) memcpy((list)->items, from_, (list)->count * sizeof *(list)->items);  \
    } while (0)

/* Keeps the items for which `good` holds, by `one`. */
#define KEEP(list, one, good)                                                         \
    do {                                                                              \
        size_t kept_ = 0;                                                             \
        for (size_t i_ = 0; i_ < (list)->count; i_++) {                               \
            (one) = &(list)->items[i_];                                               \
            if (good) (list)->items[kept_++] = *(one);                                \
        }                                                                             \
        (list)->count = kept_;                                                        \
    } while (0)

book book_copy(const book *from) {
    book it = *from;
    COPY(&it.held);
    COPY(&it.resting);
    COPY(&it.reserved);
    COPY(&it.identities);
    COPY(&it.cursors);
    COPY(&it.entries);
    return it;
}

bool book_same(const wf_attachment_id *a, const wf_attachment_id *b) {
    return wf_equal(a->network, b->network) && wf_equal(a->container, b->container) &&
           wf_equal(a->ifname, b->ifname);
}

static bool among(const wf_addresses *list, wf_address address) {
    for (size_t i = 0; i < list->count; i++)
        if (wf_address_equal(list->items[i], address)) return true;
    return false;
}

static const held *holder(const book *it, wf_address address) {
    for (size_t i = 0; i < it->held.count; i++)
        if (wf_address_equal(it->held.items[i].address, address)) return &it->held.items[i];
    return NULL;
}

static const reserved *reservation(const book *it, wf_address address) {
    for (size_t i = 0; i < it->reserved.count; i++)
        if (wf_address_equal(it->reserved.items[i].address, address)) return &it->reserved.items[i];
    return NULL;
}

static bool kept(const book *it, wf_address address) {
    for (size_t i = 0; i < it->identities.count; i++)
        if (among(&it->identities.items[i].addresses, address)) return true;
    return false;
}

void book_settle(book *it, const wf_attachment_id *id, const wf_addresses *leased) {
    const held *one;
    for (size_t i = 0; i < it->held.count; i++) {
        one = &it->held.items[i];
        if (book_same(&one->owner, id) && !among(leased, one->address)) WF_PUSH(&it->resting, one->address);
    }
    KEEP(&it->held, one, !book_same(&one->owner, id) || among(leased, one->address));
}

void book_release(book *it, const wf_attachment_id *id) {
    const entry *one;
    book_settle(it, id, &(wf_addresses){0});
    KEEP(&it->entries, one, one->permanent || !book_same(&one->owner, id));
}

void book_reboot(book *it) {
    const entry *one;
    it->held.count = it->resting.count = it->cursors.count = 0;
    KEEP(&it->entries, one, one->permanent);
}

wf_take book_take(book *it, const wf_attachment_id *id, wf_address address, wf_refusal *refusal) {
    const reserved *kept_back = reservation(it, address);
    const held *there = holder(it, address);
    if (kept_back) {
        refusal->reserved = kept_back->why;
        return WF_RESERVED;
    }
    if (there && !book_same(&there->owner, id)) {
        refusal->held = there->owner;
        return WF_HELD;
    }
    const wf_address *one;
    KEEP(&it->resting, one, !wf_address_equal(*one, address));
    held made = {address, *id};
    if (!there) WF_PUSH(&it->held, made);
    return WF_TAKEN;
}

static bool free_of(const book *it, wf_address address) {
    return !holder(it, address) && !reservation(it, address) && !among(&it->resting, address) &&
           !kept(it, address);
}

/* The first good address of a range; what is excluded is jumped over. */
static bool first_in(const book *it, wf_range range, const wf_ranges *excluded, wf_address *found) {
    wf_address at = range.first;
    for (;;) {
        wf_address end = at;
        bool good = true;
        for (size_t i = 0; good && i < excluded->count; i++)
            if (wf_range_contains(excluded->items[i], at)) good = false, end = excluded->items[i].last;
        if (good && free_of(it, at)) {
            *found = at;
            return true;
        }
        if (wf_address_compare(end, range.last) >= 0) return false;
        at = wf_address_after(end);
    }
}

static bool same_ranges(const wf_ranges *a, const wf_ranges *b) {
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++)
        if (!wf_address_equal(a->items[i].first, b->items[i].first) ||
            !wf_address_equal(a->items[i].last, b->items[i].last))
            return false;
    return true;
}

static cursor *cursor_of(book *it, const wf_ranges *ranges) {
    for (size_t i = 0; i < it->cursors.count; i++)
        if (same_ranges(&it->cursors.items[i].ranges, ranges)) return &it->cursors.items[i];
    return NULL;
}

/* From `start` on, all ranges that follow, and round. */
static bool fresh(book *it, const wf_ranges *ranges, const wf_ranges *excluded, const wf_address *start,
                  wf_address *found) {
    size_t from = 0;
    for (size_t i = 0; start && i < ranges->count; i++) {
        if (!wf_range_contains(ranges->items[i], *start)) continue;
        if (first_in(it, (wf_range){*start, ranges->items[i].last}, excluded, found)) return true;
        from = i + 1;
        break;
    }
    for (size_t i = 0; i < ranges->count; i++)
        if (first_in(it, ranges->items[(from + i) % ranges->count], excluded, found)) return true;
    return false;
}

static bool lowest(const wf_addresses *list, const book *it, bool resting, const wf_ranges *ranges,
                   const wf_ranges *excluded, wf_address *found) {
    bool any = false;
    for (size_t i = 0; i < list->count; i++) {
        wf_address at = list->items[i];
        bool nobodys = !holder(it, at) && !reservation(it, at) && (!resting || !kept(it, at));
        if (!nobodys || !wf_ranges_contain(ranges, at) || wf_ranges_contain(excluded, at)) continue;
        if (!any || wf_address_compare(at, *found) < 0) *found = at, any = true;
    }
    return any;
}

static bool own(const book *it, const wf_attachment_id *id, const wf_ranges *ranges, const wf_ranges *excluded,
                wf_address *found) {
    bool any = false;
    for (size_t i = 0; i < it->held.count; i++) {
        const held *one = &it->held.items[i];
        if (!book_same(&one->owner, id) || !wf_ranges_contain(ranges, one->address)) continue;
        if (wf_ranges_contain(excluded, one->address)) continue;
        if (!any || wf_address_compare(one->address, *found) < 0) *found = one->address, any = true;
    }
    return any;
}

bool book_take_free(book *it, const wf_attachment_id *id, const wf_ranges *ranges,
                    const wf_ranges *excluded, const wf_address *start, wf_address *taken) {
    wf_refusal ignored;
    cursor *last = cursor_of(it, ranges);
    wf_address above = last ? wf_address_after(last->last) : (wf_address){0};
    if (!start || !wf_ranges_contain(ranges, *start)) start = last ? &above : NULL;
    bool found = own(it, id, ranges, excluded, taken) || fresh(it, ranges, excluded, start, taken) ||
                 lowest(&it->resting, it, true, ranges, excluded, taken);
    for (size_t i = 0; !found && i < it->identities.count; i++)
        found = lowest(&it->identities.items[i].addresses, it, false, ranges, excluded, taken);
    if (!found || book_take(it, id, *taken, &ignored) != WF_TAKEN) return false;
    if (!last) {
        cursor made = {.ranges = *ranges};
        COPY(&made.ranges);
        WF_PUSH(&it->cursors, made);
        last = &it->cursors.items[it->cursors.count - 1];
    }
    last->last = *taken;
    return true;
}

wf_addresses *book_remembered(book *it, const char *identity) {
    for (size_t i = 0; i < it->identities.count; i++)
        if (wf_equal(it->identities.items[i].identity, identity)) return &it->identities.items[i].addresses;
    remembered made = {.identity = wf_format("%s", identity)};
    WF_PUSH(&it->identities, made);
    return &it->identities.items[it->identities.count - 1].addresses;
}

enum { MOST_SHIFT = 53 };

static uint64_t size(wf_range range) {
    uint64_t most = (uint64_t)1 << MOST_SHIFT;
    bool borrow = range.last.low < range.first.low;
    if (range.last.high - range.first.high - borrow > 0) return most;
    uint64_t span = range.last.low - range.first.low;
    return span < most ? span + 1 : most;
}

wf_usage book_usage(const book *it, const wf_ranges *ranges) {
    wf_usage usage = {0};
    uint64_t most = (uint64_t)1 << MOST_SHIFT;
    for (size_t i = 0; i < ranges->count; i++) {
        usage.total += size(ranges->items[i]);
        if (usage.total > most) usage.total = most;
    }
    for (size_t i = 0; i < it->held.count; i++) usage.held += wf_ranges_contain(ranges, it->held.items[i].address);
    for (size_t i = 0; i < it->resting.count; i++) usage.resting += wf_ranges_contain(ranges, it->resting.items[i]);
    for (size_t i = 0; i < it->identities.count; i++) {
        const wf_addresses *list = &it->identities.items[i].addresses;
        for (size_t j = 0; j < list->count; j++)
            usage.remembered += wf_ranges_contain(ranges, list->items[j]) && !holder(it, list->items[j]);
    }
    return usage;
}

entry *book_entry(const book *it, const char *key) {
    for (size_t i = 0; i < it->entries.count; i++)
        if (wf_equal(it->entries.items[i].key, key)) return &it->entries.items[i];
    return NULL;
}

void book_put(book *it, entry made) {
    entry *there = book_entry(it, made.key);
    if (there) {
        *there = made;
        return;
    }
    WF_PUSH(&it->entries, made);
    entry *all = it->entries.items;
    for (size_t i = it->entries.count - 1; i > 0 && strcmp(all[i].key, all[i - 1].key) < 0; i--) {
        entry swap = all[i];
        all[i] = all[i - 1];
        all[i - 1] = swap;
    }
}

bool book_remove(book *it, const char *key) {
    size_t before = it->entries.count;
    const entry *one;
    KEEP(&it->entries, one, !wf_equal(one->key, key));
    return it->entries.count < before;
}
