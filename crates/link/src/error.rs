//! What goes wrong on a line.

use std::error::Error;

/// Why there is no line, or no certificate.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The other side: it is not reached.
    #[error("{0} is not reached: {1}")]
    Unreachable(String, String),
    /// The other side: it is not who it has to be, or takes us for somebody else.
    #[error("{0}")]
    Refused(String),
    /// The operator: files that do not fit together.
    #[error("{0}")]
    Misconfigured(String),
    /// The machine: a file or random numbers cannot be had.
    #[error("{0}: {1}")]
    Machine(String, String),
}

impl LinkError {
    pub(crate) fn certificate(error: impl std::fmt::Display) -> Self {
        Self::Misconfigured(format!("a certificate cannot be made or used: {error}"))
    }
}

/// All that an error and its causes say, in one line and each thing once: what refuses a certificate
/// says so deep within.
#[must_use]
pub fn reason(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
