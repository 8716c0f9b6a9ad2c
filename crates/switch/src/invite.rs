//! New calls: who calls, may they, is there room, and where does it go.

use call::{Call, CallFacts, Ctx, Reach, Trust};
use clock::Time;
use limits::EntityId;
use model::{CallId, GatewayId};
use routing::{Caller, Decision, Domain, Identity, Request, Service, Source, Step, Target};
use sip::digest::Side;
use sip::transaction::ServerId;
use sip::{Flow, HeaderName, Message, Replaces, Uri};

use crate::Switch;
use crate::facts::Facts;
use crate::output::CallKey;
use crate::{overflow, plan};

impl Switch {
    /// An INVITE outside of dialogs.
    pub(crate) fn handle_invite(
        &mut self,
        now: Time,
        server: ServerId,
        flow: Flow,
        message: Message,
    ) {
        if self.refuse_extensions(now, server, flow, &message) {
            return;
        }
        if message.sdp().is_none() && !message.body().is_empty() && !self.body_may_pass(&message) {
            self.refuse_with(now, server, flow, &message, 415, |w| {
                w.header("Accept", b"application/sdp");
            });
            return;
        }
        if !accepts_sdp(&message) {
            self.refuse(now, server, flow, &message, 406, "");
            return;
        }
        let identity = match self.authenticate(now, flow, &message, Side::Proxy) {
            Ok(identity) => identity,
            Err(verdict) => {
                self.challenge(now, server, flow, &message, Side::Proxy, verdict);
                return;
            }
        };
        if message.header(HeaderName::Contact).is_none() {
            // RFC 3261 §8.1.1.8: an INVITE has exactly one Contact.
            self.refuse(now, server, flow, &message, 400, "Missing Contact");
            return;
        }
        let Some(mut texts) = self.texts_of_request(&message) else {
            self.refuse(now, server, flow, &message, 400, "Malformed URI");
            return;
        };
        if let Some(replaces) = message.header(HeaderName::Replaces) {
            let replaces = Replaces::parse(replaces).map(|r| (r, r.to_tag.to_vec()));
            if let Some((_, tag)) = replaces {
                self.replace(now, server, flow, &message, identity, &tag);
                return;
            }
            self.refuse(now, server, flow, &message, 400, "Malformed Replaces");
            return;
        }
        let line = self.registered_line(flow, &message, &mut texts);
        let mut steps: Vec<Step> = Vec::new();
        let from = Origin {
            flow: self.source(flow, &message),
            identity,
            line,
        };
        if let Some(asked) = overflow::asked(message.uri()) {
            steps.push(Step::Overflow(asked.join(", ").into()));
        }
        let decision = self.decide(now, from, &texts, &mut steps);
        let invitation = Invitation {
            server,
            flow,
            message,
            texts,
        };
        self.begin(now, invitation, &decision, steps);
    }

    fn begin(&mut self, now: Time, invitation: Invitation, decision: &Decision, steps: Vec<Step>) {
        let Invitation {
            server,
            flow,
            message,
            ..
        } = &invitation;
        match &decision.target {
            Target::Challenge => {
                self.challenge(now, *server, *flow, message, Side::Proxy, None);
                return;
            }
            Target::Refuse(refusal) => {
                self.refuse_call(now, &invitation, decision, *refusal);
                return;
            }
            _ => {}
        }
        if let Err(refused) = self.limits.try_admit(now, &decision.entities) {
            self.refuse_for_room(now, &invitation, decision, &refused);
            return;
        }
        let id = self.new_call_id(now);
        let mut facts = invitation.facts(now, id, decision);
        facts.steps = steps;
        if let Target::User(user) = &decision.target {
            facts.to_user = Some(user.id);
            facts.record |= user.record;
        }
        self.open_record(&facts);
        self.start_call(now, invitation, decision, facts);
    }

    fn start_call(
        &mut self,
        now: Time,
        invitation: Invitation,
        decision: &Decision,
        mut facts: Facts,
    ) {
        let Invitation {
            server,
            flow,
            message,
            texts,
        } = invitation;
        let key = self.calls.next_key();
        let seed = (u64::from(self.random.bits()) << 32) | u64::from(self.random.bits());
        let (reach, trust) = standing(&decision.caller);
        let credentials = match &decision.caller {
            Caller::Carrier { gateway, .. } => plan::credentials_of(gateway),
            _ => None,
        };
        let call_facts = CallFacts {
            key: key.0,
            seal: self.key_seal.of(key.0),
            seed,
            reach,
            trust,
            keys: self.keys_of_caller(&decision.caller),
            credentials,
        };
        let planned = {
            let uri = Uri::parse(message.uri()).ok();
            let mut source = plan::Source::of(&message, &texts.caller);
            source.gruu = uri.as_ref().filter(|u| u.params.has("gr"));
            self.plan(now, &decision.target, &decision.caller, &source, 0)
        };
        facts.attempts = planned.tried;
        let mut out = std::mem::take(&mut self.scratch);
        let mut ctx = Ctx {
            now,
            config: &self.call_config,
            out: &mut out,
        };
        let uas = server.as_u64();
        let call = match &decision.target {
            Target::Service(Service::Echo) => {
                Call::start_echo(&mut ctx, call_facts, uas, flow, message)
            }
            _ => Call::start(&mut ctx, call_facts, uas, flow, message, planned.plan),
        };
        self.calls.insert(call, Box::new(facts));
        self.invites.insert(server, key);
        self.carry_out(now, key, out);
    }

    /// INVITE with Replaces (RFC 3891 §3): for callers we know only.
    fn replace(
        &mut self,
        now: Time,
        server: ServerId,
        flow: Flow,
        message: &Message,
        identity: Option<Identity>,
        tag: &[u8],
    ) {
        if identity.is_none() && !self.knows(self.source(flow, message)) {
            self.challenge(now, server, flow, message, Side::Proxy, None);
            return;
        }
        let Some(key) = self.calls.key_of_tag(tag) else {
            self.refuse(now, server, flow, message, 481, "");
            return;
        };
        let reach = if identity.is_some() {
            Reach::Flow
        } else {
            Reach::Target
        };
        let invite = message.clone();
        let taken = self.step(now, key, |call, ctx| {
            let value = invite
                .header(HeaderName::Replaces)
                .unwrap_or_default()
                .to_vec();
            Replaces::parse(&value).is_some_and(|replaces| {
                let uas = server.as_u64();
                call.replace(ctx, &replaces, uas, flow, reach, Trust::Untrusted, invite)
            })
        });
        if taken == Some(true) {
            self.invites.insert(server, key);
        } else {
            self.refuse(now, server, flow, message, 481, "");
        }
    }

    pub(crate) fn decide(
        &mut self,
        now: Time,
        from: Origin,
        texts: &Texts,
        steps: &mut Vec<Step>,
    ) -> Decision {
        let random = (u64::from(self.random.bits()) << 32) | u64::from(self.random.bits());
        let address = from.flow.remote;
        let request = Request {
            source: Source {
                address,
                identity: from.identity,
                certificate: self.certified(from.flow),
                gateway: self.gateway_by_name(address.ip()),
                line: from.line,
            },
            called: &texts.called,
            caller: &texts.caller,
            caller_domain: self.domain_of(&texts.caller_host),
            random,
        };
        self.routes.decide(now, &request, &self.health, steps)
    }

    /// What routing looks at; who calls a temporary GRUU calls the user behind it.
    pub(crate) fn texts_of_request(&self, message: &Message) -> Option<Texts> {
        let mut texts = Texts::of(message)?;
        let uri = Uri::parse(message.uri()).ok()?;
        if let Some(user) = self.user_behind(&uri) {
            texts.called = user;
        }
        Some(texts)
    }

    fn domain_of(&self, host: &str) -> Domain {
        let ip = sip::uri::parse_ip(host.as_bytes());
        let ours = host.eq_ignore_ascii_case(self.routes.domain())
            || self
                .listeners
                .all()
                .iter()
                .any(|l| Some(l.advertised.ip()) == ip);
        if ours { Domain::Ours } else { Domain::Foreign }
    }

    /// Routes for a call under way, with the rights of whoever began it.
    pub(crate) fn decide_for(
        &mut self,
        now: Time,
        key: CallKey,
        called: &str,
        caller: &str,
    ) -> Option<Decision> {
        let entry = self.calls.entry(key)?;
        let identity = match &entry.facts.caller {
            Caller::User(user) => Some(Identity::User(user.id)),
            Caller::Customer(customer) => Some(Identity::Customer(customer.id)),
            Caller::Carrier { .. } | Caller::Unknown => None,
        };
        let from = Origin {
            flow: entry.facts.source,
            identity,
            line: None,
        };
        let texts = Texts {
            called: called.to_owned(),
            caller: caller.to_owned(),
            caller_host: String::new(),
        };
        let decision = self.decide(now, from, &texts, &mut Vec::new());
        match decision.target {
            Target::Challenge | Target::Refuse(_) | Target::Service(_) => None,
            _ => Some(decision),
        }
    }

    /// A body that is no SDP: multipart and unknown types pass unless they must be understood.
    fn body_may_pass(&self, message: &Message) -> bool {
        let disposition = message
            .header(HeaderName::ContentDisposition)
            .unwrap_or_default();
        message.header(HeaderName::ContentEncoding).is_none()
            && (message.header(HeaderName::ContentType).is_none()
                || message.has_content_type("multipart/mixed")
                || sip::lex::Params(
                    &disposition[memchr::memchr(b';', disposition).unwrap_or(disposition.len())..],
                )
                .value("handling")
                .is_some_and(|h| h.eq_ignore_ascii_case(b"optional")))
    }

    pub(crate) fn new_call_id(&mut self, now: Time) -> CallId {
        let bits: u128 = (0..3).fold(0, |sum, _| (sum << 32) | u128::from(self.random.bits()));
        CallId::from_parts(now.as_millis(), bits & ((1 << 80) - 1))
    }

    pub(crate) fn release(&mut self, now: Time, entities: &[EntityId]) {
        if !entities.is_empty() {
            // A misuse is counted by the limits themselves.
            let _ = self.limits.release(now, entities);
        }
    }
}

/// Whether the sender takes a session description in the answer (RFC 3261 §20.1: without Accept
/// it does).
fn accepts_sdp(message: &Message) -> bool {
    let mut all = message.values(HeaderName::Accept).peekable();
    all.peek().is_none()
        || all.any(|value| {
            let end = memchr::memchr(b';', value).unwrap_or(value.len());
            let kind = sip::lex::trim(&value[..end]);
            [&b"application/sdp"[..], b"application/*", b"*/*"]
                .iter()
                .any(|known| kind.eq_ignore_ascii_case(known))
        })
}

/// An INVITE and what it says.
pub(crate) struct Invitation {
    pub(crate) server: ServerId,
    pub(crate) flow: Flow,
    pub(crate) message: Message,
    pub(crate) texts: Texts,
}

impl Invitation {
    pub(crate) fn facts(&self, now: Time, id: CallId, decision: &Decision) -> Facts {
        let call_id = String::from_utf8_lossy(self.message.call_id().unwrap_or_default());
        let source = plan::Source::of(&self.message, &self.texts.caller);
        let texts = [
            self.texts.caller.as_str(),
            self.texts.called.as_str(),
            &call_id,
            core::str::from_utf8(source.display).unwrap_or_default(),
        ];
        let mut facts = Facts::new(id, now, self.flow, decision, texts);
        facts.is_private = source.private;
        facts
    }
}

/// Where a request comes from, as far as it is known before routing.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) flow: Flow,
    /// Whom its digest proved it to be.
    pub(crate) identity: Option<Identity>,
    /// The gateway whose registration of ours it was sent to.
    pub(crate) line: Option<GatewayId>,
}

/// The texts of a request that routing looks at.
pub(crate) struct Texts {
    pub(crate) called: String,
    pub(crate) caller: String,
    pub(crate) caller_host: String,
}

impl Texts {
    pub(crate) fn of(message: &Message) -> Option<Self> {
        let uri = Uri::parse(message.uri()).ok()?;
        let from = message.from().ok()?;
        let from = Uri::parse(from.uri).ok();
        let text = |uri: &Uri<'_>| String::from_utf8_lossy(&uri.user_unescaped()).into_owned();
        Some(Self {
            called: text(&uri),
            caller: from.as_ref().map(text).unwrap_or_default(),
            caller_host: from
                .map(|f| String::from_utf8_lossy(f.host).into_owned())
                .unwrap_or_default(),
        })
    }
}

/// How a caller is reached, and whether it is trusted: users are phones behind NAT, whose
/// identity is what we say it is; customers by address and carriers are switches.
const fn standing(caller: &Caller) -> (Reach, Trust) {
    match caller {
        Caller::User(_) | Caller::Unknown => (Reach::Flow, Trust::Untrusted),
        Caller::Customer(_) | Caller::Carrier { .. } => (Reach::Target, Trust::Trusted),
    }
}
