//! The heap of an executable that lives for milliseconds, of Rust and of C: one allocator for both, as musl's
//! gives pages back that SQLite asks for again at once. Of an ADD's system calls a fifth were that.
//!
//! It is no work on the network; it is here since here is where `unsafe` is read. Rust has it where [`Heap`] is made
//! the global allocator; C in every static executable with this crate. Where libc is another than musl, C keeps its own.

/// Rust's allocator.
pub use dlmalloc::GlobalDlmalloc as Heap;

/// C's functions (malloc(3), aligned_alloc(3)), instead of musl's: all of those that would read what musl's allocator
/// wrote. In C nobody says the size of what is freed, so it stands before it.
#[cfg(target_env = "musl")]
pub mod c {
    use std::alloc::{GlobalAlloc as _, Layout};
    use std::ffi::c_int;
    use std::ptr;

    use dlmalloc::GlobalDlmalloc;

    /// What C may put into what it was given without a word on alignment: `max_align_t`.
    const ALIGN: usize = 16;

    /// Right before what was given.
    #[derive(Clone, Copy)]
    #[repr(C, align(16))]
    struct Head {
        size: usize,
        align: usize,
    }

    impl Head {
        /// All that is allocated for it: what is given begins `align` behind its beginning. None where no memory is
        /// so large, or nothing is aligned so.
        fn layout(self) -> Option<Layout> {
            Layout::from_size_align(self.size.checked_add(self.align)?, self.align).ok()
        }

        /// The head of what [`give`] gave.
        ///
        /// # Safety
        /// `given` came from it, and was not given back.
        #[expect(clippy::cast_ptr_alignment, reason = "it is aligned as a head is, at least")]
        unsafe fn of(given: *mut u8) -> (Self, *mut u8, Layout) {
            // SAFETY: `give` wrote it there.
            let head = unsafe { given.cast::<Self>().sub(1).read() };
            let layout = Layout::from_size_align(head.size + head.align, head.align);
            // SAFETY: it was one when it was allocated; what was given lies `align` behind the beginning.
            unsafe { (head, given.sub(head.align), layout.unwrap_unchecked()) }
        }
    }

    /// Writes the head into what was allocated; null and ENOMEM where nothing was.
    ///
    /// # Safety
    /// `begin` is null, or has `align` bytes before the `size` that are asked for.
    #[expect(clippy::cast_ptr_alignment, reason = "it is aligned as a head is, at least")]
    unsafe fn give(begin: *mut u8, head: Head) -> *mut u8 {
        if begin.is_null() {
            return none(libc::ENOMEM);
        }
        // SAFETY: the caller's promise; `align` is a head's size at least.
        unsafe {
            let given = begin.add(head.align);
            given.cast::<Head>().sub(1).write(head);
            given
        }
    }

    /// What is asked for. The functions do not call each other: a compiler knows them by name, and what they do.
    fn allocate(size: usize, align: usize) -> *mut u8 {
        let head = Head { size, align: align.max(ALIGN) };
        let Some(layout) = head.layout() else {
            return none(if align.is_power_of_two() { libc::ENOMEM } else { libc::EINVAL });
        };
        // SAFETY: the size is not 0, since the alignment is not; there is room for the head.
        unsafe { give(GlobalDlmalloc.alloc(layout), head) }
    }

    fn none(why: c_int) -> *mut u8 {
        // SAFETY: the thread's own.
        unsafe { *libc::__errno_location() = why };
        ptr::null_mut()
    }

    /// malloc(3)
    #[unsafe(no_mangle)]
    pub extern "C" fn malloc(size: usize) -> *mut u8 {
        allocate(size, ALIGN)
    }

    /// aligned_alloc(3)
    #[unsafe(no_mangle)]
    pub extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut u8 {
        allocate(size, align)
    }

    /// calloc(3)
    #[unsafe(no_mangle)]
    pub extern "C" fn calloc(count: usize, each: usize) -> *mut u8 {
        let head = count.checked_mul(each).map(|size| Head { size, align: ALIGN });
        let Some((head, layout)) = head.and_then(|head| Some((head, head.layout()?))) else {
            return none(libc::ENOMEM);
        };
        // SAFETY: as in `allocate`.
        unsafe { give(GlobalDlmalloc.alloc_zeroed(layout), head) }
    }

    /// realloc(3)
    ///
    /// # Safety
    /// `given` is null, or came from one of these functions and was not given back.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn realloc(given: *mut u8, size: usize) -> *mut u8 {
        if given.is_null() {
            return allocate(size, ALIGN);
        }
        // SAFETY: the caller's promise.
        let (head, begin, layout) = unsafe { Head::of(given) };
        let new = Head { size, ..head };
        let Some(wanted) = new.layout() else { return none(libc::ENOMEM) };
        // SAFETY: it was allocated so; the new size is a possible one, and not 0.
        unsafe { give(GlobalDlmalloc.realloc(begin, layout, wanted.size()), new) }
    }

    /// free(3)
    ///
    /// # Safety
    /// As of [`realloc`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn free(given: *mut u8) {
        if !given.is_null() {
            // SAFETY: the caller's promise.
            unsafe {
                let (_, begin, layout) = Head::of(given);
                GlobalDlmalloc.dealloc(begin, layout);
            }
        }
    }

    /// malloc_usable_size(3)
    ///
    /// # Safety
    /// As of [`realloc`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn malloc_usable_size(given: *mut u8) -> usize {
        // SAFETY: the caller's promise.
        if given.is_null() { 0 } else { unsafe { Head::of(given).0.size } }
    }
}

#[cfg(all(test, target_env = "musl"))]
mod tests {
    use super::c;

    #[test]
    fn what_c_is_given_is_aligned_kept_and_given_back() {
        for (align, size) in [(16, 0), (16, 1), (16, 300_000), (64, 100), (4096, 5000)] {
            let given = c::aligned_alloc(align, size);
            assert_eq!(given.addr() % align, 0, "{align} {size}");
            // SAFETY: so much was given, and is not used after it was given back.
            unsafe {
                given.write_bytes(7, size);
                assert_eq!(c::malloc_usable_size(given), size);
                let more = c::realloc(given, size + 70_000);
                assert_eq!(more.addr() % align, 0, "{align} {size}");
                let kept = std::slice::from_raw_parts(more, size);
                assert!(kept.iter().all(|byte| *byte == 7));
                let less = c::realloc(more, 1);
                assert!(size == 0 || less.read() == 7);
                c::free(less);
            }
        }
    }

    #[test]
    fn what_is_to_be_empty_is_empty_and_what_is_too_much_is_refused() {
        // SAFETY: so much was given, and is not used after it was given back.
        unsafe {
            let used = c::malloc(1000);
            used.write_bytes(7, 1000);
            c::free(used);
            let given = c::calloc(10, 100);
            assert!(std::slice::from_raw_parts(given, 1000).iter().all(|byte| *byte == 0));
            // A compiler that knows the function takes for granted that it succeeds.
            let realloc: unsafe extern "C" fn(_, _) -> *mut u8 = std::hint::black_box(c::realloc);
            assert!(realloc(given, usize::MAX - 8).is_null(), "what is there stays");
            c::free(given);
            c::free(std::ptr::null_mut());
        }
        for (align, size) in [(16, usize::MAX), (16, usize::MAX / 2), (24, 1)] {
            let given = std::hint::black_box(c::aligned_alloc(align, size));
            assert!(given.is_null(), "{align} {size}");
        }
        assert!(std::hint::black_box(c::calloc(usize::MAX, 2)).is_null());
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::ENOMEM));
    }
}
