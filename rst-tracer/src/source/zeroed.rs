//! Memory that is zero and there only once it is touched, as the kernel gives it.
//!
//! In: how many values. Out: a slice that begins at a page, and so every value of whole cache lines with one of them.
//! An allocator would write zeros itself to give as much as that.

use std::{
    io,
    ops::{Deref, DerefMut},
    ptr::NonNull,
    slice,
};

use zerocopy::FromZeros;

/// A slice of values that were all zeros in the beginning.
pub(super) struct Zeroed<T> {
    first: NonNull<T>,
    count: usize,
}

// SAFETY: it owns its values, as a box does.
unsafe impl<T: Send> Send for Zeroed<T> {}

impl<T: FromZeros> Zeroed<T> {
    /// So many of them.
    ///
    /// # Errors
    /// When there is not that much memory.
    pub(super) fn new(count: usize) -> io::Result<Self> {
        const { assert!(size_of::<T>() > 0 && align_of::<T>() <= 4096 && !std::mem::needs_drop::<T>()) };
        let bytes = count.checked_mul(size_of::<T>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, of which nobody else knows.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let first = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { first, count })
    }

    /// Asks the kernel for large pages: a processor finds its way to few of them sooner. More is there than is touched
    /// then, and where there are none everything stays as it was.
    pub(super) fn in_large_pages(self) -> Self {
        let bytes = self.count * size_of::<T>();
        // SAFETY: advice about the mapping as it was made; what it holds does not change.
        unsafe { libc::madvise(self.first.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
        self
    }
}

impl<T> Deref for Zeroed<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the mapping has room for so many, each of them zeros, which is a value, or written since.
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

impl<T> DerefMut for Zeroed<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and they are borrowed through us alone.
        unsafe { slice::from_raw_parts_mut(self.first.as_ptr(), self.count) }
    }
}

impl<T> Drop for Zeroed<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping as it was made; nothing borrows from it any more.
        unsafe { libc::munmap(self.first.as_ptr().cast(), self.count * size_of::<T>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_zero_and_keeps_what_is_written() {
        let mut words = Zeroed::<u64>::new(100_000).expect("memory");
        assert!(words.iter().all(|word| *word == 0) && words.len() == 100_000);
        words[99_999] = 7;
        assert_eq!((words[99_998], words[99_999]), (0, 7));
        assert_eq!(words.as_ptr().addr() % 4096, 0);
    }

    #[test]
    fn more_than_there_is_is_an_error() {
        assert!(Zeroed::<u64>::new(usize::MAX / 4).is_err());
        assert!(Zeroed::<u64>::new(1 << 44).is_err());
    }
}
