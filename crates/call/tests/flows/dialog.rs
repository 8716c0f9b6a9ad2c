//! Other requests inside the dialog: carried byte for byte, or answered here.

use call::{Cause, EndedBy, Input, Uac};
use sip::{HeaderName, Method};

use crate::peer::sdp;
use crate::world::{World, body, header, text};

fn end(mut w: World) {
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn info_message_and_notify_are_carried_byte_for_byte() {
    let odd =
        "X-Odd:  caf\u{e9}  \"q;uo,te\"\r\nx-LOWER: 1\r\nContent-Type: application/dtmf-relay\r\n";
    for (method, name) in [
        (Method::Info, "INFO"),
        (Method::Message, "MESSAGE"),
        (Method::Notify, "NOTIFY"),
    ] {
        let (mut w, mut bob) = World::answered();
        let info = w.alice.request(name, odd, "Signal=5\r\nDuration=160\r\n");
        let info = w.request(info);
        let carried = w.sent(method);
        assert_eq!(body(&carried.message), "Signal=5\r\nDuration=160\r\n");
        let whole = text(&carried.message);
        assert!(
            whole.contains("X-Odd: caf\u{e9}  \"q;uo,te\"\r\nx-LOWER: 1\r\n"),
            "{whole}"
        );
        assert!(whole.contains("Content-Type: application/dtmf-relay\r\n"));
        w.reply(&carried, 202, "", "X-Back: yes\r\n", "");
        assert!(text(&w.told(info, 202)).contains("X-Back: yes\r\n"));
        let back = bob.request(name, odd, "other way");
        let back = w.request(back);
        let carried = w.sent(method);
        assert_eq!(carried.message.uri(), b"sip:alice@192.0.2.10");
        w.reply(&carried, 488, "", "", "");
        w.told(back, 488);
        end(w);
    }
}

#[test]
fn an_info_without_answer_gets_408_and_the_call_goes_on() {
    let (mut w, _) = World::answered();
    let info = w.alice.request("INFO", "", "");
    let info = w.request(info);
    let carried = w.sent(Method::Info);
    w.fail(&carried, Uac::Timeout);
    w.told(info, 408);
    w.silent();
    end(w);
}

#[test]
fn options_is_answered_here() {
    let (mut w, _) = World::answered();
    let options = w.alice.request("OPTIONS", "", "");
    let options = w.request(options);
    w.told(options, 200);
    w.silent();
    end(w);
}

#[test]
fn an_unknown_method_gets_405_with_allow() {
    let (mut w, _) = World::answered();
    for method in ["PUBLISH", "FROBNICATE"] {
        let odd = w.alice.request(method, "", "");
        let odd = w.request(odd);
        let refused = w.told(odd, 405);
        assert!(header(&refused, HeaderName::Allow).contains("INVITE"));
    }
    end(w);
}

#[test]
fn a_cseq_out_of_order_gets_500_rfc_3261_12_2_2() {
    let (mut w, _) = World::answered();
    let late = w.alice.numbered("INFO", 1, "", "");
    let late = w.request(late);
    let refused = w.told(late, 500);
    assert!(refused.header(HeaderName::RetryAfter).is_some());
    let next = w.alice.numbered("INFO", 9, "", "");
    let next = w.request(next);
    let carried = w.sent(Method::Info);
    w.reply(&carried, 200, "", "", "");
    w.told(next, 200);
    end(w);
}

#[test]
fn a_request_of_an_unknown_dialog_gets_481() {
    let (mut w, _) = World::answered();
    let mut stranger = w.alice.clone();
    stranger.established(&sip_response_with_tag("nobody"));
    let info = stranger.request("INFO", "", "");
    let info = w.request(info);
    w.told(info, 481);
    end(w);
}

fn sip_response_with_tag(tag: &str) -> sip::Message {
    let text = format!("SIP/2.0 200 OK\r\nTo: <sip:x@y>;tag={tag}\r\n\r\n");
    crate::world::parse(&bytes::Bytes::from(text))
}

#[test]
fn a_bye_answers_what_is_under_way_with_487_rfc_3261_15_1_2() {
    for bye_by_alice in [true, false] {
        let (mut w, mut bob) = World::answered();
        let invite = w.alice.request("INVITE", "", &sdp("alice2", "192.0.2.10"));
        let invite = w.request(invite);
        let carried = w.sent(Method::Invite);
        let info = bob.request("INFO", "", "");
        let info = w.request(info);
        let info_carried = w.sent(Method::Info);
        let (bye, cause) = if bye_by_alice {
            (w.alice.request("BYE", "", ""), EndedBy::Caller)
        } else {
            (bob.request("BYE", "", ""), EndedBy::Callee)
        };
        let bye = w.request(bye);
        w.told(bye, 200);
        w.told(invite, 487);
        w.told(info, 487);
        let bye = w.sent(Method::Bye);
        // The carried INVITE is answered all the same: its dialog ends.
        w.reply(&carried, 200, "", "", &sdp("bob2", "192.0.2.20"));
        w.ack();
        w.reply(&info_carried, 200, "", "", "");
        w.reply(&bye, 200, "", "", "");
        w.close(&Cause::HungUp(cause));
    }
}

#[test]
fn a_challenge_inside_the_dialog_stays_here() {
    let (mut w, _) = World::answered();
    let info = w.alice.request("INFO", "", "");
    let info = w.request(info);
    let carried = w.sent(Method::Info);
    let challenge = "Proxy-Authenticate: Digest realm=\"c\", nonce=\"n\"\r\n";
    w.reply(&carried, 407, "", challenge, "");
    let refused = w.told(info, 502);
    assert!(!text(&refused).to_lowercase().contains("authenticate"));
    end(w);
}

#[test]
fn requests_follow_the_flow_a_phone_was_last_heard_on() {
    let (mut w, _) = World::answered();
    let info = w.alice.request("INFO", "", "");
    let uas = w.request_from(info, crate::world::flow("198.51.100.7:7777"));
    let carried = w.sent(Method::Info);
    w.reply(&carried, 200, "", "", "");
    let answer = w.told(uas, 200);
    assert!(text(&answer).contains("received=198.51.100.7"));
    assert_eq!(
        w.call.pairs()[0]
            .leg(call::Side::A)
            .unwrap()
            .flow
            .remote
            .port(),
        7777
    );
    end(w);
}
