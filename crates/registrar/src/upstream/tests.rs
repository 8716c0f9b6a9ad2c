//! A carrier of text against the machine.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use clock::Time;
use model::{
    CarrierId, Gateway, GatewayId, GatewayRegistration, GatewayRegistrationState, LimitSpec,
    OutboundAuth,
};
use sip::{ConnId, Destination, Flow, Framing, HeaderName, ListenerId, Message, Transport};

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
            contact: None,
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
    /// The server that is spoken to, by the last byte of its address.
    server: u8,
    /// The connection to it, if there is one.
    conn: Option<ConnId>,
}

impl Rig {
    fn new(gateway: Gateway) -> Self {
        let mut rig = Self {
            upstream: Upstream::default(),
            now: Time::from_secs(1_800_000_000),
            asked: None,
            request: None,
            server: 1,
            conn: None,
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
        let to = Destination::Flow(self.flow());
        let bytes = self
            .upstream
            .request(id, &to, CONTACT, "tandem", &dice())
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
            .handle_response(self.now, id, self.flow(), &response, &dice())
    }

    fn flow(&self) -> Flow {
        Flow {
            transport: self.conn.map_or(Transport::Udp, |_| Transport::Tcp),
            listener: ListenerId(0),
            conn: self.conn,
            remote: ([192, 0, 2, self.server], 5060).into(),
        }
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
            other @ (UpstreamOutput::Ask { .. } | UpstreamOutput::KeepAlive(_)) => {
                panic!("{other:?}")
            }
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
fn other_credentials_and_another_expiry_are_asked_for_in_the_same_registration() {
    let mut rig = Rig::new(gateway());
    let first = rig.sent();
    rig.accept(600);
    rig.told();
    let mut changed = gateway();
    changed.auth.as_mut().unwrap().password = "better".into();
    changed.registration.as_mut().unwrap().expiry_s = 300;
    rig.configure(&[changed]);
    let second = rig.sent();
    assert_eq!(text(&second, HeaderName::Expires), "300");
    assert_eq!(
        text(&second, HeaderName::CallId),
        text(&first, HeaderName::CallId)
    );
    assert_eq!(text(&second, HeaderName::CSeq), "2 REGISTER");
    rig.accept(300);
    assert!(rig.upstream.poll_output().is_none(), "nothing is removed");
    assert_eq!(rig.wait_s(), 250);
}

#[test]
fn what_is_changed_while_it_is_asked_for_is_asked_for_again() {
    let mut rig = Rig::new(gateway());
    rig.sent();
    rig.challenge("n1", "");
    rig.write();
    let mut changed = gateway();
    changed.auth.as_mut().unwrap().password = "better".into();
    rig.configure(&[changed]);
    assert!(rig.upstream.poll_output().is_none());
    rig.answer("403 Forbidden", "");
    assert_eq!(text(&rig.sent(), HeaderName::CSeq), "3 REGISTER");
    rig.accept(600);
    assert_eq!(rig.state(), GatewayRegistrationState::Registered);
    assert_eq!(rig.wait_s(), 500);
}

#[test]
fn a_binding_is_begun_at_its_new_place_when_the_old_one_is_ended() {
    let at = |host: &str| {
        let mut gateway = gateway();
        gateway.host = host.into();
        gateway.registration.as_mut().unwrap().domain = Some("acme.example".into());
        gateway
    };
    let mut rig = Rig::new(at("one.acme.example"));
    rig.sent();
    rig.accept(600);
    rig.told();
    rig.configure(&[at("two.acme.example")]);
    assert_eq!(text(&rig.sent(), HeaderName::Expires), "0");
    let first = rig.asked;
    assert!(rig.upstream.poll_output().is_none(), "the end comes first");
    rig.answer("200 OK", "");
    assert_eq!(text(&rig.sent(), HeaderName::Expires), "600");
    assert_ne!(rig.asked, first);
    // Another address of record takes nothing away, and need not wait.
    rig.accept(600);
    rig.told();
    rig.configure(&[gateway()]);
    assert_eq!(text(&rig.sent(), HeaderName::Expires), "0");
    assert_eq!(text(&rig.sent(), HeaderName::Expires), "600");
}

#[test]
fn a_time_too_brief_does_not_keep_what_is_to_end() {
    let mut rig = Rig::new(gateway());
    rig.sent();
    rig.accept(600);
    rig.told();
    let id = rig.asked.unwrap();
    rig.configure(&[]);
    rig.sent();
    let step = rig.answer("423 Interval Too Brief", "Min-Expires: 1800\r\n");
    assert_eq!(step, UpstreamStep::Wait);
    assert!(!rig.upstream.knows(id));
    assert!(!rig.upstream.is_leaving());
    // While it was only asked for, it is not even asked for again.
    rig.configure(&[gateway()]);
    rig.sent();
    rig.configure(&[]);
    rig.answer("423 Interval Too Brief", "Min-Expires: 1800\r\n");
    assert!(!rig.upstream.is_leaving());
}

#[test]
fn a_line_takes_calls_as_soon_as_that_is_switched_on() {
    let mut rig = Rig::new(Gateway {
        inbound: false,
        ..gateway()
    });
    rig.configure(&[gateway()]);
    let mut lines = rig.upstream.gateways_of(b"4930");
    assert!(lines.next().is_some_and(|gateway| gateway.inbound));
}

#[test]
fn another_server_has_challenges_of_its_own() {
    let mut rig = Rig::new(gateway());
    rig.sent();
    rig.challenge("n1", "");
    rig.write();
    assert_eq!(rig.answer("503 Busy", ""), UpstreamStep::TryNext);
    rig.server = 2;
    let first = rig.write();
    assert_eq!(text(&first, HeaderName::Authorization), "");
    assert_eq!(rig.challenge("n2", ""), UpstreamStep::Repeat);
    rig.write();
    rig.accept(600);
    assert_eq!(rig.told(), Some(Ok(())));
}

#[test]
fn the_edge_and_the_registrar_may_both_want_credentials() {
    let mut rig = Rig::new(gateway());
    rig.sent();
    let edge = "Proxy-Authenticate: Digest realm=\"edge\", nonce=\"p\", qop=\"auth\"\r\n";
    let status = "407 Proxy Authentication Required";
    assert_eq!(rig.answer(status, edge), UpstreamStep::Repeat);
    rig.write();
    assert_eq!(rig.challenge("r", ""), UpstreamStep::Repeat);
    let both = rig.write();
    let proxy = text(&both, HeaderName::ProxyAuthorization);
    assert!(proxy.contains("realm=\"edge\"") && proxy.contains("nc=00000002"));
    assert!(text(&both, HeaderName::Authorization).contains("realm=\"acme\""));
    rig.accept(600);
    assert_eq!(rig.told(), Some(Ok(())));
}

#[test]
fn a_challenge_of_a_kind_that_nobody_knows_is_no_missing_password() {
    let mut rig = Rig::new(gateway());
    rig.sent();
    let integrity = "WWW-Authenticate: Digest realm=\"a\", nonce=\"n\", qop=\"auth-int\"\r\n";
    rig.answer("401 Unauthorized", integrity);
    assert_eq!(rig.told(), Some(Err(UpstreamFailure::UnknownDigest)));
    let mut rig = Rig::new(Gateway {
        auth: None,
        registration: Some(GatewayRegistration {
            user: Some("4930".into()),
            domain: None,
            contact: None,
            expiry_s: 600,
        }),
        ..gateway()
    });
    rig.sent();
    rig.challenge("n", "");
    assert_eq!(rig.told(), Some(Err(UpstreamFailure::NoCredentials)));
}

/// How long it waits after a refusal by every server of the carrier.
fn wait_after(status: u16, retry_after_s: Option<u32>) -> u64 {
    let mut rig = Rig::new(gateway());
    rig.sent();
    let id = rig.asked.unwrap();
    let failure = UpstreamFailure::Refused(status, retry_after_s);
    rig.upstream.handle_exhausted(rig.now, id, failure, &dice());
    rig.wait_s()
}

#[test]
fn a_retry_after_makes_the_wait_longer_never_shorter() {
    assert_eq!(wait_after(408, None), 5, "one that timed out is asked soon");
    assert_eq!(wait_after(503, Some(0)), 5);
    assert_eq!(wait_after(503, Some(40)), 40);
    assert_eq!(wait_after(403, Some(0)), 300);
    assert_eq!(wait_after(403, Some(1_000)), 1_000);
    assert_eq!(wait_after(403, Some(1_000_000)), 3_600);
}

#[test]
fn a_connection_is_kept_alive_and_its_end_registers_anew() {
    let mut rig = Rig::new(gateway());
    rig.conn = Some(ConnId(7));
    rig.sent();
    rig.accept(600);
    rig.told();
    rig.pass(95);
    match rig.upstream.poll_output() {
        Some(UpstreamOutput::KeepAlive(flow)) => assert_eq!(flow, rig.flow()),
        other => panic!("{other:?}"),
    }
    rig.pass(60);
    rig.upstream.handle_connection_closed(rig.now, ConnId(8));
    assert!(rig.upstream.poll_output().is_none(), "not its own");
    for (conn, waits_s) in [(7, 0), (8, 5), (9, 10)] {
        rig.upstream.handle_connection_closed(rig.now, ConnId(conn));
        if waits_s > 0 {
            assert_eq!(rig.wait_s(), waits_s, "the one before ended at once");
            rig.pass(waits_s);
        }
        rig.conn = Some(ConnId(conn + 1));
        rig.sent();
        rig.accept(600);
    }
    rig.pass(200);
    while rig.upstream.poll_output().is_some() {}
    rig.upstream.handle_connection_closed(rig.now, ConnId(10));
    rig.sent();
}

#[test]
fn who_leaves_says_so_until_all_is_said() {
    let mut rig = Rig::new(gateway());
    rig.sent();
    rig.accept(600);
    rig.told();
    rig.upstream.leave_all(rig.now);
    rig.sent();
    assert_eq!(rig.challenge("n", ""), UpstreamStep::Repeat);
    assert!(rig.upstream.is_leaving());
    let farewell = rig.write();
    assert_eq!(text(&farewell, HeaderName::Expires), "0");
    assert!(!text(&farewell, HeaderName::Authorization).is_empty());
    rig.answer("200 OK", "");
    assert!(!rig.upstream.is_leaving());
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

#[test]
fn the_contact_may_lead_to_a_dispatcher() {
    let places = [
        (None, "<sip:4930@192.0.2.1:5060>"),
        (Some("d.example:5080"), "<sip:4930@d.example:5080>"),
        (Some("[2001:db8::1]"), "<sip:4930@[2001:db8::1]>"),
    ];
    let at = |contact: Option<&str>| Gateway {
        registration: Some(GatewayRegistration {
            user: Some("4930".into()),
            domain: None,
            contact: contact.map(str::to_owned),
            expiry_s: 600,
        }),
        ..gateway()
    };
    for (contact, written) in places {
        let mut rig = Rig::new(at(contact));
        assert_eq!(text(&rig.sent(), HeaderName::Contact), written);
    }
    // What it was before is given up when it changes.
    let mut rig = Rig::new(at(None));
    rig.sent();
    rig.accept(600);
    assert_eq!(rig.told(), Some(Ok(())));
    rig.configure(&[at(Some("d.example"))]);
    let leaving = rig.sent();
    assert_eq!(text(&leaving, HeaderName::Contact), places[0].1);
    assert_eq!(text(&leaving, HeaderName::Expires), "0");
}
