//! Small lexical helpers that all header parsers share (RFC 3261 §25.1).
//!
//! Folded lines stay as they came: a CR or LF inside a header value can only be folding, so it
//! counts as white space here.

use crate::scan::{find, find_any, find_either};

/// White space, line folding included.
#[must_use]
pub const fn is_lws(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

/// A character of a token (RFC 3261 §25.1).
#[must_use]
pub const fn is_token(b: u8) -> bool {
    TOKEN[b as usize]
}

/// A character of a host name or an IPv4 address; the underscore occurs.
pub(crate) const fn is_host(b: u8) -> bool {
    HOST[b as usize]
}

/// Looked up for each byte of each message: cheaper than comparing.
const TOKEN: [bool; 256] = alphanumeric_and(b"-.!%*_+`'~");
const HOST: [bool; 256] = alphanumeric_and(b"-._");

const fn alphanumeric_and(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut b = 0;
    while b < table.len() {
        table[b] = (b as u8).is_ascii_alphanumeric();
        b += 1;
    }
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
}

/// Without white space at both ends.
#[must_use]
pub fn trim(mut s: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = s {
        if !is_lws(*first) {
            break;
        }
        s = rest;
    }
    while let [rest @ .., last] = s {
        if !is_lws(*last) {
            break;
        }
        s = rest;
    }
    s
}

/// A decimal number that fills the whole text; white space around it is allowed.
#[must_use]
pub fn number<T: TryFrom<u64>>(s: &[u8]) -> Option<T> {
    let s = trim(s);
    if s.is_empty() {
        return None;
    }
    let mut n: u64 = 0;
    for b in s {
        if !b.is_ascii_digit() {
            return None;
        }
        n = n.checked_mul(10)?.checked_add(u64::from(b - b'0'))?;
    }
    T::try_from(n).ok()
}

/// Where the first of `wanted` stands outside quoted strings and angle brackets.
#[must_use]
pub fn find_bare(s: &[u8], wanted: u8) -> Option<usize> {
    let first = find(s, wanted)?;
    if find_either(&s[..first], b'"', b'<').is_none() {
        return Some(first);
    }
    let mut quoted = false;
    let mut angle = false;
    let mut at = 0;
    while at < s.len() {
        let b = s[at];
        match b {
            b'\\' if quoted => at += 1,
            b'"' if !angle => quoted = !quoted,
            _ if quoted => {}
            _ if b == wanted && (!angle || wanted == b'>') => return Some(at),
            b'<' => angle = true,
            b'>' => angle = false,
            _ => {}
        }
        at += 1;
    }
    None
}

/// The elements of a comma list, trimmed; commas in quotes and angle brackets do not divide.
#[derive(Clone, Debug)]
pub struct Commas<'a> {
    rest: Option<&'a [u8]>,
}

/// Splits a comma list.
#[must_use]
pub const fn commas(s: &[u8]) -> Commas<'_> {
    Commas { rest: Some(s) }
}

impl<'a> Iterator for Commas<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let s = self.rest?;
            let item = match find_bare(s, b',') {
                Some(at) => {
                    self.rest = Some(&s[at + 1..]);
                    &s[..at]
                }
                None => {
                    self.rest = None;
                    s
                }
            };
            let item = trim(item);
            if !item.is_empty() {
                return Some(item);
            }
        }
    }
}

/// The parameters behind a value: `;name=value;flag`, white space allowed anywhere between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a>(pub &'a [u8]);

impl<'a> Params<'a> {
    /// All parameters in order: name and, if there is a `=`, the value with quotes kept.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            loop {
                rest = trim(rest);
                if let [b';', tail @ ..] = rest {
                    rest = tail;
                    continue;
                }
                if rest.is_empty() {
                    return None;
                }
                let end = find_bare(rest, b';').unwrap_or(rest.len());
                let (one, tail) = rest.split_at(end);
                rest = tail;
                let one = trim(one);
                if one.is_empty() {
                    continue;
                }
                return Some(match find(one, b'=') {
                    Some(eq) => (trim(&one[..eq]), Some(trim(&one[eq + 1..]))),
                    None => (one, None),
                });
            }
        })
    }

    /// The value of a parameter; `Some(None)` for a flag without value.
    #[must_use]
    pub fn find(self, name: &str) -> Option<Option<&'a [u8]>> {
        let name = name.as_bytes();
        let wanted = name.first().map(|b| b | 0x20);
        let mut rest = self.0;
        loop {
            while let [b';' | b' ' | b'\t' | b'\r' | b'\n', tail @ ..] = rest {
                rest = tail;
            }
            let first = rest.first()?;
            let end = find_any(rest, [b';', b'"', b'<']).unwrap_or(rest.len());
            if rest.get(end).is_some_and(|b| *b != b';') {
                // A semicolon in quotes does not divide.
                let mut all = Self(rest).iter();
                let found = all.find(|(other, _)| other.eq_ignore_ascii_case(name));
                return found.map(|(_, value)| value);
            }
            // Most are told apart by their first letter.
            if Some(first | 0x20) == wanted
                && let Some(value) = named(trim(&rest[..end]), name)
            {
                return Some(value);
            }
            rest = &rest[end..];
        }
    }

    /// The value of a parameter that has one.
    #[must_use]
    pub fn value(self, name: &str) -> Option<&'a [u8]> {
        self.find(name).flatten()
    }

    /// Whether the parameter is there.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

/// The value of one parameter, if it has this name.
fn named<'a>(one: &'a [u8], name: &[u8]) -> Option<Option<&'a [u8]>> {
    let (head, tail) = one.split_at_checked(name.len())?;
    if !head.eq_ignore_ascii_case(name) {
        return None;
    }
    match trim(tail) {
        [] => Some(None),
        [b'=', value @ ..] => Some(Some(trim(value))),
        _ => None,
    }
}

/// Without the quotes around it, if there are any; escapes stay.
#[must_use]
pub fn unquote(s: &[u8]) -> &[u8] {
    match s {
        [b'"', inner @ .., b'"'] => inner,
        _ => s,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_before_quotes_in_them_and_behind() {
        let params = Params(b";branch=1 ;oc;oc-algo=\"loss;tag=2\";tag=3;x=<a;b>;end");
        assert_eq!(params.value("branch"), Some(&b"1"[..]));
        assert_eq!(params.find("oc"), Some(None));
        assert_eq!(params.value("OC-Algo"), Some(&b"\"loss;tag=2\""[..]));
        assert_eq!(params.value("tag"), Some(&b"3"[..]));
        assert_eq!(params.value("x"), Some(&b"<a;b>"[..]));
        assert_eq!(params.find("end"), Some(None));
        assert_eq!(params.find("b>"), None);
    }

    #[test]
    fn commas_in_quotes_and_brackets_do_not_divide() {
        let list = br#""a, b" <sip:c,d@e>;x=1 , <sip:f>,, sip:g"#;
        let all: Vec<_> = commas(list).collect();
        assert_eq!(
            all,
            [&br#""a, b" <sip:c,d@e>;x=1"#[..], b"<sip:f>", b"sip:g"]
        );
    }

    #[test]
    fn an_escaped_quote_does_not_end_a_quoted_string() {
        let all: Vec<_> = commas(br#""a\",b", c"#).collect();
        assert_eq!(all, [&br#""a\",b""#[..], b"c"]);
    }

    #[test]
    fn parameters_may_be_spaced_and_folded() {
        let p = Params(b" ;\r\n tag  =  12 ; lr;q=\"a;b\"");
        assert_eq!(p.value("TAG"), Some(&b"12"[..]));
        assert!(p.has("lr"));
        assert_eq!(p.value("q"), Some(&b"\"a;b\""[..]));
        assert_eq!(p.find("x"), None);
        let p = Params(b" ;\r\n tag  =  12 ; lr;;tagged=1;x y=2;z =");
        assert_eq!(p.value("TAG"), Some(&b"12"[..]));
        assert_eq!(p.find("lr"), Some(None));
        assert_eq!(p.find("x"), None);
        assert_eq!(p.find("Z"), Some(Some(&b""[..])));
    }

    #[test]
    fn numbers_fill_their_text_and_do_not_overflow() {
        assert_eq!(number::<u32>(b" 0068 "), Some(68));
        assert_eq!(number::<u32>(b"4294967296"), None);
        assert_eq!(number::<u32>(b"99999999999999999999999"), None);
        assert_eq!(number::<u32>(b"-1"), None);
        assert_eq!(number::<u32>(b""), None);
    }
}
