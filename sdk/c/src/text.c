/* Memory of a call, and text in it. */
#include <stdlib.h>

#include "internal.h"

/* A piece of the call's memory, and the one before. */
typedef struct chunk {
    struct chunk *before;
    size_t used, size;
    _Alignas(16) char bytes[];
} chunk;

enum { CHUNK = 8 * 1024, ALIGN = 16 };

static chunk *last;

static chunk *chunk_of(size_t size) {
    size_t room = size < CHUNK ? CHUNK : size;
    chunk *made = room > SIZE_MAX - sizeof *made ? NULL : malloc(sizeof *made + room);
    if (!made) {
        /* What WF_ABORT says would need memory itself. */
        wf_host_log(WF_ERROR, "out of memory");
        wf_host_trap();
    }
    made->before = last;
    made->used = 0;
    made->size = room;
    return made;
}

void *wf_alloc(size_t size) {
    size_t whole = (size + ALIGN - 1) / ALIGN * ALIGN;
    if (size > SIZE_MAX - ALIGN) whole = SIZE_MAX;
    if (!last || last->size - last->used < whole) last = chunk_of(whole);
    char *given = last->bytes + last->used;
    last->used += whole;
    return memset(given, 0, size);
}

void *wf_alloc_array(size_t count, size_t size) {
    size_t all;
    return wf_alloc(__builtin_mul_overflow(count, size, &all) ? SIZE_MAX : all);
}

void wf_call_begin(void) {
    memset(&wf_current, 0, sizeof wf_current);
}

void wf_call_end(void) {
    while (last) {
        chunk *before = last->before;
        free(last);
        last = before;
    }
    wf_call_begin();
}

void *wf_grown(void *items, size_t count, size_t *room, size_t size) {
    if (count < *room) return items;
    *room = count < 4 ? 4 : 2 * count;
    void *more = wf_alloc_array(*room, size);
    if (count) memcpy(more, items, count * size);
    return more;
}

char *wf_copy(const char *text, size_t length) {
    char *copy = wf_alloc(length + 1);
    if (length) memcpy(copy, text, length);
    return copy;
}

char *wf_one_line(char *text) {
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127) *c = ' ';
    return text;
}

bool wf_equal(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

typedef struct {
    char *items;
    size_t count, room;
} text;

static void put(text *to, const char *from, size_t length) {
    while (length-- > 0) WF_PUSH(to, *from++);
}

/* One conversion: "%-08.*llx" in parts. */
typedef struct {
    bool zeros, left;
    size_t width;
    size_t most; /* Of a text: after the point. */
    int size;    /* 0: int, 1: long, 2: long long, 3: size_t. */
} conversion;

static size_t digits(const char **format, va_list *arguments) {
    size_t number = 0;
    if (**format == '*') {
        ++*format;
        int given = va_arg(*arguments, int);
        return given < 0 ? 0 : (size_t)given;
    }
    while (**format >= '0' && **format <= '9') number = number * 10 + (size_t)(*(*format)++ - '0');
    return number;
}

static conversion parsed(const char **format, va_list *arguments) {
    conversion it = {.most = SIZE_MAX};
    for (;; ++*format) {
        if (**format == '0') it.zeros = true;
        else if (**format == '-') it.left = true;
        else break;
    }
    it.width = digits(format, arguments);
    if (**format == '.') {
        ++*format;
        it.most = digits(format, arguments);
    }
    for (; **format == 'l'; ++*format) it.size++;
    if (**format == 'z') {
        ++*format;
        it.size = 3;
    }
    return it;
}

static void padded(text *to, const conversion *it, const char *from, size_t length, bool zeros) {
    size_t gap = length < it->width ? it->width - length : 0;
    if (zeros && length && *from == '-') put(to, from++, 1), length--;
    if (!it->left)
        for (; gap; gap--) put(to, zeros ? "0" : " ", 1);
    put(to, from, length);
    for (; gap; gap--) put(to, " ", 1);
}

static void number(text *to, const conversion *it, uint64_t value, bool minus, unsigned base) {
    char figures[24], *at = figures + sizeof figures;
    do *--at = "0123456789abcdef"[value % base];
    while ((value /= base) > 0);
    if (minus) *--at = '-';
    padded(to, it, at, (size_t)(figures + sizeof figures - at), it->zeros && !it->left);
}

static int64_t given_signed(int size, va_list *arguments) {
    if (size == 0) return va_arg(*arguments, int);
    if (size == 1) return va_arg(*arguments, long);
    return size == 2 ? va_arg(*arguments, long long) : (int64_t)va_arg(*arguments, size_t);
}

static uint64_t given_unsigned(int size, va_list *arguments) {
    if (size == 0) return va_arg(*arguments, unsigned);
    if (size == 1) return va_arg(*arguments, unsigned long);
    return size == 2 ? va_arg(*arguments, unsigned long long) : va_arg(*arguments, size_t);
}

static void convert(text *to, const char **format, va_list *arguments) {
    conversion it = parsed(format, arguments);
    char kind = *(*format)++;
    if (kind == 's') {
        const char *from = va_arg(*arguments, const char *);
        if (!from) from = "(null)";
        padded(to, &it, from, strnlen(from, it.most), false);
    } else if (kind == 'd' || kind == 'i') {
        int64_t value = given_signed(it.size, arguments);
        number(to, &it, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0, 10);
    } else if (kind == 'u' || kind == 'x') {
        number(to, &it, given_unsigned(it.size, arguments), false, kind == 'x' ? 16 : 10);
    } else if (kind == 'c') {
        char one = (char)va_arg(*arguments, int);
        padded(to, &it, &one, 1, false);
    } else if (kind == '%') {
        put(to, "%", 1);
    } else {
        WF_ABORT("wf_format does not know this conversion");
    }
}

char *wf_vformat(const char *format, va_list arguments) {
    text made = {0};
    va_list rest;
    va_copy(rest, arguments);
    while (*format) {
        if (*format == '%') {
            format++;
            convert(&made, &format, &rest);
        } else {
            put(&made, format++, 1);
        }
    }
    va_end(rest);
    WF_PUSH(&made, 0);
    return made.items;
}

char *wf_format(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *made = wf_vformat(format, arguments);
    va_end(arguments);
    return made;
}
