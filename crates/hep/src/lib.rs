//! HEPv3, the protocol by which capture agents speak to Homer (EEP/HEP 3 of sipcapture.org, 2015):
//! packets of chunks, and what is in those of RTCP and of quality.
//!
//! Pure: values become bytes and bytes values. Chunks of vendors and kinds that are not known are
//! passed over.

mod packet;
mod rtcp;

pub use packet::{HepError, Kind, Packet, Protocol, parse};
pub use rtcp::rtcp_json;
