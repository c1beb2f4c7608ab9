//! What belongs to which reset, and when it goes out.

mod crowd;
mod joining;
mod kernel;
mod settling;
mod storms;

use rst_tracer_common::event::Hook;

use super::{
    Rules,
    story::{HERE, Story},
};

/// A tracer that stands in a namespace and hears its kernel.
fn rules() -> Rules {
    Rules { netns: Some(HERE), ..Rules::default() }
}

/// A story told on the host of the server, IPv4.
fn on_the_server() -> Story {
    at(Hook::TC_EGRESS)
}

/// A story told on the host of the client.
fn on_the_client() -> Story {
    at(Hook::XDP)
}

/// The hook at which the server's segments are seen.
fn at(hook: Hook) -> Story {
    let mut story = Story::v4().by(rules());
    (story.hook, story.ifindex) = (hook, 2);
    story
}
