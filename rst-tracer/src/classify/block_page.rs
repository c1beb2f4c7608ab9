//! A page that says that there is none, by somebody on the path, and a reset behind it.
//!
//! In: a case. Out: `dpi_block`, where the page and the reset came from another distance than the server's SYN-ACK. Filters
//! that answer in the server's name are common (Verkamp and Gupta, FOCI 2012; Raman and others, IMC 2020).

use rst_tracer_common::flow::flag;

use super::{Case, LastWords, Opinion, Past, Rule, opinion::reason, security::names_a_server};
use crate::{
    classify::application::head,
    event::{Cause, Evidence, Origin, SentBy},
};

pub(super) const RULES: &[Rule] = &[block_page];

fn block_page(case: &Case<'_>) -> Vec<Opinion> {
    let Some(sign) = case.page_from_elsewhere() else { return vec![] };
    // Who answers SYNs for a server (SYN proxies) has another distance than the server, too.
    let opinion = Opinion::new(Cause::DpiBlock, 0.6).made_by(Origin::MiddleboxSuspected);
    vec![opinion.and([sign])]
}

impl Case<'_> {
    /// Whether a refusal of a page and the reset behind it came from another distance than the SYN-ACK, and
    /// nothing else that the server said did not.
    pub(super) fn page_from_elsewhere(&self) -> Option<Evidence> {
        const AT_ONCE_NS: u64 = 1_000_000_000;
        let past = self.established().filter(|past| past.i_opened() == Some(false))?;
        let request = names_a_server(head(past.their_facts()))?;
        let status = refusal(&past).filter(|_| self.known.sent_by == SentBy::Server)?;
        let said = past.my_last_data().filter(|said| self.since(said) < AT_ONCE_NS)?;
        let (ttl, greeted) = (self.segment().ttl, past.my_facts().first_ttl);
        let apart = past.has(flag::SYN_ACK) && greeted != ttl && said.ttl == ttl;
        let mut data = past.my_slots().filter(|slot| slot.len > 0);
        let all_from_there = data.all(|slot| slot.ttl == ttl);
        let text = format!(
            "HTTP status {status}, the answer to {request}, and the reset behind it came with TTL {ttl}, the server's \
             SYN-ACK with {greeted}"
        );
        (apart && all_from_there).then(|| reason("page_from_elsewhere", 2.0, text))
    }
}

/// What a filter's page begins with: forbidden, unavailable for legal reasons, or a redirection to where that is said.
fn refusal(past: &Past<'_>) -> Option<u16> {
    match past.my_last_words() {
        Some(LastWords::HttpStatus(status @ (301 | 302 | 303 | 307 | 308 | 403 | 451))) => {
            Some(status)
        }
        _ => None,
    }
}
