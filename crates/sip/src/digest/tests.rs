use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use clock::Time;

use super::*;
use crate::{Framing, Message, Writer};

const NOW: Time = Time::from_secs(1_700_000_000);
const LIFETIME: Duration = Duration::from_secs(300);
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

fn message(text: &str) -> Message {
    let text = text.replace('\n', "\r\n");
    Message::parse(Bytes::from(text), Framing::Datagram).unwrap()
}

fn unauthorized(headers: &str) -> Message {
    message(&format!("SIP/2.0 401 Unauthorized\n{headers}\n\n"))
}

/// A response computed by the formulas from a challenge, as any client would.
fn answer(challenge: &str, who: [&str; 3], method: &str, uri: &str, cnonce: &str) -> String {
    let mut session = Session::new(&unauthorized(challenge)).unwrap();
    let secret = ha1(
        session.algorithm(),
        who[0].as_bytes(),
        who[1].as_bytes(),
        who[2].as_bytes(),
    );
    let value = session.authorize(
        method.as_bytes(),
        uri.as_bytes(),
        who[0].as_bytes(),
        &secret,
        cnonce.as_bytes(),
    );
    let credentials = Credentials::parse(&value).unwrap();
    String::from_utf8(credentials.response.0.to_vec()).unwrap()
}

#[test]
fn rfc_2617_section_3_5_example() {
    let got = answer(
        "WWW-Authenticate: Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
        ["Mufasa", "testrealm@host.com", "Circle Of Life"],
        "GET",
        "/dir/index.html",
        "0a4f113b",
    );
    assert_eq!(got, "6629fae49393a05397450978507c4ef1");
}

#[test]
fn rfc_7616_section_3_9_1_examples() {
    for (algorithm, expected) in [
        (
            "SHA-256",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
    ] {
        let got = answer(
            &format!(
                "WWW-Authenticate: Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                 algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            ),
            ["Mufasa", "http-auth@example.org", "Circle of Life"],
            "GET",
            "/dir/index.html",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        );
        assert_eq!(got, expected);
    }
}

/// The input of the example in RFC 7616 §3.9.2. The answer printed there was made by cutting
/// SHA-512 short; SHA-512/256 has initial values of its own, and gives this.
#[test]
fn rfc_7616_section_3_9_2_input() {
    let got = answer(
        "WWW-Authenticate: Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
         nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", \
         opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", charset=UTF-8, userhash=true",
        ["J\u{e4}s\u{f8}n Doe", "api@example.org", "Secret, or not?"],
        "GET",
        "/doe.json",
        "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm",
    );
    assert_eq!(
        got,
        "7a4e1192babbba02e91182d2895bfdbf7adafc6e48d4e517ca301974843d840c"
    );
}

/// Computed by another implementation of the formulas of RFC 7616 §3.4.
#[test]
fn the_other_forms_agree_with_an_independent_computation() {
    let nonce = "nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", realm=\"biloxi.com\"";
    for (params, expected) in [
        ("", "bf57e4e0d0bffc0fbaedce64d59add5e"),
        (
            ", qop=auth, algorithm=MD5-sess",
            "e4e4ea61d186d07a92c9e1f6919902e9",
        ),
        (
            ", qop=\"auth\", algorithm=\"SHA-256-sess\"",
            "5da59c9ca40954be9d5063a15a174066c8251be2c10cf47c144c366dc7daf792",
        ),
    ] {
        let got = answer(
            &format!("WWW-Authenticate: Digest {nonce}{params}"),
            ["bob", "biloxi.com", "zanzibar"],
            "INVITE",
            "sip:bob@biloxi.com",
            "0a4f113b",
        );
        assert_eq!(got, expected, "{params}");
    }
}

#[test]
fn a_session_algorithm_goes_on_with_its_first_cnonce() {
    let challenge =
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=MD5-sess";
    let mut session = Session::new(&unauthorized(challenge)).unwrap();
    let secret = ha1(Algorithm::Md5Sess, b"u", b"r", b"p");
    let _ = session.authorize(b"BYE", b"sip:x", b"u", &secret, b"first");
    let value = session.authorize(b"BYE", b"sip:x", b"u", &secret, b"second");
    let credentials = Credentials::parse(&value).unwrap();
    assert_eq!(credentials.cnonce, Some(Value(b"first")));
    assert_eq!(credentials.nc, Some(Value(b"00000002")));
}

#[test]
fn the_strongest_challenge_is_answered_wherever_it_stands() {
    for headers in [
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"1\", qop=\"auth\"\n\
         WWW-Authenticate: Digest realm=\"r\", nonce=\"2\", qop=\"auth\", algorithm=SHA-256\n\
         WWW-Authenticate: Digest realm=\"r\", nonce=\"3\", qop=\"auth\", algorithm=SHA3-256",
        "WWW-Authenticate: Negotiate, Digest realm=\"r\", nonce=\"1\", qop=\"auth\", Basic realm=\"a, b\", \
         Digest realm=\"r\", algorithm=SHA-256, nonce=\"2\", qop=\"auth-int,auth\", NTLM abc==",
    ] {
        let mut session = Session::new(&unauthorized(headers)).unwrap();
        assert_eq!(session.algorithm(), Algorithm::Sha256);
        let value = session.authorize(b"INVITE", b"sip:x", b"u", &[b'0'; 64], b"c");
        assert_eq!(Credentials::parse(&value).unwrap().nonce, Value(b"2"));
        assert_eq!(session.header_name(), "Authorization");
    }
}

#[test]
fn what_cannot_be_answered_says_why() {
    for (headers, error) in [
        ("X: y", SessionError::None),
        ("WWW-Authenticate: Basic realm=\"x\"", SessionError::None),
        (
            "Proxy-Authenticate: Digest realm=\"r\", nonce=\"1\"",
            SessionError::None,
        ),
        (
            "WWW-Authenticate: Digest realm=\"r\", nonce=\"1\", qop=\"auth-int\"",
            SessionError::Unsupported,
        ),
        (
            "WWW-Authenticate: Digest realm=\"r\", nonce=\"1\", algorithm=MD5-sess",
            SessionError::Unsupported,
        ),
        (
            "WWW-Authenticate: Digest realm=\"r\"",
            SessionError::Malformed(ParamError::Missing("nonce")),
        ),
        (
            "WWW-Authenticate: Digest realm=\"r\", realm=\"s\", nonce=\"1\"",
            SessionError::Malformed(ParamError::Repeated),
        ),
    ] {
        assert_eq!(
            Session::new(&unauthorized(headers)),
            Err(error),
            "{headers}"
        );
    }
}

#[test]
fn unknown_parameters_are_kept_apart() {
    let text =
        b"Digest username=\"a\\\"b\", realm=\"r\", nonce=\"n\", uri=\"sip:x\", response=\"0\", \
                 auts=\"xyz\", opaque=\"\", integrity-protected=yes";
    let credentials = Credentials::parse(text).unwrap();
    assert_eq!(&*credentials.username.unescaped(), b"a\"b");
    assert_eq!(credentials.opaque, Some(Value(b"")));
    let others: Vec<_> = credentials.others().collect();
    assert_eq!(
        others,
        [
            (&b"auts"[..], Value(b"xyz")),
            (b"integrity-protected", Value(b"yes"))
        ]
    );
}

#[test]
fn credentials_without_what_they_need_are_refused() {
    let good = "Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"sip:x\", response=\"0\"";
    assert!(Credentials::parse(good.as_bytes()).is_ok());
    for (from, to, error) in [
        ("Digest", "Basic", ParamError::Scheme),
        ("username", "user", ParamError::Missing("username")),
        ("nonce=\"n\", ", "", ParamError::Missing("nonce")),
        ("response", "uri", ParamError::Repeated),
        ("\"0\"", "\"0", ParamError::Form),
        ("realm=\"r\",", "realm", ParamError::Form),
    ] {
        let text = good.replace(from, to);
        assert_eq!(Credentials::parse(text.as_bytes()), Err(error), "{text}");
    }
    assert_eq!(Credentials::parse(b""), Err(ParamError::Form));
}

/// A phone that registers with the server of these tests.
struct Phone {
    session: Session,
}

impl Phone {
    fn challenged(server: &mut Authenticator, now: Time, verdict: Option<Verdict>) -> Self {
        let request = message(
            "REGISTER sip:biloxi.com SIP/2.0\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\n\
             From: <sip:bob@biloxi.com>;tag=1\nTo: <sip:bob@biloxi.com>\nCall-ID: 1\n\
             CSeq: 1 REGISTER\n\n",
        );
        let remote = "192.0.2.1:5060".parse().unwrap();
        let mut response = Writer::response(&request, remote, 401, "", b"t");
        server.challenge(now, HERE, Side::UserAgent, verdict, &mut response);
        let response = Message::parse(response.finish(), Framing::Datagram).unwrap();
        Self {
            session: Session::new(&response).unwrap(),
        }
    }

    fn credentials(&mut self, password: &str) -> Vec<u8> {
        let secret = ha1(
            self.session.algorithm(),
            b"bob",
            b"biloxi.com",
            password.as_bytes(),
        );
        self.session
            .authorize(b"REGISTER", b"sip:biloxi.com", b"bob", &secret, b"c0ffee")
    }
}

fn server(seed: u64, algorithms: &[Algorithm]) -> Authenticator {
    let mut config = AuthenticatorConfig::new("biloxi.com", [9; 32], seed);
    config.algorithms = algorithms.to_vec();
    Authenticator::new(config)
}

fn verify(server: &mut Authenticator, now: Time, value: &[u8]) -> Verdict {
    verify_from(HERE, server, now, value)
}

fn verify_from(from: IpAddr, server: &mut Authenticator, now: Time, value: &[u8]) -> Verdict {
    let credentials = Credentials::parse(value).unwrap();
    let algorithm = credentials.algorithm.unwrap();
    let secret = ha1(algorithm, b"bob", b"biloxi.com", b"zanzibar");
    server.verify(now, from, &credentials, b"REGISTER", Some(&secret))
}

#[test]
fn a_challenge_answered_with_the_secret_is_granted_on_any_node() {
    for algorithms in [
        &[Algorithm::Sha256, Algorithm::Md5][..],
        &[Algorithm::Md5],
        &[Algorithm::Sha512T256Sess],
    ] {
        let (mut here, mut there) = (server(1, algorithms), server(2, algorithms));
        let mut phone = Phone::challenged(&mut here, NOW, None);
        assert_eq!(phone.session.algorithm(), algorithms[0]);
        assert_eq!(
            verify(&mut there, NOW, &phone.credentials("zanzibar")),
            Verdict::Granted
        );
        assert_eq!(
            verify(&mut here, NOW, &phone.credentials("zanzibar")),
            Verdict::Granted
        );
    }
}

#[test]
fn two_challenges_share_a_nonce_and_keep_their_order() {
    let mut server = server(1, &[Algorithm::Sha256, Algorithm::Md5]);
    let mut response = Writer::request("X", b"sip:x");
    server.challenge(NOW, HERE, Side::Proxy, Some(Verdict::Stale), &mut response);
    let response = message(
        &String::from_utf8(response.finish().to_vec())
            .unwrap()
            .replace("\r\n", "\n"),
    );
    let found: Vec<_> = response
        .headers(crate::HeaderName::ProxyAuthenticate)
        .flat_map(challenges)
        .map(Result::unwrap)
        .collect();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].algorithm, Some(Algorithm::Sha256));
    assert_eq!(found[1].algorithm, Some(Algorithm::Md5));
    assert_eq!(found[0].nonce, found[1].nonce);
    assert!(found.iter().all(|c| c.is_stale && c.offers_qop("auth")));
}

#[test]
fn an_expired_nonce_is_stale_only_with_the_right_secret() {
    let mut server = server(1, &[Algorithm::Md5]);
    let mut phone = Phone::challenged(&mut server, NOW, None);
    let late = NOW + LIFETIME + Duration::from_secs(1);
    assert_eq!(
        verify(&mut server, late, &phone.credentials("zanzibar")),
        Verdict::Stale
    );
    assert_eq!(
        verify(&mut server, late, &phone.credentials("wrong")),
        Verdict::Refused(Refusal::Secret)
    );
    let again = Phone::challenged(&mut server, late, Some(Verdict::Stale));
    assert!(again.session.is_stale());
}

#[test]
fn a_nonce_serves_only_who_gets_its_mail() {
    let mut server = server(1, &[Algorithm::Md5]);
    let mut phone = Phone::challenged(&mut server, NOW, None);
    let right = phone.credentials("zanzibar");
    assert_eq!(
        verify_from(ELSEWHERE, &mut server, NOW, &right),
        Verdict::Stale,
        "a phone behind a NAT that changed its address is asked once more"
    );
    assert_eq!(verify(&mut server, NOW, &right), Verdict::Granted);
    let wrong = String::from_utf8(phone.credentials("wrong")).unwrap();
    for guess in [
        wrong.clone(),
        wrong.replace("nc=0000000", "nc=000000"),
        wrong.replace("qop=auth", "qop=auth-int"),
        wrong.replace(
            "response=\"",
            "response=\"0123456789012345678901234567890123",
        ),
    ] {
        assert_eq!(
            verify_from(ELSEWHERE, &mut server, NOW, guess.as_bytes()),
            Verdict::Refused(Refusal::Nonce),
            "{guess}"
        );
    }
}

#[test]
fn a_captured_request_is_refused_the_second_time() {
    let mut server = server(1, &[Algorithm::Md5]);
    let mut phone = Phone::challenged(&mut server, NOW, None);
    let first = phone.credentials("zanzibar");
    let second = phone.credentials("zanzibar");
    assert_eq!(verify(&mut server, NOW, &second), Verdict::Granted);
    assert_eq!(verify(&mut server, NOW, &first), Verdict::Granted);
    for captured in [&first, &second] {
        assert_eq!(
            verify(&mut server, NOW, captured),
            Verdict::Refused(Refusal::Replayed)
        );
    }
}

#[test]
fn a_failed_guess_uses_up_no_nonce_count() {
    let mut server = server(1, &[Algorithm::Md5]);
    let mut phone = Phone::challenged(&mut server, NOW, None);
    let mut guess = phone.clone_session();
    assert_eq!(
        verify(&mut server, NOW, &guess.credentials("wrong")),
        Verdict::Refused(Refusal::Secret)
    );
    assert_eq!(
        verify(&mut server, NOW, &phone.credentials("zanzibar")),
        Verdict::Granted
    );
}

impl Phone {
    fn clone_session(&self) -> Self {
        Self {
            session: self.session.clone(),
        }
    }
}

#[test]
fn an_unknown_user_looks_like_a_wrong_password() {
    let mut server = server(1, &[Algorithm::Md5]);
    let mut phone = Phone::challenged(&mut server, NOW, None);
    let value = phone.credentials("zanzibar");
    let credentials = Credentials::parse(&value).unwrap();
    assert_eq!(
        server.verify(NOW, HERE, &credentials, b"REGISTER", None),
        Verdict::Refused(Refusal::Secret)
    );
    // Not even who guesses the stand-in for a missing secret gets in.
    let mut nobody = phone.clone_session();
    let zeros = [b'0'; 32];
    let value = nobody
        .session
        .authorize(b"REGISTER", b"sip:biloxi.com", b"bob", &zeros, b"c");
    let credentials = Credentials::parse(&value).unwrap();
    assert_eq!(
        server.verify(NOW, HERE, &credentials, b"REGISTER", None),
        Verdict::Refused(Refusal::Secret)
    );
}

#[test]
fn what_was_not_offered_is_refused() {
    let mut sha = server(1, &[Algorithm::Sha256]);
    let mut md5 = server(1, &[Algorithm::Md5]);
    let mut phone = Phone::challenged(&mut md5, NOW, None);
    let value = String::from_utf8(phone.credentials("zanzibar")).unwrap();
    assert_eq!(
        verify(&mut sha, NOW, value.as_bytes()),
        Verdict::Refused(Refusal::Algorithm)
    );
    for (from, to, refusal) in [
        ("realm=\"biloxi.com\"", "realm=\"x\"", Refusal::Realm),
        ("qop=auth", "qop=auth-int", Refusal::Qop),
        ("nc=00000001", "nc=0000001", Refusal::Malformed),
        ("nc=00000001", "nc=+0000001", Refusal::Malformed),
        ("nc=00000001", "nc=00000000", Refusal::Malformed),
        (", qop=auth", "", Refusal::Malformed),
        ("nonce=\"", "nonce=\"A", Refusal::Nonce),
        ("response=\"", "response=\"0", Refusal::Secret),
        ("c0ffee", "c0ffef", Refusal::Secret),
        ("uri=\"sip:", "uri=\"sips:", Refusal::Secret),
    ] {
        let changed = value.replacen(from, to, 1);
        assert_ne!(changed, value, "{from}");
        assert_eq!(
            verify(&mut md5, NOW, changed.as_bytes()),
            Verdict::Refused(refusal),
            "{to}"
        );
    }
    assert_eq!(verify(&mut md5, NOW, value.as_bytes()), Verdict::Granted);
}

#[test]
fn credentials_are_found_by_realm() {
    let request = message(
        "INVITE sip:x SIP/2.0\n\
         Authorization: Digest username=\"a\", realm=\"r\"\n\
         Authorization: Digest username=\"a\", realm=\"other\", nonce=\"n\", uri=\"u\", response=\"0\"\n\
         Authorization: Digest username=\"b\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"0\"\n\n",
    );
    let found = Credentials::find(&request, Side::UserAgent, "r").unwrap();
    assert_eq!(found.username, Value(b"b"));
    assert_eq!(Credentials::find(&request, Side::Proxy, "r"), None);
}
