//! A line taken apart by the rules of CEF alone: what is escaped, which keys there are, and what their values may be.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A line, its escapes undone.
#[derive(Debug, PartialEq)]
pub(super) struct Cef {
    /// Version, vendor, product, version of the product, signature id, name, severity.
    pub(super) header: Vec<String>,
    pub(super) extension: BTreeMap<String, String>,
}

impl Cef {
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        if let Some(c) = line.chars().find(|c| c.is_control()) {
            return Err(format!("the control character {c:?}"));
        }
        let (header, extension) = split_header(line)?;
        let [version, .., severity] = &header[..] else { return Err("no header".into()) };
        if version != "CEF:0" {
            return Err(format!("version {version}"));
        }
        severity.parse().ok().filter(|n: &u8| *n <= 10).ok_or(format!("severity {severity}"))?;
        Ok(Self { header, extension: pairs(extension)? })
    }
}

/// Seven fields, and what follows them.
fn split_header(line: &str) -> Result<(Vec<String>, &str), String> {
    let (mut fields, mut field) = (Vec::new(), String::new());
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, escaped @ ('\\' | '|'))) => field.push(escaped),
                other => return Err(format!("an escape of {other:?} in the header")),
            },
            '|' => {
                fields.push(std::mem::take(&mut field));
                if fields.len() == 7 {
                    return Ok((fields, &line[at + 1..]));
                }
            }
            c => field.push(c),
        }
    }
    Err(format!("{} fields in the header", fields.len()))
}

/// The pairs of the extension. A key is the word before an equals sign that is not escaped; it
/// begins the extension or follows a blank, and a value ends before the blank before the next key.
fn pairs(extension: &str) -> Result<BTreeMap<String, String>, String> {
    let bytes = extension.as_bytes();
    let mut starts = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'=' => {
                let is_word = |c: char| c.is_ascii_alphanumeric();
                let key = extension[..at].trim_end_matches(is_word).len();
                if key == at || (key > 0 && bytes[key - 1] != b' ') {
                    return Err(format!("an equals sign without a key at {at}"));
                }
                starts.push((key, at));
            }
            _ => {}
        }
        at += 1;
    }
    if starts.first().is_none_or(|(key, _)| *key != 0) {
        return Err("the extension does not begin with a key".into());
    }
    let mut pairs = BTreeMap::new();
    for (i, (key, equals)) in starts.iter().enumerate() {
        let end = starts.get(i + 1).map_or(extension.len(), |(next, _)| next - 1);
        let name = extension[*key..*equals].to_owned();
        let value = extension.get(equals + 1..end).ok_or(format!("{name} has no value"))?;
        let value = unescaped(value)?;
        check(&name, &value)?;
        if pairs.insert(name.clone(), value).is_some() {
            return Err(format!("{name} twice"));
        }
    }
    let custom = ["cs", "cn", "cfp", "c6a", "flexString"];
    let is_custom = |key: &&String| {
        let number = custom.iter().find_map(|custom| key.strip_prefix(custom));
        number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
    };
    for key in pairs.keys().filter(is_custom) {
        let is_label = key.ends_with("Label");
        let twin = if is_label { key.replace("Label", "") } else { format!("{key}Label") };
        if !pairs.contains_key(&twin) {
            return Err(format!("{key} without {twin}"));
        }
    }
    Ok(pairs)
}

fn unescaped(value: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.push(match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some(escaped @ ('\\' | '=')) => escaped,
                other => return Err(format!("an escape of {other:?} in the extension")),
            }),
            '=' => return Err("an equals sign in a value".into()),
            c => plain.push(c),
        }
    }
    Ok(plain)
}

/// The most characters of a string of the dictionary.
pub(super) fn longest(key: &str) -> usize {
    match key {
        "proto" | "app" => 31,
        "externalId" => 40,
        "act" => 63,
        "dvchost" => 100,
        "deviceExternalId" => 255,
        "deviceInboundInterface" | "deviceOutboundInterface" | "flexString1" | "flexString2" => 128,
        "cs1" | "cs2" | "cs3" | "cs4" | "cs5" | "cs6" => 4000,
        _ => 1023,
    }
}

/// The dictionary: the type of a key, and its length.
fn check(key: &str, value: &str) -> Result<(), String> {
    let is_text = value.chars().count() <= longest(key);
    let is_right = match key {
        "src" | "dst" => value.parse::<Ipv4Addr>().is_ok(),
        "c6a2" | "c6a3" => value.parse::<Ipv6Addr>().is_ok(),
        "spt" | "dpt" => value.parse::<u16>().is_ok(),
        "smac" | "dmac" => is_mac(value),
        "deviceDirection" => ["0", "1"].contains(&value),
        "cnt" | "in" | "out" | "spid" | "dpid" => value.parse::<i32>().is_ok_and(|n| n >= 0),
        "rt" | "start" | "end" | "cn1" | "cn2" | "cn3" => value.parse::<i64>().is_ok(),
        "cfp1" => value.parse::<f32>().is_ok(),
        "proto"
        | "app"
        | "externalId"
        | "act"
        | "dvchost"
        | "deviceExternalId"
        | "deviceInboundInterface"
        | "deviceOutboundInterface"
        | "flexString1"
        | "flexString2"
        | "cat"
        | "reason"
        | "msg"
        | "deviceFacility"
        | "filePath"
        | "sproc"
        | "dproc"
        | "suid"
        | "duid"
        | "cs1"
        | "cs2"
        | "cs3"
        | "cs4"
        | "cs5"
        | "cs6" => is_text,
        key if key.ends_with("Label") => is_text,
        key => key.starts_with("rstTracer"),
    };
    is_right.then_some(()).ok_or(format!("{key} is {value:?}"))
}

/// Six pairs of digits, with colons.
fn is_mac(value: &str) -> bool {
    let pairs: Vec<&str> = value.split(':').collect();
    let is_pair = |pair: &&str| pair.len() == 2 && u8::from_str_radix(pair, 16).is_ok();
    pairs.len() == 6 && pairs.iter().all(is_pair)
}
