//! What a REGISTER asks for.

use sip::Flow;
use smallvec::SmallVec;

/// A REGISTER whose sender is known and may register the address of record.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The address of record, `name@domain`, in the one spelling the owner uses for it.
    pub aor: &'a str,
    /// Contacts this address of record may have; 0 means the platform's number.
    pub contacts_max: u16,
    /// How the request came.
    pub flow: Flow,
    /// Where UDP answers go.
    pub replies: Replies,
    /// Whether it came straight from the client.
    pub hops: Hops,
    /// Call-ID.
    pub call_id: &'a [u8],
    /// The number of CSeq.
    pub cseq: u32,
    /// What stands in Contact.
    pub contacts: Contacts<'a>,
    /// The Expires header in seconds; `None` if it is missing or malformed.
    pub expires_s: Option<u32>,
    /// The values of Path, the hop nearest to us first, as written.
    pub path: SmallVec<[&'a [u8]; 2]>,
    /// User-Agent; empty if there is none.
    pub user_agent: &'a [u8],
    /// The option tags in Supported that matter here.
    pub supported: Supported,
}

/// Where a UDP client expects answers (RFC 3581).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replies {
    /// At the port it sent from: it asks for `rport`.
    ToSource,
    /// At the port it names.
    ToNamedPort,
}

/// Whether proxies stand between the client and us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hops {
    /// One Via: the client's own.
    Direct,
    /// Several.
    Proxied,
}

/// The contacts of a REGISTER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contacts<'a> {
    /// These; none asks for the list of bindings.
    List(SmallVec<[NewContact<'a>; 1]>),
    /// `*`, alone.
    All,
    /// `*` beside other values.
    AllAndMore,
}

/// One value of Contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewContact<'a> {
    /// The URI as written.
    pub uri: &'a [u8],
    /// The `expires` parameter in seconds; `None` if it is missing or malformed.
    pub expires_s: Option<u32>,
    /// The `q` parameter in thousandths, at most 1000; 1000 if it is missing or malformed.
    pub q_milli: u16,
    /// `+sip.instance` without quotes and angle brackets; empty if it is missing.
    pub instance: &'a [u8],
    /// `reg-id`; 0 if it is missing or malformed.
    pub reg_id: u32,
}

/// The option tags in Supported that matter to a registrar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Supported {
    /// `path` (RFC 3327).
    pub path: bool,
    /// `gruu` (RFC 5627).
    pub gruu: bool,
    /// `outbound` (RFC 5626).
    pub outbound: bool,
}
