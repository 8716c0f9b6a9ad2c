//! Recordings as a node tells of them, and their order.

use core::fmt;
use core::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Recording {
    /// Its name: the call, and which part of its recording it is. On a media server its path there.
    pub file: String,
    /// The media server that has made it, by name; null: a node.
    pub server: Option<String>,
    /// Another node that has made it, by the name of its machine; null: this one, or a media server.
    /// A call that changed its node may have it on the one before.
    pub node: Option<String>,
    /// Whether it is finished; one that is not is being written.
    pub finished: bool,
    /// Whether the file is on this machine.
    pub here: bool,
    /// Where the store of recordings has it, `s3://bucket/name`; null if it has it not, or if a media
    /// server has not told of it.
    pub location: Option<String>,
    /// How large it is; null if another machine alone has it.
    pub bytes: Option<u64>,
    /// How long it is in milliseconds; null if another machine alone has it.
    pub length_ms: Option<u64>,
    /// When it was written to last; microseconds since the Unix epoch. On another machine the
    /// end of its call.
    pub changed_us: u64,
}

/// Where a recording stands in a list: by when it was written to last, then by its name. Its text is
/// opaque to clients.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordingPlace {
    /// When it was written to last.
    pub changed_us: u64,
    /// Its name.
    pub file: String,
    /// Who has made it; empty: this machine.
    pub server: String,
}

/// A text that is no place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPlace;

impl Recording {
    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> RecordingPlace {
        RecordingPlace {
            changed_us: self.changed_us,
            file: self.file.clone(),
            server: self
                .server
                .clone()
                .or_else(|| self.node.clone())
                .unwrap_or_default(),
        }
    }

    /// Puts recordings in the order of the list: the latest first.
    pub fn sort(recordings: &mut [Self]) {
        recordings.sort_by_cached_key(|recording| core::cmp::Reverse(recording.place()));
    }
}

impl fmt::Display for RecordingPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            changed_us,
            file,
            server,
        } = self;
        let named = URL_SAFE_NO_PAD.encode(format!("{server}\n{file}"));
        write!(f, "{changed_us}.{named}")
    }
}

impl FromStr for RecordingPlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (changed_us, named) = text.split_once('.').ok_or(NoPlace)?;
        let named = URL_SAFE_NO_PAD.decode(named).map_err(|_| NoPlace)?;
        let named = String::from_utf8(named).map_err(|_| NoPlace)?;
        let (server, file) = named.split_once('\n').ok_or(NoPlace)?;
        Ok(Self {
            changed_us: changed_us.parse().map_err(|_| NoPlace)?,
            file: file.to_owned(),
            server: server.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let place = RecordingPlace {
            changed_us: 1_700_000_000_000_000,
            file: "/srv/rec/call_1-1.wav?&".into(),
            server: "berlin 1".into(),
        };
        let text = place.to_string();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        assert!(text.bytes().all(plain), "{text}");
        assert_eq!(text.parse(), Ok(place));
        for wrong in ["", "1", "1.", "x.Cg", "1.!!", "1.YQ"] {
            assert_eq!(wrong.parse::<RecordingPlace>(), Err(NoPlace), "{wrong}");
        }
    }
}
