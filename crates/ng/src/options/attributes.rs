//! Attributes of the description that are changed by name: the `sdp-attr` dictionary and its flags.

use crate::value::{Dictionary, Value};
use crate::word::{self, words};

words! {
    /// Which attributes are changed.
    AttributePlace {
        /// Those of the session part.
        Session = "none" | "global" | "session",
        /// Those of each audio medium.
        Audio = "audio",
        /// Those of each video medium.
        Video = "video",
    }
}

/// What is done with an attribute, written without `a=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeChange {
    /// It is added, unless it is there.
    Add(String),
    /// It is taken off; with a colon at its end, whatever its value.
    Remove(String),
    /// The first becomes the second.
    Substitute(String, String),
}

/// Changes to attributes, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    changes: Vec<(AttributePlace, AttributeChange)>,
}

impl Attributes {
    /// The changes in their order.
    pub fn changes(&self) -> impl Iterator<Item = (AttributePlace, &AttributeChange)> {
        self.changes.iter().map(|(place, change)| (*place, change))
    }

    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Adds a change behind those there are.
    pub fn push(&mut self, place: AttributePlace, change: AttributeChange) -> &mut Self {
        if self.changes.len() < CHANGES_MAX {
            self.changes.push((place, change));
        }
        self
    }

    /// Reads `sdp-attr-remove-audio-ssrc:`; whether it was one. `--` stands for `=` and `..` for a
    /// space, which a proxy's script cannot write.
    pub(super) fn read_flag(&mut self, flag: &str) -> bool {
        let Some(rest) = word::after(flag, "sdp-attr") else {
            return false;
        };
        let verbs = VERBS.iter().find_map(|verb| {
            let rest = word::after(rest, verb)?;
            Some((*verb, rest))
        });
        let Some((verb, rest)) = verbs else {
            return false;
        };
        let places = AttributePlace::ALL.iter();
        let found = places.copied().find_map(|place| {
            let names = [place.name(), "global", "session"];
            let names = &names[..if place == AttributePlace::Session {
                3
            } else {
                1
            }];
            names
                .iter()
                .find_map(|name| Some((place, word::after(rest, name)?)))
        });
        let Some((place, value)) = found else {
            return false;
        };
        let plain = |text: &str| text.replace("--", "=").replace("..", " ");
        let change = match verb {
            "add" => AttributeChange::Add(plain(value)),
            "remove" => AttributeChange::Remove(plain(value)),
            _ => match value.split_once('>') {
                Some((from, to)) => AttributeChange::Substitute(plain(from), plain(to)),
                None => return false,
            },
        };
        self.push(place, change);
        true
    }

    /// Reads the dictionary; what in it nobody knows is added to `unknown`.
    pub(super) fn read(&mut self, value: &Value<'_>, unknown: &mut Vec<String>) {
        let Some(places) = value.dictionary() else {
            return unknown.push("sdp-attr".into());
        };
        for (key, value) in places.entries() {
            let key = String::from_utf8_lossy(key);
            match (AttributePlace::from_name(&key), value.dictionary()) {
                (Some(place), Some(verbs)) => self.read_place(place, verbs, unknown),
                _ => unknown.push(format!("sdp-attr-{key}")),
            }
        }
    }

    fn read_place(
        &mut self,
        place: AttributePlace,
        verbs: &Dictionary<'_>,
        unknown: &mut Vec<String>,
    ) {
        for (verb, value) in verbs.entries() {
            let verb = String::from_utf8_lossy(verb);
            let is = |name: &str| word::same(verb.as_bytes(), name.as_bytes());
            if is("add") {
                for attribute in value.words() {
                    self.push(place, AttributeChange::Add(attribute.to_owned()));
                }
            } else if is("remove") {
                for attribute in value.words() {
                    self.push(place, AttributeChange::Remove(attribute.to_owned()));
                }
            } else if is("substitute") {
                self.read_pairs(place, value);
            } else {
                unknown.push(format!("sdp-attr-{}-{verb}", place.name()));
            }
        }
    }

    /// A pair alone, or a list of pairs.
    fn read_pairs(&mut self, place: AttributePlace, value: &Value<'_>) {
        let pairs = value.list().unwrap_or(&[]);
        let alone = std::slice::from_ref(value);
        let nested = pairs.iter().any(|pair| pair.list().is_some());
        for pair in if nested { pairs } else { alone } {
            let mut words = pair.words();
            if let (Some(from), Some(to)) = (words.next(), words.next()) {
                let change = AttributeChange::Substitute(from.to_owned(), to.to_owned());
                self.push(place, change);
            }
        }
    }

    pub(super) fn write(&self) -> Option<Dictionary<'static>> {
        if self.changes.is_empty() {
            return None;
        }
        let mut dictionary = Dictionary::new();
        for place in AttributePlace::ALL {
            let own = || self.changes().filter(|(known, _)| known == place);
            let words = |wanted: fn(&AttributeChange) -> Option<Value<'static>>| {
                let values: Vec<_> = own().filter_map(|(_, change)| wanted(change)).collect();
                (!values.is_empty()).then_some(Value::List(values))
            };
            let mut verbs = Dictionary::new();
            verbs
                .push_some(
                    "add",
                    words(|change| match change {
                        AttributeChange::Add(attribute) => Some(attribute.clone().into()),
                        _ => None,
                    }),
                )
                .push_some(
                    "remove",
                    words(|change| match change {
                        AttributeChange::Remove(attribute) => Some(attribute.clone().into()),
                        _ => None,
                    }),
                )
                .push_some(
                    "substitute",
                    words(|change| match change {
                        AttributeChange::Substitute(from, to) => {
                            Some(Value::texts([from.clone(), to.clone()]))
                        }
                        _ => None,
                    }),
                );
            if own().next().is_some() {
                dictionary.push(place.name(), verbs);
            }
        }
        Some(dictionary)
    }
}

const VERBS: [&str; 3] = ["add", "remove", "substitute"];
/// Changes of one request; those beyond are left out.
const CHANGES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_dictionaries_say_the_same() {
        let mut flags = Attributes::default();
        assert!(flags.read_flag("sdp-attr-remove-audio-ssrc:"));
        assert!(flags.read_flag("sdp-attr-add-none-x--y..z"));
        assert!(flags.read_flag("sdp-attr-substitute-video-sendrecv>sendonly"));
        for wrong in [
            "sdp-attr",
            "sdp-attr-burn-audio-x",
            "sdp-attr-add-x",
            "sdp-attr-substitute-audio-x",
        ] {
            assert!(!flags.read_flag(wrong), "{wrong}");
        }
        let mut unknown = Vec::new();
        let json = br#"{"audio":{"remove":["ssrc:"]},"global":{"add":"x=y z"},
            "video":{"substitute":[["sendrecv","sendonly"]]},"image":{}}"#;
        let json = crate::json::decode(json).expect("sound");
        let mut dictionary = Attributes::default();
        dictionary.read(&Value::Dictionary(json), &mut unknown);
        assert_eq!(dictionary, flags);
        assert_eq!(unknown, ["sdp-attr-image"]);
        let mut again = Attributes::default();
        let written = dictionary.write().expect("changes");
        again.read(&Value::Dictionary(written), &mut unknown);
        assert_eq!(again.changes().count(), 3);
    }
}
