//! The formats that other tools read (EVE, CEF, OTLP, pcapng), each before a strict reader: events
//! of every kind, hostile ones, and those of every capture at hand.
//!
//! What a reader finds must be what `--format json` says of the same event. Each reader is shown
//! to refuse errors that are planted.

#![recursion_limit = "256"] // An event in `json!` has many keys.

mod captures;
mod cef;
mod compare;
mod eve;
mod events;
mod otlp;
mod pcapng;
