//! The grammar that challenges and credentials share: a scheme, then `name=value` by commas
//! (RFC 7235 §2.1, RFC 3261 §25.1).

use std::borrow::Cow;

use crate::lex::{is_lws, is_token};
use crate::scan::{find, find_either};

/// The most parameters of one challenge or credentials; more is malformed.
const PARAMS_MAX: usize = 32;

/// Why a challenge or credentials cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// The scheme is not Digest.
    #[error("the scheme is not Digest")]
    Scheme,
    /// Text that is no `name=value`, or a quoted string without end.
    #[error("a parameter is malformed")]
    Form,
    /// A parameter stands twice, so that two readers might disagree about its value.
    #[error("a parameter stands twice")]
    Repeated,
    /// More than 32 parameters.
    #[error("there are too many parameters")]
    TooMany,
    /// A parameter that must be there is not.
    #[error("a parameter is missing")]
    Missing(&'static str),
    /// A parameter has a value it cannot have.
    #[error("a parameter has a value it cannot have")]
    Value(&'static str),
}

/// A parameter's value without its quotes, escapes kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Value<'a>(pub &'a [u8]);

impl<'a> Value<'a> {
    /// The value with quoted pairs resolved.
    #[must_use]
    pub fn unescaped(self) -> Cow<'a, [u8]> {
        if find(self.0, b'\\').is_none() {
            return Cow::Borrowed(self.0);
        }
        let mut out = Vec::with_capacity(self.0.len());
        let mut bytes = self.0.iter();
        while let Some(b) = bytes.next() {
            // The lexer ends no value behind a lone backslash in quotes.
            let b = if *b == b'\\' { bytes.next() } else { Some(b) };
            out.extend(b);
        }
        Cow::Owned(out)
    }
}

/// What stands next in a list of challenges or credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// A scheme; the parameters behind it are its own.
    Scheme(&'a [u8]),
    /// A parameter.
    Param(&'a [u8], Value<'a>),
}

/// Reads items from a header value; stops for good at the first error.
#[derive(Clone, Debug)]
pub(super) struct Items<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Items<'a> {
    pub(super) const fn new(value: &'a [u8]) -> Self {
        Self {
            rest: value,
            left: PARAMS_MAX,
        }
    }

    /// Skips what follows a scheme we do not speak: up to the next bare comma.
    pub(super) fn skip_param(&mut self) {
        let end = crate::lex::find_bare(self.rest, b',').unwrap_or(self.rest.len());
        self.rest = &self.rest[end..];
    }

    fn item(&mut self) -> Result<Item<'a>, ParamError> {
        let name = self.take_while(is_token);
        if name.is_empty() {
            return Err(ParamError::Form);
        }
        // Nobody writes white space here, but for that behind a scheme.
        if self.rest.first() != Some(&b'=') {
            let spaces = self.take_while(is_lws).len();
            if self.rest.first() != Some(&b'=') {
                let is_scheme = spaces > 0 || matches!(self.rest.first(), None | Some(b','));
                return if is_scheme {
                    self.left = PARAMS_MAX;
                    Ok(Item::Scheme(name))
                } else {
                    Err(ParamError::Form)
                };
            }
        }
        self.left = self.left.checked_sub(1).ok_or(ParamError::TooMany)?;
        self.rest = &self.rest[1..];
        if self.rest.first() != Some(&b'"') {
            self.take_while(is_lws);
        }
        let value = if self.rest.first() == Some(&b'"') {
            self.quoted()?
        } else {
            // Generous: some phones leave quotes away where the grammar has them.
            self.take_while(|b| !is_lws(b) && b != b',' && b != b'"')
        };
        if !matches!(self.rest.first(), None | Some(b',')) {
            self.take_while(is_lws);
            if !matches!(self.rest.first(), None | Some(b',')) {
                return Err(ParamError::Form);
            }
        }
        Ok(Item::Param(name, Value(value)))
    }

    fn quoted(&mut self) -> Result<&'a [u8], ParamError> {
        let inner = &self.rest[1..];
        let mut at = 0;
        loop {
            let rest = inner.get(at..).ok_or(ParamError::Form)?;
            at += find_either(rest, b'"', b'\\').ok_or(ParamError::Form)?;
            if inner[at] == b'"' {
                break;
            }
            at += 2;
        }
        self.rest = &inner[at + 1..];
        Ok(&inner[..at])
    }

    fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|b| !fits(*b));
        let end = end.unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, ParamError>;
    fn next(&mut self) -> Option<Self::Item> {
        self.take_while(|b| is_lws(b) || b == b',');
        if self.rest.is_empty() {
            return None;
        }
        let item = self.item();
        if item.is_err() {
            self.rest = b"";
        }
        Some(item)
    }
}

/// Stores a value that must not have been stored before.
pub(super) fn set<'a>(slot: &mut Option<Value<'a>>, value: Value<'a>) -> Result<(), ParamError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(ParamError::Repeated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Result<Vec<Item<'_>>, ParamError> {
        Items::new(text.as_bytes()).collect()
    }

    #[test]
    fn commas_in_quotes_and_folds_do_not_divide() {
        let found = items("Digest a = \"x, \\\"y\" ,\r\n b=1,,c=sip:a@b").unwrap();
        let param =
            |n: &'static str, v: &'static str| Item::Param(n.as_bytes(), Value(v.as_bytes()));
        assert_eq!(
            found,
            [
                Item::Scheme(b"Digest"),
                param("a", "x, \\\"y"),
                param("b", "1"),
                param("c", "sip:a@b")
            ]
        );
        assert_eq!(&*Value(b"x, \\\"y").unescaped(), b"x, \"y");
    }

    #[test]
    fn what_has_no_form_is_refused() {
        for bad in [
            "Digest a=\"x",
            "Digest a=\"x\\\"",
            "Digest a=\"x\"y",
            "a;b",
            "=x",
            "\"a\"",
        ] {
            assert_eq!(items(bad), Err(ParamError::Form), "{bad}");
        }
        let many = format!("Digest {}", "a=1,".repeat(PARAMS_MAX + 1));
        assert_eq!(items(&many), Err(ParamError::TooMany));
    }
}
