//! Signs that the claimed sender's own TCP wrote it.

use rst_tracer_common::flow::flag;

use super::{Case, Tells};
use crate::classify::{Form, Past};

/// The kernel of this host says so: decisive, whatever it looks like.
pub(super) fn the_kernel_sent_it(case: &Case<'_>, tells: &mut Tells) -> bool {
    if case.testimony().sent.is_none() {
        return false;
    }
    tells.genuine = true;
    let text = "the kernel of this host says that its TCP sent it";
    tells.add("kernel_sent_it", -5.0, text);
    true
}

/// All numbers are where its sender stood; or it is the answer to a segment, as its host writes
/// them. A forger who sees the connection can copy each of these.
pub(super) fn look(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    if !past.has(flag::ESTABLISHED) || past.mine().packets == 0 {
        return;
    }
    let (segment, tcp) = (case.segment(), &case.segment().tcp);
    let usual_ttl = tells.has("ttl_usual");
    match case.form {
        Form::Active => {
            let fits = tcp.seq == past.my_end() && tcp.ack.since(past.their_end()) <= 0;
            let at_home = tells.has("ip_id_continues") || tells.has("timestamp_fits");
            if fits && usual_ttl && at_home {
                tells.add("numbers_fit", -0.5, "its numbers are where its sender stood");
            }
        }
        Form::Passive => {
            let is_answer =
                case.trigger().is_some() && !tells.has("too_soon") && !tells.has("soon");
            let written_so = case.is_v6() || segment.ip_id == 0;
            if is_answer && usual_ttl && written_so {
                let text = "it is written as the sender's host writes answers";
                tells.add("answer_fits", -1.0, text);
            }
        }
        Form::PassiveToSyn | Form::Other => {}
    }
}
