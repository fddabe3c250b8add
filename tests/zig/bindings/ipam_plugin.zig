const __root = @This();
pub const __builtin = @import("std").zig.c_translation.builtins;
pub const __helpers = @import("std").zig.c_translation.helpers;
pub const intmax_t = c_longlong;
pub const uintmax_t = c_ulonglong;
pub const time_t = c_longlong;
pub const suseconds_t = c_longlong;
pub const struct_timeval = extern struct {
    tv_sec: time_t = 0,
    tv_usec: suseconds_t = 0,
};
pub const struct_timespec = extern struct {
    tv_sec: time_t = 0,
    tv_nsec: c_long = 0,
};
pub const ptrdiff_t = c_long;
pub const wchar_t = c_int;
pub const max_align_t = extern struct {
    __aro_max_align_ll: c_longlong = 0,
    __aro_max_align_ld: c_longdouble = 0,
};
pub const struct_iovec = extern struct {
    iov_base: ?*anyopaque = null,
    iov_len: usize = 0,
};
pub const int_fast8_t = i8;
pub const int_fast64_t = i64;
pub const int_least8_t = i8;
pub const int_least16_t = i16;
pub const int_least32_t = i32;
pub const int_least64_t = i64;
pub const uint_fast8_t = u8;
pub const uint_fast64_t = u64;
pub const uint_least8_t = u8;
pub const uint_least16_t = u16;
pub const uint_least32_t = u32;
pub const uint_least64_t = u64;
pub const int_fast16_t = i16;
pub const int_fast32_t = i32;
pub const uint_fast16_t = u16;
pub const uint_fast32_t = u32;
pub const struct_ipam_plugin_string_t = extern struct {
    ptr: [*c]u8 = null,
    len: usize = 0,
    pub const wharfinger_plugin_ledger_take = __root.wharfinger_plugin_ledger_take;
    pub const wharfinger_plugin_ledger_remembered = __root.wharfinger_plugin_ledger_remembered;
    pub const wharfinger_plugin_ledger_remember = __root.wharfinger_plugin_ledger_remember;
    pub const wharfinger_plugin_store_get = __root.wharfinger_plugin_store_get;
    pub const wharfinger_plugin_store_put = __root.wharfinger_plugin_store_put;
    pub const wharfinger_plugin_store_remove = __root.wharfinger_plugin_store_remove;
    pub const wharfinger_plugin_store_scan = __root.wharfinger_plugin_store_scan;
    pub const wharfinger_plugin_store_count = __root.wharfinger_plugin_store_count;
    pub const wharfinger_plugin_node_name = __root.wharfinger_plugin_node_name;
    pub const wharfinger_plugin_node_label = __root.wharfinger_plugin_node_label;
    pub const exports_wharfinger_plugin_ipam_validate = __root.exports_wharfinger_plugin_ipam_validate;
    pub const exports_wharfinger_plugin_ipam_pools = __root.exports_wharfinger_plugin_ipam_pools;
    pub const wharfinger_plugin_types_ip_address_free = __root.wharfinger_plugin_types_ip_address_free;
    pub const wharfinger_plugin_types_ip_interface_free = __root.wharfinger_plugin_types_ip_interface_free;
    pub const wharfinger_plugin_types_ip_network_free = __root.wharfinger_plugin_types_ip_network_free;
    pub const wharfinger_plugin_types_json_free = __root.wharfinger_plugin_types_json_free;
    pub const wharfinger_plugin_ledger_ip_address_free = __root.wharfinger_plugin_ledger_ip_address_free;
    pub const exports_wharfinger_plugin_ipam_ip_address_free = __root.exports_wharfinger_plugin_ipam_ip_address_free;
    pub const exports_wharfinger_plugin_ipam_json_free = __root.exports_wharfinger_plugin_ipam_json_free;
    pub const ipam_plugin_string_set = __root.ipam_plugin_string_set;
    pub const ipam_plugin_string_dup = __root.ipam_plugin_string_dup;
    pub const ipam_plugin_string_dup_n = __root.ipam_plugin_string_dup_n;
    pub const ipam_plugin_string_free = __root.ipam_plugin_string_free;
    pub const take = __root.wharfinger_plugin_ledger_take;
    pub const remembered = __root.wharfinger_plugin_ledger_remembered;
    pub const remember = __root.wharfinger_plugin_ledger_remember;
    pub const get = __root.wharfinger_plugin_store_get;
    pub const put = __root.wharfinger_plugin_store_put;
    pub const remove = __root.wharfinger_plugin_store_remove;
    pub const scan = __root.wharfinger_plugin_store_scan;
    pub const count = __root.wharfinger_plugin_store_count;
    pub const name = __root.wharfinger_plugin_node_name;
    pub const label = __root.wharfinger_plugin_node_label;
    pub const validate = __root.exports_wharfinger_plugin_ipam_validate;
    pub const pools = __root.exports_wharfinger_plugin_ipam_pools;
    pub const free = __root.wharfinger_plugin_types_ip_address_free;
    pub const set = __root.ipam_plugin_string_set;
    pub const dup = __root.ipam_plugin_string_dup;
    pub const n = __root.ipam_plugin_string_dup_n;
};
pub const ipam_plugin_string_t = struct_ipam_plugin_string_t;
pub const wharfinger_plugin_types_ip_address_t = ipam_plugin_string_t;
pub const wharfinger_plugin_types_ip_interface_t = ipam_plugin_string_t;
pub const wharfinger_plugin_types_ip_network_t = ipam_plugin_string_t;
pub const wharfinger_plugin_types_json_t = ipam_plugin_string_t;
pub const struct_wharfinger_plugin_types_address_range_t = extern struct {
    first: wharfinger_plugin_types_ip_address_t = @import("std").mem.zeroes(wharfinger_plugin_types_ip_address_t),
    last: wharfinger_plugin_types_ip_address_t = @import("std").mem.zeroes(wharfinger_plugin_types_ip_address_t),
    pub const wharfinger_plugin_types_address_range_free = __root.wharfinger_plugin_types_address_range_free;
    pub const wharfinger_plugin_ledger_address_range_free = __root.wharfinger_plugin_ledger_address_range_free;
    pub const exports_wharfinger_plugin_ipam_address_range_free = __root.exports_wharfinger_plugin_ipam_address_range_free;
    pub const free = __root.wharfinger_plugin_types_address_range_free;
};
pub const wharfinger_plugin_types_address_range_t = struct_wharfinger_plugin_types_address_range_t;
pub const struct_wharfinger_plugin_types_pair_t = extern struct {
    name: ipam_plugin_string_t = @import("std").mem.zeroes(ipam_plugin_string_t),
    value: ipam_plugin_string_t = @import("std").mem.zeroes(ipam_plugin_string_t),
    pub const wharfinger_plugin_types_pair_free = __root.wharfinger_plugin_types_pair_free;
    pub const wharfinger_plugin_store_pair_free = __root.wharfinger_plugin_store_pair_free;
    pub const free = __root.wharfinger_plugin_types_pair_free;
};
pub const wharfinger_plugin_types_pair_t = struct_wharfinger_plugin_types_pair_t;
pub const struct_wharfinger_plugin_types_attachment_id_t = extern struct {
    network: ipam_plugin_string_t = @import("std").mem.zeroes(ipam_plugin_string_t),
    container: ipam_plugin_string_t = @import("std").mem.zeroes(ipam_plugin_string_t),
    ifname: ipam_plugin_string_t = @import("std").mem.zeroes(ipam_plugin_string_t),
    pub const wharfinger_plugin_types_attachment_id_free = __root.wharfinger_plugin_types_attachment_id_free;
    pub const wharfinger_plugin_ledger_attachment_id_free = __root.wharfinger_plugin_ledger_attachment_id_free;
    pub const free = __root.wharfinger_plugin_types_attachment_id_free;
};
pub const wharfinger_plugin_types_attachment_id_t = struct_wharfinger_plugin_types_attachment_id_t;
pub const ipam_plugin_option_string_t = extern struct {
    is_some: bool = false,
    val: ipam_plugin_string_t = @import("std").mem.zeroes(ipam_plugin_string_t),
    pub const ipam_plugin_option_string_free = __root.ipam_plugin_option_string_free;
    pub const free = __root.ipam_plugin_option_string_free;
};
pub const struct_wharfinger_plugin_types_pod_t = extern struct {
    namespace_: ipam_plugin_string_t = @import("std").mem.zeroes(ipam_plugin_string_t),
    name: ipam_plugin_string_t = @import("std").mem.zeroes(ipam_plugin_string_t),
    uid: ipam_plugin_option_string_t = @import("std").mem.zeroes(ipam_plugin_option_string_t),
    pub const wharfinger_plugin_types_pod_free = __root.wharfinger_plugin_types_pod_free;
    pub const free = __root.wharfinger_plugin_types_pod_free;
};
pub const wharfinger_plugin_types_pod_t = struct_wharfinger_plugin_types_pod_t;
pub const wharfinger_plugin_types_option_pod_t = extern struct {
    is_some: bool = false,
    val: wharfinger_plugin_types_pod_t = @import("std").mem.zeroes(wharfinger_plugin_types_pod_t),
    pub const wharfinger_plugin_types_option_pod_free = __root.wharfinger_plugin_types_option_pod_free;
    pub const free = __root.wharfinger_plugin_types_option_pod_free;
};
pub const wharfinger_plugin_types_list_pair_t = extern struct {
    ptr: [*c]wharfinger_plugin_types_pair_t = null,
    len: usize = 0,
    pub const wharfinger_plugin_types_list_pair_free = __root.wharfinger_plugin_types_list_pair_free;
    pub const free = __root.wharfinger_plugin_types_list_pair_free;
};
pub const struct_wharfinger_plugin_types_attachment_t = extern struct {
    id: wharfinger_plugin_types_attachment_id_t = @import("std").mem.zeroes(wharfinger_plugin_types_attachment_id_t),
    pod: wharfinger_plugin_types_option_pod_t = @import("std").mem.zeroes(wharfinger_plugin_types_option_pod_t),
    args: wharfinger_plugin_types_list_pair_t = @import("std").mem.zeroes(wharfinger_plugin_types_list_pair_t),
    pub const wharfinger_plugin_types_attachment_free = __root.wharfinger_plugin_types_attachment_free;
    pub const exports_wharfinger_plugin_ipam_attachment_free = __root.exports_wharfinger_plugin_ipam_attachment_free;
    pub const free = __root.wharfinger_plugin_types_attachment_free;
};
pub const wharfinger_plugin_types_attachment_t = struct_wharfinger_plugin_types_attachment_t;
pub const wharfinger_plugin_types_option_ip_address_t = extern struct {
    is_some: bool = false,
    val: wharfinger_plugin_types_ip_address_t = @import("std").mem.zeroes(wharfinger_plugin_types_ip_address_t),
    pub const wharfinger_plugin_types_option_ip_address_free = __root.wharfinger_plugin_types_option_ip_address_free;
    pub const free = __root.wharfinger_plugin_types_option_ip_address_free;
};
pub const ipam_plugin_option_u32_t = extern struct {
    is_some: bool = false,
    val: u32 = 0,
    pub const ipam_plugin_option_u32_free = __root.ipam_plugin_option_u32_free;
    pub const free = __root.ipam_plugin_option_u32_free;
};
pub const ipam_plugin_option_u8_t = extern struct {
    is_some: bool = false,
    val: u8 = 0,
    pub const ipam_plugin_option_u8_free = __root.ipam_plugin_option_u8_free;
    pub const free = __root.ipam_plugin_option_u8_free;
};
pub const struct_wharfinger_plugin_types_route_t = extern struct {
    destination: wharfinger_plugin_types_ip_network_t = @import("std").mem.zeroes(wharfinger_plugin_types_ip_network_t),
    gateway: wharfinger_plugin_types_option_ip_address_t = @import("std").mem.zeroes(wharfinger_plugin_types_option_ip_address_t),
    mtu: ipam_plugin_option_u32_t = @import("std").mem.zeroes(ipam_plugin_option_u32_t),
    advmss: ipam_plugin_option_u32_t = @import("std").mem.zeroes(ipam_plugin_option_u32_t),
    priority: ipam_plugin_option_u32_t = @import("std").mem.zeroes(ipam_plugin_option_u32_t),
    table: ipam_plugin_option_u32_t = @import("std").mem.zeroes(ipam_plugin_option_u32_t),
    scope: ipam_plugin_option_u8_t = @import("std").mem.zeroes(ipam_plugin_option_u8_t),
    pub const wharfinger_plugin_types_route_free = __root.wharfinger_plugin_types_route_free;
    pub const free = __root.wharfinger_plugin_types_route_free;
};
pub const wharfinger_plugin_types_route_t = struct_wharfinger_plugin_types_route_t;
pub const wharfinger_plugin_types_list_ip_address_t = extern struct {
    ptr: [*c]wharfinger_plugin_types_ip_address_t = null,
    len: usize = 0,
    pub const wharfinger_plugin_types_list_ip_address_free = __root.wharfinger_plugin_types_list_ip_address_free;
    pub const free = __root.wharfinger_plugin_types_list_ip_address_free;
};
pub const ipam_plugin_list_string_t = extern struct {
    ptr: [*c]ipam_plugin_string_t = null,
    len: usize = 0,
    pub const ipam_plugin_list_string_free = __root.ipam_plugin_list_string_free;
    pub const free = __root.ipam_plugin_list_string_free;
};
pub const struct_wharfinger_plugin_types_dns_t = extern struct {
    nameservers: wharfinger_plugin_types_list_ip_address_t = @import("std").mem.zeroes(wharfinger_plugin_types_list_ip_address_t),
    domain: ipam_plugin_option_string_t = @import("std").mem.zeroes(ipam_plugin_option_string_t),
    search: ipam_plugin_list_string_t = @import("std").mem.zeroes(ipam_plugin_list_string_t),
    options: ipam_plugin_list_string_t = @import("std").mem.zeroes(ipam_plugin_list_string_t),
    pub const wharfinger_plugin_types_dns_free = __root.wharfinger_plugin_types_dns_free;
    pub const free = __root.wharfinger_plugin_types_dns_free;
};
pub const wharfinger_plugin_types_dns_t = struct_wharfinger_plugin_types_dns_t;
pub const struct_wharfinger_plugin_types_leased_address_t = extern struct {
    address: wharfinger_plugin_types_ip_interface_t = @import("std").mem.zeroes(wharfinger_plugin_types_ip_interface_t),
    gateway: wharfinger_plugin_types_option_ip_address_t = @import("std").mem.zeroes(wharfinger_plugin_types_option_ip_address_t),
    pub const wharfinger_plugin_types_leased_address_free = __root.wharfinger_plugin_types_leased_address_free;
    pub const free = __root.wharfinger_plugin_types_leased_address_free;
};
pub const wharfinger_plugin_types_leased_address_t = struct_wharfinger_plugin_types_leased_address_t;
pub const wharfinger_plugin_types_list_leased_address_t = extern struct {
    ptr: [*c]wharfinger_plugin_types_leased_address_t = null,
    len: usize = 0,
    pub const wharfinger_plugin_types_list_leased_address_free = __root.wharfinger_plugin_types_list_leased_address_free;
    pub const free = __root.wharfinger_plugin_types_list_leased_address_free;
};
pub const wharfinger_plugin_types_list_route_t = extern struct {
    ptr: [*c]wharfinger_plugin_types_route_t = null,
    len: usize = 0,
    pub const wharfinger_plugin_types_list_route_free = __root.wharfinger_plugin_types_list_route_free;
    pub const free = __root.wharfinger_plugin_types_list_route_free;
};
pub const struct_wharfinger_plugin_types_lease_t = extern struct {
    addresses: wharfinger_plugin_types_list_leased_address_t = @import("std").mem.zeroes(wharfinger_plugin_types_list_leased_address_t),
    routes: wharfinger_plugin_types_list_route_t = @import("std").mem.zeroes(wharfinger_plugin_types_list_route_t),
    dns: wharfinger_plugin_types_dns_t = @import("std").mem.zeroes(wharfinger_plugin_types_dns_t),
    pub const wharfinger_plugin_types_lease_free = __root.wharfinger_plugin_types_lease_free;
    pub const exports_wharfinger_plugin_ipam_lease_free = __root.exports_wharfinger_plugin_ipam_lease_free;
    pub const free = __root.wharfinger_plugin_types_lease_free;
};
pub const wharfinger_plugin_types_lease_t = struct_wharfinger_plugin_types_lease_t;
pub const wharfinger_plugin_types_reason_t = u8;
pub const struct_wharfinger_plugin_types_failure_t = extern struct {
    reason: wharfinger_plugin_types_reason_t = 0,
    message: ipam_plugin_string_t = @import("std").mem.zeroes(ipam_plugin_string_t),
    detail: ipam_plugin_option_string_t = @import("std").mem.zeroes(ipam_plugin_option_string_t),
    pub const wharfinger_plugin_types_failure_free = __root.wharfinger_plugin_types_failure_free;
    pub const exports_wharfinger_plugin_ipam_failure_free = __root.exports_wharfinger_plugin_ipam_failure_free;
    pub const free = __root.wharfinger_plugin_types_failure_free;
};
pub const wharfinger_plugin_types_failure_t = struct_wharfinger_plugin_types_failure_t;
pub const struct_wharfinger_plugin_types_problem_t = extern struct {
    pointer: ipam_plugin_string_t = @import("std").mem.zeroes(ipam_plugin_string_t),
    message: ipam_plugin_string_t = @import("std").mem.zeroes(ipam_plugin_string_t),
    pub const wharfinger_plugin_types_problem_free = __root.wharfinger_plugin_types_problem_free;
    pub const exports_wharfinger_plugin_ipam_problem_free = __root.exports_wharfinger_plugin_ipam_problem_free;
    pub const free = __root.wharfinger_plugin_types_problem_free;
};
pub const wharfinger_plugin_types_problem_t = struct_wharfinger_plugin_types_problem_t;
pub const wharfinger_plugin_ledger_ip_address_t = wharfinger_plugin_types_ip_address_t;
pub const wharfinger_plugin_ledger_address_range_t = wharfinger_plugin_types_address_range_t;
pub const wharfinger_plugin_ledger_attachment_id_t = wharfinger_plugin_types_attachment_id_t;
const union_unnamed_1 = extern union {
    held: wharfinger_plugin_ledger_attachment_id_t,
    reserved: ipam_plugin_string_t,
};
pub const struct_wharfinger_plugin_ledger_refusal_t = extern struct {
    tag: u8 = 0,
    val: union_unnamed_1 = @import("std").mem.zeroes(union_unnamed_1),
    pub const wharfinger_plugin_ledger_refusal_free = __root.wharfinger_plugin_ledger_refusal_free;
    pub const free = __root.wharfinger_plugin_ledger_refusal_free;
};
pub const wharfinger_plugin_ledger_refusal_t = struct_wharfinger_plugin_ledger_refusal_t;
pub const struct_wharfinger_plugin_ledger_counts_t = extern struct {
    total: u64 = 0,
    held: u64 = 0,
    resting: u64 = 0,
    remembered: u64 = 0,
};
pub const wharfinger_plugin_ledger_counts_t = struct_wharfinger_plugin_ledger_counts_t;
const union_unnamed_2 = extern union {
    err: wharfinger_plugin_ledger_refusal_t,
};
pub const wharfinger_plugin_ledger_result_void_refusal_t = extern struct {
    is_err: bool = false,
    val: union_unnamed_2 = @import("std").mem.zeroes(union_unnamed_2),
    pub const wharfinger_plugin_ledger_result_void_refusal_free = __root.wharfinger_plugin_ledger_result_void_refusal_free;
    pub const free = __root.wharfinger_plugin_ledger_result_void_refusal_free;
};
pub const wharfinger_plugin_ledger_list_address_range_t = extern struct {
    ptr: [*c]wharfinger_plugin_ledger_address_range_t = null,
    len: usize = 0,
    pub const wharfinger_plugin_ledger_take_free = __root.wharfinger_plugin_ledger_take_free;
    pub const wharfinger_plugin_ledger_usage = __root.wharfinger_plugin_ledger_usage;
    pub const wharfinger_plugin_ledger_list_address_range_free = __root.wharfinger_plugin_ledger_list_address_range_free;
    pub const free = __root.wharfinger_plugin_ledger_take_free;
    pub const usage = __root.wharfinger_plugin_ledger_usage;
};
pub const wharfinger_plugin_ledger_option_ip_address_t = extern struct {
    is_some: bool = false,
    val: wharfinger_plugin_ledger_ip_address_t = @import("std").mem.zeroes(wharfinger_plugin_ledger_ip_address_t),
    pub const wharfinger_plugin_ledger_option_ip_address_free = __root.wharfinger_plugin_ledger_option_ip_address_free;
    pub const free = __root.wharfinger_plugin_ledger_option_ip_address_free;
};
pub const wharfinger_plugin_ledger_list_ip_address_t = extern struct {
    ptr: [*c]wharfinger_plugin_ledger_ip_address_t = null,
    len: usize = 0,
    pub const wharfinger_plugin_ledger_list_ip_address_free = __root.wharfinger_plugin_ledger_list_ip_address_free;
    pub const free = __root.wharfinger_plugin_ledger_list_ip_address_free;
};
pub const wharfinger_plugin_store_pair_t = wharfinger_plugin_types_pair_t;
pub const wharfinger_plugin_store_lifetime_t = u8;
pub const wharfinger_plugin_store_list_pair_t = extern struct {
    ptr: [*c]wharfinger_plugin_store_pair_t = null,
    len: usize = 0,
    pub const wharfinger_plugin_store_list_pair_free = __root.wharfinger_plugin_store_list_pair_free;
    pub const free = __root.wharfinger_plugin_store_list_pair_free;
};
pub const wharfinger_plugin_logger_level_t = u8;
pub const exports_wharfinger_plugin_ipam_attachment_t = wharfinger_plugin_types_attachment_t;
pub const exports_wharfinger_plugin_ipam_address_range_t = wharfinger_plugin_types_address_range_t;
pub const exports_wharfinger_plugin_ipam_ip_address_t = wharfinger_plugin_types_ip_address_t;
pub const exports_wharfinger_plugin_ipam_lease_t = wharfinger_plugin_types_lease_t;
pub const exports_wharfinger_plugin_ipam_json_t = wharfinger_plugin_types_json_t;
pub const exports_wharfinger_plugin_ipam_failure_t = wharfinger_plugin_types_failure_t;
pub const exports_wharfinger_plugin_ipam_problem_t = wharfinger_plugin_types_problem_t;
pub const exports_wharfinger_plugin_ipam_list_ip_address_t = extern struct {
    ptr: [*c]exports_wharfinger_plugin_ipam_ip_address_t = null,
    len: usize = 0,
    pub const exports_wharfinger_plugin_ipam_list_ip_address_free = __root.exports_wharfinger_plugin_ipam_list_ip_address_free;
    pub const free = __root.exports_wharfinger_plugin_ipam_list_ip_address_free;
};
pub const struct_exports_wharfinger_plugin_ipam_request_t = extern struct {
    attachment: exports_wharfinger_plugin_ipam_attachment_t = @import("std").mem.zeroes(exports_wharfinger_plugin_ipam_attachment_t),
    config: exports_wharfinger_plugin_ipam_json_t = @import("std").mem.zeroes(exports_wharfinger_plugin_ipam_json_t),
    network_config: exports_wharfinger_plugin_ipam_json_t = @import("std").mem.zeroes(exports_wharfinger_plugin_ipam_json_t),
    wanted: exports_wharfinger_plugin_ipam_list_ip_address_t = @import("std").mem.zeroes(exports_wharfinger_plugin_ipam_list_ip_address_t),
    pub const exports_wharfinger_plugin_ipam_allocate = __root.exports_wharfinger_plugin_ipam_allocate;
    pub const exports_wharfinger_plugin_ipam_request_free = __root.exports_wharfinger_plugin_ipam_request_free;
    pub const allocate = __root.exports_wharfinger_plugin_ipam_allocate;
    pub const free = __root.exports_wharfinger_plugin_ipam_request_free;
};
pub const exports_wharfinger_plugin_ipam_request_t = struct_exports_wharfinger_plugin_ipam_request_t;
pub const exports_wharfinger_plugin_ipam_list_address_range_t = extern struct {
    ptr: [*c]exports_wharfinger_plugin_ipam_address_range_t = null,
    len: usize = 0,
    pub const exports_wharfinger_plugin_ipam_list_address_range_free = __root.exports_wharfinger_plugin_ipam_list_address_range_free;
    pub const free = __root.exports_wharfinger_plugin_ipam_list_address_range_free;
};
pub const struct_exports_wharfinger_plugin_ipam_pool_t = extern struct {
    name: ipam_plugin_string_t = @import("std").mem.zeroes(ipam_plugin_string_t),
    ranges: exports_wharfinger_plugin_ipam_list_address_range_t = @import("std").mem.zeroes(exports_wharfinger_plugin_ipam_list_address_range_t),
    pub const exports_wharfinger_plugin_ipam_pool_free = __root.exports_wharfinger_plugin_ipam_pool_free;
    pub const free = __root.exports_wharfinger_plugin_ipam_pool_free;
};
pub const exports_wharfinger_plugin_ipam_pool_t = struct_exports_wharfinger_plugin_ipam_pool_t;
pub const exports_wharfinger_plugin_ipam_list_problem_t = extern struct {
    ptr: [*c]exports_wharfinger_plugin_ipam_problem_t = null,
    len: usize = 0,
    pub const exports_wharfinger_plugin_ipam_list_problem_free = __root.exports_wharfinger_plugin_ipam_list_problem_free;
    pub const free = __root.exports_wharfinger_plugin_ipam_list_problem_free;
};
pub const exports_wharfinger_plugin_ipam_list_pool_t = extern struct {
    ptr: [*c]exports_wharfinger_plugin_ipam_pool_t = null,
    len: usize = 0,
    pub const exports_wharfinger_plugin_ipam_list_pool_free = __root.exports_wharfinger_plugin_ipam_list_pool_free;
    pub const free = __root.exports_wharfinger_plugin_ipam_list_pool_free;
};
const union_unnamed_3 = extern union {
    ok: exports_wharfinger_plugin_ipam_list_pool_t,
    err: exports_wharfinger_plugin_ipam_failure_t,
};
pub const exports_wharfinger_plugin_ipam_result_list_pool_failure_t = extern struct {
    is_err: bool = false,
    val: union_unnamed_3 = @import("std").mem.zeroes(union_unnamed_3),
    pub const exports_wharfinger_plugin_ipam_result_list_pool_failure_free = __root.exports_wharfinger_plugin_ipam_result_list_pool_failure_free;
    pub const free = __root.exports_wharfinger_plugin_ipam_result_list_pool_failure_free;
};
const union_unnamed_4 = extern union {
    ok: exports_wharfinger_plugin_ipam_lease_t,
    err: exports_wharfinger_plugin_ipam_failure_t,
};
pub const exports_wharfinger_plugin_ipam_result_lease_failure_t = extern struct {
    is_err: bool = false,
    val: union_unnamed_4 = @import("std").mem.zeroes(union_unnamed_4),
    pub const exports_wharfinger_plugin_ipam_result_lease_failure_free = __root.exports_wharfinger_plugin_ipam_result_lease_failure_free;
    pub const free = __root.exports_wharfinger_plugin_ipam_result_lease_failure_free;
};
pub extern fn wharfinger_plugin_ledger_take(address: [*c]wharfinger_plugin_ledger_ip_address_t, err: [*c]wharfinger_plugin_ledger_refusal_t) bool;
pub extern fn wharfinger_plugin_ledger_take_free(ranges: [*c]wharfinger_plugin_ledger_list_address_range_t, excluded: [*c]wharfinger_plugin_ledger_list_address_range_t, maybe_start: [*c]wharfinger_plugin_ledger_ip_address_t, ret: [*c]wharfinger_plugin_ledger_ip_address_t) bool;
pub extern fn wharfinger_plugin_ledger_remembered(identity: [*c]ipam_plugin_string_t, ret: [*c]wharfinger_plugin_ledger_list_ip_address_t) void;
pub extern fn wharfinger_plugin_ledger_remember(identity: [*c]ipam_plugin_string_t) void;
pub extern fn wharfinger_plugin_ledger_usage(ranges: [*c]wharfinger_plugin_ledger_list_address_range_t, ret: [*c]wharfinger_plugin_ledger_counts_t) void;
pub extern fn wharfinger_plugin_store_get(key: [*c]ipam_plugin_string_t, ret: [*c]ipam_plugin_string_t) bool;
pub extern fn wharfinger_plugin_store_put(key: [*c]ipam_plugin_string_t, value: [*c]ipam_plugin_string_t, lifetime: wharfinger_plugin_store_lifetime_t) void;
pub extern fn wharfinger_plugin_store_remove(key: [*c]ipam_plugin_string_t) bool;
pub extern fn wharfinger_plugin_store_scan(prefix: [*c]ipam_plugin_string_t, maybe_after: [*c]ipam_plugin_string_t, limit: u32, ret: [*c]wharfinger_plugin_store_list_pair_t) void;
pub extern fn wharfinger_plugin_store_count(prefix: [*c]ipam_plugin_string_t) u64;
pub extern fn wharfinger_plugin_logger_log(level: wharfinger_plugin_logger_level_t, message: [*c]ipam_plugin_string_t) void;
pub extern fn wharfinger_plugin_node_name(ret: [*c]ipam_plugin_string_t) void;
pub extern fn wharfinger_plugin_node_label(name: [*c]ipam_plugin_string_t, ret: [*c]ipam_plugin_string_t) bool;
pub extern fn wharfinger_plugin_node_now() u64;
pub extern fn exports_wharfinger_plugin_ipam_validate(config: [*c]exports_wharfinger_plugin_ipam_json_t, ret: [*c]exports_wharfinger_plugin_ipam_list_problem_t) void;
pub extern fn exports_wharfinger_plugin_ipam_pools(config: [*c]exports_wharfinger_plugin_ipam_json_t, ret: [*c]exports_wharfinger_plugin_ipam_list_pool_t, err: [*c]exports_wharfinger_plugin_ipam_failure_t) bool;
pub extern fn exports_wharfinger_plugin_ipam_allocate(request: [*c]exports_wharfinger_plugin_ipam_request_t, ret: [*c]exports_wharfinger_plugin_ipam_lease_t, err: [*c]exports_wharfinger_plugin_ipam_failure_t) bool;
pub extern fn wharfinger_plugin_types_ip_address_free(ptr: [*c]wharfinger_plugin_types_ip_address_t) void;
pub extern fn wharfinger_plugin_types_ip_interface_free(ptr: [*c]wharfinger_plugin_types_ip_interface_t) void;
pub extern fn wharfinger_plugin_types_ip_network_free(ptr: [*c]wharfinger_plugin_types_ip_network_t) void;
pub extern fn wharfinger_plugin_types_json_free(ptr: [*c]wharfinger_plugin_types_json_t) void;
pub extern fn wharfinger_plugin_types_address_range_free(ptr: [*c]wharfinger_plugin_types_address_range_t) void;
pub extern fn wharfinger_plugin_types_pair_free(ptr: [*c]wharfinger_plugin_types_pair_t) void;
pub extern fn wharfinger_plugin_types_attachment_id_free(ptr: [*c]wharfinger_plugin_types_attachment_id_t) void;
pub extern fn ipam_plugin_option_string_free(ptr: [*c]ipam_plugin_option_string_t) void;
pub extern fn wharfinger_plugin_types_pod_free(ptr: [*c]wharfinger_plugin_types_pod_t) void;
pub extern fn wharfinger_plugin_types_option_pod_free(ptr: [*c]wharfinger_plugin_types_option_pod_t) void;
pub extern fn wharfinger_plugin_types_list_pair_free(ptr: [*c]wharfinger_plugin_types_list_pair_t) void;
pub extern fn wharfinger_plugin_types_attachment_free(ptr: [*c]wharfinger_plugin_types_attachment_t) void;
pub extern fn wharfinger_plugin_types_option_ip_address_free(ptr: [*c]wharfinger_plugin_types_option_ip_address_t) void;
pub extern fn ipam_plugin_option_u32_free(ptr: [*c]ipam_plugin_option_u32_t) void;
pub extern fn ipam_plugin_option_u8_free(ptr: [*c]ipam_plugin_option_u8_t) void;
pub extern fn wharfinger_plugin_types_route_free(ptr: [*c]wharfinger_plugin_types_route_t) void;
pub extern fn wharfinger_plugin_types_list_ip_address_free(ptr: [*c]wharfinger_plugin_types_list_ip_address_t) void;
pub extern fn ipam_plugin_list_string_free(ptr: [*c]ipam_plugin_list_string_t) void;
pub extern fn wharfinger_plugin_types_dns_free(ptr: [*c]wharfinger_plugin_types_dns_t) void;
pub extern fn wharfinger_plugin_types_leased_address_free(ptr: [*c]wharfinger_plugin_types_leased_address_t) void;
pub extern fn wharfinger_plugin_types_list_leased_address_free(ptr: [*c]wharfinger_plugin_types_list_leased_address_t) void;
pub extern fn wharfinger_plugin_types_list_route_free(ptr: [*c]wharfinger_plugin_types_list_route_t) void;
pub extern fn wharfinger_plugin_types_lease_free(ptr: [*c]wharfinger_plugin_types_lease_t) void;
pub extern fn wharfinger_plugin_types_failure_free(ptr: [*c]wharfinger_plugin_types_failure_t) void;
pub extern fn wharfinger_plugin_types_problem_free(ptr: [*c]wharfinger_plugin_types_problem_t) void;
pub extern fn wharfinger_plugin_ledger_ip_address_free(ptr: [*c]wharfinger_plugin_ledger_ip_address_t) void;
pub extern fn wharfinger_plugin_ledger_address_range_free(ptr: [*c]wharfinger_plugin_ledger_address_range_t) void;
pub extern fn wharfinger_plugin_ledger_attachment_id_free(ptr: [*c]wharfinger_plugin_ledger_attachment_id_t) void;
pub extern fn wharfinger_plugin_ledger_refusal_free(ptr: [*c]wharfinger_plugin_ledger_refusal_t) void;
pub extern fn wharfinger_plugin_ledger_result_void_refusal_free(ptr: [*c]wharfinger_plugin_ledger_result_void_refusal_t) void;
pub extern fn wharfinger_plugin_ledger_list_address_range_free(ptr: [*c]wharfinger_plugin_ledger_list_address_range_t) void;
pub extern fn wharfinger_plugin_ledger_option_ip_address_free(ptr: [*c]wharfinger_plugin_ledger_option_ip_address_t) void;
pub extern fn wharfinger_plugin_ledger_list_ip_address_free(ptr: [*c]wharfinger_plugin_ledger_list_ip_address_t) void;
pub extern fn wharfinger_plugin_store_pair_free(ptr: [*c]wharfinger_plugin_store_pair_t) void;
pub extern fn wharfinger_plugin_store_list_pair_free(ptr: [*c]wharfinger_plugin_store_list_pair_t) void;
pub extern fn exports_wharfinger_plugin_ipam_attachment_free(ptr: [*c]exports_wharfinger_plugin_ipam_attachment_t) void;
pub extern fn exports_wharfinger_plugin_ipam_address_range_free(ptr: [*c]exports_wharfinger_plugin_ipam_address_range_t) void;
pub extern fn exports_wharfinger_plugin_ipam_ip_address_free(ptr: [*c]exports_wharfinger_plugin_ipam_ip_address_t) void;
pub extern fn exports_wharfinger_plugin_ipam_lease_free(ptr: [*c]exports_wharfinger_plugin_ipam_lease_t) void;
pub extern fn exports_wharfinger_plugin_ipam_json_free(ptr: [*c]exports_wharfinger_plugin_ipam_json_t) void;
pub extern fn exports_wharfinger_plugin_ipam_failure_free(ptr: [*c]exports_wharfinger_plugin_ipam_failure_t) void;
pub extern fn exports_wharfinger_plugin_ipam_problem_free(ptr: [*c]exports_wharfinger_plugin_ipam_problem_t) void;
pub extern fn exports_wharfinger_plugin_ipam_list_ip_address_free(ptr: [*c]exports_wharfinger_plugin_ipam_list_ip_address_t) void;
pub extern fn exports_wharfinger_plugin_ipam_request_free(ptr: [*c]exports_wharfinger_plugin_ipam_request_t) void;
pub extern fn exports_wharfinger_plugin_ipam_list_address_range_free(ptr: [*c]exports_wharfinger_plugin_ipam_list_address_range_t) void;
pub extern fn exports_wharfinger_plugin_ipam_pool_free(ptr: [*c]exports_wharfinger_plugin_ipam_pool_t) void;
pub extern fn exports_wharfinger_plugin_ipam_list_problem_free(ptr: [*c]exports_wharfinger_plugin_ipam_list_problem_t) void;
pub extern fn exports_wharfinger_plugin_ipam_list_pool_free(ptr: [*c]exports_wharfinger_plugin_ipam_list_pool_t) void;
pub extern fn exports_wharfinger_plugin_ipam_result_list_pool_failure_free(ptr: [*c]exports_wharfinger_plugin_ipam_result_list_pool_failure_t) void;
pub extern fn exports_wharfinger_plugin_ipam_result_lease_failure_free(ptr: [*c]exports_wharfinger_plugin_ipam_result_lease_failure_t) void;
pub extern fn ipam_plugin_string_set(ret: [*c]ipam_plugin_string_t, s: [*c]const u8) void;
pub extern fn ipam_plugin_string_dup(ret: [*c]ipam_plugin_string_t, s: [*c]const u8) void;
pub extern fn ipam_plugin_string_dup_n(ret: [*c]ipam_plugin_string_t, s: [*c]const u8, len: usize) void;
pub extern fn ipam_plugin_string_free(ret: [*c]ipam_plugin_string_t) void;

pub const __VERSION__ = "Aro aro-zig";
pub const __Aro__ = "";
pub const __STDC__ = @as(c_int, 1);
pub const __STDC_HOSTED__ = @as(c_int, 1);
pub const __STDC_UTF_16__ = @as(c_int, 1);
pub const __STDC_UTF_32__ = @as(c_int, 1);
pub const __STDC_EMBED_NOT_FOUND__ = @as(c_int, 0);
pub const __STDC_EMBED_FOUND__ = @as(c_int, 1);
pub const __STDC_EMBED_EMPTY__ = @as(c_int, 2);
pub const __STDC_VERSION__ = @as(c_long, 201710);
pub const __GNUC__ = @as(c_int, 4);
pub const __GNUC_MINOR__ = @as(c_int, 2);
pub const __GNUC_PATCHLEVEL__ = @as(c_int, 1);
pub const __ARO_EMULATE_NO__ = @as(c_int, 0);
pub const __ARO_EMULATE_CLANG__ = @as(c_int, 1);
pub const __ARO_EMULATE_GCC__ = @as(c_int, 2);
pub const __ARO_EMULATE_MSVC__ = @as(c_int, 3);
pub const __ARO_EMULATE__ = __ARO_EMULATE_CLANG__;
pub inline fn __building_module(x: anytype) @TypeOf(@as(c_int, 0)) {
    _ = &x;
    return @as(c_int, 0);
}
pub const TARGET_OS_WIN32 = @as(c_int, 0);
pub const TARGET_OS_WINDOWS = @as(c_int, 0);
pub const TARGET_OS_LINUX = @as(c_int, 0);
pub const TARGET_OS_UNIX = @as(c_int, 0);
pub const TARGET_OS_MAC = @as(c_int, 0);
pub const TARGET_OS_OSX = @as(c_int, 0);
pub const TARGET_OS_IPHONE = @as(c_int, 0);
pub const TARGET_OS_IOS = @as(c_int, 0);
pub const TARGET_OS_TV = @as(c_int, 0);
pub const TARGET_OS_WATCH = @as(c_int, 0);
pub const TARGET_OS_VISION = @as(c_int, 0);
pub const TARGET_OS_DRIVERKIT = @as(c_int, 0);
pub const TARGET_OS_MACCATALYST = @as(c_int, 0);
pub const TARGET_OS_SIMULATOR = @as(c_int, 0);
pub const TARGET_OS_EMBEDDED = @as(c_int, 0);
pub const TARGET_OS_NANO = @as(c_int, 0);
pub const TARGET_IPHONE_SIMULATOR = @as(c_int, 0);
pub const TARGET_OS_UIKITFORMAC = @as(c_int, 0);
pub const TARGET_OS_UEFI = @as(c_int, 0);
pub const __wasi__ = @as(c_int, 1);
pub const __wasm = @as(c_int, 1);
pub const __wasm__ = @as(c_int, 1);
pub const __wasm32 = @as(c_int, 1);
pub const __wasm32__ = @as(c_int, 1);
pub const __wasm_bulk_memory_opt__ = @as(c_int, 1);
pub const __wasm_call_indirect_overlong__ = @as(c_int, 1);
pub const __wasm_extended_const__ = @as(c_int, 1);
pub const __wasm_multivalue__ = @as(c_int, 1);
pub const __wasm_mutable_globals__ = @as(c_int, 1);
pub const __wasm_nontrapping_fptoint__ = @as(c_int, 1);
pub const __wasm_sign_ext__ = @as(c_int, 1);
pub const _ILP32 = @as(c_int, 1);
pub const __ILP32__ = @as(c_int, 1);
pub const __FLOAT128__ = @as(c_int, 1);
pub const __ORDER_LITTLE_ENDIAN__ = @as(c_int, 1234);
pub const __ORDER_BIG_ENDIAN__ = @as(c_int, 4321);
pub const __ORDER_PDP_ENDIAN__ = @as(c_int, 3412);
pub const __BYTE_ORDER__ = __ORDER_LITTLE_ENDIAN__;
pub const __LITTLE_ENDIAN__ = @as(c_int, 1);
pub const __ATOMIC_RELAXED = @as(c_int, 0);
pub const __ATOMIC_CONSUME = @as(c_int, 1);
pub const __ATOMIC_ACQUIRE = @as(c_int, 2);
pub const __ATOMIC_RELEASE = @as(c_int, 3);
pub const __ATOMIC_ACQ_REL = @as(c_int, 4);
pub const __ATOMIC_SEQ_CST = @as(c_int, 5);
pub const __ATOMIC_BOOL_LOCK_FREE = @as(c_int, 1);
pub const __ATOMIC_CHAR_LOCK_FREE = @as(c_int, 1);
pub const __ATOMIC_CHAR16_T_LOCK_FREE = @as(c_int, 1);
pub const __ATOMIC_CHAR32_T_LOCK_FREE = @as(c_int, 1);
pub const __ATOMIC_WCHAR_T_LOCK_FREE = @as(c_int, 1);
pub const __ATOMIC_WINT_T_LOCK_FREE = @as(c_int, 1);
pub const __ATOMIC_SHORT_LOCK_FREE = @as(c_int, 1);
pub const __ATOMIC_INT_LOCK_FREE = @as(c_int, 1);
pub const __ATOMIC_LONG_LOCK_FREE = @as(c_int, 1);
pub const __ATOMIC_LLONG_LOCK_FREE = @as(c_int, 1);
pub const __ATOMIC_POINTER_LOCK_FREE = @as(c_int, 1);
pub const __CHAR_BIT__ = @as(c_int, 8);
pub const __BOOL_WIDTH__ = @as(c_int, 8);
pub const __SCHAR_MAX__ = @as(c_int, 127);
pub const __SCHAR_WIDTH__ = @as(c_int, 8);
pub const __SHRT_MAX__ = @as(c_int, 32767);
pub const __SHRT_WIDTH__ = @as(c_int, 16);
pub const __INT_MAX__ = __helpers.promoteIntLiteral(c_int, 2147483647, .decimal);
pub const __INT_WIDTH__ = @as(c_int, 32);
pub const __LONG_MAX__ = @as(c_long, 2147483647);
pub const __LONG_WIDTH__ = @as(c_int, 32);
pub const __LONG_LONG_MAX__ = @as(c_longlong, 9223372036854775807);
pub const __LONG_LONG_WIDTH__ = @as(c_int, 64);
pub const __WCHAR_MAX__ = __helpers.promoteIntLiteral(c_int, 2147483647, .decimal);
pub const __WCHAR_WIDTH__ = @as(c_int, 32);
pub const __WINT_MAX__ = __helpers.promoteIntLiteral(c_int, 2147483647, .decimal);
pub const __WINT_WIDTH__ = @as(c_int, 32);
pub const __INTMAX_MAX__ = @as(c_longlong, 9223372036854775807);
pub const __INTMAX_WIDTH__ = @as(c_int, 64);
pub const __SIZE_MAX__ = @as(c_ulong, 4294967295);
pub const __SIZE_WIDTH__ = @as(c_int, 32);
pub const __UINTMAX_MAX__ = @as(c_ulonglong, 18446744073709551615);
pub const __UINTMAX_WIDTH__ = @as(c_int, 64);
pub const __PTRDIFF_MAX__ = @as(c_long, 2147483647);
pub const __PTRDIFF_WIDTH__ = @as(c_int, 32);
pub const __INTPTR_MAX__ = @as(c_long, 2147483647);
pub const __INTPTR_WIDTH__ = @as(c_int, 32);
pub const __UINTPTR_MAX__ = @as(c_ulong, 4294967295);
pub const __UINTPTR_WIDTH__ = @as(c_int, 32);
pub const __SIG_ATOMIC_MAX__ = @as(c_long, 2147483647);
pub const __SIG_ATOMIC_WIDTH__ = @as(c_int, 32);
pub const __BITINT_MAXWIDTH__ = __helpers.promoteIntLiteral(c_int, 65535, .decimal);
pub const __SIZEOF_FLOAT__ = @as(c_int, 4);
pub const __SIZEOF_DOUBLE__ = @as(c_int, 8);
pub const __SIZEOF_LONG_DOUBLE__ = @as(c_int, 16);
pub const __SIZEOF_SHORT__ = @as(c_int, 2);
pub const __SIZEOF_INT__ = @as(c_int, 4);
pub const __SIZEOF_LONG__ = @as(c_int, 4);
pub const __SIZEOF_LONG_LONG__ = @as(c_int, 8);
pub const __SIZEOF_POINTER__ = @as(c_int, 4);
pub const __SIZEOF_PTRDIFF_T__ = @as(c_int, 4);
pub const __SIZEOF_SIZE_T__ = @as(c_int, 4);
pub const __SIZEOF_WCHAR_T__ = @as(c_int, 4);
pub const __SIZEOF_WINT_T__ = @as(c_int, 4);
pub const __SIZEOF_INT128__ = @as(c_int, 16);
pub const __INTPTR_TYPE__ = c_long;
pub const __UINTPTR_TYPE__ = c_ulong;
pub const __INTMAX_TYPE__ = c_longlong;
pub const __INTMAX_C_SUFFIX__ = @compileError("unable to translate macro: undefined identifier `L`");
// <builtin>:123:9
pub const __INTMAX_C = __helpers.L_SUFFIX;
pub const __UINTMAX_TYPE__ = c_ulonglong;
pub const __UINTMAX_C_SUFFIX__ = @compileError("unable to translate macro: undefined identifier `UL`");
// <builtin>:126:9
pub const __UINTMAX_C = __helpers.UL_SUFFIX;
pub const __PTRDIFF_TYPE__ = c_long;
pub const __SIZE_TYPE__ = c_ulong;
pub const __WCHAR_TYPE__ = c_int;
pub const __WINT_TYPE__ = c_int;
pub const __CHAR16_TYPE__ = c_ushort;
pub const __CHAR32_TYPE__ = c_uint;
pub const __INT8_TYPE__ = i8;
pub const __INT8_FMTd__ = "hhd";
pub const __INT8_FMTi__ = "hhi";
pub const __INT8_C_SUFFIX__ = "";
pub inline fn __INT8_C(c: anytype) @TypeOf(c) {
    _ = &c;
    return c;
}
pub const __INT16_TYPE__ = c_short;
pub const __INT16_FMTd__ = "hd";
pub const __INT16_FMTi__ = "hi";
pub const __INT16_C_SUFFIX__ = "";
pub inline fn __INT16_C(c: anytype) @TypeOf(c) {
    _ = &c;
    return c;
}
pub const __INT32_TYPE__ = c_int;
pub const __INT32_FMTd__ = "d";
pub const __INT32_FMTi__ = "i";
pub const __INT32_C_SUFFIX__ = "";
pub inline fn __INT32_C(c: anytype) @TypeOf(c) {
    _ = &c;
    return c;
}
pub const __INT64_TYPE__ = c_longlong;
pub const __INT64_FMTd__ = "lld";
pub const __INT64_FMTi__ = "lli";
pub const __INT64_C_SUFFIX__ = @compileError("unable to translate macro: undefined identifier `LL`");
// <builtin>:152:9
pub const __INT64_C = __helpers.LL_SUFFIX;
pub const __UINT8_TYPE__ = u8;
pub const __UINT8_FMTo__ = "hho";
pub const __UINT8_FMTu__ = "hhu";
pub const __UINT8_FMTx__ = "hhx";
pub const __UINT8_FMTX__ = "hhX";
pub const __UINT8_C_SUFFIX__ = "";
pub inline fn __UINT8_C(c: anytype) @TypeOf(c) {
    _ = &c;
    return c;
}
pub const __UINT8_MAX__ = @as(c_int, 255);
pub const __INT8_MAX__ = @as(c_int, 127);
pub const __UINT16_TYPE__ = c_ushort;
pub const __UINT16_FMTo__ = "ho";
pub const __UINT16_FMTu__ = "hu";
pub const __UINT16_FMTx__ = "hx";
pub const __UINT16_FMTX__ = "hX";
pub const __UINT16_C_SUFFIX__ = "";
pub inline fn __UINT16_C(c: anytype) @TypeOf(c) {
    _ = &c;
    return c;
}
pub const __UINT16_MAX__ = __helpers.promoteIntLiteral(c_int, 65535, .decimal);
pub const __INT16_MAX__ = @as(c_int, 32767);
pub const __UINT32_TYPE__ = c_uint;
pub const __UINT32_FMTo__ = "o";
pub const __UINT32_FMTu__ = "u";
pub const __UINT32_FMTx__ = "x";
pub const __UINT32_FMTX__ = "X";
pub const __UINT32_C_SUFFIX__ = @compileError("unable to translate macro: undefined identifier `U`");
// <builtin>:177:9
pub const __UINT32_C = __helpers.U_SUFFIX;
pub const __UINT32_MAX__ = __helpers.promoteIntLiteral(c_uint, 4294967295, .decimal);
pub const __INT32_MAX__ = __helpers.promoteIntLiteral(c_int, 2147483647, .decimal);
pub const __UINT64_TYPE__ = c_ulonglong;
pub const __UINT64_FMTo__ = "llo";
pub const __UINT64_FMTu__ = "llu";
pub const __UINT64_FMTx__ = "llx";
pub const __UINT64_FMTX__ = "llX";
pub const __UINT64_C_SUFFIX__ = @compileError("unable to translate macro: undefined identifier `ULL`");
// <builtin>:186:9
pub const __UINT64_C = __helpers.ULL_SUFFIX;
pub const __UINT64_MAX__ = @as(c_ulonglong, 18446744073709551615);
pub const __INT64_MAX__ = @as(c_longlong, 9223372036854775807);
pub const __INT_LEAST8_TYPE__ = i8;
pub const __INT_LEAST8_MAX__ = @as(c_int, 127);
pub const __INT_LEAST8_WIDTH__ = @as(c_int, 8);
pub const INT_LEAST8_FMTd__ = "hhd";
pub const INT_LEAST8_FMTi__ = "hhi";
pub const __UINT_LEAST8_TYPE__ = u8;
pub const __UINT_LEAST8_MAX__ = @as(c_int, 255);
pub const UINT_LEAST8_FMTo__ = "hho";
pub const UINT_LEAST8_FMTu__ = "hhu";
pub const UINT_LEAST8_FMTx__ = "hhx";
pub const UINT_LEAST8_FMTX__ = "hhX";
pub const __INT_FAST8_TYPE__ = i8;
pub const __INT_FAST8_MAX__ = @as(c_int, 127);
pub const __INT_FAST8_WIDTH__ = @as(c_int, 8);
pub const INT_FAST8_FMTd__ = "hhd";
pub const INT_FAST8_FMTi__ = "hhi";
pub const __UINT_FAST8_TYPE__ = u8;
pub const __UINT_FAST8_MAX__ = @as(c_int, 255);
pub const UINT_FAST8_FMTo__ = "hho";
pub const UINT_FAST8_FMTu__ = "hhu";
pub const UINT_FAST8_FMTx__ = "hhx";
pub const UINT_FAST8_FMTX__ = "hhX";
pub const __INT_LEAST16_TYPE__ = c_short;
pub const __INT_LEAST16_MAX__ = @as(c_int, 32767);
pub const __INT_LEAST16_WIDTH__ = @as(c_int, 16);
pub const INT_LEAST16_FMTd__ = "hd";
pub const INT_LEAST16_FMTi__ = "hi";
pub const __UINT_LEAST16_TYPE__ = c_ushort;
pub const __UINT_LEAST16_MAX__ = __helpers.promoteIntLiteral(c_int, 65535, .decimal);
pub const UINT_LEAST16_FMTo__ = "ho";
pub const UINT_LEAST16_FMTu__ = "hu";
pub const UINT_LEAST16_FMTx__ = "hx";
pub const UINT_LEAST16_FMTX__ = "hX";
pub const __INT_FAST16_TYPE__ = c_short;
pub const __INT_FAST16_MAX__ = @as(c_int, 32767);
pub const __INT_FAST16_WIDTH__ = @as(c_int, 16);
pub const INT_FAST16_FMTd__ = "hd";
pub const INT_FAST16_FMTi__ = "hi";
pub const __UINT_FAST16_TYPE__ = c_ushort;
pub const __UINT_FAST16_MAX__ = __helpers.promoteIntLiteral(c_int, 65535, .decimal);
pub const UINT_FAST16_FMTo__ = "ho";
pub const UINT_FAST16_FMTu__ = "hu";
pub const UINT_FAST16_FMTx__ = "hx";
pub const UINT_FAST16_FMTX__ = "hX";
pub const __INT_LEAST32_TYPE__ = c_int;
pub const __INT_LEAST32_MAX__ = __helpers.promoteIntLiteral(c_int, 2147483647, .decimal);
pub const __INT_LEAST32_WIDTH__ = @as(c_int, 32);
pub const INT_LEAST32_FMTd__ = "d";
pub const INT_LEAST32_FMTi__ = "i";
pub const __UINT_LEAST32_TYPE__ = c_uint;
pub const __UINT_LEAST32_MAX__ = __helpers.promoteIntLiteral(c_uint, 4294967295, .decimal);
pub const UINT_LEAST32_FMTo__ = "o";
pub const UINT_LEAST32_FMTu__ = "u";
pub const UINT_LEAST32_FMTx__ = "x";
pub const UINT_LEAST32_FMTX__ = "X";
pub const __INT_FAST32_TYPE__ = c_int;
pub const __INT_FAST32_MAX__ = __helpers.promoteIntLiteral(c_int, 2147483647, .decimal);
pub const __INT_FAST32_WIDTH__ = @as(c_int, 32);
pub const INT_FAST32_FMTd__ = "d";
pub const INT_FAST32_FMTi__ = "i";
pub const __UINT_FAST32_TYPE__ = c_uint;
pub const __UINT_FAST32_MAX__ = __helpers.promoteIntLiteral(c_uint, 4294967295, .decimal);
pub const UINT_FAST32_FMTo__ = "o";
pub const UINT_FAST32_FMTu__ = "u";
pub const UINT_FAST32_FMTx__ = "x";
pub const UINT_FAST32_FMTX__ = "X";
pub const __INT_LEAST64_TYPE__ = c_longlong;
pub const __INT_LEAST64_MAX__ = @as(c_longlong, 9223372036854775807);
pub const __INT_LEAST64_WIDTH__ = @as(c_int, 64);
pub const INT_LEAST64_FMTd__ = "lld";
pub const INT_LEAST64_FMTi__ = "lli";
pub const __UINT_LEAST64_TYPE__ = c_ulonglong;
pub const __UINT_LEAST64_MAX__ = @as(c_ulonglong, 18446744073709551615);
pub const UINT_LEAST64_FMTo__ = "llo";
pub const UINT_LEAST64_FMTu__ = "llu";
pub const UINT_LEAST64_FMTx__ = "llx";
pub const UINT_LEAST64_FMTX__ = "llX";
pub const __INT_FAST64_TYPE__ = c_longlong;
pub const __INT_FAST64_MAX__ = @as(c_longlong, 9223372036854775807);
pub const __INT_FAST64_WIDTH__ = @as(c_int, 64);
pub const INT_FAST64_FMTd__ = "lld";
pub const INT_FAST64_FMTi__ = "lli";
pub const __UINT_FAST64_TYPE__ = c_ulonglong;
pub const __UINT_FAST64_MAX__ = @as(c_ulonglong, 18446744073709551615);
pub const UINT_FAST64_FMTo__ = "llo";
pub const UINT_FAST64_FMTu__ = "llu";
pub const UINT_FAST64_FMTx__ = "llx";
pub const UINT_FAST64_FMTX__ = "llX";
pub const __FLT_DENORM_MIN__ = @as(f32, 1.40129846e-45);
pub const __FLT_HAS_DENORM__ = "";
pub const __FLT_DIG__ = @as(c_int, 6);
pub const __FLT_DECIMAL_DIG__ = @as(c_int, 9);
pub const __FLT_EPSILON__ = @as(f32, 1.19209290e-7);
pub const __FLT_HAS_INFINITY__ = "";
pub const __FLT_HAS_QUIET_NAN__ = "";
pub const __FLT_MANT_DIG__ = @as(c_int, 24);
pub const __FLT_MAX_10_EXP__ = @as(c_int, 38);
pub const __FLT_MAX_EXP__ = @as(c_int, 128);
pub const __FLT_MAX__ = @as(f32, 3.40282347e+38);
pub const __FLT_MIN_10_EXP__ = -@as(c_int, 37);
pub const __FLT_MIN_EXP__ = -@as(c_int, 125);
pub const __FLT_MIN__ = @as(f32, 1.17549435e-38);
pub const __DBL_DENORM_MIN__ = @as(f64, 4.9406564584124654e-324);
pub const __DBL_HAS_DENORM__ = "";
pub const __DBL_DIG__ = @as(c_int, 15);
pub const __DBL_DECIMAL_DIG__ = @as(c_int, 17);
pub const __DBL_EPSILON__ = @as(f64, 2.2204460492503131e-16);
pub const __DBL_HAS_INFINITY__ = "";
pub const __DBL_HAS_QUIET_NAN__ = "";
pub const __DBL_MANT_DIG__ = @as(c_int, 53);
pub const __DBL_MAX_10_EXP__ = @as(c_int, 308);
pub const __DBL_MAX_EXP__ = @as(c_int, 1024);
pub const __DBL_MAX__ = @as(f64, 1.7976931348623157e+308);
pub const __DBL_MIN_10_EXP__ = -@as(c_int, 307);
pub const __DBL_MIN_EXP__ = -@as(c_int, 1021);
pub const __DBL_MIN__ = @as(f64, 2.2250738585072014e-308);
pub const __LDBL_DENORM_MIN__ = @as(c_longdouble, 6.47517511943802511092443895822764655e-4966);
pub const __LDBL_HAS_DENORM__ = "";
pub const __LDBL_DIG__ = @as(c_int, 33);
pub const __LDBL_DECIMAL_DIG__ = @as(c_int, 36);
pub const __LDBL_EPSILON__ = @as(c_longdouble, 1.92592994438723585305597794258492732e-34);
pub const __LDBL_HAS_INFINITY__ = "";
pub const __LDBL_HAS_QUIET_NAN__ = "";
pub const __LDBL_MANT_DIG__ = @as(c_int, 113);
pub const __LDBL_MAX_10_EXP__ = @as(c_int, 4932);
pub const __LDBL_MAX_EXP__ = @as(c_int, 16384);
pub const __LDBL_MAX__ = @as(c_longdouble, 1.18973149535723176508575932662800702e+4932);
pub const __LDBL_MIN_10_EXP__ = -@as(c_int, 4931);
pub const __LDBL_MIN_EXP__ = -@as(c_int, 16381);
pub const __LDBL_MIN__ = @as(c_longdouble, 3.36210314311209350626267781732175260e-4932);
pub const __FLT_EVAL_METHOD__ = @as(c_int, 0);
pub const __FLT_RADIX__ = @as(c_int, 2);
pub const __DECIMAL_DIG__ = __LDBL_DECIMAL_DIG__;
pub const __BINDINGS_IPAM_PLUGIN_H = "";
pub const __CLANG_STDINT_H = "";
pub const _STDINT_H = "";
pub const __NEED_int8_t = "";
pub const __NEED_int16_t = "";
pub const __NEED_int32_t = "";
pub const __NEED_int64_t = "";
pub const __NEED_uint8_t = "";
pub const __NEED_uint16_t = "";
pub const __NEED_uint32_t = "";
pub const __NEED_uint64_t = "";
pub const __NEED_intptr_t = "";
pub const __NEED_uintptr_t = "";
pub const __NEED_intmax_t = "";
pub const __NEED_uintmax_t = "";
pub const __BYTE_ORDER = __BYTE_ORDER__;
pub const __LONG_MAX = __LONG_MAX__;
pub const __LITTLE_ENDIAN = @as(c_int, 1234);
pub const __BIG_ENDIAN = @as(c_int, 4321);
pub const __USE_TIME_BITS64 = @as(c_int, 1);
pub const __DEFINED_uintptr_t = "";
pub const __DEFINED_intptr_t = "";
pub const __DEFINED_int8_t = "";
pub const __DEFINED_int16_t = "";
pub const __DEFINED_int32_t = "";
pub const __DEFINED_int64_t = "";
pub const __DEFINED_intmax_t = "";
pub const __DEFINED_uint8_t = "";
pub const __DEFINED_uint16_t = "";
pub const __DEFINED_uint32_t = "";
pub const __DEFINED_uint64_t = "";
pub const __DEFINED_uintmax_t = "";
pub const __wasilibc___struct_timeval_h = "";
pub const __wasilibc___typedef_time_t_h = "";
pub const __wasilibc___typedef_suseconds_t_h = "";
pub const __wasilibc___struct_timespec_h = "";
pub const __wasilibc___struct_iovec_h = "";
pub const __need_size_t = "";
pub const __STDC_VERSION_STDDEF_H__ = @as(c_long, 202311);
pub const NULL = __helpers.cast(?*anyopaque, @as(c_int, 0));
pub const offsetof = @compileError("unable to translate macro: undefined identifier `__builtin_offsetof`");
pub const INT8_MIN = -@as(c_int, 1) - @as(c_int, 0x7f);
pub const INT16_MIN = -@as(c_int, 1) - @as(c_int, 0x7fff);
pub const INT32_MIN = -@as(c_int, 1) - __helpers.promoteIntLiteral(c_int, 0x7fffffff, .hex);
pub const INT64_MIN = -@as(c_int, 1) - __helpers.promoteIntLiteral(c_int, 0x7fffffffffffffff, .hex);
pub const INT8_MAX = @as(c_int, 0x7f);
pub const INT16_MAX = @as(c_int, 0x7fff);
pub const INT32_MAX = __helpers.promoteIntLiteral(c_int, 0x7fffffff, .hex);
pub const INT64_MAX = __helpers.promoteIntLiteral(c_int, 0x7fffffffffffffff, .hex);
pub const UINT8_MAX = @as(c_int, 0xff);
pub const UINT16_MAX = __helpers.promoteIntLiteral(c_int, 0xffff, .hex);
pub const UINT32_MAX = __helpers.promoteIntLiteral(c_uint, 0xffffffff, .hex);
pub const UINT64_MAX = __helpers.promoteIntLiteral(c_uint, 0xffffffffffffffff, .hex);
pub const INT_FAST8_MIN = INT8_MIN;
pub const INT_FAST64_MIN = INT64_MIN;
pub const INT_LEAST8_MIN = INT8_MIN;
pub const INT_LEAST16_MIN = INT16_MIN;
pub const INT_LEAST32_MIN = INT32_MIN;
pub const INT_LEAST64_MIN = INT64_MIN;
pub const INT_FAST8_MAX = INT8_MAX;
pub const INT_FAST64_MAX = INT64_MAX;
pub const INT_LEAST8_MAX = INT8_MAX;
pub const INT_LEAST16_MAX = INT16_MAX;
pub const INT_LEAST32_MAX = INT32_MAX;
pub const INT_LEAST64_MAX = INT64_MAX;
pub const UINT_FAST8_MAX = UINT8_MAX;
pub const UINT_FAST64_MAX = UINT64_MAX;
pub const UINT_LEAST8_MAX = UINT8_MAX;
pub const UINT_LEAST16_MAX = UINT16_MAX;
pub const UINT_LEAST32_MAX = UINT32_MAX;
pub const UINT_LEAST64_MAX = UINT64_MAX;
pub const INTMAX_MIN = INT64_MIN;
pub const INTMAX_MAX = INT64_MAX;
pub const UINTMAX_MAX = UINT64_MAX;
pub const WINT_MIN = @as(c_uint, 0);
pub const WINT_MAX = UINT32_MAX;
pub const WCHAR_MAX = __helpers.promoteIntLiteral(c_int, 0x7fffffff, .hex) + '\x00';
pub const WCHAR_MIN = (-@as(c_int, 1) - __helpers.promoteIntLiteral(c_int, 0x7fffffff, .hex)) + '\x00';
pub const SIG_ATOMIC_MIN = INT32_MIN;
pub const SIG_ATOMIC_MAX = INT32_MAX;
pub const INT_FAST16_MIN = INT16_MIN;
pub const INT_FAST32_MIN = INT32_MIN;
pub const INT_FAST16_MAX = INT16_MAX;
pub const INT_FAST32_MAX = INT32_MAX;
pub const UINT_FAST16_MAX = UINT16_MAX;
pub const UINT_FAST32_MAX = UINT32_MAX;
pub const INTPTR_MIN = INT32_MIN;
pub const INTPTR_MAX = INT32_MAX;
pub const UINTPTR_MAX = UINT32_MAX;
pub const PTRDIFF_MIN = INT32_MIN;
pub const PTRDIFF_MAX = INT32_MAX;
pub const SIZE_MAX = UINT32_MAX;
pub inline fn INT8_C(c: anytype) @TypeOf(c) {
    _ = &c;
    return c;
}
pub inline fn INT16_C(c: anytype) @TypeOf(c) {
    _ = &c;
    return c;
}
pub inline fn INT32_C(c: anytype) @TypeOf(c) {
    _ = &c;
    return c;
}
pub inline fn UINT8_C(c: anytype) @TypeOf(c) {
    _ = &c;
    return c;
}
pub inline fn UINT16_C(c: anytype) @TypeOf(c) {
    _ = &c;
    return c;
}
pub const UINT32_C = __helpers.U_SUFFIX;
pub const INT64_C = __helpers.LL_SUFFIX;
pub const UINT64_C = __helpers.ULL_SUFFIX;
pub const INTMAX_C = __helpers.LL_SUFFIX;
pub const UINTMAX_C = __helpers.ULL_SUFFIX;
pub const @"bool" = bool;
pub const @"true" = @as(c_int, 1);
pub const @"false" = @as(c_int, 0);
pub const __bool_true_false_are_defined = @as(c_int, 1);
pub const WHARFINGER_PLUGIN_TYPES_REASON_INVALID_CONFIG = @as(c_int, 0);
pub const WHARFINGER_PLUGIN_TYPES_REASON_EXHAUSTED = @as(c_int, 1);
pub const WHARFINGER_PLUGIN_TYPES_REASON_CONFLICT = @as(c_int, 2);
pub const WHARFINGER_PLUGIN_TYPES_REASON_TRY_AGAIN = @as(c_int, 3);
pub const WHARFINGER_PLUGIN_TYPES_REASON_OTHER = @as(c_int, 4);
pub const WHARFINGER_PLUGIN_LEDGER_REFUSAL_HELD = @as(c_int, 0);
pub const WHARFINGER_PLUGIN_LEDGER_REFUSAL_RESERVED = @as(c_int, 1);
pub const WHARFINGER_PLUGIN_STORE_LIFETIME_ATTACHMENT = @as(c_int, 0);
pub const WHARFINGER_PLUGIN_STORE_LIFETIME_PERMANENT = @as(c_int, 1);
pub const WHARFINGER_PLUGIN_LOGGER_LEVEL_TRACE = @as(c_int, 0);
pub const WHARFINGER_PLUGIN_LOGGER_LEVEL_DEBUG = @as(c_int, 1);
pub const WHARFINGER_PLUGIN_LOGGER_LEVEL_INFO = @as(c_int, 2);
pub const WHARFINGER_PLUGIN_LOGGER_LEVEL_WARN = @as(c_int, 3);
pub const WHARFINGER_PLUGIN_LOGGER_LEVEL_ERROR = @as(c_int, 4);
pub const timeval = struct_timeval;
pub const timespec = struct_timespec;
pub const iovec = struct_iovec;
