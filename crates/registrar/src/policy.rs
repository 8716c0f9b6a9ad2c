//! What the operator decides, and what nobody may exceed.

use core::time::Duration;

use model::{KeepAlive, Settings};

/// The part of the settings that registrations depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The shortest registration, in seconds; shorter asks get 423.
    pub expiry_min_s: u32,
    /// The longest registration, in seconds; longer asks are shortened.
    pub expiry_max_s: u32,
    /// What a contact without expiry gets, in seconds.
    pub expiry_default_s: u32,
    /// Contacts of one address of record, unless the request brings a number of its own.
    pub contacts_max: u16,
    /// How UDP contacts are kept alive.
    pub keep_alive: KeepAlive,
    /// Between two keep-alives of a contact; zero switches them off.
    pub keep_alive_interval: Duration,
    /// Whether UDP sources and Paths are verified before they are routable.
    pub verify: bool,
}

impl From<&Settings> for Policy {
    fn from(settings: &Settings) -> Self {
        Self {
            expiry_min_s: settings.registration_min_s,
            expiry_max_s: settings.registration_max_s,
            expiry_default_s: settings.registration_default_s,
            contacts_max: settings.contacts_max,
            keep_alive: settings.keep_alive,
            keep_alive_interval: Duration::from_secs(settings.keep_alive_interval_s.into()),
            verify: settings.verify_bindings,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::from(&Settings::default())
    }
}

/// Bindings of one registrar in all; a new one beyond gets 503.
pub(crate) const BINDINGS_MAX: usize = 4_000_000;
/// Contacts in one REGISTER; more get 403. Also bounds the work one request causes.
pub(crate) const CONTACTS_PER_REQUEST_MAX: usize = 64;
/// Bytes of an address of record; longer ones get 400.
pub(crate) const AOR_MAX: usize = 255;
/// Bytes of a contact URI; longer ones get 400.
pub(crate) const URI_MAX: usize = 1_024;
/// Bytes of a Call-ID; longer ones get 400.
pub(crate) const CALL_ID_MAX: usize = 255;
/// Bytes of an instance; longer ones get 400.
pub(crate) const INSTANCE_MAX: usize = 255;
/// Bytes of all Path values of a request; longer ones get 400.
pub(crate) const PATH_MAX: usize = 2_048;
/// Bytes of a User-Agent that are kept; the rest is cut off.
pub(crate) const AGENT_MAX: usize = 128;
/// Different User-Agent texts that are kept; contacts with further ones show none.
pub(crate) const AGENTS_MAX: usize = 65_535;

/// How long an OPTIONS may go unanswered: its owner need not wait longer. UDP repeats it three times by then (RFC 3261
/// §17.1.2.2: after 0.5, 1.5 and 3.5 s).
pub const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Unanswered OPTIONS after which a contact that was never verified is removed.
pub(crate) const VERIFY_ATTEMPTS: u8 = 3;
/// Between the failure of one verification and the next.
pub(crate) const VERIFY_PAUSE: Duration = Duration::from_secs(2);
/// Unanswered keep-alives in a row after which a contact is removed.
pub(crate) const KEEP_ALIVE_ATTEMPTS: u8 = 3;
/// A keep-alive that is later than this is skipped and its contact waits for the next: a
/// process that was halted does not send all that it missed at once.
pub(crate) const KEEP_ALIVE_LATE: Duration = Duration::from_secs(2);
/// Within what time the pending contacts of a restart are verified.
pub(crate) const RESTORE_SPREAD: Duration = Duration::from_secs(30);
/// What Flow-Timer (RFC 5626 §5.4) promises to connections: silence is not taken for death
/// before, in seconds.
pub(crate) const FLOW_TIMER_S: u32 = 120;
/// The same over UDP, where a client asks by STUN: what NATs keep a mapping for at least in the
/// field, and the default of RFC 5626 §4.4.1.
pub(crate) const FLOW_TIMER_UDP_S: u32 = 29;
/// Retry-After of a 503 for want of room, in seconds.
pub(crate) const FULL_RETRY_AFTER_S: u32 = 60;
