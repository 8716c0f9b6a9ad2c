//! SIP messages as they were seen on the wire, what is kept of them, and what they tell of a call.
//!
//! Pure: bytes become values and values bytes. Messages are gathered in a [`Batch`], lose their
//! secrets, are put into a store with an [`Entry`] each that they are found by, and come back as
//! [`Seen`]: parts of a [`Ladder`], of a capture file ([`pcap()`]) or as [`text()`].

mod batch;
mod entry;
mod head;
mod ladder;
mod pcap;
mod redact;
mod sdp_change;
mod seen;
mod text;
mod wanted;
mod witness;

pub use batch::{Batch, SeenFromTo};
pub use entry::{ENTRY_BYTES, Entry, address_print, call_id_print, party_print};
pub use head::{Head, Party, Start};
pub use ladder::{Ladder, Lane, LegOfLadder, Rung};
pub use pcap::{PCAP_MEDIA_TYPE, pcap};
pub use redact::Bodies;
pub use sdp_change::{LineChange, SdpLine, changes};
pub use seen::{Direction, Passage, Seen, Unreadable};
pub use sip::Transport;
pub use text::text;
pub use wanted::{Kind, Prints, Wanted};
pub use witness::{Witnessed, each_once};
