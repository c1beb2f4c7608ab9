//! What the kernel programs do, a line a behaviour: verdict, counters, record, the frame untouched.
//!
//! Every frame goes through every program that can see such a frame, by `BPF_PROG_TEST_RUN`.

#[macro_use]
mod behaviour;

mod extensions;
mod flood;
mod flows;
mod forwarding;
mod internet;
mod links;
mod malformed;
mod options;
mod resets;
mod ring;
mod talk;
mod translated;
mod tunnels;
mod verifier;
mod wanted;
