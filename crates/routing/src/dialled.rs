//! What was dialled: a number or a name; and the rewriting of numbers.

use model::Rewrite;

/// The user part of a request URI, read as a number if it can be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialled {
    /// Digits without `+` and visual separators.
    Number(Box<str>),
    /// Anything else, as it was.
    Name(Box<str>),
}

impl Dialled {
    /// Reads a user part (escapes already undone). Parameters of a telephone subscriber
    /// (`;phone-context=…`, RFC 3261 §19.1.6) and visual separators (RFC 3966 §5.1.1) are taken
    /// off; `+` too, as numbers are compared without it.
    #[must_use]
    pub fn parse(user: &str) -> Self {
        let subscriber = user.split(';').next().unwrap_or_default();
        let number = subscriber.strip_prefix('+').unwrap_or(subscriber);
        let separator = |c: char| matches!(c, '-' | '.' | '(' | ')' | ' ');
        let is_number = number.chars().any(|c| c.is_ascii_digit())
            && number.chars().all(|c| c.is_ascii_digit() || separator(c));
        if !is_number {
            return Self::Name(user.into());
        }
        if number.bytes().all(|b| b.is_ascii_digit()) {
            return Self::Number(number.into());
        }
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        Self::Number(digits.into())
    }

    /// The digits or the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Number(text) | Self::Name(text) => text,
        }
    }
}

/// Applies a rewriting rule, by the words of [`Rewrite`]; `None` if nothing is left.
pub(crate) fn rewrite(rule: &Rewrite, number: &str) -> Option<String> {
    if rule.strip_digits == 0 && rule.prepend.is_empty() {
        return Some(number.to_owned()).filter(|number| !number.is_empty());
    }
    let digits = number.strip_prefix('+').unwrap_or(number);
    let rest = digits.get(usize::from(rule.strip_digits)..).unwrap_or("");
    let rewritten = format!("{}{rest}", rule.prepend);
    (!rewritten.is_empty()).then_some(rewritten)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lose_what_is_only_written() {
        let number = |user: &str| match Dialled::parse(user) {
            Dialled::Number(digits) => digits.into_string(),
            Dialled::Name(name) => panic!("{name} is a name"),
        };
        assert_eq!(number("+49 (30) 123-456"), "4930123456");
        assert_eq!(number("0049.30;phone-context=+1"), "004930");
        assert_eq!(number("600"), "600");
    }

    #[test]
    fn all_else_is_a_name() {
        for user in ["alice", "", "+", "-", "49x", "*21#", "é1"] {
            assert_eq!(Dialled::parse(user), Dialled::Name(user.into()));
        }
    }

    #[test]
    fn rewriting_strips_then_prepends() {
        let apply = |strip_digits, prepend: &str, number: &str| {
            let prepend = prepend.to_owned();
            rewrite(
                &Rewrite {
                    strip_digits,
                    prepend,
                },
                number,
            )
        };
        assert_eq!(apply(0, "", "+4930").as_deref(), Some("+4930"));
        assert_eq!(apply(2, "0", "+4930").as_deref(), Some("030"));
        assert_eq!(apply(0, "+", "4930").as_deref(), Some("+4930"));
        assert_eq!(apply(1, "", "+4930").as_deref(), Some("930"));
        assert_eq!(apply(9, "7", "4930").as_deref(), Some("7"));
        assert_eq!(apply(4, "", "4930"), None);
    }
}
