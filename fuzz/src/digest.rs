//! Any bytes as credentials and as challenges: nobody gets in without the secret, and what we
//! answer to a challenge can be read.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use clock::Time;
use sip::digest::{
    Algorithm, Authenticator, AuthenticatorConfig, Credentials, Session, Verdict, challenges,
};
use sip::{Framing, Message};

pub(crate) fn run(input: &[u8]) {
    if let Ok(credentials) = Credentials::parse(input) {
        let _: Cow<'_, [u8]> = credentials.username.unescaped();
        assert!(credentials.others().count() <= input.len());
        let config = AuthenticatorConfig::new("realm", [7; 32], 1);
        let mut server = Authenticator::new(config);
        let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
        for ha1 in [None, Some(&[b'0'; 64][..]), Some(&b"short"[..])] {
            let verdict = server.verify(Time::ZERO, from, &credentials, b"REGISTER", ha1);
            assert!(matches!(verdict, Verdict::Refused(_)));
        }
    }
    assert!(challenges(input).count() <= input.len() + 1);
    answer(input);
}

fn answer(input: &[u8]) {
    let head: &[u8] = b"SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: ";
    let response = Bytes::from([head, input, b"\r\n\r\n"].concat());
    let Ok(response) = Message::parse(response, Framing::Datagram) else {
        return;
    };
    let Ok(mut session) = Session::new(&response) else {
        return;
    };
    let secret = sip::digest::ha1(Algorithm::Md5, b"u", session.realm(), b"p");
    for _ in 0..2 {
        let value = session.authorize(b"INVITE", b"sip:a@b", b"u", &secret, b"c");
        let credentials = Credentials::parse(&value).expect("we can read what we write");
        assert_eq!(credentials.realm.0, session.realm());
        assert_eq!(credentials.algorithm, Some(session.algorithm()));
    }
}
