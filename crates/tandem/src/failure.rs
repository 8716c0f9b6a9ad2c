//! Why a command failed, and the exit code that says so to scripts.

use serde_json::Value;

/// Why a command failed. The exit codes are promised: scripts rely on them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line makes no sense, or cannot be carried out as given.
    #[error("{0}")]
    Usage(String),
    /// There is no such object.
    #[error("{0}")]
    NotFound(String),
    /// The token is missing, wrong, or may not do this.
    #[error("{0}")]
    Unauthorised(String),
    /// No platform answers.
    #[error("{0}")]
    Unreachable(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// The exit code.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::Unauthorised(_) => 4,
            Self::Unreachable(_) => 5,
        }
    }

    /// What the API's refusal (RFC 9457) means to a person.
    pub(crate) fn refused(status: u16, problem: &Value) -> Self {
        let text = |key: &str| problem[key].as_str().unwrap_or("");
        let mut words = match (text("title"), text("detail")) {
            ("", _) => format!("the platform answered {status}"),
            (title, "") => title.to_owned(),
            (title, detail) => format!("{title}: {detail}"),
        };
        for error in problem["errors"].as_array().into_iter().flatten() {
            let (field, message) = (error["field"].as_str(), error["message"].as_str());
            let line = format!("\n  {}: {}", field.unwrap_or("?"), message.unwrap_or("?"));
            words.push_str(&line);
        }
        match status {
            404 => Self::NotFound(words),
            401 | 403 => Self::Unauthorised(words),
            400 | 422 => Self::Usage(words),
            502..=504 => Self::Unreachable(words),
            _ => Self::Failed(words),
        }
    }
}

/// The exit codes, for the help.
pub(crate) const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage or value, \
3 not found, 4 not authorised, 5 not reachable.";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_is_told_with_its_fields() {
        let problem = json!({
            "title": "Some fields are not acceptable", "detail": "not acceptable: name",
            "errors": [{ "field": "name", "message": "1 to 64 characters are accepted" }],
        });
        let failure = Failure::refused(422, &problem);
        assert_eq!(failure.exit_code(), 2);
        assert_eq!(
            failure.to_string(),
            "Some fields are not acceptable: not acceptable: name\n  name: 1 to 64 characters are accepted"
        );
    }

    #[test]
    fn an_answer_that_is_no_problem_is_told_by_its_status() {
        let failure = Failure::refused(502, &Value::Null);
        assert_eq!(
            (failure.exit_code(), failure.to_string().as_str()),
            (5, "the platform answered 502")
        );
    }
}
