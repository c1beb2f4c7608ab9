//! BTF built by hand, cut at every length, and that of the running kernel.

use super::*;

/// Builds BTF from words and names; `@name` in a type's words stands for the name's offset.
#[derive(Default)]
struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Builder {
    fn name(&mut self, name: &str) -> u32 {
        if self.strings.is_empty() {
            self.strings.push(0);
        }
        let at = self.strings.len() as u32;
        self.strings.extend(name.bytes().chain([0]));
        if name.is_empty() { 0 } else { at }
    }

    fn add(&mut self, name: &str, kind: Kind, entries: u32, size_or_type: u32, tail: &[u32]) {
        let info = u32::from(kind.0) << 24 | entries;
        let words = [self.name(name), info, size_or_type];
        self.types.extend(words.iter().chain(tail).flat_map(|w| w.to_ne_bytes()));
    }

    fn build(self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let header = [0x0001_eb9f, 24, 0, types, types, strings];
        let header = header.iter().flat_map(|w| w.to_ne_bytes());
        header.chain(self.types).chain(self.strings).collect()
    }
}

/// `int`, `enum fruit`, an anonymous union in `struct bowl`, and a tracepoint that takes both.
fn sample() -> Vec<u8> {
    let mut b = Builder::default();
    b.add("int", Kind::INT, 0, 4, &[0x0100_0020]); // 1
    let (apple, pear) = (b.name("APPLE"), b.name("PEAR"));
    b.add("fruit", Kind::ENUM, 2, 4, &[apple, 0, pear, 7]); // 2
    let (left, right) = (b.name("left"), b.name("right"));
    b.add("", Kind::UNION, 2, 4, &[left, 1, 0, right, 2, 0]); // 3
    let count = b.name("count");
    b.add("bowl", Kind::STRUCT, 2, 8, &[count, 1, 0, 0, 3, 32]); // 4
    b.add("", Kind::CONST, 0, 4, &[]); // 5
    b.add("", Kind::PTR, 0, 5, &[]); // 6
    b.add("", Kind::PTR, 0, 0, &[]); // 7: void *
    b.add("", Kind::FUNC_PROTO, 3, 0, &[0, 7, 0, 6, 0, 2]); // 8
    b.add("", Kind::PTR, 0, 8, &[]); // 9
    b.add("btf_trace_eaten", Kind::TYPEDEF, 0, 9, &[]); // 10
    let (data, bowl, what) = (b.name("__data"), b.name("bowl"), b.name("what"));
    b.add("", Kind::FUNC_PROTO, 3, 0, &[data, 7, bowl, 6, what, 2]); // 11
    b.add("__bpf_trace_eaten", Kind::FUNC, 0, 11, &[]); // 12
    let inner = b.name("inner");
    b.add("table", Kind::STRUCT, 1, 24, &[inner, 4, 128]); // 13
    b.build()
}

fn argument(name: &str, c_type: &str) -> Argument {
    Argument { name: Some(name.into()), c_type: c_type.into() }
}

#[test]
fn enums_members_and_tracepoints_are_found() {
    let btf = Btf::parse(sample()).expect("well formed");
    let values = btf.enum_values("fruit").expect("an enum");
    assert_eq!(values, [("APPLE".into(), 0), ("PEAR".into(), 7)]);
    assert_eq!(btf.member("bowl", "right"), Some(Member { bit_offset: 32, bits: 32 }));
    assert_eq!(btf.member("table", "inner.left").and_then(Member::offset), Some(20));
    let expected = [argument("bowl", "const struct bowl *"), argument("what", "enum fruit")];
    assert_eq!(btf.tracepoint("eaten").expect("a tracepoint"), expected);
}

#[test]
fn what_is_not_there_is_none() {
    let btf = Btf::parse(sample()).expect("well formed");
    assert_eq!(btf.enum_values("bowl"), None);
    assert_eq!(btf.member("bowl", "middle"), None);
    assert_eq!(btf.member("bowl", "count.deeper"), None);
    assert_eq!(btf.tracepoint("drunk"), None);
}

#[test]
fn btf_cut_at_any_length_is_refused_without_panic() {
    let whole = sample();
    for length in 0..whole.len() {
        assert!(Btf::parse(whole[..length].to_vec()).is_err(), "accepted {length} bytes");
    }
}

#[test]
fn any_flipped_byte_is_survived() {
    let whole = sample();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << bit;
            if let Ok(btf) = Btf::parse(damaged) {
                let _ = (btf.enum_values("fruit"), btf.member("table", "inner.left"));
                let _ = btf.tracepoint("eaten");
            }
        }
    }
}

#[test]
fn the_running_kernel_is_understood() {
    let Some(btf) = Btf::of_running_kernel().expect("readable") else {
        eprintln!("SKIPPED: this kernel has no {VMLINUX}");
        return;
    };
    let states = btf.tracepoint("inet_sock_set_state").expect("since Linux 4.16");
    assert_eq!(states[0].c_type, "const struct sock *");
    assert_eq!((states[1].c_type.as_str(), states[2].c_type.as_str()), ("const int", "const int"));
    let place = btf.member("sock", "__sk_common.skc_state").expect("a member of every sock");
    let in_common = btf.member("sock_common", "skc_state").expect("a member");
    assert_eq!((place.bits, place.offset()), (8, in_common.offset()));
    let reasons = btf.enum_values("skb_drop_reason").expect("since Linux 5.17");
    assert!(reasons.iter().any(|(name, _)| name == "SKB_DROP_REASON_NO_SOCKET"));
}
