//! RTP and RTCP, SRTP, DTMF events, reception statistics and MOS.
//!
//! Pure: bytes and arrival times come in, values go out. Nothing here keeps a copy of a packet.

mod bursts;
mod event;
mod extension;
mod header;
mod mos;
mod reception;
mod reporter;
mod round_trip;
mod rtcp;
pub mod srtp;
mod timeline;

pub use bursts::{BurstFigures, Bursts, GMIN};
pub use event::TelephoneEvent;
pub use extension::{element, insert_element, remove_element};
pub use header::{Header, HeaderError, Packet, is_rtcp};
pub use mos::{Impairment, mos_centi, r_factor};
pub use reception::{Progress, Reception, Snapshot, ticks_us};
pub use reporter::{Findings, Reported, Reporter, ntp_of_unix_us};
pub use round_trip::{ReportTime, round_trip_us};
pub use rtcp::{
    Compound, CompoundWriter, ExtendedBlock, ExtendedBlocks, ReportBlock, ReportBlocks, RtcpError,
    RtcpPacket, SenderReport, VoipMetrics, shift_heard, shift_sent,
};
pub use timeline::{Sample, Slice, Timeline};
