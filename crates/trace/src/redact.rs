//! What nobody is to read in a message that is kept.
//!
//! Secrets become asterisks, as many as there were bytes: lengths stay true. Hidden are what a digest
//! proves a password by (RFC 7616 §3.4 `response`, §3.5 `rspauth`), credentials of all other
//! schemes, passwords in URIs (RFC 3261 §19.1.1), the tokens of push services (RFC 8599 `pn-prid`),
//! keys in descriptions (RFC 4568 `a=crypto`, RFC 4567 `a=key-mgmt`, RFC 8866 `k=`) and passwords of
//! ICE (RFC 8839).

use memchr::{memchr, memchr_iter, memmem};

use crate::Head;
use crate::head::is_credentials;

/// What is kept of bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodies {
    /// All of them.
    Kept,
    /// All but what people write to each other (MESSAGE), and keys they press (`application/dtmf`,
    /// `application/dtmf-relay`), for some press their secrets.
    WithoutTexts,
    /// None.
    LeftOut,
}

/// Where secrets may be, as far as the head of a message tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secrets {
    body_at: usize,
    has_credentials: bool,
    is_private: bool,
}

impl Secrets {
    pub(crate) fn of(head: &Head<'_>) -> Self {
        let kind = head.content_type.get(..DTMF.len());
        let is_dtmf = kind.is_some_and(|kind| kind.eq_ignore_ascii_case(DTMF));
        Self {
            body_at: head.body_at,
            has_credentials: head.has_credentials,
            is_private: is_dtmf || head.method().eq_ignore_ascii_case(b"MESSAGE"),
        }
    }

    /// Hides them; how many bytes of the message are to be kept.
    pub(crate) fn hide(self, message: &mut [u8], bodies: Bodies) -> usize {
        let body_at = self.body_at.min(message.len());
        let kept = match bodies {
            Bodies::LeftOut => body_at,
            Bodies::WithoutTexts if self.is_private => body_at,
            Bodies::WithoutTexts | Bodies::Kept => message.len(),
        };
        let (headers, body) = message[..kept].split_at_mut(body_at);
        if self.has_credentials {
            each_header(headers, hide_credentials);
        }
        hide_tokens(headers);
        hide_passwords(headers);
        each_line(body, hide_in_body);
        kept
    }
}

fn hide_credentials(header: &mut [u8]) {
    let Some(colon) = memchr(b':', header) else {
        return;
    };
    let name = header[..colon].trim_ascii_end();
    if !is_credentials(name) {
        return;
    }
    // Who answers names no scheme.
    let answers =
        name.len() >= INFO.len() && name[name.len() - INFO.len()..].eq_ignore_ascii_case(INFO);
    let scheme = header[colon + 1..].trim_ascii_start().get(..DIGEST.len());
    match answers || scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(DIGEST)) {
        true => {
            hide_param(header, b"response");
            hide_param(header, b"rspauth");
        }
        false => hide_words(&mut header[colon + 1..]),
    }
}

/// Hides the values of a parameter, quoted or not.
fn hide_param(header: &mut [u8], name: &[u8]) {
    let lower = header.to_ascii_lowercase();
    for at in memmem::find_iter(&lower, name) {
        if at == 0 || !is_word(lower[at - 1]) {
            hide_value(header, at + name.len());
        }
    }
}

/// Tokens of push services, in parameters of URIs wherever they are.
fn hide_tokens(headers: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = memchr(b'-', &headers[at..]) {
        let hyphen = at + found;
        at = hyphen + 1;
        let Some(begin) = hyphen.checked_sub(2) else {
            continue;
        };
        let end = begin + TOKEN.len();
        let name = headers.get(begin..end);
        let is_it = name.is_some_and(|name| name.eq_ignore_ascii_case(TOKEN));
        if is_it && (begin == 0 || !is_word(headers[begin - 1])) {
            hide_value(headers, end);
        }
    }
}

/// Passwords in URIs: what stands between a second colon and `@`.
fn hide_passwords(headers: &mut [u8]) {
    let mut past = 0;
    while let Some(found) = memchr(b'@', &headers[past..]) {
        let end = past + found;
        // Another `@` cannot be part of it: each byte is looked at once.
        let before = headers[past..end].iter();
        let begin = before
            .rev()
            .position(|byte| b" \t\r\n<>\",".contains(byte))
            .map_or(past, |back| end - back);
        past = end + 1;
        let user = &headers[begin..end];
        let is_scheme = |colon: &usize| {
            let scheme = &user[..*colon];
            let ends = |name: &[u8]| {
                let tail = scheme.len().checked_sub(name.len());
                tail.is_some_and(|tail| scheme[tail..].eq_ignore_ascii_case(name))
            };
            ends(b"sip") || ends(b"sips")
        };
        let scheme = memchr_iter(b':', user).find(is_scheme);
        let password = scheme.and_then(|scheme| {
            let colon = memchr(b':', &user[scheme + 1..])?;
            Some(begin + scheme + 1 + colon + 1)
        });
        if let Some(password) = password {
            hide(&mut headers[password..end]);
        }
    }
}

/// Hides a value that stands behind the name of a parameter that ends at `at`, if one does.
fn hide_value(text: &mut [u8], at: usize) {
    let words = |at: usize| {
        let rest = &text[at..];
        at + rest.len() - rest.trim_ascii_start().len()
    };
    let equals = words(at);
    if text.get(equals) != Some(&b'=') {
        return;
    }
    let value = words(equals + 1);
    let rest = &text[value..];
    let (from, length) = match rest.strip_prefix(b"\"") {
        Some(quoted) => (value + 1, memchr(b'"', quoted).unwrap_or(quoted.len())),
        None => {
            let end = rest.iter().position(|b| b",;> \t\r\n".contains(b));
            (value, end.unwrap_or(rest.len()))
        }
    };
    hide(&mut text[from..from + length]);
}

/// Lines of descriptions, and of pieces of them.
fn hide_in_body(line: &mut [u8]) {
    if line.get(1) != Some(&b'=') {
        return;
    }
    for name in LINES {
        let is_it = line
            .get(..name.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(name));
        if !is_it {
            continue;
        }
        let from = match memmem::find(line, b"inline:") {
            Some(at) => at + b"inline:".len(),
            None => name.len(),
        };
        hide(&mut line[from..]);
    }
}

/// Hides what stands between the spaces at both ends.
fn hide_words(text: &mut [u8]) {
    let begin = text.len() - text.trim_ascii_start().len();
    let end = text.trim_ascii_end().len();
    if begin < end {
        hide(&mut text[begin..end]);
    }
}

/// Spaces and line ends stay: what is one line, header or word remains one.
fn hide(secret: &mut [u8]) {
    for byte in secret.iter_mut().filter(|b| !b.is_ascii_whitespace()) {
        *byte = b'*';
    }
}

/// Headers with the lines that go on with them (RFC 3261 §7.3.1).
fn each_header(mut rest: &mut [u8], mut act: impl FnMut(&mut [u8])) {
    while !rest.is_empty() {
        let goes_on = |at: &usize| matches!(rest.get(at + 1), Some(b' ' | b'\t'));
        let end = memchr_iter(b'\n', rest).find(|at| !goes_on(at));
        let (header, after) = rest.split_at_mut(end.map_or(rest.len(), |at| at + 1));
        act(header);
        rest = after;
    }
}

fn each_line(mut rest: &mut [u8], mut act: impl FnMut(&mut [u8])) {
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at_mut(end);
        act(line);
        rest = after;
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

const INFO: &[u8] = b"-info";
const DIGEST: &[u8] = b"digest";
const TOKEN: &[u8] = b"pn-prid";
const DTMF: &[u8] = b"application/dtmf";
const LINES: [&[u8]; 4] = [b"a=crypto:", b"a=key-mgmt:", b"a=ice-pwd:", b"k="];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redacted(message: &str, bodies: Bodies) -> (String, usize) {
        let mut bytes = message.as_bytes().to_vec();
        let kept = Secrets::of(&Head::read(message.as_bytes())).hide(&mut bytes, bodies);
        bytes.truncate(kept);
        let left_out = message.len() - kept;
        (String::from_utf8(bytes).expect("text"), left_out)
    }

    #[test]
    fn what_proves_a_password_is_hidden_and_nothing_else() {
        let message = "REGISTER sip:a SIP/2.0\r\nAuthorization: Digest username=\"alice\", nonce=\"n\",\r\n \
            uri=\"sip:a\", Response = \"0123456789abcdef\", cnonce=\"c\"\r\n\
            Proxy-Authorization: Bearer abc.def\r\n\
            Authentication-Info: qop=auth, rspauth=77ff, nextnonce=\"x\"\r\n\
            Contact: <sip:a@b;pn-provider=apns;pn-prid=00fc13adff78512>;expires=60\r\n\
            X-Response: response=no secret\r\n\r\n";
        let expected = message
            .replace("0123456789abcdef", "****************")
            .replace("Bearer abc.def", "****** *******")
            .replace("77ff", "****")
            .replace("00fc13adff78512", "***************");
        assert_eq!(redacted(message, Bodies::Kept), (expected, 0));
    }

    #[test]
    fn credentials_are_found_on_lines_that_go_on_and_however_short() {
        let message = "BYE sip:a SIP/2.0\r\nAuthorization:\r\n Digest username=\"a\", response=\r\n\t\"c0ffee\"\r\n\
            Proxy-Authorization: x1\r\nProxy-Authentication-Info: rspauth=\"beef\"\r\nSubject: response=c0ffee\r\n\r\n";
        let (text, _) = redacted(message, Bodies::Kept);
        assert!(text.contains("response=\r\n\t\"******\"\r\n"), "{text}");
        assert!(text.contains("Proxy-Authorization: **\r\n"), "{text}");
        assert!(text.contains("rspauth=\"****\""), "{text}");
        assert!(text.contains("Subject: response=c0ffee"), "{text}");
    }

    #[test]
    fn passwords_in_uris_are_hidden() {
        let message = "INVITE sip:bob:hunter2@b SIP/2.0\r\nFrom: \"x:y@z\" <SIPS:al:s3cret@a:5061>;tag=a:b\r\n\
            Contact:sip:carl:pw@c\r\nCall-ID: 1:2@host\r\nTo: <sip:dan@d:5060>\r\n\r\nsip:a:b@c";
        let expected = message
            .replace("hunter2", "*******")
            .replace("s3cret", "******")
            .replace("carl:pw", "carl:**");
        assert_eq!(redacted(message, Bodies::Kept).0, expected);
    }

    #[test]
    fn keys_that_people_press_go_with_what_they_write() {
        let message =
            "INFO sip:a SIP/2.0\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=5\r\n";
        assert_eq!(redacted(message, Bodies::WithoutTexts).1, 10);
        assert_eq!(redacted(message, Bodies::Kept).1, 0);
    }

    #[test]
    fn keys_in_descriptions_are_hidden() {
        let message = "INVITE sip:a SIP/2.0\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\
            a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20\r\n\
            a=ice-ufrag:abcd\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\nk=clear:x\r\n";
        let (text, _) = redacted(message, Bodies::Kept);
        assert!(
            text.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:***"),
            "{text}"
        );
        assert!(text.contains("a=ice-ufrag:abcd\r\na=ice-pwd:**********************\r\n"));
        for secret in ["d0Rm", "2^20", "asd88", "clear"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert_eq!(text.len(), message.len());
    }

    #[test]
    fn texts_between_people_go_where_they_are_not_wanted() {
        let text = "MESSAGE sip:a SIP/2.0\r\nCSeq: 1 MESSAGE\r\n\r\nmeet me at noon";
        assert_eq!(redacted(text, Bodies::Kept), (text.to_owned(), 0));
        let (rest, left_out) = redacted(text, Bodies::WithoutTexts);
        assert_eq!(
            (rest.as_str(), left_out),
            (text.split("meet").next().unwrap_or(""), 15)
        );
        let invite = "INVITE sip:a SIP/2.0\r\n\r\nv=0\r\n";
        assert_eq!(redacted(invite, Bodies::WithoutTexts).1, 0);
        assert_eq!(redacted(invite, Bodies::LeftOut).1, 5);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_lengths_stay(bytes: Vec<u8>, begin in 0_usize..5) {
            let begin = ["", "A b SIP/2.0\r\nAuthorization:", "A b SIP/2.0\r\nContact: pn-prid", "A b SIP/2.0\r\n\r\na=crypto:", "A sip:a:b"][begin];
            let mut message = [begin.as_bytes(), &bytes].concat();
            let secrets = Secrets::of(&Head::read(&message));
            let kept = secrets.hide(&mut message, Bodies::WithoutTexts);
            prop_assert!(kept <= message.len());
        }
    }
}
