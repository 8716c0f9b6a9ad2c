//! Runs the roles of a machine: opens stores and sockets, wires the switch to network, media,
//! journal and API, and serves until it is told to stop.
//!
//! [`up()`] is the whole platform in one process. Threads: `sip` (the switch and its sockets),
//! media workers, two of the network's streams and resolver, the API's runtime, the journal's
//! sync and shipper. They share no lock on the call path; whoever wants something of the switch
//! sends it a visit (`visit::Visitor`), which runs on the `sip` thread.

mod acme;
mod addresses;
mod alerts;
mod array;
mod calls;
mod certificate;
mod data;
mod dispatcher;
mod distance;
mod doors;
mod duties;
mod files;
mod first_start;
mod hep;
mod history;
mod host;
mod joined;
mod listeners;
mod locations;
mod machine;
mod media;
mod media_options;
mod media_servers;
mod metrics;
mod music;
mod oidc;
mod options;
mod own_server;
mod pause;
mod permits;
mod platform;
mod program;
mod quality;
mod recording;
mod remote_recording;
mod retention;
mod roster;
mod signals;
mod snapshot_file;
mod starts;
mod stores;
mod telemetry;
mod trace;
mod up;
mod uploads;
mod virtual_address;
mod visit;

pub use ::media::{IceAgent, KernelPath, RecordingFormat};
pub use control::{LogLevel, LogRing};
pub use dispatcher::{DispatcherOptions, Listen, TargetRecord, dispatcher, dispatcher_targets};
pub use files::files_max;
pub use joined::{JoinedServer, join};
pub use media::{HepTarget, MediaOptions, Ready, RtpInterface, media};
pub use model::{AfterUpload, BucketAddressing, HepTransport, RecordingStore, Validate};
pub use options::{ArrayFlags, Registrations, UpOptions};
pub use signals::Ended;
pub use stores::{Moved, migrate_store};
pub use up::up;
