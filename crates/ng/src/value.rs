//! What both encodings hold: strings of bytes, integers, lists, dictionaries.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::word;

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A string; any bytes.
    Bytes(Cow<'a, [u8]>),
    /// A number.
    Integer(i64),
    /// Values in order.
    List(Vec<Value<'a>>),
    /// Values by name.
    Dictionary(Dictionary<'a>),
}

impl<'a> Value<'a> {
    /// A string.
    #[must_use]
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Bytes(match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        })
    }

    /// A list of strings.
    pub fn texts<T: Into<Cow<'a, str>>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    /// The bytes of a string.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The text of a string that is UTF-8.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        self.bytes().and_then(|bytes| str::from_utf8(bytes).ok())
    }

    /// A number, also one written as a string: proxies pass on what their script says.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(integer) => Some(*integer),
            _ => self.as_text()?.trim().parse().ok(),
        }
    }

    /// An address written as a string, in brackets or not.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        let text = self.as_text()?.trim();
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        bare.unwrap_or(text).parse().ok()
    }

    /// The strings of a list; a string stands for a list of it alone. Values of other kinds are
    /// left out.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let (alone, list) = match self {
            Self::List(list) => (None, list.as_slice()),
            _ => (self.as_text(), &[][..]),
        };
        alone
            .into_iter()
            .chain(list.iter().filter_map(Self::as_text))
    }

    /// The strings of a list; a string stands for the list of what is between its commas, as
    /// rtpengine reads it and drachtio's applications write it.
    pub fn items(&self) -> impl Iterator<Item = &str> {
        let is_list = matches!(self, Self::List(_));
        let separator = move |character: char| character == ',' && !is_list;
        let items = self.words().flat_map(move |word| word.split(separator));
        items.map(str::trim).filter(|item| !item.is_empty())
    }

    /// The dictionary, if it is one.
    #[must_use]
    pub fn dictionary(&self) -> Option<&Dictionary<'a>> {
        match self {
            Self::Dictionary(dictionary) => Some(dictionary),
            _ => None,
        }
    }

    /// The list, if it is one.
    #[must_use]
    pub fn list(&self) -> Option<&[Value<'a>]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The same with bytes of its own.
    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
            Self::Integer(integer) => Value::Integer(integer),
            Self::List(list) => Value::List(list.into_iter().map(Value::into_owned).collect()),
            Self::Dictionary(dictionary) => Value::Dictionary(dictionary.into_owned()),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<u64> for Value<'_> {
    /// Beyond the largest integer of the protocol, that.
    fn from(integer: u64) -> Self {
        Self::Integer(i64::try_from(integer).unwrap_or(i64::MAX))
    }
}

impl<'a> From<Dictionary<'a>> for Value<'a> {
    fn from(dictionary: Dictionary<'a>) -> Self {
        Self::Dictionary(dictionary)
    }
}

/// Values by name, in the order they came or were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dictionary<'a> {
    entries: Vec<(Cow<'a, [u8]>, Value<'a>)>,
}

impl<'a> Dictionary<'a> {
    /// Without entries.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// Adds an entry at the end.
    pub fn push(&mut self, key: impl Into<Cow<'a, str>>, value: impl Into<Value<'a>>) -> &mut Self {
        let Value::Bytes(key) = Value::text(key) else {
            return self;
        };
        self.push_entry(key, value.into());
        self
    }

    /// Adds an entry if there is a value for it.
    pub fn push_some(
        &mut self,
        key: impl Into<Cow<'a, str>>,
        value: Option<impl Into<Value<'a>>>,
    ) -> &mut Self {
        match value {
            Some(value) => self.push(key, value),
            None => self,
        }
    }

    pub(crate) fn push_entry(&mut self, key: Cow<'a, [u8]>, value: Value<'a>) {
        self.entries.push((key, value));
    }

    /// The value of a key, whichever of its spellings was used. Of several the first.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&Value<'a>> {
        let entries = self.entries.iter();
        let mut exact = entries.clone().filter(|(k, _)| k[..] == *key.as_bytes());
        let mut similar = entries.filter(|(k, _)| word::same(k, key.as_bytes()));
        let found = exact.next().or_else(|| similar.next());
        found.map(|(_, value)| value)
    }

    /// The text of a key.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.value(key).and_then(Value::as_text)
    }

    /// The number of a key.
    #[must_use]
    pub fn integer(&self, key: &str) -> Option<i64> {
        self.value(key).and_then(Value::integer)
    }

    /// The number of a key if it fits.
    #[must_use]
    pub fn number<T: TryFrom<i64>>(&self, key: &str) -> Option<T> {
        self.integer(key)
            .and_then(|integer| T::try_from(integer).ok())
    }

    /// The entries in their order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&[u8], &Value<'a>)> {
        self.entries.iter().map(|(key, value)| (&key[..], value))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The same with bytes of its own.
    #[must_use]
    pub fn into_owned(self) -> Dictionary<'static> {
        let entries = self.entries.into_iter();
        let owned = entries.map(|(key, value)| (Cow::Owned(key.into_owned()), value.into_owned()));
        Dictionary {
            entries: owned.collect(),
        }
    }
}
