//! Dialog identifiers out of the messages in baresip's log.

use crate::baresip::Event;
use crate::message::Message;

/// The value of Replaces for this call, escaped for a URI (RFC 3891 §6.1), as the party at
/// the other end of the dialog has to see it: its own tag is the to-tag.
pub(super) fn replaces(log: &str, call: &Event) -> Option<String> {
    let answer = messages(log).find(|(_, message)| {
        message.status() == Some(200)
            && message.method() == "INVITE"
            && message.header("Call-ID") == Some(&call.call)
    });
    let (direction, answer) = answer?;
    let (remote, local) = match direction {
        Direction::Received => (answer.to_tag(), answer.from_tag()),
        Direction::Sent => (answer.from_tag(), answer.to_tag()),
    };
    let id = call.call.replace('@', "%40");
    Some(format!("{id}%3Bto-tag%3D{remote}%3Bfrom-tag%3D{local}"))
}

enum Direction {
    Received,
    Sent,
}

/// The messages of a trace: a line `#` (in colour), a line `UDP from -> to`, the message.
fn messages(log: &str) -> impl Iterator<Item = (Direction, Message)> {
    let log = log.replace("\r\n", "\n");
    let blocks: Vec<String> = log.split("#\n").skip(1).map(str::to_owned).collect();
    let ours = blocks.iter().find_map(|block| {
        // The first message of a phone is one of its own.
        block.lines().next()?.split(' ').nth(1).map(str::to_owned)
    });
    blocks.into_iter().filter_map(move |block| {
        let (route, text) = block.split_once('\n')?;
        let from = route.split(' ').nth(1)?;
        let direction = if Some(from) == ours.as_deref() {
            Direction::Sent
        } else {
            Direction::Received
        };
        Some((direction, Message::parse(&text.replace('\n', "\r\n"))?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_of_the_other_side_is_the_to_tag() {
        let log = "ready\n\u{1b}[36;1m#\nUDP 1.1.1.1:5 -> 2.2.2.2:6\nINVITE sip:b SIP/2.0\r\n\r\n\
                   \u{1b}[;m\n#\nUDP 2.2.2.2:6 -> 1.1.1.1:5\nSIP/2.0 200 OK\r\n\
                   To: <sip:b>;tag=theirs\r\nFrom: <sip:a>;tag=ours\r\nCall-ID: c@h\r\n\
                   CSeq: 1 INVITE\r\n\r\n";
        let call = Event {
            kind: String::new(),
            call: "c@h".into(),
            peer: String::new(),
            parameter: String::new(),
        };
        let expected = "c%40h%3Bto-tag%3Dtheirs%3Bfrom-tag%3Dours";
        assert_eq!(replaces(log, &call).as_deref(), Some(expected));
    }
}
