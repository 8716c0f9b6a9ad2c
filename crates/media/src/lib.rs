//! RTP ports, the relay, echo, and per-leg statistics.
//!
//! [`Engine`] belongs to the switch's thread: it edits session descriptions so that both sides
//! send to us, binds the ports, and tells worker threads what to relay. A worker owns its
//! sockets and their state outright, so no lock is taken for a packet.
//!
//! Whose packets are relayed, and where to, is decided by the source module; its documentation
//! states the rule.

mod actions;
mod bind;
mod channel;
mod config;
mod counters;
mod engine;
mod error;
mod formats;
mod full;
mod kernel;
mod options;
mod ports;
mod quality;
mod recording;
mod report;
mod source;
mod sys;
mod tally;
mod transcode;
mod worker;

pub use actions::{
    AUDIO_MAX_S, Audio, Barrier, DigitForm, Over, Passage, PlayOptions, Press, Prompt, Times,
};
pub use audio::{Key, Sine, Tone};
pub use config::{AddressFamily, EngineConfig, Interface, KernelPath, NamedInterface};
pub use counters::{Counters, DropReason};
pub use engine::{
    Engine, MediaEvent, Negotiation, Participant, PortUsage, SeenReport, Side, Telling, family_of,
    is_coded,
};
pub use error::{MediaError, StartError};
pub use options::{
    Bundling, CodecChanges, Feedback, Ice, IceAgent, IceRestart, KeyForm, OfferedBundle, Options,
    RtcpMux, SourcePolicy, SubscriberReports, Transport, Way,
};
pub use recording::{
    RECEIPT, RECEIPTS, Recorded, RecordingFormat, RecordingOptions, RecordingOutcome,
    recording_length_ms, recording_receipt,
};
pub use report::{
    LegReport, MediumLeg, MediumReport, PeerReport, ProtectionReport, RtcpReport, SessionReport,
};
pub use rtp::Slice;
