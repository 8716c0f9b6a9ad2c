//! The back-to-back user agent as a machine: one [`Call`] joins two dialogs.
//!
//! A call has two phases. While it is being set up (`setup`), the caller's INVITE is offered to
//! the attempts of a [`Plan`], several at a time or one after the other; each early dialog of a
//! callee is mirrored by one towards the caller, as a forking proxy would show it. Once somebody
//! answers, one [`Pair`] of legs is left, and what one side sends inside its dialog is carried to
//! the other (`relay`), except what is the call's own affair: session timers, BYE, REFER.
//!
//! The call owns no socket, timer, clock or transaction. Its owner feeds it [`Input`]s and
//! carries out the [`Output`]s that it appends to a queue. Media and targets may be answered
//! later; inputs that arrive meanwhile wait in the call, in order. An answered call can be taken
//! down as a [`Snapshot`], and gone on with elsewhere.

mod application;
mod call;
mod challenge;
mod config;
mod ending;
mod go_on;
mod headers;
mod io;
mod keys;
mod leg;
mod pending;
mod plan;
mod random;
mod reanchor;
mod reason;
mod refresh;
mod relay;
mod replace;
mod setup;
mod snapshot;
mod transfer;

pub use call::{Call, CallFacts, Phase};
pub use config::{Config, MediaMode};
pub use headers::Trust;
pub use io::{
    Ctx, EndReport, Fact, Family, Given, Hop, Input, Keys, MediaAsk, MediaEnds, MediaOp, Output,
    Phone, RefusedDial, RequestId, Respond, Side, Timer, Toward, Uac, Uas,
};
pub use keys::Press;
pub use leg::{Leg, Pair, PairId, Reach};
pub use plan::{ATTEMPTS_MAX, Attempt, Credentials, Plan, Redirects, Yields};
pub use random::Random;
pub use reason::{Cause, EndedBy, Why};
pub use setup::Invited;
pub use snapshot::{FORMAT, Packer, Snapshot, Unpacker};
