//! A leg: one dialog, what was offered and answered in it, and how its session is kept alive.

use std::net::IpAddr;
use std::sync::Arc;

use sip::{Destination, Dialog, Flow, HeaderName, Message, lex};

use crate::challenge::{Access, Way};
use crate::config::Config;
use crate::headers::Trust;
use crate::io::{Family, Hop, Keys, Phone, Side, Toward, Uas};
use crate::plan::Credentials;

/// Two legs that are joined; the early dialogs of one INVITE have a pair each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PairId(pub u8);

/// Two legs that are joined, caller's side first. One may be missing: an application answers in
/// its place, or it has left and another is being looked for.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Its name within the call.
    pub id: PairId,
    /// The legs, by side.
    pub legs: [Option<Leg>; 2],
    /// The branch of the set-up that made it; [`NO_BRANCH`] once it is answered.
    pub(crate) branch: usize,
}

/// The branch of a pair that no set-up may drop.
pub(crate) const NO_BRANCH: usize = usize::MAX;

impl Pair {
    /// The leg of a side.
    #[must_use]
    pub const fn leg(&self, side: Side) -> Option<&Leg> {
        self.legs[side as usize].as_ref()
    }

    pub(crate) const fn leg_mut(&mut self, side: Side) -> Option<&mut Leg> {
        self.legs[side as usize].as_mut()
    }
}

/// How requests reach the peer of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Along the flow it used last, whatever its Contact says: phones behind NAT, connections.
    Flow,
    /// By route set and Contact.
    Target,
}

/// Who refreshes the session of a leg (RFC 4028 §7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Refresher {
    /// Nobody.
    #[default]
    Nobody,
    /// We do.
    Us,
    /// The peer does.
    Peer,
}

/// Our part in the INVITE that made a dialog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// We sent it, and own the Call-ID.
    Caller,
    /// The peer did.
    #[default]
    Callee,
}

/// An offer under way in a leg (RFC 3261 §14, RFC 3311 §5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Offering {
    /// None.
    #[default]
    Nobody,
    /// Ours: an offer of the peer gets 491.
    Us,
    /// The peer's, until we have answered it: another gets 500.
    Peer,
}

/// One leg.
#[derive(Clone, Debug)]
pub struct Leg {
    /// Its dialog.
    pub dialog: Dialog,
    /// Where its peer was last heard, and which listener speaks for us.
    pub flow: Flow,
    /// Its own address, if others stand between.
    pub(crate) beyond: Option<IpAddr>,
    pub(crate) reach: Reach,
    pub(crate) role: Role,
    pub(crate) trust: Trust,
    pub(crate) keys: Keys,
    /// The last description the peer sent; empty if none.
    pub(crate) received: Box<[u8]>,
    /// The last description we sent; empty if none.
    pub(crate) sent: Box<[u8]>,
    /// Whether the peer lists UPDATE in Allow.
    pub(crate) takes_update: bool,
    /// Session interval in seconds; 0 without session timer.
    pub(crate) session_s: u32,
    pub(crate) refresher: Refresher,
    pub(crate) offering: Offering,
    /// The peer's INVITE whose 2xx waits for ACK; 0 if none.
    pub(crate) unacked: Uas,
    /// CSeq of that INVITE, by which its ACK is known.
    unacked_seq: u32,
    /// CSeq of our last INVITE.
    pub(crate) invite_seq: u32,
    /// Our last INVITE had no offer, and the ACK of its 2xx has to bring the answer.
    pub(crate) owes_ack: bool,
    /// The description in our last ACK; kept for repeated 2xx only when it had one.
    pub(crate) acked_with: Option<Box<[u8]>>,
    /// The Authorization line of our last INVITE, which its ACK carries too (RFC 3261
    /// §13.2.2.4); mostly none.
    pub(crate) authorization: Option<Box<[u8]>>,
    /// What challenges of the peer are answered with; only gateways have it.
    pub(crate) access: Option<Arc<Access>>,
    /// The owner's name for the attempt that made this leg.
    pub token: Option<u32>,
    /// Session id and version of the descriptions we send, once they come from more than one
    /// origin (RFC 3264 §8: the version grows by one each time).
    pub(crate) origin: Option<(u64, u64)>,
}

impl Leg {
    pub(crate) fn new(dialog: Dialog, flow: Flow, reach: Reach, trust: Trust) -> Self {
        Self {
            dialog,
            flow,
            reach: if flow.transport.is_reliable() {
                Reach::Flow
            } else {
                reach
            },
            beyond: None,
            role: Role::Callee,
            trust,
            keys: Keys::Events,
            received: Box::default(),
            sent: Box::default(),
            takes_update: false,
            session_s: 0,
            refresher: Refresher::Nobody,
            offering: Offering::Nobody,
            unacked: 0,
            unacked_seq: 0,
            invite_seq: 0,
            owes_ack: false,
            acked_with: None,
            authorization: None,
            access: None,
            token: None,
            origin: None,
        }
    }

    /// Answers challenges of the peer with these from now on.
    pub(crate) fn grant(&mut self, credentials: Option<Arc<Credentials>>) {
        self.access = credentials.map(|c| Access::new(c, self.flow));
    }

    /// From here on descriptions keep the origin the peer has seen first.
    pub(crate) fn own_origin(&mut self) {
        if self.origin.is_some() {
            return;
        }
        self.origin = sdp::Description::parse(&self.sent).ok().and_then(|d| {
            let origin = d.origin()?;
            let id = sip::lex::number::<u64>(origin.session_id)?;
            Some((id, origin.version_number()?))
        });
    }

    /// A description as this leg sends it; remembered as the last one sent.
    pub(crate) fn describe(&mut self, sdp: &[u8]) -> Box<[u8]> {
        let owned = self.origin.as_mut().and_then(|(id, version)| {
            *version += 1;
            let description = sdp::Description::parse(sdp).ok()?;
            let mut edit = sdp::Edit::new(&description);
            edit.origin_session(*id).origin_version(*version);
            Some(edit.finish())
        });
        self.sent = owned.map_or_else(|| sdp.into(), Into::into);
        self.sent.clone()
    }

    /// The last description the peer sent; empty if none.
    #[must_use]
    pub fn description(&self) -> &[u8] {
        &self.received
    }

    /// Whether the peer has put us on hold: it sends only or nothing (RFC 3264 §8.4).
    #[must_use]
    pub fn is_held(&self) -> bool {
        sdp::Description::parse(&self.received).is_ok_and(|d| d.is_held())
    }

    /// Whether neither side has an exchange of INVITE or offer under way in this leg.
    pub(crate) fn is_idle(&self) -> bool {
        self.offering == Offering::Nobody && self.unacked == 0 && !self.owes_ack
    }

    /// The next INVITE of ours in this dialog begins.
    pub(crate) fn begin_invite(&mut self) {
        self.invite_seq = self.dialog.local_seq;
        self.authorization = None;
    }

    /// From the 2xx to an INVITE of the peer until its ACK; of either it is the CSeq that counts.
    pub(crate) fn await_ack(&mut self, uas: Uas, exchange: &Message) {
        self.unacked = uas;
        self.unacked_seq = exchange.cseq().map_or(0, |c| c.number);
    }

    /// The server transaction whose 2xx this ACK acknowledges, the first time it comes.
    pub(crate) fn acknowledge(&mut self, ack: &Message) -> Option<Uas> {
        let fits = ack.cseq().is_some_and(|c| c.number == self.unacked_seq);
        (fits && self.unacked != 0).then(|| std::mem::take(&mut self.unacked))
    }

    /// Where the next request goes.
    pub(crate) fn hop(&self) -> Hop {
        let here = Destination::Flow(self.flow);
        match self.reach {
            Reach::Flow => Hop::To(here),
            Reach::Target => Hop::Resolve(self.dialog.next_hop().into(), here),
        }
    }

    /// As [`Leg::hop`], for a request that may be challenged.
    pub(crate) fn way(&self) -> Way {
        Way {
            hop: self.hop(),
            access: self.access.clone(),
        }
    }

    /// What the relay needs to know of the peer.
    pub(crate) fn toward(&self, author_keys: Keys) -> Toward {
        Toward {
            family: self.family(),
            phone: Phone::of(self.flow),
            keys: self.keys,
            author_keys,
        }
    }

    /// Where the peer's signalling comes from.
    pub(crate) fn signalling(&self) -> IpAddr {
        self.beyond.unwrap_or(self.flow.remote.ip()).to_canonical()
    }

    /// The family the peer's media wants: that of its last description, else of its signalling.
    fn family(&self) -> Family {
        if memchr::memmem::find(&self.received, b"c=IN IP6").is_some() {
            Family::V6
        } else if memchr::memmem::find(&self.received, b"c=IN IP4").is_some() {
            Family::V4
        } else {
            Family::of(self.signalling())
        }
    }

    /// `<sip:...>`: our Contact in this leg.
    pub(crate) fn contact<'a>(&self, config: &'a Config) -> &'a str {
        config.contact(self.flow.listener)
    }

    /// Learns what the peer can do from a request or response of its own.
    pub(crate) fn learn(&mut self, message: &Message) {
        if message.header(HeaderName::Allow).is_some() {
            self.takes_update = message.lists(HeaderName::Allow, "UPDATE");
        }
    }

    /// Whether a response or request names this leg's dialog.
    pub(crate) fn is_dialog(&self, local_tag: &[u8], remote_tag: &[u8]) -> bool {
        *self.dialog.local_tag == *local_tag && *self.dialog.remote_tag == *remote_tag
    }
}

/// `Session-Expires` taken apart: seconds, and whether a refresher is named.
pub(crate) fn session_expires(message: &Message) -> Option<(u32, Option<&[u8]>)> {
    let value = message.header(HeaderName::SessionExpires)?;
    let interval_s = message.number(HeaderName::SessionExpires)?;
    let semi = memchr::memchr(b';', value).unwrap_or(value.len());
    Some((interval_s, lex::Params(&value[semi..]).value("refresher")))
}
