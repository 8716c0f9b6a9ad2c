//! Whose media a recorder (RFC 7866) hears in a subscription.

use crate::value::{Dictionary, Value};

/// A medium of a subscription's offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledMedium {
    /// Its name in the offer, `a=label` (RFC 4574).
    pub label: String,
    /// The tag of the participant whose it is.
    pub tag: String,
    /// What that participant is called, if it is.
    pub participant: Option<String>,
    /// Which of the participant's media it is, from 1.
    pub index: u64,
    /// `audio`, `video`...
    pub kind: String,
    /// Which way media of the participant flows: `sendrecv`, `sendonly`, `recvonly`, `inactive`.
    pub mode: String,
}

impl LabelledMedium {
    /// Those of a reply, in the order of the offer.
    pub(super) fn read_all(from: &Dictionary<'_>) -> Vec<Self> {
        let list = from.value("tag-medias").and_then(Value::list);
        let participants = list.into_iter().flatten().filter_map(Value::dictionary);
        let media = participants.flat_map(|participant| {
            let media = participant.value("medias").and_then(Value::list);
            let media = media.into_iter().flatten().filter_map(Value::dictionary);
            media.filter_map(|medium| Self::read(participant, medium))
        });
        media.collect()
    }

    fn read(participant: &Dictionary<'_>, medium: &Dictionary<'_>) -> Option<Self> {
        let text = |from: &Dictionary<'_>, key: &str| from.text(key).map(str::to_owned);
        Some(Self {
            label: text(medium, "label")?,
            tag: text(participant, "tag")?,
            participant: text(participant, "label"),
            index: medium.number("index")?,
            kind: text(medium, "type").unwrap_or_default(),
            mode: text(medium, "mode").unwrap_or_default(),
        })
    }

    /// Writes them as rtpengine does: an entry for each medium, and once more by their labels.
    pub(super) fn write_all(media: &[Self], to: &mut Dictionary<'static>) {
        if media.is_empty() {
            return;
        }
        let mut by_label = Dictionary::new();
        for medium in media {
            let mut entry = medium.entry();
            entry
                .push("tag", medium.tag.clone())
                .push_some("label", medium.participant.clone());
            by_label.push(medium.label.clone(), entry);
        }
        let list = media.iter().map(|medium| {
            let mut own = medium.entry();
            own.push("label", medium.label.clone());
            let mut participant = Dictionary::new();
            participant
                .push("tag", medium.tag.clone())
                .push_some("label", medium.participant.clone())
                .push("medias", Value::List(vec![Value::Dictionary(own)]));
            Value::Dictionary(participant)
        });
        to.push("tag-medias", Value::List(list.collect()));
        to.push("media-labels", by_label);
    }

    fn entry(&self) -> Dictionary<'static> {
        let mut entry = Dictionary::new();
        entry
            .push("index", self.index)
            .push("type", self.kind.clone())
            .push("mode", self.mode.clone());
        entry
    }
}
