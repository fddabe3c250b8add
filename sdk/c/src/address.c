/* Addresses, networks and ranges, as 128-bit numbers: nothing here walks a range. */
#include "internal.h"

static bool parse_v4(const char *text, wf_address *address) {
    uint64_t number = 0;
    for (int part = 0; part < 4; part++) {
        if (part > 0 && *text++ != '.') return false;
        if (*text == '0' && text[1] >= '0' && text[1] <= '9') return false;
        unsigned octet = 0, figures = 0;
        for (; *text >= '0' && *text <= '9'; text++, figures++) {
            octet = octet * 10 + (unsigned)(*text - '0');
            if (octet > 255) return false;
        }
        if (figures == 0) return false;
        number = number << 8 | octet;
    }
    *address = (wf_address){4, 0, number};
    return *text == 0;
}

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The groups up to a "::" or the end; how many, or -1. */
static int groups(const char **text, uint16_t *to, int most) {
    int count = 0;
    while (hex(**text) >= 0) {
        if (count == most) return -1;
        unsigned group = 0, figures = 0;
        for (; hex(**text) >= 0; ++*text, figures++) group = group << 4 | (unsigned)hex(**text);
        if (figures > 4) return -1;
        to[count++] = (uint16_t)group;
        if ((*text)[0] != ':' || (*text)[1] == ':') break;
        if (hex((*text)[1]) < 0) return -1;
        ++*text;
    }
    return count;
}

static bool parse_v6(const char *text, wf_address *address) {
    uint16_t all[8] = {0}, tail[8];
    int head = groups(&text, all, 8), rest = 0;
    if (head < 0) return false;
    if (text[0] == ':' && text[1] == ':') {
        text += 2;
        rest = groups(&text, tail, 7 - head);
        if (rest < 0 || head > 7) return false;
        for (int i = 0; i < rest; i++) all[8 - rest + i] = tail[i];
    } else if (head != 8) {
        return false;
    }
    *address = (wf_address){.version = 6};
    for (int i = 0; i < 4; i++) address->high = address->high << 16 | all[i];
    for (int i = 4; i < 8; i++) address->low = address->low << 16 | all[i];
    return *text == 0;
}

bool wf_address_parse(const char *text, wf_address *address) {
    return strchr(text, ':') ? parse_v6(text, address) : parse_v4(text, address);
}

/* Where the longest run of two zero groups or more is: the first of equals. */
static int longest_zeros(const uint16_t *all, int *length) {
    int best = -1;
    *length = 1;
    for (int i = 0; i < 8; i++) {
        int run = 0;
        while (i + run < 8 && all[i + run] == 0) run++;
        if (run > *length) best = i, *length = run;
        if (run > 0) i += run - 1;
    }
    return best;
}

static const char *text_v6(wf_address address) {
    uint16_t all[8];
    for (int i = 0; i < 4; i++) {
        all[i] = (uint16_t)(address.high >> (48 - 16 * i));
        all[4 + i] = (uint16_t)(address.low >> (48 - 16 * i));
    }
    int length, gap = longest_zeros(all, &length);
    const char *text = "";
    for (int i = 0; i < 8; i++) {
        bool first = i == 0 || (gap >= 0 && i == gap + length);
        if (i == gap) {
            text = wf_format("%s::", text);
            i += length - 1;
        } else {
            text = wf_format("%s%s%x", text, first ? "" : ":", all[i]);
        }
    }
    return text;
}

const char *wf_address_text(wf_address address) {
    if (address.version == 6) return text_v6(address);
    if (address.version != 4) return "none";
    unsigned n = (unsigned)address.low;
    return wf_format("%u.%u.%u.%u", n >> 24, n >> 16 & 255, n >> 8 & 255, n & 255);
}

int wf_address_compare(wf_address a, wf_address b) {
    if (a.version != b.version) return a.version < b.version ? -1 : 1;
    if (a.high != b.high) return a.high < b.high ? -1 : 1;
    return a.low == b.low ? 0 : a.low < b.low ? -1 : 1;
}

bool wf_address_equal(wf_address a, wf_address b) {
    return wf_address_compare(a, b) == 0;
}

/* The bits that are the host's in an address with so long a prefix. */
static wf_address host_bits(uint8_t version, unsigned length) {
    unsigned bits = (version == 4 ? 32u : 128u) - length;
    wf_address mask = {.version = version};
    mask.high = bits <= 64 ? 0 : bits == 128 ? UINT64_MAX : ((uint64_t)1 << (bits - 64)) - 1;
    mask.low = bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
    return mask;
}

wf_address wf_address_after(wf_address address) {
    if (wf_address_equal(address, host_bits(address.version, 0))) return address;
    if (++address.low == 0) address.high++;
    return address;
}

wf_address wf_address_before(wf_address address) {
    if (address.low == 0 && address.high == 0) return address;
    if (address.low-- == 0) address.high--;
    return address;
}

bool wf_net_parse(const char *text, wf_net *net) {
    const char *slash = strchr(text, '/');
    if (!slash || !wf_address_parse(wf_copy(text, (size_t)(slash - text)), &net->address)) return false;
    size_t figures = strspn(slash + 1, "0123456789");
    if (figures == 0 || figures > 3 || slash[1 + figures]) return false;
    if (figures > 1 && slash[1] == '0') return false;
    unsigned length = 0;
    for (const char *c = slash + 1; *c; c++) length = length * 10 + (unsigned)(*c - '0');
    net->length = (uint8_t)length;
    return length <= (net->address.version == 4 ? 32u : 128u);
}

const char *wf_net_text(wf_net net) {
    return wf_format("%s/%u", wf_address_text(net.address), net.length);
}

wf_address wf_net_first(wf_net net) {
    wf_address mask = host_bits(net.address.version, net.length);
    return (wf_address){net.address.version, net.address.high & ~mask.high, net.address.low & ~mask.low};
}

wf_address wf_net_last(wf_net net) {
    wf_address mask = host_bits(net.address.version, net.length);
    return (wf_address){net.address.version, net.address.high | mask.high, net.address.low | mask.low};
}

bool wf_net_contains(wf_net net, wf_address address) {
    return wf_range_contains((wf_range){wf_net_first(net), wf_net_last(net)}, address);
}

wf_range wf_net_usable(wf_net net) {
    wf_range all = {wf_net_first(net), wf_net_last(net)};
    bool v4 = net.address.version == 4;
    if (net.length + 1 >= (v4 ? 32 : 128)) return all;
    return (wf_range){wf_address_after(all.first), v4 ? wf_address_before(all.last) : all.last};
}

wf_range wf_range_single(wf_address address) {
    return (wf_range){address, address};
}

bool wf_range_contains(wf_range range, wf_address address) {
    return address.version == range.first.version && wf_address_compare(range.first, address) <= 0 &&
           wf_address_compare(address, range.last) <= 0;
}

bool wf_range_valid(wf_range range) {
    return range.first.version == range.last.version && range.first.version != 0 &&
           wf_address_compare(range.first, range.last) <= 0;
}

void wf_ranges_add(wf_ranges *ranges, wf_range range) {
    WF_PUSH(ranges, range);
}

bool wf_ranges_contain(const wf_ranges *ranges, wf_address address) {
    for (size_t i = 0; i < ranges->count; i++)
        if (wf_range_contains(ranges->items[i], address)) return true;
    return false;
}
