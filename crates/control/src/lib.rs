//! The management API: records, live calls and registrations, CDRs, events, metrics.
//!
//! One router over three ports: [`store::Records`] and [`store::CdrStore`] for what is kept,
//! and [`Platform`] for what the running node knows and does. The panel, the command line and
//! everybody's scripts are clients of it; it is described by [`openapi`].
//!
//! Beside it the files of the panel are served (`site`), and browsers sign in (`session`).
//!
//! A request passes, from the outside in: a bound on requests per source, who asks (`auth`) and what
//! they may do (`access`), a memory of repeated POSTs (`idempotency`), and then a handler in `api`, one file
//! per resource. Every refusal is a [`Problem`].

mod access;
mod alerts;
mod api;
mod array;
mod auth;
mod capacity;
mod certificates;
mod control;
mod csv;
mod draft;
mod drafts;
mod duties;
mod etag;
mod event_feed;
mod events;
mod exports;
mod extract;
mod follow;
mod history;
mod idempotency;
mod known;
mod latency;
mod live_calls;
mod lockout;
mod log_lines;
mod nodes;
mod oidc;
pub mod openapi;
mod paging;
mod password;
mod platform;
mod posture;
mod problem;
mod questions;
mod reach;
mod recording;
mod resource;
mod revert;
mod second_factor;
mod secret;
mod secure;
mod server;
mod session;
mod sign_in;
mod site;
mod tasks;
mod throttle;
mod traces;
mod vault;

pub use alerts::{
    AlertPort, Alerts, CarrierFacts, CertificateEnd, Delivery, Facts, GroupFacts, GroupKind,
    Incident, KEPT_CERTIFICATE, Moment,
};
pub use api::traces::shown as shown_message;
pub use array::{ArrayPeerView, ArrayTraffic, ArrayView};
pub use certificates::{
    CertificatePort, DomainCheck, DomainStanding, Issued, PresentedCertificate, Proof, Wanted,
    certificate_facts, open_key,
};
pub use control::Control;
pub use duties::Duty;
pub use event_feed::{EventFeed, EventPortion};
pub use follow::follow;
pub use log_lines::{LogLevel, LogLine, LogQuery, LogRing};
pub use nodes::{
    DispatcherReport, Distance, MediaReport, Neighbour, NodeSocket, ProgramUpdate, Report,
    RoundTrips, SocketReport, TargetReport, TargetState, serve_nodes,
};
pub use oidc::{OidcAnswer, OidcPort};
pub use password::{password_hash, password_matches};
pub use platform::{
    Ban, CallFilter, CallSource, CallsFound, ClientCertificates, LimitUsage, LimitedKind,
    ListenerSpec, ListenerStatus, Platform, PlatformError, PlatformEvent, Readiness,
    RegistrationFilter, Reply, RouteQuery, SimulatedTarget, Simulation, SimulationOutcome,
    TraceStatus,
};
pub use posture::{Deployment, Part, PartView, Posture, Standing};
pub use problem::Problem;
pub use questions::{Answer, Question};
pub use recording::{NoPlace, Recording, RecordingPlace};
pub use secret::{digest_secret, generate_password, generate_token, token_hash};
pub use secure::SecureSocket;
pub use server::{Sockets, router, serve};
pub use site::{Site, SiteFile, SiteKind};
pub use traces::TracesFound;
pub use vault::{Vault, VaultError};
