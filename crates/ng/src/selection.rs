//! Which call, and whom of it, a request means.

use std::net::IpAddr;

use crate::value::{Dictionary, Value};
use crate::word::{self, words};

/// Whom a request means; what it does not say is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The SIP Call-ID.
    pub call_id: String,
    /// The participant, by the tag of `From`.
    pub from_tag: Option<String>,
    /// The other participant, by the tag of `To`.
    pub to_tag: Option<String>,
    /// The branch of `Via`, which tells the targets of a forked call apart.
    pub via_branch: Option<String>,
    /// The participant, by its label.
    pub label: Option<String>,
    /// The other participant, by its label.
    pub to_label: Option<String>,
    /// The participant, by the address in its description.
    pub address: Option<IpAddr>,
    /// Several participants, by tag.
    pub from_tags: Vec<String>,
    /// All participants of a kind.
    pub all: Option<All>,
}

impl Selection {
    /// A call as a whole.
    #[must_use]
    pub fn call(call_id: impl Into<String>) -> Self {
        Self {
            call_id: call_id.into(),
            ..Self::default()
        }
    }

    /// With the participant that the tag of `From` names.
    #[must_use]
    pub fn from_tag(mut self, tag: impl Into<String>) -> Self {
        self.from_tag = Some(tag.into());
        self
    }

    /// With the participant that the tag of `To` names.
    #[must_use]
    pub fn to_tag(mut self, tag: impl Into<String>) -> Self {
        self.to_tag = Some(tag.into());
        self
    }

    /// With the branch of `Via`.
    #[must_use]
    pub fn via_branch(mut self, branch: impl Into<String>) -> Self {
        self.via_branch = Some(branch.into());
        self
    }

    /// Takes an entry of a request; whether it was of a selection.
    pub(crate) fn read(&mut self, key: &str, value: &Value<'_>, unknown: &mut Vec<String>) -> bool {
        let is = |name: &str| word::same(key.as_bytes(), name.as_bytes());
        // Tags and Call-IDs are compared, never shown to anyone who would mind a replaced byte.
        let text = || {
            let text = value.bytes().map(String::from_utf8_lossy)?;
            Some(text.into_owned()).filter(|text| !text.is_empty())
        };
        if is("call-id") {
            self.call_id = text().unwrap_or_default();
        } else if is("from-tag") {
            self.from_tag = text();
        } else if is("to-tag") {
            self.to_tag = text();
        } else if is("via-branch") {
            self.via_branch = text();
        } else if is("label") || is("from-label") {
            self.label = text();
        } else if is("to-label") {
            self.to_label = text();
        } else if is("from-tags") {
            self.from_tags = value.items().map(str::to_owned).collect();
        } else if is("address") {
            self.address = value.address();
            if self.address.is_none() {
                unknown.push("address".into());
            }
        } else if is("all") {
            let word = value.as_text().unwrap_or_default();
            self.all = All::from_name(word);
            if self.all.is_none() && word != "none" {
                unknown.push(format!("all={word}"));
            }
        } else {
            return false;
        }
        true
    }

    pub(crate) fn write(&self, to: &mut Dictionary<'static>) {
        to.push_some(
            "call-id",
            Some(self.call_id.clone()).filter(|id| !id.is_empty()),
        );
        to.push_some("from-tag", self.from_tag.clone());
        to.push_some("to-tag", self.to_tag.clone());
        to.push_some("via-branch", self.via_branch.clone());
        to.push_some("label", self.label.clone());
        to.push_some("to-label", self.to_label.clone());
        to.push_some("address", self.address.map(|address| address.to_string()));
        if !self.from_tags.is_empty() {
            to.push("from-tags", Value::texts(self.from_tags.iter().cloned()));
        }
        to.push_some("all", self.all.map(|all| Value::text(all.name())));
    }
}

words! {
    /// All participants, or all flows of media, of a kind.
    All {
        /// All.
        All = "all",
        /// Those of offers and answers.
        OfferAnswer = "offer-answer",
        /// All but those.
        ExceptOfferAnswer = "except-offer-answer",
        /// Each flow that exists now.
        Flows = "flows",
    }
}
