/* JSON, strictly: what comes in is hostile. No recursion deeper than DEPTH, no text with a NUL. */
#include "internal.h"

enum { DEPTH = 128 };

typedef struct {
    const char *begin, *at;
    const char *why;
    int depth;
} reader;

static bool wrong(reader *r, const char *why) {
    if (!r->why) r->why = wf_format("%s, at byte %zu", why, (size_t)(r->at - r->begin));
    return false;
}

static void blank(reader *r) {
    while (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r') r->at++;
}

static bool word(reader *r, const char *word) {
    size_t length = strlen(word);
    if (strncmp(r->at, word, length) != 0) return wrong(r, "expected a value");
    r->at += length;
    return true;
}

static bool four(reader *r, unsigned *code) {
    *code = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        char c = *r->at;
        unsigned lower = (unsigned char)c | 32u;
        if (c >= '0' && c <= '9') *code = *code << 4 | (unsigned)(c - '0');
        else if (lower >= 'a' && lower <= 'f') *code = *code << 4 | (lower - 'a' + 10);
        else return wrong(r, "expected four hexadecimal figures");
    }
    return true;
}

/* After "\u": one character, of two halves where it is high. */
static bool unicode(reader *r, char **to) {
    unsigned code, low;
    if (!four(r, &code)) return false;
    if (code == 0) return wrong(r, "a text with a NUL");
    if (code >= 0xdc00 && code <= 0xdfff) return wrong(r, "half a character");
    if (code >= 0xd800 && code <= 0xdbff) {
        if (r->at[0] != '\\' || r->at[1] != 'u') return wrong(r, "half a character");
        r->at += 2;
        if (!four(r, &low)) return false;
        if (low < 0xdc00 || low > 0xdfff) return wrong(r, "half a character");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (code < 0x80) {
        *(*to)++ = (char)code;
        return true;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    *(*to)++ = (char)((0xff00u >> (more + 1) & 0xff) | code >> (6 * more));
    while (more-- > 0) *(*to)++ = (char)(0x80 | (code >> (6 * more) & 0x3f));
    return true;
}

static bool escape(reader *r, char **to) {
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    char c = *r->at;
    const char *known = c ? strchr(from, c) : NULL;
    if (known) {
        *(*to)++ = into[known - from];
        r->at++;
        return true;
    }
    if (c != 'u') return wrong(r, "expected an escape");
    r->at++;
    return unicode(r, to);
}

static bool string(reader *r, const char **text) {
    const char *end = ++r->at;
    while (*end && *end != '"') end += *end == '\\' && end[1] ? 2 : 1;
    /* No escape is shorter than what it stands for. */
    char *made = wf_alloc((size_t)(end - r->at) + 1), *to = made;
    while (*r->at != '"') {
        if ((unsigned char)*r->at < ' ') return wrong(r, "a text without an end, or a control character in it");
        if (*r->at != '\\') {
            *to++ = *r->at++;
            continue;
        }
        r->at++;
        if (!escape(r, &to)) return false;
    }
    r->at++;
    *text = made;
    return true;
}

static size_t figures(reader *r) {
    size_t count = strspn(r->at, "0123456789");
    r->at += count;
    return count;
}

static bool number(reader *r, wf_json *value) {
    const char *begin = r->at;
    if (*r->at == '-') r->at++;
    bool zero = *r->at == '0';
    size_t whole = figures(r);
    if (whole == 0 || (zero && whole > 1)) return wrong(r, "expected a value");
    if (*r->at == '.') {
        r->at++;
        if (figures(r) == 0) return wrong(r, "expected figures");
    }
    if (*r->at == 'e' || *r->at == 'E') {
        r->at++;
        if (*r->at == '+' || *r->at == '-') r->at++;
        if (figures(r) == 0) return wrong(r, "expected figures");
    }
    value->kind = WF_JSON_NUMBER;
    value->text = wf_copy(begin, (size_t)(r->at - begin));
    return true;
}

static bool value(reader *r, wf_json *into);

static bool member(reader *r, wf_json *of, wf_json *it) {
    it->parent = of;
    it->index = of->count++;
    blank(r);
    if (of->kind == WF_JSON_OBJECT) {
        if (*r->at != '"') return wrong(r, "expected a key");
        if (!string(r, &it->key)) return false;
        blank(r);
        if (*r->at != ':') return wrong(r, "expected a colon");
        r->at++;
    }
    return value(r, it);
}

static bool members(reader *r, wf_json *of, char end) {
    const wf_json **link = &of->first;
    if (++r->depth > DEPTH) return wrong(r, "nested too deeply");
    r->at++;
    blank(r);
    while (*r->at != end) {
        if (of->count > 0 && *r->at++ != ',') return r->at--, wrong(r, "expected a comma or an end");
        wf_json *it = wf_alloc(sizeof *it);
        if (!member(r, of, it)) return false;
        *link = it;
        link = &it->next;
        blank(r);
    }
    r->at++;
    r->depth--;
    return true;
}

static bool value(reader *r, wf_json *into) {
    blank(r);
    switch (*r->at) {
    case '{': into->kind = WF_JSON_OBJECT; return members(r, into, '}');
    case '[': into->kind = WF_JSON_ARRAY; return members(r, into, ']');
    case '"': into->kind = WF_JSON_STRING; return string(r, &into->text);
    case 't': into->kind = WF_JSON_BOOL; into->truth = true; return word(r, "true");
    case 'f': into->kind = WF_JSON_BOOL; return word(r, "false");
    case 'n': into->kind = WF_JSON_NULL; return word(r, "null");
    default: return number(r, into);
    }
}

const wf_json *wf_json_parse(const char *text, const char **why) {
    reader r = {.begin = text, .at = text};
    wf_json *root = wf_alloc(sizeof *root);
    bool good = value(&r, root);
    if (good) blank(&r);
    if (good && *r.at) good = wrong(&r, "more after the end");
    if (why) *why = r.why;
    return good ? root : NULL;
}

const wf_json *wf_json_member(const wf_json *object, const char *key) {
    const wf_json *found = NULL;
    if (!object || object->kind != WF_JSON_OBJECT) return NULL;
    for (const wf_json *it = object->first; it; it = it->next)
        if (strcmp(it->key, key) == 0) found = it;
    return found && found->kind != WF_JSON_NULL ? found : NULL;
}

bool wf_json_integer(const wf_json *value, int64_t least, int64_t most, int64_t *number) {
    if (!value || value->kind != WF_JSON_NUMBER) return false;
    bool minus = value->text[0] == '-';
    int64_t sum = 0;
    for (const char *c = value->text + minus; *c; c++) {
        if (*c < '0' || *c > '9') return false;
        int64_t figure = minus ? '0' - *c : *c - '0';
        if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, figure, &sum)) return false;
    }
    if (sum < least || sum > most) return false;
    *number = sum;
    return true;
}

/* A key, with "~" and "/" as RFC 6901 writes them. */
static const char *escaped(const char *key) {
    char *made = wf_alloc(2 * strlen(key) + 1), *to = made;
    for (; *key; key++) {
        *to++ = *key == '/' ? '~' : *key;
        if (*key == '~') *to++ = '0';
        if (*key == '/') *to++ = '1';
    }
    return made;
}

const char *wf_json_pointer(const wf_json *value) {
    const char *pointer = "";
    for (; value->parent; value = value->parent) {
        if (value->key) pointer = wf_format("/%s%s", escaped(value->key), pointer);
        else pointer = wf_format("/%zu%s", value->index, pointer);
    }
    return pointer;
}

const char *wf_json_quote(const char *text) {
    char *made = wf_alloc(6 * strlen(text) + 3), *to = made;
    *to++ = '"';
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ') {
            memcpy(to, wf_format("\\u%04x", c), 6);
            to += 6;
            continue;
        }
        if (c == '"' || c == '\\') *to++ = '\\';
        *to++ = (char)c;
    }
    *to = '"';
    return made;
}
