//! Codec lists: the `codec` dictionary and its flags.

use crate::value::{Dictionary, Value};
use crate::word::{self, words};

words! {
    /// What is done with the codecs of a list.
    CodecRule {
        /// Taken off the offer.
        Strip = "strip",
        /// Kept, though all are taken off.
        Except = "except",
        /// Kept in this order, though all are taken off.
        Offer = "offer",
        /// Added to the offer.
        Transcode = "transcode",
        /// Taken off the offer but accepted from the offerer.
        Mask = "mask",
        /// The same, and transcoding is always on.
        Consume = "consume",
        /// Accepted from the offerer, whatever the other side answers.
        Accept = "accept",
        /// As if the offerer had not named it.
        Ignore = "ignore",
        /// How a codec is encoded, like `opus/48000/2/32000`.
        Set = "set",
    }
}

/// Codecs by rule, each as `name[/rate[/channels[/bitrate...]]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codecs {
    lists: Vec<(CodecRule, Vec<String>)>,
}

impl Codecs {
    /// The codecs of a rule, in their order.
    #[must_use]
    pub fn list(&self, rule: CodecRule) -> &[String] {
        let found = self.lists.iter().find(|(known, _)| *known == rule);
        found.map_or(&[], |(_, list)| list)
    }

    /// Adds a codec to a rule.
    pub fn add(&mut self, rule: CodecRule, codec: impl Into<String>) -> &mut Self {
        match self.lists.iter_mut().find(|(known, _)| *known == rule) {
            Some((_, list)) => list.push(codec.into()),
            None => self.lists.push((rule, vec![codec.into()])),
        }
        self
    }

    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Reads `codec-strip-PCMA` and `transcode-PCMA`; whether it was one.
    pub(super) fn read_flag(&mut self, flag: &str) -> bool {
        let rest = word::after(flag, "codec");
        let rules = CodecRule::ALL.iter();
        let found = rules.clone().find_map(|rule| {
            let codec = word::after(rest?, rule.name())?;
            Some((*rule, codec))
        });
        let bare = || Some((CodecRule::Transcode, word::after(flag, "transcode")?));
        let Some((rule, codec)) = found.or_else(bare) else {
            return false;
        };
        self.add(rule, codec.replace("--", "="));
        true
    }

    /// Reads the `codec` dictionary; the rules in it that nobody knows.
    pub(super) fn read(&mut self, value: &Value<'_>, unknown: &mut Vec<String>) {
        let Some(dictionary) = value.dictionary() else {
            return unknown.push("codec".into());
        };
        for (key, value) in dictionary.entries() {
            let key = String::from_utf8_lossy(key);
            match CodecRule::from_name(&key) {
                Some(rule) => self.read_list(rule, value),
                None => unknown.push(format!("codec-{key}")),
            }
        }
    }

    pub(super) fn read_list(&mut self, rule: CodecRule, value: &Value<'_>) {
        for codec in value.items() {
            self.add(rule, codec);
        }
    }

    pub(super) fn write(&self) -> Option<Dictionary<'static>> {
        if self.lists.is_empty() {
            return None;
        }
        let mut dictionary = Dictionary::new();
        for (rule, list) in &self.lists {
            dictionary.push(rule.name(), Value::texts(list.iter().cloned()));
        }
        Some(dictionary)
    }
}
