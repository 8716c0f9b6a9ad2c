use std::net::IpAddr;

use proptest::prelude::*;

use crate::{
    AnswerError, Description, Direction, LocalMedia, Session, check_answer, echo_answer,
    echo_offer, hold_offer, rejecting_answer,
};

const SESSION: Session = Session {
    id: 42,
    version: 3,
    address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
};

fn local() -> LocalMedia {
    LocalMedia {
        rtp: "192.0.2.9:30000".parse().unwrap(),
    }
}

fn echo(media: &str) -> Result<String, AnswerError> {
    let bytes =
        format!("v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n{media}");
    let offer = Description::parse(bytes.as_bytes()).unwrap();
    let answer = echo_answer(&offer, SESSION, local())?;
    let parsed = Description::parse(&answer).unwrap();
    assert_eq!(check_answer(&offer, &parsed), Ok(()));
    Ok(String::from_utf8(answer).unwrap())
}

#[test]
fn echo_takes_the_first_codec_it_knows_and_mirrors_the_rest() {
    let answer = echo(
        "m=video 4002 RTP/AVP 31\r\n\
        m=audio 4000 RTP/AVPF 18 96 8 99 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 stereo=1\r\n\
        a=rtpmap:99 telephone-event/48000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:40\r\na=sendonly\r\n",
    );
    assert_eq!(
        answer.unwrap(),
        "v=0\r\no=- 42 3 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
        m=video 0 RTP/AVP 31\r\n\
        m=audio 30000 RTP/AVPF 96 99\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 stereo=1\r\n\
        a=rtpmap:99 telephone-event/48000\r\na=ptime:40\r\na=recvonly\r\n"
    );
}

#[test]
fn echo_refuses_what_it_cannot_send_back() {
    let none = Err(AnswerError::NoCommonFormat { index: 0 });
    assert_eq!(echo("m=audio 4000 RTP/AVP 18\r\n"), none);
    assert_eq!(echo("m=audio 0 RTP/AVP 8\r\n"), none);
    assert_eq!(echo(""), none);
}

#[test]
fn an_offer_of_ours_can_be_held() {
    let offer = echo_offer(SESSION, local());
    let offer = Description::parse(&offer).unwrap();
    assert_eq!(offer.medium(0).unwrap().codecs().count(), 4);
    let held = hold_offer(&offer, 4);
    let held = Description::parse(&held).unwrap();
    assert!(held.is_held());
    assert_eq!(held.medium(0).unwrap().direction(), Direction::SendOnly);
    assert_eq!(held.origin().unwrap().version_number(), Some(4));
}

proptest! {
    #[test]
    fn a_refusal_answers_every_offer(
        lines in proptest::collection::vec(crate::description::tests::likely_line(), 0..30),
    ) {
        let bytes = ["v=0\r\n".to_owned(), lines.concat()].concat();
        let Ok(offer) = Description::parse(bytes.as_bytes()) else { return Ok(()) };
        let answer = rejecting_answer(&offer, SESSION);
        let answer = Description::parse(&answer).unwrap();
        prop_assert!(answer.is_rejected());
        prop_assert_eq!(check_answer(&offer, &answer), Ok(()));
        if let Ok(answer) = echo_answer(&offer, SESSION, local()) {
            let answer = Description::parse(&answer).unwrap();
            prop_assert_eq!(check_answer(&offer, &answer), Ok(()));
        }
    }
}
