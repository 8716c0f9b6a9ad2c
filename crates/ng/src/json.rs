//! The JSON form. Strings that are not UTF-8 are written with replacement characters; what bencode
//! has not comes in as its nearest: `true` and `false` as 1 and 0, fractions as text, and a key
//! whose value is `null` is as good as absent.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::error::Malformed;
use crate::value::{Dictionary, Value};
use crate::{DEPTH_MAX, MESSAGE_BYTES_MAX, VALUES_MAX};

/// Reads an object.
///
/// # Errors
/// See [`Malformed`].
pub fn decode(bytes: &[u8]) -> Result<Dictionary<'_>, Malformed> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    let values = Cell::new(0);
    let seed = Seed {
        depth: 0,
        values: &values,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = seed.deserialize(&mut deserializer);
    match read.map_err(|error| explain(&error))? {
        Some(Value::Dictionary(dictionary)) => Ok(dictionary),
        _ => Err(Malformed::NotDictionary),
    }
}

/// Appends an object.
pub fn encode(dictionary: &Dictionary<'_>, out: &mut Vec<u8>) {
    // Writing to memory cannot fail, and no key is anything but a string.
    let _ = serde_json::to_writer(out, &Written(dictionary));
}

fn explain(error: &serde_json::Error) -> Malformed {
    let text = error.to_string();
    if text.starts_with(TOO_DEEP) {
        Malformed::TooDeep
    } else if text.starts_with(TOO_MANY) {
        Malformed::TooMany
    } else {
        Malformed::Json(text)
    }
}

#[derive(Clone, Copy)]
struct Seed<'c> {
    depth: usize,
    values: &'c Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Option<Value<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > VALUES_MAX {
            return Err(D::Error::custom(TOO_MANY));
        }
        if self.depth > DEPTH_MAX {
            return Err(D::Error::custom(TOO_DEEP));
        }
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Option<Value<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(Value::Integer(i64::from(value))))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(Value::Integer(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(Value::from(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(Value::text(value.to_string())))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Value::text(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Some(Value::text(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = from.next_element_seed(self.deeper())? {
            list.extend(value);
        }
        Ok(Some(Value::List(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut dictionary = Dictionary::new();
        while let Some(key) = from.next_key::<Cow<'de, str>>()? {
            if let Some(value) = from.next_value_seed(self.deeper())? {
                dictionary.push(key, value);
            }
        }
        Ok(Some(Value::Dictionary(dictionary)))
    }
}

impl Seed<'_> {
    fn deeper(self) -> Self {
        Self {
            depth: self.depth + 1,
            ..self
        }
    }
}

/// Writes by reference.
struct Written<'v, T>(&'v T);

impl Serialize for Written<'_, Dictionary<'_>> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0.entries() {
            map.serialize_entry(&String::from_utf8_lossy(key), &Written(value))?;
        }
        map.end()
    }
}

impl Serialize for Written<'_, Value<'_>> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bytes(bytes) => to.serialize_str(&String::from_utf8_lossy(bytes)),
            Value::Integer(integer) => to.serialize_i64(*integer),
            Value::List(list) => to.collect_seq(list.iter().map(Written)),
            Value::Dictionary(dictionary) => Written(dictionary).serialize(to),
        }
    }
}

const TOO_DEEP: &str = "nested too deeply";
const TOO_MANY: &str = "too many values";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_an_object() {
        let text = br#"{"command":"offer","n":5,"l":["a",{"k":"v"}],"sdp":"v=0\r\n"}"#;
        let read = decode(text).expect("sound");
        assert_eq!(read.text("sdp"), Some("v=0\r\n"));
        let mut out = Vec::new();
        encode(&read, &mut out);
        assert_eq!(out, text);
    }

    #[test]
    fn what_bencode_has_not_becomes_its_nearest() {
        let read = decode(br#"{"a":true,"b":null,"c":1.5,"d":[null,2]}"#).expect("sound");
        assert_eq!(read.integer("a"), Some(1));
        assert_eq!(read.value("b"), None);
        assert_eq!(read.text("c"), Some("1.5"));
        let list = read.value("d").and_then(Value::list);
        assert_eq!(list, Some(&[Value::Integer(2)][..]));
    }

    #[test]
    fn nonsense_and_excess_are_refused() {
        assert_eq!(decode(b"[]"), Err(Malformed::NotDictionary));
        assert!(matches!(decode(b"{\"a\""), Err(Malformed::Json(_))));
        let deep = ["{\"a\":", &"[".repeat(60), &"]".repeat(60), "}"].concat();
        assert_eq!(decode(deep.as_bytes()), Err(Malformed::TooDeep));
        let many = ["{\"a\":[", &"1,".repeat(20_000), "1]}"].concat();
        assert_eq!(decode(many.as_bytes()), Err(Malformed::TooMany));
    }

    #[test]
    fn bytes_that_are_no_text_are_written_all_the_same() {
        let mut dictionary = Dictionary::new();
        dictionary.push("k", Value::Bytes(Cow::Borrowed(b"a\xff")));
        let mut out = Vec::new();
        encode(&dictionary, &mut out);
        assert_eq!(out, "{\"k\":\"a\u{fffd}\"}".as_bytes());
    }
}
