//! Validation: every complaint names its field and says what would be accepted.
//!
//! [`Checks`] gathers complaints; each record's file states its own rules with it. What is
//! accepted is narrower than what RFC 3261 allows wherever the rest would need escaping in a
//! URI or a header: a record goes into both unchanged.

use core::net::IpAddr;
use core::ops::RangeInclusive;

use serde::Serialize;
use utoipa::ToSchema;

/// What is wrong with one field of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The field, as in JSON; nested fields with dots.
    pub field: String,
    /// What is wrong and what would be accepted.
    pub message: String,
}

/// A record that can judge itself, without looking at others.
pub trait Validate {
    /// All complaints; none means valid.
    fn validate(&self) -> Vec<FieldError>;
}

/// Complaints as they are gathered.
#[derive(Default)]
pub(crate) struct Checks(Vec<FieldError>);

impl Checks {
    /// Complains about a field.
    pub(crate) fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(FieldError {
            field: field.into(),
            message: message.into(),
        });
    }

    /// Complains about a field unless `ok`.
    pub(crate) fn require(&mut self, ok: bool, field: &str, message: &str) {
        if !ok {
            self.refuse(field, message);
        }
    }

    /// What people read: 1 to [`NAME_LEN_MAX`] characters.
    pub(crate) fn name(&mut self, field: &str, value: &str) {
        self.require(
            !value.trim().is_empty() && is_printable(value),
            field,
            "1 to 64 characters are accepted, none of them a control character",
        );
    }

    /// What people read, or nothing.
    pub(crate) fn optional_name(&mut self, field: &str, value: &str) {
        self.require(
            is_printable(value),
            field,
            "up to 64 characters are accepted, none of them a control character",
        );
    }

    /// The user part of a SIP URI or a digest user name, without anything to be escaped.
    pub(crate) fn user_name(&mut self, field: &str, value: &str) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()+".contains(&b);
        self.require(
            (1..=NAME_LEN_MAX).contains(&value.len()) && value.bytes().all(plain),
            field,
            "1 to 64 characters are accepted: letters, digits and - _ . ! ~ * ' ( ) +",
        );
    }

    /// Digits, with or without a leading `+`.
    pub(crate) fn number(&mut self, field: &str, value: &str) {
        let digits = value.strip_prefix('+').unwrap_or(value);
        self.require(
            (1..=DIGITS_MAX).contains(&digits.len()) && is_digits(digits),
            field,
            "1 to 32 digits are accepted, with or without a leading +",
        );
    }

    /// A number in a range.
    pub(crate) fn range(&mut self, field: &str, value: u64, accepted: RangeInclusive<u64>) {
        if !accepted.contains(&value) {
            let message = format!("{} to {} is accepted", accepted.start(), accepted.end());
            self.refuse(field, message);
        }
    }

    /// A number in a range, or 0 with the meaning given (`switches it off`).
    pub(crate) fn range_or_zero(
        &mut self,
        field: &str,
        value: u64,
        accepted: RangeInclusive<u64>,
        zero: &str,
    ) {
        if value != 0 && !accepted.contains(&value) {
            let (low, high) = (accepted.start(), accepted.end());
            self.refuse(
                field,
                format!("{low} to {high} is accepted, and 0, which {zero}"),
            );
        }
    }

    /// A host name or an IP address, IPv6 without brackets.
    pub(crate) fn host(&mut self, field: &str, value: &str) {
        self.require(
            is_host(value),
            field,
            "a host name or an IP address is accepted, IPv6 without brackets",
        );
    }

    /// A host name that a certificate is for, in small letters.
    pub(crate) fn certificate_name(&mut self, field: &str, value: &str) {
        let small = !value.bytes().any(|b| b.is_ascii_uppercase());
        self.require(
            is_host_name(value) && small && !value.ends_with('.'),
            field,
            "host names in small letters are accepted, without wildcards",
        );
    }

    /// `host:port`, IPv6 in brackets.
    pub(crate) fn host_port_required(&mut self, field: &str, value: &str) {
        self.require(
            has_port(value),
            field,
            "udp:host:port is accepted, an IPv6 address in brackets",
        );
    }

    /// A host with a port.
    pub(crate) fn host_and_port(&mut self, field: &str, value: &str) {
        self.require(
            has_port(value),
            field,
            "host:port is accepted, an IPv6 address in brackets",
        );
    }

    /// The path of a file on the server, if there is one.
    pub(crate) fn path(&mut self, field: &str, value: Option<&str>) {
        let fits = |path: &str| {
            path.starts_with('/') && path.len() <= 1_024 && !path.contains(char::is_control)
        };
        self.require(
            value.is_none_or(fits),
            field,
            "a path that begins with / is accepted, of 1,024 bytes at most",
        );
    }

    /// The name of a zone, if there is one.
    pub(crate) fn zone(&mut self, field: &str, value: Option<&str>) {
        if let Some(zone) = value {
            self.name(field, zone);
        }
    }

    /// `host[:port]`, IPv6 in brackets.
    pub(crate) fn host_port(&mut self, field: &str, value: &str) {
        self.require(
            is_host_port(value),
            field,
            "a host name or an IP address is accepted, with or without :port, IPv6 in brackets",
        );
    }

    /// What follows the scheme of a URL without a path; `None`: there is no scheme.
    pub(crate) fn host_port_of_url(&mut self, field: &str, host: Option<&str>) {
        self.require(
            host.is_some_and(is_host_port),
            field,
            "https://host[:port] or http://host[:port] is accepted, an IPv6 address in brackets",
        );
    }

    /// Takes over the complaints about a part of the record.
    pub(crate) fn nested(&mut self, field: &str, part: &impl Validate) {
        for error in part.validate() {
            self.0.push(FieldError {
                field: format!("{field}.{}", error.field),
                ..error
            });
        }
    }

    /// All complaints.
    pub(crate) fn done(self) -> Vec<FieldError> {
        self.0
    }
}

pub(crate) fn enabled() -> bool {
    true
}

pub(crate) fn is_digits(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_digit())
}

fn is_printable(value: &str) -> bool {
    value.chars().count() <= NAME_LEN_MAX && !value.chars().any(char::is_control)
}

fn is_host(value: &str) -> bool {
    value.parse::<IpAddr>().is_ok() || is_host_name(value)
}

/// RFC 1123 §2.1, with the underscore that real zones have. All-numeric last labels are no
/// names, so that a mistyped IPv4 address is not looked up in the DNS.
fn is_host_name(value: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let name = value.strip_suffix('.').unwrap_or(value);
    name.len() <= 253
        && name.split('.').all(label)
        && !name.rsplit('.').next().is_some_and(is_digits)
}

/// Whether it is a host with a port.
fn has_port(value: &str) -> bool {
    let (_, port) = value.rsplit_once(':').unwrap_or_default();
    is_host_port(value) && !port.is_empty() && is_digits(port)
}

fn is_host_port(value: &str) -> bool {
    let is_port = |p: &str| is_digits(p) && p.parse::<u16>().is_ok_and(|p| p != 0);
    if let Some(rest) = value.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        return address.parse::<core::net::Ipv6Addr>().is_ok()
            && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    match value.split_once(':') {
        Some((host, port)) => is_host(host) && is_port(port),
        None => is_host(value),
    }
}

/// Characters in a name.
const NAME_LEN_MAX: usize = 64;
/// Digits in a number: twice what E.164 allows, for carriers' prefixes.
pub(crate) const DIGITS_MAX: usize = 32;

#[cfg(test)]
mod tests;
