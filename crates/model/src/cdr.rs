//! Call detail records.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AccountId, CallId, CarrierId, CustomerId, GatewayId, NumberId, UserId};

/// The record of one call, both legs. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Cdr {
    /// The call; a record is written once for each.
    pub call: CallId,
    /// The node that closed it.
    pub node: String,
    /// Grows with every record of that node.
    pub sequence: u64,
    /// Who pays; `None` for calls refused before anybody was recognised.
    pub account: Option<AccountId>,
    /// The user who called.
    pub from_user: Option<UserId>,
    /// The user who was called.
    pub to_user: Option<UserId>,
    /// The customer who sent the call.
    pub customer: Option<CustomerId>,
    /// The number that was called.
    pub number: Option<NumberId>,
    /// The carrier it went to, or came from.
    pub carrier: Option<CarrierId>,
    /// The gateway it went to, or came from.
    pub gateway: Option<GatewayId>,
    /// The caller as sent in From (user part).
    pub caller: String,
    /// The called party as sent in the request URI (user part).
    pub called: String,
    /// The called number as sent out, after rewriting.
    pub destination: String,
    /// Where the INVITE came from, `transport:address:port`.
    pub source: String,
    /// Call-ID of the caller's leg.
    pub sip_call_id: String,
    /// Call-ID of the last callee's leg; empty if none was made.
    pub sip_call_id_b: String,
    /// The INVITE arrived.
    pub start_us: u64,
    /// The first 18x went to the caller.
    pub ring_us: Option<u64>,
    /// The 200 went to the caller.
    pub answer_us: Option<u64>,
    /// The call ended.
    pub end_us: u64,
    /// How it ended.
    pub outcome: CdrOutcome,
    /// The final status sent to the caller; 200 for answered calls.
    pub status: u16,
    /// Why it ended, as in Reason (RFC 3326), in words.
    pub reason: String,
    /// Who ended it.
    pub ended_by: EndedBy,
    /// How many gateways or contacts were tried.
    pub attempts: u16,
    /// Media of the caller's leg.
    pub media_a: Option<CdrLegMedia>,
    /// Media of the callee's leg.
    pub media_b: Option<CdrLegMedia>,
    /// Recordings of the call: names of files in the directory `recordings`, part by part.
    #[serde(default)]
    pub recordings: Vec<String>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CdrOutcome {
    /// Answered, then ended.
    Answered,
    /// The callee was busy.
    Busy,
    /// Nobody answered in time.
    NoAnswer,
    /// The caller gave up.
    Cancelled,
    /// Refused or failed.
    Failed,
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndedBy {
    /// The caller.
    Caller,
    /// The callee.
    Callee,
    /// A limit or timer of the platform, or its operator.
    Platform,
}

/// What was received from one leg.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CdrLegMedia {
    /// The codec of most packets, as in `a=rtpmap` (`PCMA`), or `pt 97`.
    pub codec: String,
    /// RTP packets received.
    pub packets: u64,
    /// RTP bytes received, headers included.
    pub bytes: u64,
    /// Packets lost on the way to us (RFC 3550 §6.4.1).
    pub lost: u64,
    /// Interarrival jitter in microseconds (RFC 3550 §6.4.1).
    pub jitter_us: u32,
    /// Estimated MOS in hundredths (100 to 450), 0 if unknown.
    pub mos_centi: u16,
    /// The worst MOS of five seconds in hundredths, 0 if unknown.
    #[serde(default)]
    pub mos_min_centi: u16,
    /// Round trip between us and this leg in microseconds, the mean over the call; `None` if its
    /// RTCP did not tell.
    #[serde(default)]
    pub rtt_us: Option<u32>,
    /// Packets that this leg says it lost of those sent to it, on the whole way; `None` if its
    /// RTCP did not tell.
    #[serde(default)]
    pub peer_lost: Option<u64>,
    /// Jitter that it says it saw, in microseconds.
    #[serde(default)]
    pub peer_jitter_us: Option<u32>,
    /// MOS of what it received in hundredths: its own, or estimated from what it says.
    #[serde(default)]
    pub peer_mos_centi: Option<u16>,
    /// MOS over the call in hundredths, 0 where nothing came, at most 65 values.
    #[serde(default)]
    pub mos_course_centi: Vec<u16>,
    /// Seconds that each value of `mos_course_centi` stands for.
    #[serde(default)]
    pub mos_course_step_s: u32,
}
