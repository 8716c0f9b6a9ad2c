//! A plain reader of SIP messages for tests.

use core::fmt;

/// A received message, as text.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The first line.
    pub start: String,
    /// Names and values in order, unfolded, names as sent.
    pub headers: Vec<(String, String)>,
    /// What follows the empty line.
    pub body: String,
}

impl Message {
    /// Reads a message; `None` if the head has no end.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let start = lines.next()?.to_owned();
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = headers.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        Some(Self {
            start,
            headers,
            body: body.to_owned(),
        })
    }

    /// The first value of a header, by its long name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = self
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// All values of a header in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The status code; `None` for a request.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// The method of a request; for a response that of its CSeq.
    #[must_use]
    pub fn method(&self) -> &str {
        let words = if self.status().is_some() {
            self.header("CSeq")
                .and_then(|cseq| cseq.split_whitespace().nth(1))
        } else {
            self.start.split(' ').next()
        };
        words.unwrap_or_default()
    }

    /// The tag of To; empty where there is none.
    #[must_use]
    pub fn to_tag(&self) -> &str {
        self.header("To").map(tag).unwrap_or_default()
    }

    /// The tag of From; empty where there is none.
    #[must_use]
    pub fn from_tag(&self) -> &str {
        self.header("From").map(tag).unwrap_or_default()
    }

    /// The URI of Contact; empty where there is none.
    #[must_use]
    pub fn contact_uri(&self) -> &str {
        let contact = self.header("Contact").unwrap_or_default();
        let inner = contact.split_once('<').map_or(contact, |(_, rest)| rest);
        inner.split('>').next().unwrap_or_default()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.start)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        write!(f, "\n{}", self.body)
    }
}

fn tag(value: &str) -> &str {
    let after = value.split_once(";tag=").map_or("", |(_, rest)| rest);
    after.split([';', '>', ' ']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read() {
        let text = "SIP/2.0 180 Ringing\r\nTo: <sip:b@h>;tag=t1\r\nCSeq: 7\r\n INVITE\r\n\
                    Contact: \"B\" <sip:b@1.2.3.4:5>;q=1\r\n\r\nbody";
        let message = Message::parse(text).expect("it has a head");
        assert_eq!(message.status(), Some(180));
        assert_eq!(message.method(), "INVITE");
        assert_eq!(message.to_tag(), "t1");
        assert_eq!(message.contact_uri(), "sip:b@1.2.3.4:5");
        assert_eq!(message.body, "body");
    }
}
