//! From a routing decision to the attempts of a call.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use call::{Attempt, Credentials, Keys, MediaMode, Plan, Redirects, Trust, Yields};
use clock::Time;
use model::{Carrier, DtmfMode, Forking, Gateway, TransportSpec, User};
use routing::{Caller, Target};
use sip::uri::escape_user;
use sip::{HeaderName, Message};

use crate::Switch;
use crate::facts::Tried;
use crate::media_servers::KeysThere;

/// The plan and, for each attempt, what the switch remembers of it.
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    pub(crate) tried: Vec<Tried>,
}

impl Switch {
    /// The attempts for a target; `first_token` is the number of the first. Empty if nobody can
    /// be reached.
    pub(crate) fn plan(
        &self,
        now: Time,
        target: &Target,
        caller: &Caller,
        source: &Source<'_>,
        first_token: u32,
    ) -> Planned {
        let attempts = match target {
            Target::User(user) => self.plan_user(now, user, caller, source),
            Target::Customer {
                host, destination, ..
            } => {
                vec![(self.plan_customer(host, destination, source), None)]
            }
            Target::Gateways(list) => list
                .iter()
                .enumerate()
                .map(|(place, a)| {
                    (
                        self.plan_gateway(place, a, caller, source),
                        Some(Box::new(a.clone())),
                    )
                })
                .collect(),
            Target::Service(_) | Target::Challenge | Target::Refuse(_) => Vec::new(),
        };
        let media = self.media_mode(target, caller);
        let mut planned = Planned {
            plan: Plan {
                attempts: Vec::with_capacity(attempts.len()),
                media,
            },
            tried: Vec::with_capacity(attempts.len()),
        };
        for (attempt, outbound) in attempts {
            let token = first_token + planned.tried.len() as u32;
            planned.plan.attempts.push(Attempt { token, ..attempt });
            planned.tried.push(Tried {
                outbound,
                admitted: false,
                dialled: false,
                moves: false,
            });
        }
        planned
    }

    fn plan_user(
        &self,
        now: Time,
        user: &User,
        caller: &Caller,
        source: &Source<'_>,
    ) -> Vec<(Attempt, Option<Box<routing::Attempt>>)> {
        let domain = self.routes.domain();
        let aor = format!("{}@{domain}", user.name);
        let contacts = match source.gruu {
            Some(gruu) => self.registrar.lookup_gruu(now, &aor, gruu),
            None => self.registrar.lookup(now, &aor),
        };
        let settings = &self.snapshot.settings;
        let ring_s = match user.ring_timeout_s {
            0 => settings.ring_timeout_s,
            s => s,
        };
        let to: Box<[u8]> = format!("<sip:{aor}>").into_bytes().into();
        let from = self.caller_value(source, caller_shown(caller, source), domain);
        contacts
            .into_iter()
            .enumerate()
            .filter_map(|(place, contact)| {
                let way = self.way_to(&contact)?;
                let attempt = Attempt {
                    stage: match user.forking {
                        Forking::Parallel => 0,
                        Forking::Sequential => place as u16,
                    },
                    token: 0,
                    uri: contact.uri,
                    to: to.clone(),
                    from: from.clone(),
                    identity: self.identity_value(caller, source),
                    trust: Trust::Untrusted,
                    keys: self.keys_of(user.dtmf),
                    routes: way.routes,
                    destination: way.destination,
                    beyond: way.beyond,
                    credentials: None,
                    silence_max: Duration::ZERO,
                    ring_max: Duration::from_secs(ring_s.into()),
                    redirects: Redirects::Follow,
                    yields: Yields::AnyFailure,
                };
                Some((attempt, None))
            })
            .collect()
    }

    fn plan_customer(&self, host: &str, destination: &str, source: &Source<'_>) -> Attempt {
        let uri = format!("sip:{destination}@{host}");
        let domain = self.routes.domain();
        Attempt {
            stage: 0,
            token: 0,
            to: format!("<{uri}>").into_bytes().into(),
            uri: uri.into_bytes().into(),
            from: self.caller_value(source, source.caller, domain),
            identity: Box::default(),
            trust: Trust::Trusted,
            keys: Keys::Events,
            routes: Box::default(),
            destination: None,
            beyond: None,
            credentials: None,
            silence_max: Duration::from_millis(self.snapshot.settings.gateway_timeout_ms.into()),
            ring_max: Duration::from_secs(self.snapshot.settings.ring_timeout_s.into()),
            redirects: Redirects::Refuse,
            yields: Yields::Trouble,
        }
    }

    fn plan_gateway(
        &self,
        place: usize,
        outbound: &routing::Attempt,
        caller: &Caller,
        source: &Source<'_>,
    ) -> Attempt {
        let gateway = &outbound.gateway;
        let settings = &self.snapshot.settings;
        let uri = gateway_uri(gateway, &outbound.destination);
        let host = bracketed(&gateway.host);
        let destination: &str = &outbound.destination;
        let silence_ms = match gateway.no_answer_timeout_ms {
            0 => settings.gateway_timeout_ms,
            ms => ms,
        };
        let from_host = gateway
            .auth
            .as_ref()
            .map_or(self.routes.domain(), |_| &host);
        Attempt {
            stage: place as u16,
            token: 0,
            to: ["<sip:", destination, "@", &host, ">"]
                .concat()
                .into_bytes()
                .into(),
            uri: uri.into_bytes().into(),
            from: self.caller_value(source, &outbound.caller, from_host),
            identity: self.identity_value(caller, source),
            trust: Trust::Trusted,
            keys: self.keys_of(outbound.carrier.dtmf),
            routes: Box::default(),
            destination: None,
            beyond: None,
            credentials: credentials_of(gateway),
            silence_max: Duration::from_millis(silence_ms.into()),
            ring_max: Duration::from_secs(settings.ring_timeout_s.into()),
            redirects: Redirects::Refuse,
            yields: Yields::Trouble,
        }
    }

    /// From as the callee sees it; anonymous where the caller asks for privacy (RFC 3323 §4.1).
    fn caller_value(&self, source: &Source<'_>, shown: &str, host: &str) -> Box<[u8]> {
        if source.private {
            return b"\"Anonymous\" <sip:anonymous@anonymous.invalid>"
                .as_slice()
                .into();
        }
        let mut out = Vec::with_capacity(64);
        if !source.display.is_empty() {
            out.push(b'"');
            // A folded display name goes on one line.
            out.extend(
                source
                    .display
                    .iter()
                    .map(|b| if sip::lex::is_lws(*b) { b' ' } else { *b }),
            );
            out.extend_from_slice(b"\" ");
        }
        out.extend_from_slice(b"<sip:");
        out.extend_from_slice(escape_user(shown).as_bytes());
        out.push(b'@');
        out.extend_from_slice(host.as_bytes());
        out.push(b'>');
        out.into()
    }

    /// P-Asserted-Identity for a user, whose identity we have proved ourselves (RFC 3325 §5).
    fn identity_value(&self, caller: &Caller, source: &Source<'_>) -> Box<[u8]> {
        let Caller::User(user) = caller else {
            return Box::default();
        };
        if source.private {
            return Box::default();
        }
        let shown = user.caller_number.as_deref().unwrap_or(&user.name);
        let shown = escape_user(shown);
        format!("<sip:{shown}@{}>", self.routes.domain())
            .into_bytes()
            .into()
    }

    /// How a caller gives and takes keys.
    pub(crate) fn keys_of_caller(&self, caller: &Caller) -> Keys {
        match caller {
            Caller::User(user) => self.keys_of(user.dtmf),
            Caller::Carrier { carrier, .. } => self.keys_of(carrier.dtmf),
            Caller::Customer(_) | Caller::Unknown => Keys::Events,
        }
    }

    /// Where media servers convert no keys, these pass as they come, INFO too.
    fn keys_of(&self, mode: DtmfMode) -> Keys {
        match mode {
            _ if self.keys_pass_there() => Keys::Events,
            DtmfMode::Rfc4733 => Keys::Events,
            DtmfMode::Inband => Keys::Tones,
            DtmfMode::Info => Keys::Messages,
        }
    }

    fn keys_pass_there(&self) -> bool {
        !self.snapshot.media_servers.is_empty() && self.keys_there == KeysThere::Pass
    }

    fn media_mode(&self, target: &Target, caller: &Caller) -> MediaMode {
        let from_carrier = |carrier: &Carrier| carrier.media;
        let callers = match caller {
            Caller::Customer(customer) => customer.media,
            Caller::Carrier { carrier, .. } => carrier.media,
            Caller::User(_) | Caller::Unknown => None,
        };
        let callees = match target {
            Target::Gateways(list) => list.first().and_then(|a| from_carrier(&a.carrier)),
            Target::Customer { customer, .. } => customer.media,
            _ => None,
        };
        match callers.or(callees).unwrap_or(self.snapshot.settings.media) {
            model::MediaMode::Relay => MediaMode::Relay,
            model::MediaMode::Bypass => MediaMode::Bypass,
        }
    }
}

/// What we answer a gateway's challenges with.
pub(crate) fn credentials_of(gateway: &Gateway) -> Option<Arc<Credentials>> {
    let auth = gateway.auth.as_ref()?;
    Some(Arc::new(Credentials {
        username: auth.username.as_str().into(),
        password: auth.password.as_str().into(),
    }))
}

/// What of the caller's request the callee gets to see.
pub(crate) struct Source<'a> {
    /// The user part of From.
    pub(crate) caller: &'a str,
    /// The display name of From, escapes kept.
    pub(crate) display: &'a [u8],
    /// Whether the caller asks for privacy.
    pub(crate) private: bool,
    /// The request URI, if it is a GRUU.
    pub(crate) gruu: Option<&'a sip::Uri<'a>>,
}

impl<'a> Source<'a> {
    pub(crate) fn of(message: &'a Message, caller: &'a str) -> Self {
        Self {
            caller,
            display: message.from().map(|f| f.display).unwrap_or_default(),
            private: message.values(HeaderName::Privacy).any(asks_privacy),
            gruu: None,
        }
    }
}

fn asks_privacy(value: &[u8]) -> bool {
    value
        .split(|b| *b == b';')
        .map(sip::lex::trim)
        .any(|v| v.eq_ignore_ascii_case(b"id") || v.eq_ignore_ascii_case(b"user"))
}

/// What a local callee sees of the caller: a user's name, so that it can be called back.
fn caller_shown<'a>(caller: &'a Caller, source: &Source<'a>) -> &'a str {
    match caller {
        Caller::User(user) => &user.name,
        _ => source.caller,
    }
}

/// The URI of a number at a gateway; without a number that of the gateway itself.
#[must_use]
pub fn gateway_uri(gateway: &Gateway, number: &str) -> String {
    let host = bracketed(&gateway.host);
    let user = escape_user(number);
    let at = if number.is_empty() { "" } else { "@" };
    let port = gateway.port.map(|port| format!(":{port}"));
    let transport = match gateway.transport {
        None | Some(TransportSpec::Udp) => "",
        Some(TransportSpec::Tcp) => ";transport=tcp",
        Some(TransportSpec::Tls) => ";transport=tls",
        Some(TransportSpec::Ws) => ";transport=ws",
        Some(TransportSpec::Wss) => ";transport=wss",
    };
    let port = port.as_deref().unwrap_or_default();
    ["sip:", &user, at, &host, port, transport].concat()
}

fn bracketed(host: &str) -> Cow<'_, str> {
    if host.contains(':') && !host.starts_with('[') {
        Cow::Owned(format!("[{host}]"))
    } else {
        Cow::Borrowed(host)
    }
}
