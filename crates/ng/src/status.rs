//! What our own media servers say of themselves beside rtpengine's replies: the dictionary
//! `tandem` in the replies to `ping` and `statistics`. Others leave it out.

use crate::value::{Dictionary, Value};
use crate::word::words;

/// The state of a media server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Its version.
    pub version: String,
    /// Its zone; empty if it has none.
    pub zone: String,
    /// Other names and addresses it is known by.
    pub aliases: Vec<String>,
    /// Whether it takes new sessions.
    pub state: State,
    /// Sessions open.
    pub sessions: u64,
    /// Sessions it takes at most; 0: as many as its ports carry.
    pub sessions_max: u64,
    /// How busy it is, in thousandths: the most of its processor time, ports and sessions.
    pub load_permille: u16,
    /// Tells one start of the server from the next: its sessions ended with the last.
    pub instance: u64,
    /// The number of the last piece of [`News`](crate::News); 0: there is none.
    pub news: u64,
}

words! {
    /// Whether a media server takes new sessions.
    #[derive(Default)]
    State {
        /// It does.
        #[default]
        Active = "active",
        /// It does not; some are still open.
        Draining = "draining",
        /// It does not, and none is open.
        Drained = "drained",
    }
}

impl Status {
    /// Reads the dictionary of a reply.
    #[must_use]
    pub fn read(from: &Dictionary<'_>) -> Self {
        let text = |key: &str| from.text(key).unwrap_or_default().to_owned();
        let number = |key: &str| from.number(key).unwrap_or(0);
        let aliases = from.value("aliases").map(|list| list.words());
        Self {
            version: text("version"),
            zone: text("zone"),
            aliases: aliases.into_iter().flatten().map(str::to_owned).collect(),
            state: from
                .text("state")
                .and_then(State::from_name)
                .unwrap_or_default(),
            sessions: number("sessions"),
            sessions_max: number("sessions max"),
            load_permille: from.number("load permille").unwrap_or(0),
            instance: number("instance"),
            news: number("news"),
        }
    }

    /// The dictionary of a reply.
    #[must_use]
    pub fn dictionary(&self) -> Dictionary<'static> {
        let mut to = Dictionary::new();
        to.push("version", self.version.clone())
            .push("zone", self.zone.clone())
            .push("aliases", Value::texts(self.aliases.iter().cloned()))
            .push("state", self.state.name())
            .push("sessions", self.sessions)
            .push("sessions max", self.sessions_max)
            .push("load permille", i64::from(self.load_permille))
            .push("instance", self.instance)
            .push("news", self.news);
        to
    }
}
