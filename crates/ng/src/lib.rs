//! `ng`, the control protocol of media servers that rtpengine made: one dictionary asks, one
//! answers, each behind a cookie.
//!
//! Both ends use the same types: [`Request`] and [`Reply`] are read from a [`Dictionary`] and
//! written to one; a [`Frame`] is what travels. Reading is as lenient as the field's own server
//! (keys in any order, spaces or hyphens or underscores in names, numbers as strings, flags as a
//! list or as one string), but never silent: what nobody here knows is listed in
//! [`Request::unknown`]. Messages, nesting and numbers of values are bounded.
//!
//! ```
//! use ng::{Command, Encoding, Frame, Negotiation, Reply, Request, Selection};
//!
//! let offer = Request::new(Command::Offer(Box::new(Negotiation {
//!     selection: Selection::call("abc").from_tag("f"),
//!     sdp: b"v=0\r\n".to_vec(),
//!     ..Negotiation::default()
//! })));
//! let message = offer.encode("cookie-1", Encoding::Bencode);
//! assert_eq!(Request::read(&Frame::split(&message)?.dictionary()?)?, offer);
//!
//! let answer = Frame::split(b"cookie-1 d6:result4:ponge")?;
//! assert_eq!(Reply::read(&answer.dictionary()?)?, Reply::Pong { status: None });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod bencode;
mod error;
mod flag;
mod flag_string;
mod frame;
pub mod json;
mod keys;
mod news;
pub mod options;
mod reply;
mod request;
mod selection;
mod status;
mod value;
mod word;

pub use error::{BadMessage, Malformed};
pub use flag::{Flag, Replace};
pub use frame::{Encoding, Frame, body_of, stream_length};
pub use keys::{KeyForm, KeyPress};
pub use news::{Happening, News};
pub use options::Options;
pub use reply::{
    CallReport, Counts, Endpoint, LabelledMedium, MediumReport, MosSample, Quality, Reply, Ssrc,
    StreamReport, Success, TagReport,
};
pub use request::{
    Command, Deletion, Gate, GateVerb, MediaFile, Negotiation, Playback, RecordVerb, Recording,
    Request, Tone, event_of_digit,
};
pub use selection::{All, Selection};
pub use status::{State, Status};
pub use value::{Dictionary, Value};
pub use word::{Set, Word};

/// The longest message that is read, in bytes. A datagram cannot be as long; a blob that is to be
/// played may.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// The longest cookie, in bytes.
pub const COOKIE_BYTES_MAX: usize = 255;
/// How deeply values may be nested.
pub const DEPTH_MAX: usize = 12;
/// How many values a message may have.
pub const VALUES_MAX: usize = 8_192;
