use crate::{AnswerError, Description, check_answer, same_session_unchanged};

fn check(offer: &str, answer: &str) -> Result<(), AnswerError> {
    let (offer, answer) = (body(offer), body(answer));
    check_answer(
        &Description::parse(offer.as_bytes()).unwrap(),
        &Description::parse(answer.as_bytes()).unwrap(),
    )
}

fn body(media: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n{media}")
}

const AUDIO: &str = "m=audio 4000 RTP/AVP 8 96\r\na=rtpmap:96 opus/48000/2\r\n";

#[test]
fn an_answer_by_the_rules_fits() {
    assert_eq!(check(AUDIO, "m=audio 1 RTP/AVP 8\r\n"), Ok(()));
    assert_eq!(
        check(AUDIO, "m=audio 0 RTP/SAVP 0\r\n"),
        Ok(()),
        "a refusal need not agree"
    );
    let renumbered = "m=audio 1 RTP/AVP 111\r\na=rtpmap:111 OPUS/48000/2\r\n";
    assert_eq!(check(AUDIO, renumbered), Ok(()));
    assert_eq!(
        check("m=image 1 udptl t38\r\n", "m=image 2 UDPTL T38\r\n"),
        Ok(())
    );
}

#[test]
fn each_broken_rule_is_named() {
    let media_count = AnswerError::MediaCount {
        offered: 1,
        answered: 0,
    };
    assert_eq!(check(AUDIO, ""), Err(media_count));
    let index = 0;
    assert_eq!(
        check(AUDIO, "m=video 1 RTP/AVP 8\r\n"),
        Err(AnswerError::Kind { index })
    );
    assert_eq!(
        check(AUDIO, "m=audio 1 RTP/SAVP 8\r\n"),
        Err(AnswerError::Proto { index })
    );
    assert_eq!(
        check(AUDIO, "m=audio 1 RTP/AVP 0\r\n"),
        Err(AnswerError::NoCommonFormat { index })
    );
    assert_eq!(
        check("m=audio 0 RTP/AVP 8\r\n", "m=audio 1 RTP/AVP 8\r\n"),
        Err(AnswerError::Revived { index })
    );
    let offer = format!("{AUDIO}a=sendonly\r\n");
    assert_eq!(
        check(&offer, "m=audio 1 RTP/AVP 8\r\n"),
        Err(AnswerError::Direction { index })
    );
    assert_eq!(
        check(&offer, "m=audio 1 RTP/AVP 8\r\na=recvonly\r\n"),
        Ok(())
    );
    assert_eq!(
        check(&offer, "m=audio 1 RTP/AVP 8\r\na=inactive\r\n"),
        Ok(())
    );
}

#[test]
fn a_refresh_is_told_from_a_change() {
    let unchanged = |old: &str, new: &str| {
        same_session_unchanged(
            &Description::parse(old.as_bytes()).unwrap(),
            &Description::parse(new.as_bytes()).unwrap(),
        )
    };
    let old = body(AUDIO);
    assert!(unchanged(&old, &old));
    assert!(unchanged(&old, &old.replace("o=- 1 1", "o=- 1 2")));
    assert!(!unchanged(&old, &old.replace("4000", "4002")));
    assert!(!unchanged(&old, &format!("{old}a=sendonly\r\n")));
    assert!(!unchanged(
        &old,
        &old.replace(
            "o=- 1 1 IN IP4 10.0.0.1\r\ns=-",
            "s=-\r\no=- 1 1 IN IP4 10.0.0.1"
        )
    ));
}
