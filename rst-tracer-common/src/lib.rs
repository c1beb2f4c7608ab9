//! What the kernel programs and the agent share: wire parsing, flow tracking, the event ABI.
//!
//! `no_std`, no allocation, no I/O, no clock: `now` is always passed in. The same code runs in
//! XDP and TC, in pcap replay and under the fuzzer.
#![no_std]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod bits;
pub mod event;
pub mod flood;
pub mod flow;
pub mod notice;
pub mod places;
pub mod verifier;
pub mod wanted;
pub mod wire;
mod words;
