;; What a module that was built for WASI preview 1 gets in its place: it becomes a component that
;; imports the contract and nothing else.
;;
;; What it writes to standard output and error are lines of the operator's log: a runtime's fatal
;; message is not lost. The calendar is the host's; clocks advance a little with each look, and at
;; once by a sleep's whole length. Randomness is a fixed sequence: enough for the seeds of hash tables,
;; and for no secret. There are no files, no arguments, no environment, no sockets.
;;
;; An adapter has no memory of its own, only the module's, and may not grow that (Go's runtime believes
;; that it alone does). So a line waits in globals, and changes places with a part of the module's
;; memory for the time that it is added to or logged. State is in no i32: those are the encoder's.
(module
  (import "env" "memory" (memory 0))
  (import "wharfinger:plugin/logger@0.2.0" "log" (func $log (param $level i32) (param $text i32) (param $size i32)))
  (import "wharfinger:plugin/node@0.2.0" "now" (func $now (result i64)))

  ;; The line that waits: at most 256 bytes, how many, and of which descriptor.
  (global $line0 (mut v128) (v128.const i64x2 0 0))
  (global $line1 (mut v128) (v128.const i64x2 0 0))
  (global $line2 (mut v128) (v128.const i64x2 0 0))
  (global $line3 (mut v128) (v128.const i64x2 0 0))
  (global $line4 (mut v128) (v128.const i64x2 0 0))
  (global $line5 (mut v128) (v128.const i64x2 0 0))
  (global $line6 (mut v128) (v128.const i64x2 0 0))
  (global $line7 (mut v128) (v128.const i64x2 0 0))
  (global $line8 (mut v128) (v128.const i64x2 0 0))
  (global $line9 (mut v128) (v128.const i64x2 0 0))
  (global $line10 (mut v128) (v128.const i64x2 0 0))
  (global $line11 (mut v128) (v128.const i64x2 0 0))
  (global $line12 (mut v128) (v128.const i64x2 0 0))
  (global $line13 (mut v128) (v128.const i64x2 0 0))
  (global $line14 (mut v128) (v128.const i64x2 0 0))
  (global $line15 (mut v128) (v128.const i64x2 0 0))
  (global $waiting (mut i64) (i64.const 0))
  (global $whose (mut i64) (i64.const 2))

  ;; Nanoseconds since the start; and the last random number.
  (global $clock (mut i64) (i64.const 0))
  (global $seed (mut i64) (i64.const 0x2545f4914f6cdd1d))

  ;; Changes places: the waiting line, and 256 bytes of memory.
  (func $exchange (param $at i32)
    (local $was v128)
    (local.set $was (v128.load (local.get $at)))
    (v128.store (local.get $at) (global.get $line0))
    (global.set $line0 (local.get $was))
    (local.set $was (v128.load offset=16 (local.get $at)))
    (v128.store offset=16 (local.get $at) (global.get $line1))
    (global.set $line1 (local.get $was))
    (local.set $was (v128.load offset=32 (local.get $at)))
    (v128.store offset=32 (local.get $at) (global.get $line2))
    (global.set $line2 (local.get $was))
    (local.set $was (v128.load offset=48 (local.get $at)))
    (v128.store offset=48 (local.get $at) (global.get $line3))
    (global.set $line3 (local.get $was))
    (local.set $was (v128.load offset=64 (local.get $at)))
    (v128.store offset=64 (local.get $at) (global.get $line4))
    (global.set $line4 (local.get $was))
    (local.set $was (v128.load offset=80 (local.get $at)))
    (v128.store offset=80 (local.get $at) (global.get $line5))
    (global.set $line5 (local.get $was))
    (local.set $was (v128.load offset=96 (local.get $at)))
    (v128.store offset=96 (local.get $at) (global.get $line6))
    (global.set $line6 (local.get $was))
    (local.set $was (v128.load offset=112 (local.get $at)))
    (v128.store offset=112 (local.get $at) (global.get $line7))
    (global.set $line7 (local.get $was))
    (local.set $was (v128.load offset=128 (local.get $at)))
    (v128.store offset=128 (local.get $at) (global.get $line8))
    (global.set $line8 (local.get $was))
    (local.set $was (v128.load offset=144 (local.get $at)))
    (v128.store offset=144 (local.get $at) (global.get $line9))
    (global.set $line9 (local.get $was))
    (local.set $was (v128.load offset=160 (local.get $at)))
    (v128.store offset=160 (local.get $at) (global.get $line10))
    (global.set $line10 (local.get $was))
    (local.set $was (v128.load offset=176 (local.get $at)))
    (v128.store offset=176 (local.get $at) (global.get $line11))
    (global.set $line11 (local.get $was))
    (local.set $was (v128.load offset=192 (local.get $at)))
    (v128.store offset=192 (local.get $at) (global.get $line12))
    (global.set $line12 (local.get $was))
    (local.set $was (v128.load offset=208 (local.get $at)))
    (v128.store offset=208 (local.get $at) (global.get $line13))
    (global.set $line13 (local.get $was))
    (local.set $was (v128.load offset=224 (local.get $at)))
    (v128.store offset=224 (local.get $at) (global.get $line14))
    (global.set $line14 (local.get $was))
    (local.set $was (v128.load offset=240 (local.get $at)))
    (v128.store offset=240 (local.get $at) (global.get $line15))
    (global.set $line15 (local.get $was)))

  ;; A place in memory for the line, apart from what is there.
  (func $place (param $apart i32) (result i32)
    (select (i32.const 4096) (i32.const 0) (i32.lt_u (local.get $apart) (i32.const 1024))))

  ;; Logs the waiting line: what is written to standard error as an error.
  (func $flush
    (local $at i32)
    (if (i64.eqz (global.get $waiting)) (then (return)))
    (call $exchange (local.get $at))
    (call $log
      (select (i32.const 4) (i32.const 2) (i64.eq (global.get $whose) (i64.const 2)))
      (local.get $at)
      (i32.wrap_i64 (global.get $waiting)))
    (call $exchange (local.get $at))
    (global.set $waiting (i64.const 0)))

  ;; Adds one byte to the line; its end, or that of the room for it, logs it. What is logged must be
  ;; UTF-8, and what is written may be anything: beyond ASCII stands a question mark.
  (func $byte (param $from i32)
    (local $byte i32)
    (local $at i32)
    (local.set $byte (i32.load8_u (local.get $from)))
    (if (i32.eq (local.get $byte) (i32.const 10)) (then (call $flush) (return)))
    (if (i64.eq (global.get $waiting) (i64.const 256)) (then (call $flush)))
    (local.set $at (call $place (local.get $from)))
    (call $exchange (local.get $at))
    (i32.store8
      (i32.add (local.get $at) (i32.wrap_i64 (global.get $waiting)))
      (select (i32.const 63) (local.get $byte) (i32.gt_u (local.get $byte) (i32.const 127))))
    (call $exchange (local.get $at))
    (global.set $waiting (i64.add (global.get $waiting) (i64.const 1))))

  (func (export "fd_write") (param $fd i32) (param $parts i32) (param $count i32) (param $written i32) (result i32)
    (local $from i32)
    (local $left i32)
    (local $sum i32)
    (if (i32.gt_u (i32.sub (local.get $fd) (i32.const 1)) (i32.const 1)) (then (return (i32.const 8))))
    (if (i64.ne (global.get $whose) (i64.extend_i32_u (local.get $fd))) (then (call $flush)))
    (global.set $whose (i64.extend_i32_u (local.get $fd)))
    (block $done
      (loop $part
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $from (i32.load (local.get $parts)))
        (local.set $left (i32.load offset=4 (local.get $parts)))
        (local.set $sum (i32.add (local.get $sum) (local.get $left)))
        (block $next
          (loop $more
            (br_if $next (i32.eqz (local.get $left)))
            (call $byte (local.get $from))
            (local.set $from (i32.add (local.get $from) (i32.const 1)))
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br $more)))
        (local.set $parts (i32.add (local.get $parts) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $part)))
    (i32.store (local.get $written) (local.get $sum))
    (i32.const 0))

  (func (export "proc_exit") (param i32) (call $flush) unreachable)

  ;; Of adapters alone: wit-bindgen's Go says when it allocates for the host, where nothing of the host
  ;; may be called; its collector, which may end there, looks at the calendar. It gets the last one.
  (global $calendar (mut i64) (i64.const 0))
  (global $allocates (mut i64) (i64.const 0))
  (func (export "adapter_monotonic_clock_set_paused") (param $allocates i32)
    (global.set $allocates (i64.extend_i32_u (local.get $allocates))))

  ;; A look at a clock takes a microsecond. Clock 0 is the calendar.
  (func (export "clock_time_get") (param $id i32) (param $precision i64) (param $out i32) (result i32)
    (local $time i64)
    (global.set $clock (i64.add (global.get $clock) (i64.const 1000)))
    (local.set $time (global.get $clock))
    (if (i32.eqz (local.get $id))
      (then
        (if (i64.eqz (global.get $allocates))
          (then (global.set $calendar (i64.mul (call $now) (i64.const 1000000000)))))
        (local.set $time (i64.add (local.get $time) (global.get $calendar)))))
    (i64.store (local.get $out) (local.get $time))
    (i32.const 0))
  (func (export "clock_res_get") (param i32 i32) (result i32)
    (i64.store (local.get 1) (i64.const 1000))
    (i32.const 0))

  ;; A sleep ends at once, and its time has passed. Nothing else can be waited for.
  (func (export "poll_oneoff") (param $in i32) (param $out i32) (param $count i32) (param $events i32) (result i32)
    (if (i32.or (i32.eqz (local.get $count)) (i32.load8_u offset=8 (local.get $in)))
      (then (return (i32.const 58))))
    (if (i32.eqz (i32.and (i32.load16_u offset=40 (local.get $in)) (i32.const 1)))
      (then
        (global.set $clock (i64.add (global.get $clock) (i64.load offset=24 (local.get $in))))))
    (i64.store (local.get $out) (i64.load (local.get $in)))
    (i64.store offset=8 (local.get $out) (i64.const 0))
    (i64.store offset=16 (local.get $out) (i64.const 0))
    (i64.store offset=24 (local.get $out) (i64.const 0))
    (i32.store (local.get $events) (i32.const 1))
    (i32.const 0))
  (func (export "sched_yield") (result i32) (i32.const 0))

  ;; Marsaglia's xorshift, a byte of each number.
  (func (export "random_get") (param $to i32) (param $left i32) (result i32)
    (local $x i64)
    (local.set $x (global.get $seed))
    (block $done
      (loop $more
        (br_if $done (i32.eqz (local.get $left)))
        (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
        (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
        (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 17))))
        (i64.store8 (local.get $to) (i64.shr_u (local.get $x) (i64.const 32)))
        (local.set $to (i32.add (local.get $to) (i32.const 1)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $more)))
    (global.set $seed (local.get $x))
    (i32.const 0))

  ;; No arguments and no environment.
  (func $none (param i32 i32) (result i32)
    (i32.store (local.get 0) (i32.const 0))
    (i32.store (local.get 1) (i32.const 0))
    (i32.const 0))
  (export "args_sizes_get" (func $none))
  (export "environ_sizes_get" (func $none))
  (func $empty (param i32 i32) (result i32) (i32.const 0))
  (export "args_get" (func $empty))
  (export "environ_get" (func $empty))

  ;; The three standard descriptors are terminals, as far as anybody asks; they cannot be sought in.
  (func (export "fd_fdstat_get") (param $fd i32) (param $out i32) (result i32)
    (if (i32.gt_u (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
    (i64.store (local.get $out) (i64.const 2))
    (i64.store offset=8 (local.get $out) (i64.const 0x40))
    (i64.store offset=16 (local.get $out) (i64.const 0))
    (i32.const 0))
  ;; Standard input is at its end.
  (func (export "fd_read") (param $fd i32) (param i32 i32) (param $read i32) (result i32)
    (if (local.get $fd) (then (return (i32.const 8))))
    (i32.store (local.get $read) (i32.const 0))
    (i32.const 0))

  ;; All else: 8 is "bad file descriptor", 44 "no such file".
  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_close") (param i32) (result i32) (i32.const 8))
  (func (export "fd_datasync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_renumber") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_sync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_tell") (param i32 i32) (result i32) (i32.const 8))
  (func (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 8))
  (func (export "proc_raise") (param i32) (result i32) (i32.const 8))
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 44))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 44))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (i32.const 44)))
