//! Pieces of JSON Schema that the types cannot say by themselves.

use schemars::{Schema, SchemaGenerator, json_schema};

/// An IPv4 or IPv6 address.
pub(super) fn ip(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }] })
}
