//! Bindings, their order and expiry, and who pings whom: the registrar of RFC 3261 §10.3 with
//! Path (RFC 3327), outbound (RFC 5626) and GRUU (RFC 5627); and our own registrations at
//! carriers ([`Upstream`]).
//!
//! [`Registrar`] is a machine without sockets, clock or store. Its owner checks who sends a
//! REGISTER, turns it into a [`Request`], and answers with what comes back. Then it drains
//! [`Registrar::poll_output`]: OPTIONS to send, facts to tell. Now and then it saves what has
//! changed by [`Registrar::save_changed`].
//!
//! # Where a contact is reached
//! Over the path its REGISTER took, whatever its URI says: back to the source address over UDP,
//! over the same connection otherwise, or along its Path. A URI that names somebody else's
//! address therefore sends nobody anything. The one exception is a phone that does not ask for
//! `rport` (RFC 3581) and names a port of its own address that it does not send from: such a
//! phone listens elsewhere than it speaks, and is reached where it says.
//!
//! # When a contact is routable
//! A connection proves itself. A UDP source address, a port beside it or a Path is believed
//! only when an OPTIONS sent there is answered, unless verification is switched off.

mod agents;
mod binding;
mod contact;
mod error;
mod gruu;
mod message;
mod output;
mod peer;
mod policy;
mod reach;
mod record;
mod registrar;
mod request;
mod table;
mod upstream;
mod view;

pub use contact::Contact;
pub use error::RegisterError;
pub use gruu::is_gruu;
pub use message::from_message;
pub use output::{Event, EventKind, Output, Ping, PingFailure, PingId, PingReason, Removal};
pub use peer::PeerId;
pub use policy::{PING_TIMEOUT, Policy};
pub use reach::{Reach, is_local, is_open};
pub use record::{Record, RecordError, Restored, State};
pub use registrar::{
    Change, End, FlowTimer, Gone, Gruus, Heir, Listed, Registered, Registrar, answers_ping,
};
pub use request::{Contacts, Hops, NewContact, Replies, Request, Supported};
pub use upstream::{Dice, Upstream, UpstreamFailure, UpstreamId, UpstreamOutput, UpstreamStep};
pub use view::{BindingView, Filter, Standing};

pub use binding::BindingId;

/// The option tags this crate implements, for Supported.
pub const OPTION_TAGS: [&str; 3] = ["path", "outbound", "gruu"];
