//! PRACK (RFC 3262): it stops our repetitions towards the caller and goes on to the callee, with
//! the number that callee gave.

use sip::{Flow, HeaderName, Message};

use crate::call::{Call, Phase};
use crate::io::{Ctx, MediaOp, Side, Uas};
use crate::leg::PairId;
use crate::pending::{Relayed, Wait};

impl Call {
    pub(super) fn handle_prack(
        &mut self,
        ctx: &mut Ctx<'_>,
        (pair, side): (PairId, Side),
        uas: Uas,
        flow: Flow,
        message: Message,
    ) {
        let late = self.setup.as_ref().is_some_and(|s| !s.has_offer());
        let invite_seq = self.leg(pair, Side::B).map(|l| l.invite_seq);
        let theirs = rseq_of(&message)
            .filter(|_| side == Side::A)
            .and_then(|ours| self.setup.as_mut()?.acknowledge_reliable(pair, ours));
        let (Some(theirs), Some(seq)) = (theirs, invite_seq) else {
            // After the 2xx nothing is repeated any more, on either side.
            let answered = self.phase == Phase::Answered && message.sdp().is_none();
            let status = if answered { 200 } else { 481 };
            self.respond(ctx, uas, flow, &message, status);
            return;
        };
        let sdp = message.sdp().map(<[u8]>::to_vec);
        let relayed = Box::new(Relayed {
            pair,
            from: side,
            uas,
            flow,
            request: message,
            offered: sdp.is_some(),
            rack: Some(format!("{theirs} {seq} INVITE")),
            before: None,
        });
        self.pracked(ctx);
        match sdp {
            Some(sdp) => {
                self.keep_received(pair, side, &sdp);
                // With a late offer the PRACK answers; otherwise it is a new offer (RFC 3262 §5).
                let op = if late {
                    MediaOp::Answer
                } else {
                    MediaOp::Offer
                };
                self.media(ctx, op, Some(pair), side, &sdp, Wait::Request(relayed));
            }
            None => self.carry_request(ctx, relayed, None),
        }
    }
}

/// The response number of RAck.
fn rseq_of(prack: &Message) -> Option<u32> {
    let value = prack.header(HeaderName::RAck)?;
    let first = value.split(|b| sip::lex::is_lws(*b)).next()?;
    sip::lex::number(first)
}
