//! An IPAM plugin in Zig, from the contract alone: bindings by wit-bindgen, no SDK. It takes `ranges`
//! as host-local does, of IPv4: an attachment gets the first free address of each set.
//!
//! What the host gives was allocated by `cabi_realloc`, and what it gets is freed by the bindings:
//! both are of the C library. All else is of the call's arena.
const std = @import("std");
const c = @import("c");

const Allocator = std.mem.Allocator;
const lasting = std.heap.c_allocator;
const String = c.ipam_plugin_string_t;
const AddressRange = c.wharfinger_plugin_types_address_range_t;

/// Keys of the "ipam" object that the host reads.
const hosts = [_][]const u8{ "type", "plugin", "policies", "coolDown", "statusWhenFull", "domain", "secrets", "resolvConf" };

const Error = error{ Refused, OutOfMemory };
const Problem = struct { pointer: []const u8, message: []const u8 };
const Range = struct { length: u6, first: u32, last: u32, gateway: ?u32 };
const Route = struct { destination: []const u8, gateway: ?[]const u8 };
const Config = struct { sets: []const []const Range, routes: []const Route };

/// What one call knows, and what it has to say.
const Call = struct {
    arena: Allocator,
    problems: std.ArrayList(Problem) = .empty,
    failure: ?Problem = null,
    reason: u8 = c.WHARFINGER_PLUGIN_TYPES_REASON_OTHER,

    fn print(call: *Call, comptime format: []const u8, arguments: anytype) Error![]const u8 {
        return std.fmt.allocPrint(call.arena, format, arguments);
    }

    fn problem(call: *Call, pointer: []const u8, comptime format: []const u8, arguments: anytype) Error!void {
        try call.problems.append(call.arena, .{ .pointer = pointer, .message = try call.print(format, arguments) });
    }

    fn fail(call: *Call, reason: u8, comptime format: []const u8, arguments: anytype) Error {
        call.reason = reason;
        call.failure = .{ .pointer = "", .message = try call.print(format, arguments) };
        return error.Refused;
    }
};

fn address(text: []const u8) ?u32 {
    var parts = std.mem.splitScalar(u8, text, '.');
    var number: u32 = 0;
    var count: usize = 0;
    while (parts.next()) |part| : (count += 1) {
        for (part) |figure| if (!std.ascii.isDigit(figure)) return null;
        if (part.len > 1 and part[0] == '0') return null;
        number = (number << 8) | (std.fmt.parseInt(u8, part, 10) catch return null);
    }
    return if (count == 4) number else null;
}

fn shown(arena: Allocator, number: u32) Error![]const u8 {
    return std.fmt.allocPrint(arena, "{d}.{d}.{d}.{d}", .{ number >> 24, number >> 16 & 255, number >> 8 & 255, number & 255 });
}

// ---- The configuration ----

fn known(key: []const u8, keys: []const []const u8) bool {
    for (keys) |one| if (std.mem.eql(u8, one, key)) return true;
    return false;
}

/// The value as an object of these keys alone.
fn object(call: *Call, value: std.json.Value, pointer: []const u8, keys: []const []const u8) Error!?std.json.ObjectMap {
    if (value != .object) {
        try call.problem(pointer, "is no object", .{});
        return null;
    }
    for (value.object.keys()) |key| {
        if (known(key, keys) or (pointer.len == 0 and known(key, &hosts))) continue;
        const less = try std.mem.replaceOwned(u8, call.arena, key, "~", "~0");
        const escaped = try std.mem.replaceOwned(u8, call.arena, less, "/", "~1");
        try call.problem(try call.print("{s}/{s}", .{ pointer, escaped }), "unknown key", .{});
    }
    return value.object;
}

fn list(call: *Call, from: std.json.ObjectMap, pointer: []const u8, key: []const u8) Error![]const std.json.Value {
    const value = from.get(key) orelse return &.{};
    if (value == .array) return value.array.items;
    if (value != .null) try call.problem(try call.print("{s}/{s}", .{ pointer, key }), "is no list", .{});
    return &.{};
}

fn optional(call: *Call, from: std.json.ObjectMap, pointer: []const u8, key: []const u8) Error!?u32 {
    const value = from.get(key) orelse return null;
    if (value == .null) return null;
    const number = if (value == .string) address(value.string) else null;
    if (number == null) try call.problem(try call.print("{s}/{s}", .{ pointer, key }), "is no IPv4 address", .{});
    return number;
}

const Network = struct { base: u32, length: u6, mask: u32 };

fn network(value: std.json.Value) ?Network {
    if (value != .string) return null;
    const slash = std.mem.indexOfScalar(u8, value.string, '/') orelse return null;
    const base = address(value.string[0..slash]) orelse return null;
    const length = std.fmt.parseInt(u6, value.string[slash + 1 ..], 10) catch return null;
    if (length > 32) return null;
    return .{ .base = base, .length = length, .mask = @truncate(@as(u64, 0xffff_ffff) << @intCast(32 - length)) };
}

fn readRange(call: *Call, value: std.json.Value, pointer: []const u8) Error!?Range {
    const from = try object(call, value, pointer, &.{ "subnet", "rangeStart", "rangeEnd", "gateway" }) orelse return null;
    const given = from.get("subnet") orelse {
        try call.problem(pointer, "has no subnet", .{});
        return null;
    };
    const at = try call.print("{s}/subnet", .{pointer});
    const net = network(given) orelse {
        try call.problem(at, "is no IPv4 network", .{});
        return null;
    };
    if (net.base & ~net.mask != 0) {
        try call.problem(at, "has host bits set: the network is {s}/{d}", .{ try shown(call.arena, net.base & net.mask), net.length });
        return null;
    }
    const room = net.length < 31;
    const lowest = net.base + @intFromBool(room);
    const highest = (net.base | ~net.mask) - @intFromBool(room);
    const range: Range = .{
        .length = net.length,
        .first = try optional(call, from, pointer, "rangeStart") orelse lowest,
        .last = try optional(call, from, pointer, "rangeEnd") orelse highest,
        .gateway = try optional(call, from, pointer, "gateway") orelse if (room) lowest else null,
    };
    if (range.first < lowest or range.last > highest or range.first > range.last) {
        try call.problem(pointer, "rangeStart and rangeEnd are no range within the subnet", .{});
        return null;
    }
    return range;
}

fn readRoute(call: *Call, value: std.json.Value, pointer: []const u8) Error!?Route {
    const from = try object(call, value, pointer, &.{ "dst", "gw" }) orelse return null;
    const given = from.get("dst") orelse std.json.Value.null;
    const net = network(given);
    if (net == null or net.?.base & ~net.?.mask != 0) {
        try call.problem(try call.print("{s}/dst", .{pointer}), "is no IPv4 network", .{});
        return null;
    }
    const hop = try optional(call, from, pointer, "gw");
    return .{ .destination = given.string, .gateway = if (hop) |number| try shown(call.arena, number) else null };
}

fn readSets(call: *Call, from: std.json.ObjectMap) Error![]const []const Range {
    const given = try list(call, from, "", "ranges");
    const sets = try call.arena.alloc([]const Range, given.len);
    for (given, sets, 0..) |set, *into, i| {
        var ranges: std.ArrayList(Range) = .empty;
        const items: []const std.json.Value = if (set == .array) set.array.items else &.{};
        if (items.len == 0) try call.problem(try call.print("/ranges/{d}", .{i}), "is no list of ranges", .{});
        for (items, 0..) |one, j| {
            const at = try call.print("/ranges/{d}/{d}", .{ i, j });
            if (try readRange(call, one, at)) |range| try ranges.append(call.arena, range);
        }
        into.* = ranges.items;
    }
    if (given.len == 0) try call.problem(if (from.contains("ranges")) "/ranges" else "", "no ranges: there is nothing to give", .{});
    return sets;
}

/// Refused where there is any problem.
fn read(call: *Call, text: []const u8) Error!Config {
    const value = std.json.parseFromSliceLeaky(std.json.Value, call.arena, text, .{}) catch |err| {
        try call.problem("", "not JSON: {s}", .{@errorName(err)});
        return error.Refused;
    };
    const from = try object(call, value, "", &.{ "ranges", "routes" }) orelse return error.Refused;
    const sets = try readSets(call, from);
    var routes: std.ArrayList(Route) = .empty;
    for (try list(call, from, "", "routes"), 0..) |one, i| {
        const at = try call.print("/routes/{d}", .{i});
        if (try readRoute(call, one, at)) |route| try routes.append(call.arena, route);
    }
    return if (call.problems.items.len == 0) .{ .sets = sets, .routes = routes.items } else error.Refused;
}

// ---- Decisions ----

fn lent(text: []const u8) String {
    return .{ .ptr = begin(@constCast(text)), .len = text.len };
}

fn spelled(arena: Allocator, first: u32, last: u32) Error!AddressRange {
    return .{ .first = lent(try shown(arena, first)), .last = lent(try shown(arena, last)) };
}

const Taken = struct { text: []const u8, range: Range };

/// The range of the set that gives this address.
fn giver(set: []const Range, number: u32) ?Range {
    for (set) |range| {
        if (range.first <= number and number <= range.last and number != range.gateway) return range;
    }
    return null;
}

fn takeWanted(call: *Call, text: []const u8) Error!void {
    var given = lent(text);
    var refusal: c.wharfinger_plugin_ledger_refusal_t = undefined;
    if (c.wharfinger_plugin_ledger_take(&given, &refusal)) return;
    const conflict = c.WHARFINGER_PLUGIN_TYPES_REASON_CONFLICT;
    if (refusal.tag == c.WHARFINGER_PLUGIN_LEDGER_REFUSAL_RESERVED)
        return call.fail(conflict, "{s} is reserved: {s}", .{ text, bytes(refusal.val.reserved) });
    const id = refusal.val.held;
    return call.fail(conflict, "{s} is held by {s}/{s}/{s}", .{ text, bytes(id.network), bytes(id.container), bytes(id.ifname) });
}

fn takeFree(call: *Call, set: []const Range, index: usize) Error![]const u8 {
    const ranges = try call.arena.alloc(AddressRange, set.len);
    var excluded: std.ArrayList(AddressRange) = .empty;
    for (set, ranges) |range, *into| {
        into.* = try spelled(call.arena, range.first, range.last);
        if (range.gateway) |gateway| try excluded.append(call.arena, try spelled(call.arena, gateway, gateway));
    }
    var from: c.wharfinger_plugin_ledger_list_address_range_t = .{ .ptr = begin(ranges), .len = ranges.len };
    var less: c.wharfinger_plugin_ledger_list_address_range_t = .{ .ptr = begin(excluded.items), .len = excluded.items.len };
    var got: String = undefined;
    if (c.wharfinger_plugin_ledger_take_free(&from, &less, null, &got)) return bytes(got);
    return call.fail(c.WHARFINGER_PLUGIN_TYPES_REASON_EXHAUSTED, "set {d} has no free address", .{index});
}

fn take(call: *Call, set: []const Range, index: usize, wanted: []const []const u8) Error!Taken {
    for (wanted) |text| {
        const range = giver(set, address(text) orelse continue) orelse continue;
        try takeWanted(call, text);
        return .{ .text = text, .range = range };
    }
    const text = try takeFree(call, set, index);
    const number = address(text) orelse return call.fail(call.reason, "the host gave {s} for an address", .{text});
    return .{ .text = text, .range = giver(set, number) orelse set[0] };
}

fn allocate(call: *Call, request: *c.exports_wharfinger_plugin_ipam_request_t) Error!c.wharfinger_plugin_types_lease_t {
    const config = try read(call, bytes(request.config));
    const wanted = try call.arena.alloc([]const u8, request.wanted.len);
    for (wanted, 0..) |*into, i| into.* = bytes(item(request.wanted, i));
    const taken = try call.arena.alloc(Taken, config.sets.len);
    for (config.sets, taken, 0..) |set, *into, i| into.* = try take(call, set, i, wanted);
    for (wanted) |text| {
        const given = for (taken) |one| {
            if (std.mem.eql(u8, one.text, text)) break true;
        } else false;
        if (!given) return call.fail(c.WHARFINGER_PLUGIN_TYPES_REASON_CONFLICT, "{s} is in none of the ranges", .{text});
    }
    return lease(call, taken, config.routes);
}

// ---- The contract's records ----

fn bytes(text: String) []const u8 {
    return if (text.len == 0) "" else text.ptr[0..text.len];
}

/// Of what has no items Zig has a pointer to nowhere, which the host refuses.
fn begin(items: anytype) [*c]@TypeOf(items[0]) {
    return if (items.len == 0) null else items.ptr;
}

/// Items of what the host gives: a list without any points nowhere.
fn item(items: anytype, i: usize) std.meta.Child(@TypeOf(items.ptr)) {
    return items.ptr[i];
}

fn copied(text: []const u8) String {
    var copy: String = undefined;
    c.ipam_plugin_string_dup_n(&copy, text.ptr, text.len);
    return copy;
}

fn maybe(text: ?[]const u8) c.wharfinger_plugin_types_option_ip_address_t {
    return .{ .is_some = text != null, .val = copied(text orelse "") };
}

fn lease(call: *Call, taken: []const Taken, routes: []const Route) Error!c.wharfinger_plugin_types_lease_t {
    const addresses = try lasting.alloc(c.wharfinger_plugin_types_leased_address_t, taken.len);
    for (taken, addresses) |one, *into| {
        const hop = if (one.range.gateway) |number| try shown(call.arena, number) else null;
        into.* = .{ .address = copied(try call.print("{s}/{d}", .{ one.text, one.range.length })), .gateway = maybe(hop) };
    }
    const ways = try lasting.alloc(c.wharfinger_plugin_types_route_t, routes.len);
    for (routes, ways) |route, *into| {
        into.* = std.mem.zeroes(c.wharfinger_plugin_types_route_t);
        into.destination = copied(route.destination);
        into.gateway = maybe(route.gateway);
    }
    var made = std.mem.zeroes(c.wharfinger_plugin_types_lease_t);
    made.addresses = .{ .ptr = begin(addresses), .len = addresses.len };
    made.routes = .{ .ptr = begin(ways), .len = ways.len };
    return made;
}

fn pools(call: *Call, config: []const u8) Error!c.exports_wharfinger_plugin_ipam_list_pool_t {
    const sets = (try read(call, config)).sets;
    const all = try lasting.alloc(c.exports_wharfinger_plugin_ipam_pool_t, sets.len);
    for (sets, all, 0..) |set, *into, i| {
        const ranges = try lasting.alloc(AddressRange, set.len);
        for (set, ranges) |range, *to|
            to.* = .{ .first = copied(try shown(call.arena, range.first)), .last = copied(try shown(call.arena, range.last)) };
        into.* = .{ .name = copied(try call.print("{d}", .{i})), .ranges = .{ .ptr = begin(ranges), .len = ranges.len } };
    }
    return .{ .ptr = begin(all), .len = all.len };
}

fn failed(call: *Call, err: Error, failure: *c.wharfinger_plugin_types_failure_t) bool {
    if (err == error.OutOfMemory) @panic("out of memory");
    if (call.problems.items.len > 0) {
        call.reason = c.WHARFINGER_PLUGIN_TYPES_REASON_INVALID_CONFIG;
        call.failure = call.problems.items[0];
    }
    const why = call.failure orelse Problem{ .pointer = "", .message = "it did not say why" };
    const colon = if (why.pointer.len > 0) ": " else "";
    const message = call.print("{s}{s}{s}", .{ why.pointer, colon, why.message }) catch @panic("out of memory");
    failure.* = std.mem.zeroes(c.wharfinger_plugin_types_failure_t);
    failure.reason = call.reason;
    failure.message = copied(message);
    return false;
}

// ---- The exports ----

export fn exports_wharfinger_plugin_ipam_validate(config: *String, ret: *c.exports_wharfinger_plugin_ipam_list_problem_t) void {
    var arena: std.heap.ArenaAllocator = .init(lasting);
    defer arena.deinit();
    var call: Call = .{ .arena = arena.allocator() };
    _ = read(&call, bytes(config.*)) catch |err| if (err == error.OutOfMemory) @panic("out of memory");
    c.ipam_plugin_string_free(config);
    const all = lasting.alloc(c.wharfinger_plugin_types_problem_t, call.problems.items.len) catch @panic("out of memory");
    for (call.problems.items, all) |problem, *into|
        into.* = .{ .pointer = copied(problem.pointer), .message = copied(problem.message) };
    ret.* = .{ .ptr = begin(all), .len = all.len };
}

export fn exports_wharfinger_plugin_ipam_pools(config: *String, ret: *c.exports_wharfinger_plugin_ipam_list_pool_t, failure: *c.wharfinger_plugin_types_failure_t) bool {
    var arena: std.heap.ArenaAllocator = .init(lasting);
    defer arena.deinit();
    defer c.ipam_plugin_string_free(config);
    var call: Call = .{ .arena = arena.allocator() };
    ret.* = pools(&call, bytes(config.*)) catch |err| return failed(&call, err, failure);
    return true;
}

export fn exports_wharfinger_plugin_ipam_allocate(request: *c.exports_wharfinger_plugin_ipam_request_t, ret: *c.wharfinger_plugin_types_lease_t, failure: *c.wharfinger_plugin_types_failure_t) bool {
    var arena: std.heap.ArenaAllocator = .init(lasting);
    defer arena.deinit();
    defer c.exports_wharfinger_plugin_ipam_request_free(request);
    var call: Call = .{ .arena = arena.allocator() };
    ret.* = allocate(&call, request) catch |err| return failed(&call, err, failure);
    return true;
}

/// A panic says in the log what went wrong: the trap that it ends in does not.
pub const panic = std.debug.FullPanic(struct {
    fn told(message: []const u8, _: ?usize) noreturn {
        var text = lent(message);
        c.wharfinger_plugin_logger_log(c.WHARFINGER_PLUGIN_LOGGER_LEVEL_ERROR, &text);
        @trap();
    }
}.told);
