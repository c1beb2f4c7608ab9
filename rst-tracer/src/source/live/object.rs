//! The kernel object inside this binary, and what it means when the kernel refuses it.
//!
//! Everything that loads it does so from [`OBJECT`]; errors leave here as sentences with exit
//! codes.

use std::error::Error;

use aya::{
    EbpfError,
    maps::{MapData, MapError},
    programs::ProgramError,
    util::KernelVersion,
};
use aya_obj::{Map, generated::bpf_map_type::BPF_MAP_TYPE_RINGBUF};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};

use crate::{
    capabilities,
    exit::{Code, Failure},
};

/// The prebuilt object, aligned as the ELF reader wants it.
pub static OBJECT: &[u8] =
    aya::include_bytes_aligned!("../../../../rst-tracer-ebpf/prebuilt/rst-tracer.bpf.o");

/// What the kernel programs need.
const NEEDED: [&str; 3] = ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"];

/// The name of a ring buffer.
const RING: &str = "RING";
/// That of the one which the kernel wants to see before it makes the map of the others.
const RING_MODEL: &str = "RINGS.inner";

/// The same object, with XDP programs that ask for no frames of several buffers: a kernel that has none refuses those
/// that do. What they ask for stands in the name of their section, and nowhere else in the object does such a string.
pub fn without_frags(bytes: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"xdp.frags\0";
    const KEPT: usize = b"xdp".len();
    let places = bytes.windows(NAME.len()).enumerate().filter(|(_, window)| *window == NAME);
    let mut bytes = bytes.to_vec();
    places.for_each(|(at, _)| bytes[at + KEPT] = 0);
    bytes
}

/// Makes a ring buffer of so many bytes.
///
/// # Errors
/// A [`Failure`] that says what the kernel lacks.
pub fn make_ring(bytes: u32) -> Result<MapData, Failure> {
    let definition = Map::new_from_params(BPF_MAP_TYPE_RINGBUF as u32, 0, 0, bytes, 0);
    MapData::create(definition, RING, None)
        .map_err(|error| explain_load(&EbpfError::MapError(error)))
}

/// Lifts the limit on locked memory where BPF maps count against it: before Linux 5.11.
///
/// <https://github.com/torvalds/linux/commit/d5299b67dd59>
pub fn lift_memlock_limit() {
    if KernelVersion::current().is_ok_and(|v| v < KernelVersion::new(5, 11, 0))
        && let Err(error) = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY)
    {
        log::warn!("cannot lift the limit on locked memory ({error}): loading maps may fail");
    }
}

/// Turns a refusal to load maps or programs into a sentence with the remedy.
pub fn explain_load(error: &EbpfError) -> Failure {
    if let EbpfError::MapError(MapError::CreateError { name, .. }) = error {
        return explain_map(name, errno_of(error), error);
    }
    match errno_of(error) {
        _ if matches!(error, EbpfError::ParseError(_)) => {
            Failure::new(Code::FAILURE, format!("it is no BPF object of a tracer: {error}"))
        }
        Some(libc::EPERM) => not_permitted(),
        Some(libc::ENOSYS) => Failure::new(Code::UNAVAILABLE, "this kernel has no bpf() call"),
        _ => Failure::new(Code::UNAVAILABLE, format!("cannot load the kernel object: {error}")),
    }
}

fn explain_map(name: &str, errno: Option<i32>, error: &EbpfError) -> Failure {
    match errno {
        Some(libc::EPERM) => not_permitted(),
        Some(libc::ENOMEM) => Failure::new(
            Code::FAILURE,
            format!(
                "not enough memory for map {name}; ask for a smaller flow table or ring buffer"
            ),
        ),
        Some(libc::EINVAL) if name == RING || name == RING_MODEL => Failure::new(
            Code::UNAVAILABLE,
            "this kernel has no BPF ring buffer; tracing live needs Linux 5.8 or newer",
        ),
        _ => {
            let cause = error.source().map_or(String::new(), |source| format!(": {source}"));
            Failure::new(Code::UNAVAILABLE, format!("cannot create map {name}{cause}"))
        }
    }
}

/// Turns a refusal to load one program into a sentence; the verifier's complaint is in it.
pub fn explain_program(name: &str, error: &ProgramError) -> Failure {
    if let ProgramError::LoadError { io_error, verifier_log } = error {
        // EACCES is the verifier's word for a bad access, EPERM the kernel's for a bad user.
        // Without CAP_PERFMON it also lets no program compute with pointers, and says so in its own way.
        let denied = io_error.raw_os_error() == Some(libc::EACCES) && lacks_perfmon();
        if denied || io_error.raw_os_error() == Some(libc::EPERM) {
            return not_permitted();
        }
        let log = verifier_log.to_string();
        let message = match complaint(&log) {
            Some(line) => format!("the verifier refused {name}: {line} ({io_error})"),
            None => format!("the kernel refused to load {name}: {io_error}"),
        };
        return Failure::new(Code::UNAVAILABLE, message);
    }
    Failure::new(Code::UNAVAILABLE, format!("cannot load {name}: {error}"))
}

/// Whether the calling thread has neither CAP_PERFMON nor CAP_SYS_ADMIN, which implies it.
fn lacks_perfmon() -> bool {
    let effective = capabilities::effective();
    effective.is_ok_and(|all| !capabilities::has(&all, "CAP_PERFMON"))
}

/// Whether nothing can be loaded: then the kernel need not be asked for each program, to hear the same each time.
///
/// # Errors
/// With exit code 77; names what is missing.
pub fn check_permission() -> Result<(), Failure> {
    let Ok(all) = capabilities::effective() else { return Ok(()) };
    // Attaching is where CAP_NET_ADMIN is asked for.
    let can_load = ["CAP_BPF", "CAP_PERFMON"].iter().all(|name| capabilities::has(&all, name));
    if can_load { Ok(()) } else { Err(not_permitted()) }
}

fn not_permitted() -> Failure {
    let all = capabilities::effective().unwrap_or_default();
    let missing = NEEDED.into_iter().filter(|name| !capabilities::has(&all, name));
    let why = why(&missing.collect::<Vec<_>>());
    Failure::new(Code::NO_PERMISSION, format!("not permitted to load BPF programs: {why}"))
}

/// What to do, given which capabilities are missing.
fn why(missing: &[&str]) -> String {
    match missing {
        [] => "no capability is missing here, but this may be a user namespace, or something forbids it \
               (seccomp, lockdown)"
            .into(),
        [one] => format!("{one} is missing; grant it, or run as root"),
        [first @ .., last] => {
            format!("{} and {last} are missing; grant them, or run as root", first.join(", "))
        }
    }
}

/// The verifier's last line before its statistics.
fn complaint(log: &str) -> Option<&str> {
    let statistics = ["processed ", "verification time", "stack depth"];
    let is_complaint =
        |line: &&str| !line.is_empty() && !statistics.iter().any(|s| line.starts_with(s));
    log.lines().map(str::trim).rfind(is_complaint)
}

/// The errno at the bottom of an error chain.
fn errno_of(error: &(dyn Error + 'static)) -> Option<i32> {
    let mut link = Some(error);
    while let Some(error) = link {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io.raw_os_error();
        }
        link = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use aya_obj::{Object, ProgramSection};

    use super::*;

    #[test]
    fn the_complaint_is_the_line_before_the_statistics() {
        let log = "0: (b7) r0 = 1\nR1 invalid mem access 'scalar'\nverification time 9 usec\n\
                   stack depth 0\nprocessed 2 insns (limit 1000000) max_states_per_insn 0\n";
        assert_eq!(complaint(log), Some("R1 invalid mem access 'scalar'"));
        assert_eq!(complaint("\n"), None);
    }

    #[test]
    fn no_program_of_the_older_object_asks_for_frames_of_several_buffers() {
        let asks = |bytes: &[u8]| {
            let object = Object::parse(bytes).expect("it is an object");
            let frags = object.programs.into_values().filter_map(|program| match program.section {
                ProgramSection::Xdp { frags, .. } => Some(frags),
                _ => None,
            });
            frags.collect::<Vec<_>>()
        };
        assert_eq!(asks(OBJECT), [true, true]);
        assert_eq!(asks(&without_frags(OBJECT)), [false, false]);
    }

    #[test]
    fn a_missing_ring_buffer_names_the_kernel_that_has_one() {
        let error = EbpfError::MapError(MapError::CreateError {
            name: RING_MODEL.into(),
            io_error: std::io::Error::from_raw_os_error(libc::EINVAL),
        });
        let failure = explain_load(&error);
        assert_eq!(failure.code, Code::UNAVAILABLE);
        assert!(failure.message.contains("Linux 5.8"), "{}", failure.message);
    }

    #[test]
    fn a_missing_capability_is_told_apart_from_a_missing_feature() {
        let error = EbpfError::MapError(MapError::CreateError {
            name: "FLOWS".into(),
            io_error: std::io::Error::from_raw_os_error(libc::EPERM),
        });
        let failure = explain_load(&error);
        assert_eq!(failure.code, Code::NO_PERMISSION);
        assert!(failure.message.contains("not permitted"), "{}", failure.message);
    }

    #[test]
    fn exactly_what_is_missing_is_named() {
        assert_eq!(why(&["CAP_PERFMON"]), "CAP_PERFMON is missing; grant it, or run as root");
        let all = "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are missing; grant them, or run as root";
        assert_eq!(why(&NEEDED), all);
        assert!(why(&[]).contains("user namespace"));
    }
}
