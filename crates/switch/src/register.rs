//! REGISTER, and digest for whoever has to prove something.

use clock::Time;
use routing::Identity;
use sip::digest::{Algorithm, Credentials, Refusal, Side, Verdict};
use sip::transaction::{ServerId, response_address};
use sip::{Destination, Flow, HeaderName as N, Message, Method, Transmit, Uri, Writer};

use crate::Switch;
use crate::counters::Counters;
use crate::output::{Event, Output};

impl Switch {
    pub(crate) fn handle_register(
        &mut self,
        now: Time,
        server: ServerId,
        flow: Flow,
        message: &Message,
    ) {
        if self.refuse_extensions(now, server, flow, message) {
            return;
        }
        let verdict = match self.authenticate(now, flow, message, Side::UserAgent) {
            Ok(Some(Identity::User(id))) => match self.registrant(message) {
                Some((name, contacts_max)) if self.is_user(id, &name) => {
                    self.register(now, server, flow, message, &name, contacts_max);
                    return;
                }
                // Somebody else's address of record looks like one that is not there.
                _ => {
                    self.refuse(now, server, flow, message, 403, "");
                    return;
                }
            },
            Ok(Some(Identity::Customer(_))) => {
                self.refuse(now, server, flow, message, 403, "");
                return;
            }
            Ok(None) => None,
            Err(verdict) => verdict,
        };
        self.challenge(now, server, flow, message, Side::UserAgent, verdict);
    }

    /// Challenges a request without credentials and keeps nothing of it (RFC 3261 §8.2.7): half of
    /// all REGISTERs are such, and a flood of them costs no memory. An INVITE of a source that is
    /// configured may need no credentials and takes the longer way.
    pub(crate) fn challenge_at_once(&mut self, now: Time, flow: Flow, message: &Message) -> bool {
        let side = match message.method() {
            Method::Register => Side::UserAgent,
            Method::Invite if !self.knows(flow) => Side::Proxy,
            _ => return false,
        };
        let plain = [
            N::Authorization,
            N::ProxyAuthorization,
            N::Require,
            N::Replaces,
        ];
        if plain.into_iter().any(|name| message.header(name).is_some()) {
            return false;
        }
        let Ok(via) = message.via() else { return false };
        let remote = response_address(&flow, &via);
        // A repeated request gets the same tag (RFC 3261 §8.2.7).
        let origin = (via.branch(), message.call_id());
        let tag = format!("{:016x}", self.owners.hasher().hash_one(origin));
        let mut w = Writer::response(message, flow.remote, side.status(), "", tag.as_bytes());
        self.authenticator.challenge(now, side, None, &mut w);
        let to = Destination::Flow(Flow { remote, ..flow });
        let transmit = Transmit {
            to,
            bytes: w.finish(),
            key: 0,
        };
        self.outputs.push_back(Output::Transmit(transmit));
        true
    }

    fn knows(&self, flow: Flow) -> bool {
        self.routes.knows(flow.remote) || self.gateway_by_name(flow.remote.ip()).is_some()
    }

    /// The user that To names: its name and how many contacts it may have.
    fn registrant(&self, message: &Message) -> Option<(String, u16)> {
        let to = message.to().ok()?;
        let uri = Uri::parse(to.uri).ok()?;
        let name = String::from_utf8(uri.user_unescaped()).ok()?;
        let ours = uri
            .host
            .eq_ignore_ascii_case(self.routes.domain().as_bytes())
            || uri.host_ip().is_some()
            || uri.host.eq_ignore_ascii_case(b"localhost");
        let user = self.routes.user_named(&name).filter(|_| ours)?;
        Some((user.name.clone(), user.contacts_max))
    }

    fn is_user(&self, id: model::UserId, name: &str) -> bool {
        self.routes.user(id).is_some_and(|u| u.name == name)
    }

    fn register(
        &mut self,
        now: Time,
        server: ServerId,
        flow: Flow,
        message: &Message,
        name: &str,
        contacts_max: u16,
    ) {
        let aor = format!("{name}@{}", self.routes.domain());
        let result = registrar::from_message(message, flow, &aor, contacts_max)
            .and_then(|request| self.registrar.register(now, &request));
        let tag = format!("{:08x}", self.random.bits());
        let product = self.call_config.product.clone();
        let (status, bytes) = match result {
            Ok(registered) => {
                let mut w = Writer::response(message, flow.remote, 200, "", tag.as_bytes());
                registered.write(&mut w);
                w.header("Server", product.as_bytes());
                (200, w.finish())
            }
            Err(error) => {
                let status = error.status();
                let mut w = Writer::response(message, flow.remote, status, "", tag.as_bytes());
                if let Some(s) = error.min_expires_s() {
                    w.header_fmt("Min-Expires", format_args!("{s}"));
                }
                if let Some(s) = error.retry_after_s() {
                    w.header_fmt("Retry-After", format_args!("{s}"));
                }
                w.header_fmt("Warning", format_args!("399 tandem \"{error}\""));
                (status, w.finish())
            }
        };
        self.transactions.respond(now, server, status, bytes);
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
        let identity = known.as_ref().map(|k| k.identity);
        let secret = known.map(|k| match credentials.algorithm {
            Some(Algorithm::Sha256 | Algorithm::Sha256Sess) => k.secret.sha256.as_bytes(),
            _ => k.secret.md5.as_bytes(),
        });
        let verdict = self
            .authenticator
            .verify(now, &credentials, message.method_text(), secret);
        match verdict {
            Verdict::Granted => {
                self.defence.note_success(flow.remote.ip());
                Ok(identity)
            }
            Verdict::Stale => Err(Some(verdict)),
            Verdict::Refused(refusal) => {
                self.note_auth_failure(now, flow, refusal);
                Err(Some(verdict))
            }
        }
    }

    fn note_auth_failure(&mut self, now: Time, flow: Flow, refusal: Refusal) {
        Counters::by_label(&mut self.counters.auth_failures, refusal.label());
        let guessing = matches!(
            refusal,
            Refusal::Secret | Refusal::Replayed | Refusal::Malformed
        );
        if !guessing {
            return;
        }
        let address = flow.remote.ip();
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
        self.authenticator.challenge(now, side, verdict, &mut w);
        self.transactions.respond(now, server, status, w.finish());
    }
}
