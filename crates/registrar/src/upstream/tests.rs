//! A carrier of text against the machine.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use clock::Time;
use model::{
    CarrierId, Gateway, GatewayId, GatewayRegistration, GatewayRegistrationState, LimitSpec,
    OutboundAuth,
};
use sip::{Framing, HeaderName, Message};

use super::{Dice, Upstream, UpstreamFailure, UpstreamId, UpstreamOutput, UpstreamStep};

const CONTACT: &str = "sip:192.0.2.1:5060";

fn gateway() -> Gateway {
    Gateway {
        id: GatewayId::from_parts(1, 0),
        carrier: CarrierId::from_parts(1, 0),
        name: "acme".into(),
        host: "sip.acme.example".into(),
        port: None,
        transport: None,
        priority: 0,
        weight: 1,
        ping_interval_s: 0,
        no_answer_timeout_ms: 0,
        auth: Some(OutboundAuth {
            username: "4930".into(),
            password: "secret".into(),
        }),
        registration: Some(GatewayRegistration {
            user: None,
            domain: None,
            expiry_s: 600,
        }),
        inbound: true,
        enabled: true,
        limits: LimitSpec::default(),
    }
}

/// A machine, the time, and what the carrier was last sent.
struct Rig {
    upstream: Upstream,
    now: Time,
    asked: Option<UpstreamId>,
    request: Option<Message>,
}

impl Rig {
    fn new(gateway: Gateway) -> Self {
        let mut rig = Self {
            upstream: Upstream::default(),
            now: Time::from_secs(1_800_000_000),
            asked: None,
            request: None,
        };
        rig.configure(&[gateway]);
        rig
    }

    fn configure(&mut self, gateways: &[Gateway]) {
        let gateways: Vec<_> = gateways.iter().cloned().map(Arc::new).collect();
        self.upstream.configure(self.now, gateways.iter());
    }

    /// The next request; panics if none is wanted.
    fn sent(&mut self) -> Message {
        match self.upstream.poll_output() {
            Some(UpstreamOutput::Ask { id, .. }) => self.asked = Some(id),
            other => panic!("{other:?}"),
        }
        self.write()
    }

    fn write(&mut self) -> Message {
        let id = self.asked.unwrap();
        let bytes = self
            .upstream
            .request(id, CONTACT, "tandem", &dice())
            .unwrap();
        let request = Message::parse(bytes, Framing::Stream).unwrap();
        self.request = Some(request.clone());
        request
    }

    fn answer(&mut self, status: &str, headers: &str) -> UpstreamStep {
        let text = format!("SIP/2.0 {status}\r\n{headers}Content-Length: 0\r\n\r\n");
        let response = Message::parse(Bytes::from(text), Framing::Stream).unwrap();
        let id = self.asked.unwrap();
        self.upstream
            .handle_response(self.now, id, &response, &dice())
    }

    fn challenge(&mut self, nonce: &str, stale: &str) -> UpstreamStep {
        let header = format!(
            "WWW-Authenticate: Digest realm=\"acme\", nonce=\"{nonce}\", qop=\"auth\"{stale}\r\n"
        );
        self.answer("401 Unauthorized", &header)
    }

    fn accept(&mut self, expiry_s: u32) {
        let headers = format!("Contact: <sip:4930@192.0.2.1:5060>;expires={expiry_s}\r\n");
        assert_eq!(self.answer("200 OK", &headers), UpstreamStep::Wait);
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.upstream.handle_timeout(self.now);
    }

    /// Seconds until it wants something.
    fn wait_s(&self) -> u64 {
        let due = self.upstream.poll_timeout().expect("a timer");
        due.since(self.now).as_secs()
    }

    fn state(&self) -> GatewayRegistrationState {
        let view = self.upstream.view(self.now, gateway().id).unwrap();
        view.state
    }

    fn told(&mut self) -> Option<Result<(), UpstreamFailure>> {
        match self.upstream.poll_output()? {
            UpstreamOutput::Registered { .. } => Some(Ok(())),
            UpstreamOutput::Failed { failure, .. } => Some(Err(failure)),
            other @ UpstreamOutput::Ask { .. } => panic!("{other:?}"),
        }
    }
}

fn dice() -> Dice {
    Dice {
        call_id: b"one@here"[..].into(),
        number: 0,
    }
}

fn text(request: &Message, name: HeaderName) -> String {
    String::from_utf8_lossy(request.header(name).unwrap_or_default()).into_owned()
}

#[test]
fn it_registers_with_digest_and_renews_in_time() {
    let mut rig = Rig::new(gateway());
    let first = rig.sent();
    assert_eq!(first.uri(), b"sip:sip.acme.example");
    assert_eq!(text(&first, HeaderName::To), "<sip:4930@sip.acme.example>");
    assert_eq!(
        text(&first, HeaderName::Contact),
        "<sip:4930@192.0.2.1:5060>"
    );
    assert_eq!(text(&first, HeaderName::Expires), "600");
    assert_eq!(rig.state(), GatewayRegistrationState::Trying);
    assert_eq!(rig.challenge("n1", ""), UpstreamStep::Repeat);
    let second = rig.write();
    assert_eq!(
        text(&second, HeaderName::CallId),
        text(&first, HeaderName::CallId)
    );
    assert_eq!(text(&second, HeaderName::CSeq), "2 REGISTER");
    assert!(text(&second, HeaderName::Authorization).contains("username=\"4930\""));
    rig.accept(300);
    assert_eq!(rig.told(), Some(Ok(())));
    assert_eq!(rig.state(), GatewayRegistrationState::Registered);
    // What the carrier grants counts, not what was asked for.
    assert_eq!(rig.wait_s(), 250);
    rig.pass(250);
    let renewal = rig.sent();
    assert!(
        text(&renewal, HeaderName::Authorization).contains("nc=00000002"),
        "the challenge is answered in advance"
    );
    rig.accept(300);
    assert_eq!(rig.told(), None, "no news");
}

#[test]
fn a_nonce_that_grew_old_is_no_wrong_password() {
    let mut rig = Rig::new(gateway());
    rig.sent();
    rig.challenge("n1", "");
    rig.write();
    rig.accept(60);
    rig.told();
    rig.pass(60);
    rig.sent();
    // Not every registrar says stale.
    assert_eq!(rig.challenge("n2", ""), UpstreamStep::Repeat);
    rig.write();
    assert_eq!(rig.challenge("n3", ", stale=true"), UpstreamStep::Repeat);
    rig.write();
    rig.accept(60);
    assert_eq!(rig.state(), GatewayRegistrationState::Registered);
}

#[test]
fn a_wrong_password_is_not_tried_again_at_once() {
    let mut rig = Rig::new(gateway());
    rig.sent();
    rig.challenge("n1", "");
    rig.write();
    assert_eq!(rig.challenge("n2", ""), UpstreamStep::Wait);
    assert_eq!(rig.told(), Some(Err(UpstreamFailure::Credentials)));
    assert_eq!(rig.state(), GatewayRegistrationState::Failed);
    assert_eq!(rig.wait_s(), 300);
}

#[test]
fn a_silent_carrier_is_asked_ever_more_slowly_and_found_again() {
    let mut rig = Rig::new(gateway());
    let mut waits = Vec::new();
    for _ in 0..8 {
        rig.sent();
        let id = rig.asked.unwrap();
        rig.upstream
            .handle_exhausted(rig.now, id, UpstreamFailure::Silent, &dice());
        waits.push(rig.wait_s());
        rig.told();
        rig.pass(rig.wait_s());
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
    rig.sent();
    rig.accept(600);
    assert_eq!(rig.told(), Some(Ok(())));
    assert_eq!(rig.state(), GatewayRegistrationState::Registered);
}

#[test]
fn a_failed_renewal_leaves_us_registered_until_the_time_is_over() {
    let mut rig = Rig::new(gateway());
    rig.sent();
    rig.accept(60);
    rig.told();
    rig.pass(50);
    rig.sent();
    assert_eq!(rig.answer("503 Busy", ""), UpstreamStep::TryNext);
    let failure = UpstreamFailure::Refused(503, Some(7));
    let id = rig.asked.unwrap();
    rig.upstream
        .handle_exhausted(rig.now, id, failure.clone(), &dice());
    assert_eq!(rig.told(), Some(Err(failure)));
    assert_eq!(rig.wait_s(), 7, "as long as Retry-After says");
    assert_eq!(rig.state(), GatewayRegistrationState::Registered);
    rig.now += Duration::from_secs(11);
    assert_eq!(rig.state(), GatewayRegistrationState::Failed);
}

#[test]
fn a_carrier_may_want_longer_registrations() {
    let mut rig = Rig::new(gateway());
    rig.sent();
    let step = rig.answer("423 Interval Too Brief", "Min-Expires: 1800\r\n");
    assert_eq!(step, UpstreamStep::Repeat);
    assert_eq!(text(&rig.write(), HeaderName::Expires), "1800");
    let again = rig.answer("423 Interval Too Brief", "Min-Expires: 1800\r\n");
    assert_eq!(again, UpstreamStep::Wait, "it wants what it was given");
    assert_eq!(rig.told(), Some(Err(UpstreamFailure::Refused(423, None))));
}

#[test]
fn what_is_no_longer_wanted_is_ended_and_what_stays_is_left_alone() {
    let mut rig = Rig::new(gateway());
    rig.sent();
    rig.accept(600);
    rig.told();
    let renamed = Gateway {
        name: "other".into(),
        weight: 7,
        ..gateway()
    };
    rig.configure(&[renamed]);
    assert!(
        rig.upstream.poll_output().is_none(),
        "nothing of it is said"
    );
    let id = rig.asked.unwrap();
    rig.configure(&[]);
    assert_eq!(text(&rig.sent(), HeaderName::Expires), "0");
    assert_eq!(rig.asked, Some(id));
    assert!(rig.upstream.view(rig.now, gateway().id).is_none());
    rig.answer("200 OK", "");
    assert!(!rig.upstream.knows(id));
    assert!(rig.upstream.poll_timeout().is_none());
    assert_eq!(rig.told(), None);
}

#[test]
fn one_that_is_dropped_while_it_is_asked_for_is_ended_afterwards() {
    let mut rig = Rig::new(gateway());
    rig.sent();
    let id = rig.asked.unwrap();
    rig.configure(&[]);
    assert!(rig.upstream.poll_output().is_none());
    rig.accept(600);
    assert_eq!(text(&rig.sent(), HeaderName::Expires), "0");
    rig.upstream
        .handle_exhausted(rig.now, id, UpstreamFailure::Silent, &dice());
    assert!(!rig.upstream.knows(id), "it expires by itself");
}

#[test]
fn other_credentials_are_another_registration() {
    let mut rig = Rig::new(gateway());
    rig.sent();
    rig.accept(600);
    rig.told();
    let first = rig.asked;
    let mut changed = gateway();
    changed.auth.as_mut().unwrap().password = "better".into();
    rig.configure(&[changed]);
    rig.sent();
    assert_ne!(rig.asked, first);
    assert_eq!(text(&rig.sent(), HeaderName::Expires), "0");
}

#[test]
fn calls_are_known_by_the_user_we_registered() {
    let mut other = gateway();
    other.id = GatewayId::from_parts(2, 0);
    other.registration.as_mut().unwrap().user = Some("sales".into());
    let mut rig = Rig::new(gateway());
    rig.configure(&[gateway(), other.clone()]);
    let found: Vec<_> = rig.upstream.gateways_of(b"sales").map(|g| g.id).collect();
    assert_eq!(found, [other.id]);
    assert_eq!(rig.upstream.gateways_of(b"nobody").count(), 0);
}
