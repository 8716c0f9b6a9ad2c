//! Session descriptions (RFC 8866), edited in place, and offer/answer (RFC 3264, RFC 6337).
//!
//! A [`Description`] borrows the bytes it was parsed from and only indexes them: what nobody
//! changes leaves as it came, byte for byte, in the same order. It reads what the field sends:
//! lines ended by LF alone, a missing last line end, lines and attributes of unknown kinds, text
//! that is not UTF-8. [`Edit`] writes a changed copy. The functions of offer/answer judge an
//! answer and build the few descriptions that a platform has to say by itself.
//!
//! Left out: capability negotiation (RFC 5939), preconditions (RFC 3312) and
//! ICE itself (RFC 8445): its attributes are read, stripped and written.

mod address;
mod build;
mod codec;
mod crypto;
mod description;
mod direction;
mod dtls;
mod edit;
mod error;
mod fragment;
mod ice;
mod line;
mod media;
mod offer_answer;

pub use address::{Connection, Host, Origin};
pub use build::{
    Copied, Keys, LocalMedia, Session, copy_offer, echo_answer, echo_offer, hold_offer, receiving,
    rejecting_answer,
};
pub use codec::Codec;
pub use crypto::Crypto;
pub use description::{Description, MAX_BYTES, MAX_LINES, MAX_MEDIA};
pub use direction::Direction;
pub use dtls::{Fingerprint, Setup};
pub use edit::{Edit, Format, Recode, recode};
pub use error::SdpError;
pub use fragment::{Fragment, Trickled};
pub use ice::{Candidate, IceCredentials};
pub use media::{Kind, Media, Profile};
pub use offer_answer::{AnswerError, check_answer, same_session_unchanged};
