//! Candidates by INFO (RFC 8840): with our relay between the sides they are for it.

use bytes::Bytes;
use sip::Message;

use crate::call::Call;
use crate::config::MediaMode;
use crate::io::{Ctx, Output, Side};

impl Call {
    /// Whether an INFO brings candidates for our relay.
    pub(super) fn takes_candidates(&self, info: &Message) -> bool {
        self.media == MediaMode::Relay && info.has_content_type(FRAGMENT)
    }

    pub(super) fn take_candidates(&mut self, ctx: &mut Ctx<'_>, from: Side, info: &Message) {
        if self.session_open {
            ctx.emit(Output::Candidates {
                session: self.session,
                from,
                fragment: Bytes::copy_from_slice(info.body()),
            });
        }
    }
}

const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
