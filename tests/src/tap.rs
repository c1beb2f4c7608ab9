//! Devices whose other end is this process (Documentation/networking/tuntap.rst).

use std::{
    fs::{File, OpenOptions},
    io::{Error, Result},
    os::fd::AsRawFd,
};

/// Makes one in the calling thread's namespace; it lives as long as the file, and nobody says how it is before each
/// frame. `flags` are those of TUNSETIFF.
///
/// # Errors
/// When the kernel has no such devices, or not with these flags.
pub fn open(name: &str, flags: libc::c_int) -> Result<File> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (flags | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the request outlives the call.
    let made = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if made == 0 { Ok(file) } else { Err(Error::last_os_error()) }
}
