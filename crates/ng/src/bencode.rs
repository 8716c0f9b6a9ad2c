//! Bencode: `5:bytes`, `i42e`, `l...e`, `d...e`.
//!
//! Read strictly, a dictionary has its keys in order and once, numbers have one form, and nothing
//! follows. [`Leniency::Rtpengine`] reads what the field's own server does: keys in any order, as
//! no client sorts them, leading zeros and a plus sign, white space or anything else behind the
//! dictionary. Lengths and nesting are bounded in both.

use std::borrow::Cow;

use crate::error::Malformed;
use crate::value::{Dictionary, Value};
use crate::{DEPTH_MAX, MESSAGE_BYTES_MAX, VALUES_MAX};

/// How closely the grammar is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leniency {
    /// One form for each value.
    Strict,
    /// What rtpengine reads.
    Rtpengine,
}

/// Reads a dictionary.
///
/// # Errors
/// See [`Malformed`].
pub fn decode(bytes: &[u8], leniency: Leniency) -> Result<Dictionary<'_>, Malformed> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    if bytes.first() != Some(&b'd') {
        return Err(Malformed::NotDictionary);
    }
    let mut reader = Reader {
        bytes,
        at: 0,
        values: 0,
        leniency,
    };
    let Value::Dictionary(dictionary) = reader.value(0)? else {
        return Err(Malformed::NotDictionary);
    };
    if leniency == Leniency::Strict && reader.at != bytes.len() {
        return Err(Malformed::Trailing { at: reader.at });
    }
    Ok(dictionary)
}

/// Appends a dictionary, its keys in the order they were added.
pub fn encode(dictionary: &Dictionary<'_>, out: &mut Vec<u8>) {
    out.push(b'd');
    for (key, value) in dictionary.entries() {
        encode_bytes(key, out);
        encode_value(value, out);
    }
    out.push(b'e');
}

fn encode_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Bytes(bytes) => encode_bytes(bytes, out),
        Value::Integer(integer) => {
            out.push(b'i');
            out.extend_from_slice(integer.to_string().as_bytes());
            out.push(b'e');
        }
        Value::List(list) => {
            out.push(b'l');
            for value in list {
                encode_value(value, out);
            }
            out.push(b'e');
        }
        Value::Dictionary(dictionary) => encode(dictionary, out),
    }
}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(bytes.len().to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(bytes);
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    values: usize,
    leniency: Leniency,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value<'a>, Malformed> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(Malformed::TooMany);
        }
        if depth > DEPTH_MAX {
            return Err(Malformed::TooDeep);
        }
        match self.peek() {
            Some(b'0'..=b'9') => Ok(Value::Bytes(Cow::Borrowed(self.string()?))),
            Some(b'i') => self.integer(),
            Some(b'l') => self.list(depth),
            Some(b'd') => self.dictionary(depth),
            _ => Err(self.malformed()),
        }
    }

    fn dictionary(&mut self, depth: usize) -> Result<Value<'a>, Malformed> {
        self.at += 1;
        let mut dictionary = Dictionary::new();
        let mut last: Option<&[u8]> = None;
        while !self.ends() {
            let at = self.at;
            let key = self.string()?;
            if self.leniency == Leniency::Strict && last.is_some_and(|last| last >= key) {
                return Err(Malformed::Order { at });
            }
            last = Some(key);
            let value = self.value(depth + 1)?;
            dictionary.push_entry(Cow::Borrowed(key), value);
        }
        Ok(Value::Dictionary(dictionary))
    }

    fn list(&mut self, depth: usize) -> Result<Value<'a>, Malformed> {
        self.at += 1;
        let mut list = Vec::new();
        while !self.ends() {
            list.push(self.value(depth + 1)?);
        }
        Ok(Value::List(list))
    }

    fn integer(&mut self) -> Result<Value<'a>, Malformed> {
        let start = self.at + 1;
        let rest = &self.bytes[start..];
        let length = rest.iter().take(NUMBER_BYTES_MAX).position(|b| *b == b'e');
        let length = length.ok_or_else(|| self.malformed())?;
        let text = str::from_utf8(&rest[..length]).map_err(|_| self.malformed())?;
        let canonical = text.parse().ok().filter(|integer: &i64| {
            self.leniency == Leniency::Rtpengine || integer.to_string() == text
        });
        let integer = canonical.ok_or_else(|| self.malformed())?;
        self.at = start + length + 1;
        Ok(Value::Integer(integer))
    }

    fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let rest = &self.bytes[self.at..];
        let colon = rest.iter().take(NUMBER_BYTES_MAX).position(|b| *b == b':');
        let digits = &rest[..colon.ok_or_else(|| self.malformed())?];
        let padded = digits.len() > 1 && digits[0] == b'0';
        if digits.is_empty()
            || !digits.iter().all(u8::is_ascii_digit)
            || padded && self.leniency == Leniency::Strict
        {
            return Err(self.malformed());
        }
        let length = str::from_utf8(digits).ok().and_then(|d| d.parse().ok());
        let length: usize = length.ok_or_else(|| self.malformed())?;
        let start = self.at + digits.len() + 1;
        let end = start.checked_add(length).ok_or_else(|| self.malformed())?;
        let string = self.bytes.get(start..end);
        let string = string.ok_or_else(|| self.malformed())?;
        self.at = end;
        Ok(string)
    }

    /// Steps over the end of a list or a dictionary, if it is here.
    fn ends(&mut self) -> bool {
        let ends = self.peek() == Some(b'e');
        self.at += usize::from(ends);
        ends
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn malformed(&self) -> Malformed {
        Malformed::Bencode { at: self.at }
    }
}

/// Digits and sign of the longest number, and what ends it.
const NUMBER_BYTES_MAX: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn strict(bytes: &[u8]) -> Result<Dictionary<'_>, Malformed> {
        decode(bytes, Leniency::Strict)
    }

    fn lenient(bytes: &[u8]) -> Result<Dictionary<'_>, Malformed> {
        decode(bytes, Leniency::Rtpengine)
    }

    #[test]
    fn reads_each_kind_of_value() {
        let read = strict(b"d1:ai-5e1:bli1e2:xxe1:cd1:k0:ee").expect("sound");
        assert_eq!(read.integer("a"), Some(-5));
        let list = read.value("b").and_then(Value::list).expect("a list");
        assert_eq!(list, [Value::Integer(1), Value::text("xx")]);
        let inner = read.value("c").and_then(Value::dictionary);
        assert_eq!(inner.and_then(|d| d.text("k")), Some(""));
    }

    #[test]
    fn strict_reading_holds_the_one_form() {
        assert_eq!(strict(b"d1:b0:1:a0:e"), Err(Malformed::Order { at: 6 }));
        assert_eq!(strict(b"d1:a0:1:a0:e"), Err(Malformed::Order { at: 6 }));
        assert_eq!(strict(b"de\n"), Err(Malformed::Trailing { at: 2 }));
        for bytes in [&b"d1:ai05ee"[..], b"d1:ai+5ee", b"d1:ai-0ee", b"d01:ai5ee"] {
            assert!(strict(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn lenient_reading_takes_what_clients_send() {
        let read = lenient(b"d7:command4:ping1:ai05e1:ai6ee\r\n").expect("read");
        assert_eq!(read.text("command"), Some("ping"));
        assert_eq!(read.integer("a"), Some(5), "the first of two");
    }

    #[test]
    fn nonsense_is_refused_in_both() {
        for bytes in [
            &b""[..],
            b"4:ping",
            b"le",
            b"d",
            b"d4:pin",
            b"d1:a",
            b"di1e1:ae",
            b"d1:ai99999999999999999999ee",
            b"d1:aiee",
            b"d99999999999999999999:ae",
            b"d18446744073709551615:ae",
            b"d-1:ae",
            b"d1:ax",
        ] {
            assert!(strict(bytes).is_err(), "{}", bytes.escape_ascii());
            assert!(lenient(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        let deep = [b"d1:a".as_slice(), &b"l".repeat(10_000)].concat();
        assert_eq!(lenient(&deep), Err(Malformed::TooDeep));
        let many = [b"d1:al".as_slice(), &b"0:".repeat(20_000), b"ee"].concat();
        assert_eq!(lenient(&many), Err(Malformed::TooMany));
        let long = vec![b'd'; MESSAGE_BYTES_MAX + 1];
        assert_eq!(lenient(&long), Err(Malformed::TooLong));
    }

    fn any_value() -> impl Strategy<Value = Value<'static>> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::Integer),
            any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::btree_map("[a-z ]{0,8}", inner, 0..4).prop_map(dictionary),
            ]
        })
    }

    fn dictionary(entries: std::collections::BTreeMap<String, Value<'static>>) -> Value<'static> {
        let mut dictionary = Dictionary::new();
        for (key, value) in entries {
            dictionary.push(key, value);
        }
        Value::Dictionary(dictionary)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in any_value()) {
            let mut written = Dictionary::new();
            written.push("k", value);
            let mut bytes = Vec::new();
            encode(&written, &mut bytes);
            prop_assert_eq!(&strict(&bytes).expect("sound"), &written);
            prop_assert_eq!(&lenient(&bytes).expect("sound"), &written);
        }
    }
}
