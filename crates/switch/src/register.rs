//! REGISTER, and digest for whoever has to prove something.

use std::sync::Arc;

use clock::Time;
use model::{User, UserId};
use registrar::Registered;
use routing::{Certified, Identity};
use sip::digest::{Algorithm, Credentials, Refusal, Side, Verdict};
use sip::transaction::{ServerId, response_address};
use sip::{Destination, Flow, HeaderName as N, Message, Method, Transmit, Uri, Writer};

use crate::Switch;
use crate::counters::Counters;
use crate::output::{Event, Output};
use crate::refuse::unknown_extensions;

impl Switch {
    /// A REGISTER. No transaction is kept of it (RFC 3261 §8.2.7): the thousands that come after
    /// a failure cost no memory, and one that comes again because its answer was lost is known by
    /// its Call-ID, CSeq and path.
    pub(crate) fn handle_register(&mut self, now: Time, flow: Flow, message: &Message) {
        let unknown = unknown_extensions(message);
        if !unknown.is_empty() {
            let mut w = self.stateless(flow, message, 420, "");
            w.header("Unsupported", &unknown.join(&b", "[..]));
            self.reply(flow, message, w);
            return;
        }
        let verdict = match self.prove(now, flow, message, Side::UserAgent) {
            Ok(Some(proven)) => {
                let registrant = self
                    .registrant(message, proven.user.as_ref())
                    .filter(|(user, ..)| proven.identity == Identity::User(*user));
                match registrant {
                    Some((_, aor, contacts_max)) => {
                        self.register(now, flow, message, &aor, contacts_max);
                    }
                    // Somebody else's address of record looks like one that is not there.
                    None => self.answer_plainly(flow, message, 403),
                }
                return;
            }
            Ok(None) if self.register_certified(now, flow, message) => return,
            Ok(None) => None,
            Err(verdict) => verdict,
        };
        if verdict == Some(Verdict::Refused(Refusal::Replayed))
            && let Some((_, aor, contacts_max)) = self.registrant(message, None)
            && let Ok(request) = registrar::from_message(message, flow, &aor, contacts_max)
            && let Some(registered) = self.registrar.repeated(now, &request)
        {
            self.confirm(flow, message, &registered);
            return;
        }
        if verdict == Some(Verdict::Refused(Refusal::Replayed)) {
            self.note_auth_failure(now, flow, message, Refusal::Replayed);
        }
        let mut w = self.stateless(flow, message, Side::UserAgent.status(), "");
        let from = self.source(flow, message).remote.ip();
        self.authenticator
            .challenge(now, from, Side::UserAgent, verdict, &mut w);
        self.reply(flow, message, w);
    }

    /// Registers the user that the certificate of the connection is for, if To names that one;
    /// whether it did.
    fn register_certified(&mut self, now: Time, flow: Flow, message: &Message) -> bool {
        let Some(Certified::User(certified)) = self.certified(flow) else {
            return false;
        };
        match self.registrant(message, None) {
            Some((user, aor, contacts_max)) if user == certified => {
                self.register(now, flow, message, &aor, contacts_max);
                true
            }
            _ => false,
        }
    }

    /// Challenges an INVITE without credentials and keeps nothing of it. One whose source is
    /// configured may need no credentials and takes the longer way.
    pub(crate) fn challenge_at_once(&mut self, now: Time, flow: Flow, message: &Message) -> bool {
        let source = self.source(flow, message);
        if message.method() != Method::Invite || self.knows(source) {
            return false;
        }
        let longer = [
            N::Authorization,
            N::ProxyAuthorization,
            N::Require,
            N::Replaces,
        ];
        if longer
            .into_iter()
            .any(|name| message.header(name).is_some())
        {
            return false;
        }
        let mut w = self.stateless(flow, message, Side::Proxy.status(), "");
        self.authenticator
            .challenge(now, source.remote.ip(), Side::Proxy, None, &mut w);
        self.reply(flow, message, w);
        true
    }

    /// The name of the user behind a temporary GRUU (RFC 5627 §3.1.2), if a URI is one.
    pub(crate) fn user_behind(&self, uri: &Uri<'_>) -> Option<String> {
        let aor = self.registrar.behind_temporary(uri)?;
        aor.split_once('@').map(|(user, _)| user.to_owned())
    }

    /// Whether a source is configured: in a customer's network, the address of a gateway, or
    /// somebody by certificate.
    pub(crate) fn knows(&self, flow: Flow) -> bool {
        self.routes.knows(flow.remote)
            || self.gateway_by_name(flow.remote.ip()).is_some()
            || self.certified(flow).is_some()
    }

    /// Begins an answer outside of any transaction. A repeated request gets the same tag
    /// (RFC 3261 §8.2.7).
    fn stateless(&self, flow: Flow, message: &Message, status: u16, phrase: &str) -> Writer {
        let tag = self.stateless_tag(message);
        Writer::response(message, flow.remote, status, phrase, &tag)
    }

    fn stateless_tag(&self, message: &Message) -> [u8; 16] {
        let origin = (message.header(N::Via), message.call_id());
        let origin = self.owners.hasher().hash_one(origin);
        core::array::from_fn(|at| b"0123456789abcdef"[(origin >> (60 - 4 * at)) as usize & 15])
    }

    /// Whether an ACK is that of an answer made without a transaction: it has the Via and Call-ID
    /// of its INVITE (RFC 3261 §17.1.1.3), of which our tag was made.
    pub(crate) fn acknowledges_challenge(&self, ack: &Message) -> bool {
        let tag = ack.to().ok().and_then(|to| to.tag());
        tag.is_some_and(|tag| tag == self.stateless_tag(ack))
    }

    fn reply(&mut self, flow: Flow, message: &Message, w: Writer) {
        let Ok(via) = message.via() else { return };
        let remote = response_address(&flow, &via);
        let to = Destination::Flow(Flow { remote, ..flow });
        let transmit = Transmit {
            to,
            bytes: w.finish(),
            key: 0,
        };
        self.outputs.push_back(Output::Transmit(transmit));
    }

    fn answer_plainly(&mut self, flow: Flow, message: &Message, status: u16) {
        let w = self.stateless(flow, message, status, "");
        self.reply(flow, message, w);
    }

    /// The user that To names, its address of record, and how many contacts it may have.
    /// `likely` is most probably that user, which saves looking for it.
    fn registrant(
        &self,
        message: &Message,
        likely: Option<&Arc<User>>,
    ) -> Option<(UserId, String, u16)> {
        let to = message.to().ok()?;
        let domain = self.routes.domain();
        let registrant = |user: &User| {
            let aor = [user.name.as_str(), "@", domain].concat();
            Some((user.id, aor, user.contacts_max))
        };
        // Most write the address of record as we do.
        let plain = to.uri.strip_prefix(b"sip:");
        let named = plain.and_then(|plain| plain.strip_suffix(domain.as_bytes()));
        let named = named.and_then(|named| named.strip_suffix(b"@"));
        if let Some(user) = likely.filter(|user| named == Some(user.name.as_bytes())) {
            return registrant(user);
        }
        let uri = Uri::parse(to.uri).ok()?;
        let name = uri.user_decoded();
        let ours = uri.host.eq_ignore_ascii_case(domain.as_bytes())
            || uri.host_ip().is_some()
            || uri.host.eq_ignore_ascii_case(b"localhost");
        let name = core::str::from_utf8(&name).ok().filter(|_| ours)?;
        match likely.filter(|user| user.name == name) {
            Some(user) => registrant(user),
            None => registrant(self.routes.user_named(name)?),
        }
    }

    fn register(&mut self, now: Time, flow: Flow, message: &Message, aor: &str, contacts_max: u16) {
        let result = registrar::from_message(message, flow, aor, contacts_max)
            .and_then(|request| self.registrar.register(now, &request));
        let error = match result {
            Ok(registered) => {
                self.confirm(flow, message, &registered);
                return;
            }
            Err(error) => error,
        };
        let mut w = self.stateless(flow, message, error.status(), "");
        if let Some(s) = error.min_expires_s() {
            w.header_fmt("Min-Expires", format_args!("{s}"));
        }
        if let Some(s) = error.retry_after_s() {
            w.header_fmt("Retry-After", format_args!("{s}"));
        }
        w.header_fmt("Warning", format_args!("399 tandem \"{error}\""));
        self.reply(flow, message, w);
    }

    fn confirm(&mut self, flow: Flow, message: &Message, registered: &Registered) {
        let mut w = self.stateless(flow, message, 200, "");
        registered.write(&mut w);
        w.header("Server", self.call_config.product.as_bytes());
        self.reply(flow, message, w);
    }

    /// Who the credentials of a request prove its sender to be; `None` if it has none for our
    /// realm.
    ///
    /// # Errors
    /// They prove nothing: challenge anew.
    pub(crate) fn authenticate(
        &mut self,
        now: Time,
        flow: Flow,
        message: &Message,
        side: Side,
    ) -> Result<Option<Identity>, Option<Verdict>> {
        let proven = self.prove(now, flow, message, side)?;
        Ok(proven.map(|proven| proven.identity))
    }

    fn prove(
        &mut self,
        now: Time,
        flow: Flow,
        message: &Message,
        side: Side,
    ) -> Result<Option<Proven>, Option<Verdict>> {
        if message
            .header(N::Authorization)
            .or(message.header(N::ProxyAuthorization))
            .is_none()
        {
            return Ok(None);
        }
        let realm = self.routes.domain();
        let found = Credentials::find(message, side, realm).or_else(|| {
            // Some phones answer a 407 with Authorization, and the other way round.
            let other = match side {
                Side::UserAgent => Side::Proxy,
                Side::Proxy => Side::UserAgent,
            };
            Credentials::find(message, other, realm)
        });
        let Some(credentials) = found else {
            return Ok(None);
        };
        let username = credentials.username.unescaped();
        let known = core::str::from_utf8(&username)
            .ok()
            .and_then(|n| self.routes.credentials(n));
        let proven = known.as_ref().map(|k| Proven {
            identity: k.identity,
            user: k.user.cloned(),
        });
        let secret = known.map(|k| match credentials.algorithm {
            Some(Algorithm::Sha256 | Algorithm::Sha256Sess) => k.secret.sha256.as_bytes(),
            _ => k.secret.md5.as_bytes(),
        });
        let from = self.source(flow, message).remote.ip();
        let verdict =
            self.authenticator
                .verify(now, from, &credentials, message.method_text(), secret);
        match verdict {
            Verdict::Granted => {
                self.defence.note_success(from);
                Ok(proven)
            }
            Verdict::Stale => Err(Some(verdict)),
            // A REGISTER that comes again because its answer was lost is no failure: its caller
            // finds out.
            Verdict::Refused(Refusal::Replayed) if message.method() == Method::Register => {
                Err(Some(verdict))
            }
            Verdict::Refused(refusal) => {
                self.note_auth_failure(now, flow, message, refusal);
                Err(Some(verdict))
            }
        }
    }

    fn note_auth_failure(&mut self, now: Time, flow: Flow, message: &Message, refusal: Refusal) {
        Counters::by_label(&mut self.counters.auth_failures, refusal.label());
        // Both need a nonce that was sent to this address: no forged datagram gets it banned.
        let guessing = matches!(refusal, Refusal::Secret | Refusal::Malformed);
        // Whoever forges the source of datagrams must not get a customer or carrier banned.
        let source = self.source(flow, message).remote;
        let address = source.ip();
        let is_ours = self.is_dispatcher(address) || self.is_peer(address);
        if !guessing || self.routes.knows(source) || is_ours {
            return;
        }
        if let Some(ban) = self.defence.note_failure(now, address) {
            let (reason, until) = (ban.reason, ban.until);
            self.outputs.push_back(Output::Event(Event::Banned {
                address,
                reason,
                until,
            }));
        }
    }

    pub(crate) fn challenge(
        &mut self,
        now: Time,
        server: ServerId,
        flow: Flow,
        message: &Message,
        side: Side,
        verdict: Option<Verdict>,
    ) {
        let tag = format!("{:08x}", self.random.bits());
        let status = side.status();
        let mut w = Writer::response(message, flow.remote, status, "", tag.as_bytes());
        let from = self.source(flow, message).remote.ip();
        self.authenticator
            .challenge(now, from, side, verdict, &mut w);
        self.transactions.respond(now, server, status, w.finish());
    }
}

/// Whom credentials prove the sender of a request to be.
struct Proven {
    identity: Identity,
    /// The user, if its own name was used and not a device's.
    user: Option<Arc<User>>,
}
