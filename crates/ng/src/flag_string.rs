//! All flags and keys of a request in one string:
//! `trust-address transport-protocol=RTP/AVP codec=[strip=[PCMU GSM] offer=[PCMA]]`.

use crate::DEPTH_MAX;
use crate::error::BadMessage;
use crate::value::{Dictionary, Value};

/// One item of the string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// A word that stands alone.
    Flag(&'a str),
    /// A key with its value.
    Pair(&'a str, Value<'a>),
}

/// Reads the string. Brackets that are left open at the end are closed.
pub(crate) fn parse(text: &str) -> Result<Vec<Item<'_>>, BadMessage> {
    let mut reader = Reader { text, at: 0 };
    reader.items(0)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Items up to the closing bracket, or the end.
    fn items(&mut self, depth: usize) -> Result<Vec<Item<'a>>, BadMessage> {
        if depth > DEPTH_MAX {
            return Err(BadMessage::Invalid("flags".into()));
        }
        let mut items = Vec::new();
        loop {
            self.skip(|byte| byte.is_ascii_whitespace());
            match self.peek() {
                None => return Ok(items),
                Some(b']') => {
                    // One too many outside of any list is passed over.
                    self.at += 1;
                    if depth > 0 {
                        return Ok(items);
                    }
                }
                Some(b'[') => {
                    let value = self.bracketed(depth)?;
                    items.push(Item::Pair("", value));
                }
                Some(_) => items.push(self.item(depth)?),
            }
        }
    }

    fn item(&mut self, depth: usize) -> Result<Item<'a>, BadMessage> {
        let word = self.word(b"=");
        if self.peek() != Some(b'=') {
            return Ok(Item::Flag(word));
        }
        self.at += 1;
        let value = match self.peek() {
            Some(b'[') => self.bracketed(depth)?,
            _ => Value::text(self.word(b"")),
        };
        Ok(Item::Pair(word, value))
    }

    /// A list, or a dictionary if all in it are pairs.
    fn bracketed(&mut self, depth: usize) -> Result<Value<'a>, BadMessage> {
        self.at += 1;
        let items = self.items(depth + 1)?;
        let named = |item: &Item<'_>| matches!(item, Item::Pair(key, _) if !key.is_empty());
        if !items.is_empty() && items.iter().all(named) {
            let mut dictionary = Dictionary::new();
            for item in items {
                if let Item::Pair(key, value) = item {
                    dictionary.push(key, value);
                }
            }
            return Ok(Value::Dictionary(dictionary));
        }
        let values = items.into_iter().map(|item| match item {
            Item::Flag(word) => Value::text(word),
            Item::Pair(_, value) => value,
        });
        Ok(Value::List(values.collect()))
    }

    /// Up to white space, a closing bracket, or one of `ends`.
    fn word(&mut self, ends: &[u8]) -> &'a str {
        let start = self.at;
        self.skip(|byte| !byte.is_ascii_whitespace() && byte != b']' && !ends.contains(&byte));
        // Only ASCII ends a word, so that both ends are at characters.
        &self.text[start..self.at]
    }

    fn skip(&mut self, within: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&within) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_words_pairs_lists_and_dictionaries() {
        let text = "trust-address  label=caller OSRTP=[accept] codec=[strip=[PCMU GSM] x=[]]";
        let items = parse(text).expect("sound");
        assert_eq!(items[0], Item::Flag("trust-address"));
        assert_eq!(items[1], Item::Pair("label", Value::text("caller")));
        assert_eq!(items[2], Item::Pair("OSRTP", Value::texts(["accept"])));
        let Item::Pair("codec", Value::Dictionary(codec)) = &items[3] else {
            panic!("a dictionary: {items:?}");
        };
        let strip = codec.value("strip").expect("a list");
        assert_eq!(strip.words().collect::<Vec<_>>(), ["PCMU", "GSM"]);
    }

    #[test]
    fn odd_brackets_do_no_harm() {
        assert_eq!(parse("a ] b").expect("read").len(), 2);
        assert_eq!(parse("x=[a b").expect("read").len(), 1);
        assert_eq!(parse("=").expect("read"), [Item::Pair("", Value::text(""))]);
        assert!(parse(&"x=[".repeat(1_000)).is_err());
        assert!(parse(&"[".repeat(1_000)).is_err());
    }
}
