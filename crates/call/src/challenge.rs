//! Challenges to requests of ours (RFC 3261 §22.2): answered with the credentials configured for
//! the gateway that makes them, and for nobody else, since an answer lets whoever chose the nonce
//! try passwords at leisure.
//!
//! A challenge inside a dialog must come from the address the dialog was set up with, and the
//! repeated request goes back to where the challenge came from, whatever Contact says.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use sip::digest::{self, Session};
use sip::{Destination, Flow, Framing, HeaderName, Message, Method, Writer};

use crate::call::Call;
use crate::io::{Ctx, Hop};
use crate::leg::Leg;
use crate::pending::Purpose;
use crate::plan::Credentials;

/// How often one request answers challenges: the first, and one for a stale nonce.
pub(crate) const CHALLENGES_MAX: u8 = 2;

/// What a leg answers challenges with.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) credentials: Arc<Credentials>,
    /// Whose challenges are answered.
    pub(crate) address: IpAddr,
}

impl Access {
    pub(crate) fn new(credentials: Arc<Credentials>, peer: Flow) -> Arc<Self> {
        let address = peer.remote.ip().to_canonical();
        Arc::new(Self {
            credentials,
            address,
        })
    }
}

/// Where a request inside a dialog goes, and what a challenge to it is answered with.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) hop: Hop,
    pub(crate) access: Option<Arc<Access>>,
}

impl From<Hop> for Way {
    /// With nothing to answer a challenge.
    fn from(hop: Hop) -> Self {
        Self { hop, access: None }
    }
}

/// A request under way that can be sent again if it is challenged.
#[derive(Debug)]
pub(crate) struct Repeat {
    access: Arc<Access>,
    hop: Hop,
    request: Bytes,
    challenges: u8,
}

impl Repeat {
    pub(crate) fn of(way: &Way, request: &Bytes) -> Option<Box<Self>> {
        let access = way.access.clone()?;
        Some(Box::new(Self {
            access,
            hop: way.hop.clone(),
            request: request.clone(),
            challenges: 0,
        }))
    }
}

/// The credentials header, with its line end, that answers the challenge of a 401 or 407 to a
/// request; `None` if it cannot be answered, or refuses what has been answered already.
pub(crate) fn authorization(
    challenge: &Message,
    (method, uri): (&[u8], &[u8]),
    credentials: &Credentials,
    challenges: u8,
    cnonce: [u32; 2],
) -> Option<Vec<u8>> {
    if challenges >= CHALLENGES_MAX {
        return None;
    }
    let mut session = Session::new(challenge).ok()?;
    if challenges > 0 && !session.is_stale() {
        // The password is wrong: asking again would only be counted against us.
        return None;
    }
    let username = credentials.username.as_bytes();
    let password = credentials.password.as_bytes();
    let ha1 = digest::ha1(session.algorithm(), username, session.realm(), password);
    let cnonce = format!("{:08x}{:08x}", cnonce[0], cnonce[1]);
    let value = session.authorize(method, uri, username, &ha1, cnonce.as_bytes());
    Some([session.header_name().as_bytes(), b": ", &value, b"\r\n"].concat())
}

impl Call {
    /// Sends a challenged request again with credentials; gives the purpose back if that cannot
    /// be.
    pub(crate) fn answer_dialog_challenge(
        &mut self,
        ctx: &mut Ctx<'_>,
        mut repeat: Box<Repeat>,
        purpose: Purpose,
        flow: Flow,
        challenge: &Message,
    ) -> Result<(), Purpose> {
        let trusted = flow.remote.ip().to_canonical() == repeat.access.address;
        let Ok(request) = Message::parse(repeat.request.clone(), Framing::Stream) else {
            return Err(purpose);
        };
        let cnonce = [self.random.bits(), self.random.bits()];
        let answer = authorization(
            challenge,
            (request.method_text(), request.uri()),
            &repeat.access.credentials,
            repeat.challenges,
            cnonce,
        );
        let Some(answer) = answer.filter(|_| trusted) else {
            return Err(purpose);
        };
        let seq = self.next_seq(&request, &answer);
        repeat.challenges += 1;
        repeat.request = with_credentials(&request, seq, &answer);
        if matches!(repeat.hop, Hop::Resolve(..)) {
            repeat.hop = Hop::To(Destination::Flow(flow));
        }
        let bytes = repeat.request.clone();
        let hop = repeat.hop.clone();
        self.send_repeatable(ctx, request.method(), hop, bytes, purpose, Some(repeat));
        Ok(())
    }

    /// The number of a request that is sent again: the next of its dialog, if that still lives.
    fn next_seq(&mut self, request: &Message, authorization: &[u8]) -> u32 {
        let next = request.cseq().map_or(1, |c| c.number) + 1;
        let Some(leg) = self.leg_of_request(request) else {
            return next;
        };
        leg.dialog.local_seq = next.max(leg.dialog.local_seq + 1);
        if request.method() == Method::Invite {
            leg.begin_invite();
            leg.authorization = Some(authorization.into());
        }
        leg.dialog.local_seq
    }

    /// The leg that a request of ours was sent in.
    fn leg_of_request(&mut self, request: &Message) -> Option<&mut Leg> {
        let from = request.from().ok()?;
        let to = request.to().ok()?;
        let (local, remote) = (from.tag()?, to.tag().unwrap_or_default());
        let referrer = self.transfer.as_mut().and_then(|t| t.referrer.as_mut());
        self.pairs
            .iter_mut()
            .flat_map(|p| p.legs.iter_mut().flatten())
            .chain(referrer)
            .find(|leg| leg.is_dialog(local, remote))
    }
}

/// The same request under another number and with these credentials only.
fn with_credentials(request: &Message, seq: u32, authorization: &[u8]) -> Bytes {
    use HeaderName as N;
    let method = request.method().as_str();
    let mut w = Writer::request(method, request.uri());
    for field in request.fields() {
        match field.name {
            N::CSeq => {
                w.cseq(seq, method);
            }
            N::Authorization | N::ProxyAuthorization => {}
            _ => {
                w.raw(request.field_name(field))
                    .raw(b": ")
                    .raw(request.field_value(field))
                    .raw(b"\r\n");
            }
        }
    }
    w.raw(authorization);
    w.finish_raw(request.body())
}
