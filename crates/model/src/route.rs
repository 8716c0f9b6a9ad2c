//! Prefix routes and number rewriting.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::validate::{Checks, DIGITS_MAX, is_digits};
use crate::{AccountId, CarrierId, FieldError, RouteId, Validate};

/// Which carrier takes numbers that begin with a prefix. The longest prefix wins; among equals
/// the lower priority, then the lower cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Route {
    /// Which it is.
    pub id: RouteId,
    /// The tenant it serves; `None` serves all.
    #[serde(default)]
    pub account: Option<AccountId>,
    /// Leading digits, without `+`; empty matches every number.
    pub prefix: String,
    /// Who takes the call.
    pub carrier: CarrierId,
    /// Lower is tried first.
    #[serde(default)]
    pub priority: u16,
    /// What a minute costs us, in millionths of the platform's currency.
    #[serde(default)]
    pub cost_per_minute_micros: u64,
    /// Applied to the called number.
    #[serde(default)]
    pub rewrite: Rewrite,
    /// The media zone its calls are served in, whatever customer and carrier say.
    #[serde(default)]
    pub media_zone: Option<String>,
    /// Whether it is used.
    #[serde(default = "crate::validate::enabled")]
    pub enabled: bool,
}

impl Validate for Route {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.require(
            self.prefix.len() <= DIGITS_MAX && is_digits(&self.prefix),
            "prefix",
            "up to 32 digits are accepted, without +; none at all matches every number",
        );
        checks.zone("media_zone", self.media_zone.as_deref());
        checks.nested("rewrite", &self.rewrite);
        checks.done()
    }
}

/// Number rewriting: leading digits taken off, then others put before. A leading `+` is
/// not counted as a digit: it is taken off first, and put back only if `prepend` has one.
/// With `strip_digits` 0 and no `prepend` the number is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rewrite {
    /// How many leading digits are taken off.
    #[serde(default)]
    pub strip_digits: u8,
    /// What is put before the rest.
    #[serde(default)]
    pub prepend: String,
}

impl Rewrite {
    /// The number as rewritten. A number with fewer digits than are taken off loses them all.
    #[must_use]
    pub fn apply(&self, number: &str) -> String {
        if *self == Self::default() {
            return number.to_owned();
        }
        let digits = number.strip_prefix('+').unwrap_or(number);
        let kept = digits.char_indices().nth(self.strip_digits.into());
        let rest = kept.map_or("", |(at, _)| &digits[at..]);
        format!("{}{rest}", self.prepend)
    }
}

impl Validate for Rewrite {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.range(
            "strip_digits",
            self.strip_digits.into(),
            0..=DIGITS_MAX as u64,
        );
        let digits = self.prepend.strip_prefix('+').unwrap_or(&self.prepend);
        checks.require(
            digits.len() <= DIGITS_MAX
                && digits
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b == b'*' || b == b'#'),
            "prepend",
            "up to 32 of 0-9 * # are accepted, with or without a leading +",
        );
        checks.done()
    }
}

#[cfg(test)]
mod tests {
    use super::Rewrite;

    #[test]
    fn rewriting_takes_off_then_puts_before() {
        for (strip_digits, prepend, number, expected) in [
            (0, "", "+4930123", "+4930123"),
            (0, "", "*600", "*600"),
            (2, "", "+4930123", "30123"),
            (2, "0", "+4930123", "030123"),
            (2, "+31", "4930123", "+3130123"),
            (0, "00", "+4930123", "004930123"),
            (0, "+", "4930123", "+4930123"),
            (0, "+", "+4930123", "+4930123"),
            (7, "", "+4930123", ""),
            (200, "9", "+4930123", "9"),
            (1, "", "äb", "b"),
        ] {
            let rewrite = Rewrite {
                strip_digits,
                prepend: prepend.into(),
            };
            assert_eq!(rewrite.apply(number), expected, "{rewrite:?} of {number}");
        }
    }
}
