//! Messages as text, as one would read them in a mail.

use std::fmt::Write as _;

use crate::{Direction, Witnessed};

/// The messages one after the other, each behind a line that says when, how and between whom. Times
/// are seconds since 1970.
#[must_use]
pub fn text(messages: &[Witnessed]) -> String {
    let mut out = String::new();
    for Witnessed { node, seen, .. } in messages {
        let (seconds, us) = (seen.at_us / 1_000_000, seen.at_us % 1_000_000);
        let transport = seen.transport.param_name();
        let mut by = match seen.direction {
            Direction::Received => "received".to_owned(),
            Direction::Sent => "sent".to_owned(),
            Direction::Elsewhere => format!("seen by {}", seen.node),
        };
        if !node.is_empty() {
            let _ = write!(by, " at {node}");
        }
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "--- {seconds}.{us:06} {transport} {} -> {} {by}\n",
            seen.from, seen.to
        );
        let message = String::from_utf8_lossy(&seen.payload);
        for line in message.lines() {
            let _ = writeln!(out, "{line}");
        }
        if seen.left_out_bytes > 0 {
            let _ = writeln!(
                out,
                "({} bytes of the body are not kept)",
                seen.left_out_bytes
            );
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::tests::seen;

    fn at(node: &str, seen: crate::Seen) -> Witnessed {
        Witnessed {
            id: String::new(),
            node: node.into(),
            seen,
        }
    }

    #[test]
    fn each_message_stands_behind_its_line() {
        let ends = ("192.0.2.1:5060", "[2001:db8::2]:5062");
        let mut message = seen(
            Direction::Received,
            ends,
            "OPTIONS sip:a SIP/2.0\r\nX: y\r\n\r\n",
        );
        message.left_out_bytes = 7;
        let expected = "--- 1700000000.000000 udp 192.0.2.1:5060 -> [2001:db8::2]:5062 received\n\n\
            OPTIONS sip:a SIP/2.0\nX: y\n\n(7 bytes of the body are not kept)\n\n";
        assert_eq!(text(&[at("", message.clone())]), expected);
        let of_node = text(&[at("berlin", message)]);
        assert!(of_node.contains(":5062 received at berlin\n"), "{of_node}");
    }
}
