//! Servers that have not answered, of which it is said once what is missing.

use serde_json::Value;

use crate::output;

/// What was said of servers that have not answered.
pub(crate) struct Unheard {
    /// What of theirs is missing: `calls`.
    what: &'static str,
    said: Vec<String>,
}

impl Unheard {
    pub(crate) const fn of(what: &'static str) -> Self {
        Self {
            what,
            said: Vec::new(),
        }
    }

    /// Says of those of an answer what was not said yet.
    pub(crate) fn say(&mut self, answer: &Value) {
        for server in answer["unheard"].as_array().into_iter().flatten() {
            let (name, why) = (server["name"].as_str(), server["why"].as_str());
            let (name, why) = (name.unwrap_or_default(), why.unwrap_or_default());
            let said = format!("The {} of {name} are missing: {why}.", self.what);
            if !self.said.contains(&said) {
                output::say(&said);
                self.said.push(said);
            }
        }
    }
}
