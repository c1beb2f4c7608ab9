//! An initramfs in cpio's "newc" form, the one the kernel unpacks into its root at boot.
//!
//! Comes in: directories and files. Goes out: the archive's bytes. The form is described in the
//! kernel's Documentation/driver-api/early-userspace/buffer-format.rst.

/// An archive being written.
#[derive(Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

const DIRECTORY: u32 = 0o040_755;
const EXECUTABLE: u32 = 0o100_755;

impl Archive {
    /// Adds an empty directory; its parents must have been added before.
    pub(crate) fn directory(&mut self, path: &str) {
        self.entry(path, DIRECTORY, &[]);
    }

    /// Adds a file that may be executed.
    pub(crate) fn file(&mut self, path: &str, contents: &[u8]) {
        self.entry(path, EXECUTABLE, contents);
    }

    /// The finished archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, contents: &[u8]) {
        let size = u32::try_from(contents.len()).expect("no file of the guest reaches 4 GiB");
        let name_size = path.len() as u32 + 1;
        self.entries += 1;
        // inode, mode, uid, gid, links, mtime, size, device (2), special device (2), name, check
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend(contents);
        self.align();
    }

    /// Headers and contents begin at multiples of four.
    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_names_and_contents_stand_where_the_kernel_looks() {
        let mut archive = Archive::default();
        archive.directory("etc");
        archive.file("etc/motd", b"hello");
        archive.file("odd", b"x");
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        // The first header, field by field, as the kernel's document lays it out.
        assert_eq!(&bytes[..6], b"070701");
        assert_eq!(&bytes[6 + 8..6 + 16], b"000041ed", "mode of a directory");
        assert_eq!(&bytes[6 + 11 * 8..6 + 12 * 8], b"00000004", "`etc` and its NUL");
        assert_eq!(&bytes[110..114], b"etc\0");
        let at = |text: &[u8]| bytes.windows(text.len()).position(|window| window == text);
        let motd = at(b"hello").expect("contents are stored as they are");
        assert_eq!(motd % 4, 0);
        assert!(at(b"TRAILER!!!\0") > Some(motd));
    }
}
