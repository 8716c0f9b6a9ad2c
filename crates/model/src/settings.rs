//! Settings of the platform and of a server: one record, changed as a whole.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::object::object;
use crate::validate::Checks;
use crate::{
    AcmeSettings, AlertSettings, FieldError, LimitSpec, OidcSettings, RecordingFormat,
    RecordingStore, TraceSettings, Validate,
};

/// What applies where no record says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Settings {
    /// The domain of addresses of record, and the digest realm. Changing it makes all
    /// digest secrets void.
    pub domain: String,
    /// Which digest algorithms challenges offer.
    pub digest: DigestOffer,
    /// What this server may carry in all.
    pub limits: LimitSpec,
    /// Where a call goes that this server has no room for.
    #[serde(deserialize_with = "object")]
    pub overflow: Overflow,
    /// Addresses of dispatchers before this server, in CIDR notation: what they say of where a
    /// request came from is believed, and they are never banned.
    #[schema(value_type = Vec<String>)]
    pub dispatchers: Vec<IpNet>,
    /// How media travels.
    pub media: MediaMode,
    /// No call lasts longer, in seconds.
    pub call_duration_max_s: u32,
    /// How long a callee rings, in seconds.
    pub ring_timeout_s: u16,
    /// How long a gateway may stay silent before the next is tried, in milliseconds.
    pub gateway_timeout_ms: u32,
    /// Session-Expires we ask for, in seconds (RFC 4028); 0 switches session timers off.
    pub session_expires_s: u32,
    /// The least Session-Expires and Min-SE we accept, in seconds; at least 90.
    pub session_expires_min_s: u32,
    /// A side that should be heard and sends neither RTP nor RTCP for so long ends its call, in
    /// seconds; 0 never.
    pub media_timeout_s: u32,
    /// The shortest registration, in seconds; shorter asks get 423.
    pub registration_min_s: u32,
    /// The longest registration, in seconds; longer asks are shortened.
    pub registration_max_s: u32,
    /// What a REGISTER without expiry gets, in seconds.
    pub registration_default_s: u32,
    /// Contacts per user where the user has no number of its own.
    pub contacts_max: u16,
    /// How contacts behind UDP are kept alive.
    pub keep_alive: KeepAlive,
    /// Between two keep-alives of a contact, in seconds; 0 switches them off.
    pub keep_alive_interval_s: u16,
    /// Whether a new UDP binding is verified by OPTIONS before calls go to it.
    pub verify_bindings: bool,
    /// A WAV file that who is put on hold hears, on the server; `None`: nothing.
    pub music_on_hold: Option<String>,
    /// What that is played over.
    pub music_on_hold_over: MusicOver,
    /// For how many days CDRs are kept; 0 for ever.
    pub cdr_retention_days: u16,
    /// What the files of recordings are.
    pub recording_format: RecordingFormat,
    /// Where finished recordings are taken.
    pub recording_store: RecordingStore,
    /// Where a HEP collector (Homer) is told of messages, RTCP and the quality of calls, as
    /// `host:port`; `None` tells nobody.
    pub hep_collector: Option<String>,
    /// What carries that.
    pub hep_transport: HepTransport,
    /// The number of this server in what it tells.
    pub hep_node_id: u32,
    /// Whether the collector is told of SIP messages, too.
    pub hep_sip: bool,
    /// What is kept of SIP messages on each node.
    #[serde(deserialize_with = "object")]
    pub trace: TraceSettings,
    /// When operators are called, and how.
    #[serde(deserialize_with = "object")]
    pub alerts: AlertSettings,
    /// The authority that issues our certificates.
    #[serde(deserialize_with = "object")]
    pub acme: AcmeSettings,
    /// The provider by which people sign in.
    #[serde(deserialize_with = "object")]
    pub oidc: OidcSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            domain: "tandem.local".into(),
            digest: DigestOffer::Md5,
            limits: LimitSpec {
                cps: None,
                channels: None,
            },
            overflow: Overflow::default(),
            dispatchers: Vec::new(),
            media: MediaMode::Relay,
            call_duration_max_s: 4 * 3_600,
            ring_timeout_s: 60,
            gateway_timeout_ms: 4_000,
            session_expires_s: 1_800,
            session_expires_min_s: 90,
            media_timeout_s: 60,
            registration_min_s: 60,
            registration_max_s: 3_600,
            registration_default_s: 3_600,
            contacts_max: 10,
            keep_alive: KeepAlive::Options,
            keep_alive_interval_s: 30,
            verify_bindings: true,
            music_on_hold: None,
            music_on_hold_over: MusicOver::default(),
            cdr_retention_days: 0,
            recording_format: RecordingFormat::default(),
            recording_store: RecordingStore::default(),
            hep_collector: None,
            hep_transport: HepTransport::Udp,
            hep_node_id: 1,
            hep_sip: true,
            trace: TraceSettings::default(),
            alerts: AlertSettings::default(),
            acme: AcmeSettings::default(),
            oidc: OidcSettings::default(),
        }
    }
}

impl Validate for Settings {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.host("domain", &self.domain);
        checks.nested("limits", &self.limits);
        checks.nested("overflow", &self.overflow);
        checks.nested("recording_store", &self.recording_store);
        checks.nested("trace", &self.trace);
        checks.nested("alerts", &self.alerts);
        checks.nested("acme", &self.acme);
        checks.nested("oidc", &self.oidc);
        checks.range(
            "call_duration_max_s",
            self.call_duration_max_s.into(),
            1..=7 * 86_400,
        );
        checks.range("ring_timeout_s", self.ring_timeout_s.into(), 5..=600);
        checks.range(
            "gateway_timeout_ms",
            self.gateway_timeout_ms.into(),
            200..=60_000,
        );
        checks.range("contacts_max", self.contacts_max.into(), 1..=100);
        checks.range_or_zero(
            "media_timeout_s",
            self.media_timeout_s.into(),
            5..=86_400,
            "waits for ever",
        );
        checks.range_or_zero(
            "keep_alive_interval_s",
            self.keep_alive_interval_s.into(),
            5..=3_600,
            "switches keep-alives off",
        );
        checks.range_or_zero(
            "cdr_retention_days",
            self.cdr_retention_days.into(),
            1..=36_500,
            "keeps them for ever",
        );
        checks.path("music_on_hold", self.music_on_hold.as_deref());
        if let Some(collector) = &self.hep_collector {
            checks.host_and_port("hep_collector", collector);
        }
        self.check_session_timers(&mut checks);
        self.check_registrations(&mut checks);
        self.check_dispatchers(&mut checks);
        checks.done()
    }
}

impl Settings {
    /// RFC 4028 §4 and §5: neither may be under 90 s, nor the interval under its minimum.
    fn check_session_timers(&self, checks: &mut Checks) {
        let least = self.session_expires_min_s;
        checks.range("session_expires_min_s", least.into(), 90..=86_400);
        checks.range_or_zero(
            "session_expires_s",
            self.session_expires_s.into(),
            u64::from(least.max(90))..=86_400,
            "switches session timers off",
        );
    }

    fn check_dispatchers(&self, checks: &mut Checks) {
        checks.require(
            self.dispatchers.len() <= DISPATCHERS_MAX,
            "dispatchers",
            "up to 256 networks are accepted",
        );
        checks.require(
            self.dispatchers.iter().all(|net| net.prefix_len() > 0),
            "dispatchers",
            "networks of length 1 and more are accepted: /0 is everybody",
        );
    }

    fn check_registrations(&self, checks: &mut Checks) {
        let (least, most) = (self.registration_min_s, self.registration_max_s);
        checks.range("registration_min_s", least.into(), 1..=3_600);
        checks.range(
            "registration_max_s",
            most.into(),
            u64::from(least.max(60))..=604_800,
        );
        checks.range(
            "registration_default_s",
            self.registration_default_s.into(),
            u64::from(least)..=u64::from(most),
        );
    }
}

/// Where a call goes that a server has no room for (302, else 503 with Retry-After).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Overflow {
    /// The servers that stand in for each other, each by its `host[:port]`. A full one sends a
    /// call on to the next behind itself; without any other, or once all were asked, it is refused
    /// with 503.
    pub peers: Vec<String>,
    /// Retry-After of that 503, in seconds.
    pub retry_after_s: u16,
}

impl Validate for Overflow {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        for peer in &self.peers {
            checks.host_port("peers", peer);
        }
        checks.require(
            self.peers.len() <= OVERFLOW_PEERS_MAX,
            "peers",
            "no more than 16 are accepted",
        );
        checks.range("retry_after_s", self.retry_after_s.into(), 0..=3_600);
        checks.done()
    }
}

/// The most servers that stand in for each other: all of them stand in the URI of a call that was
/// sent on by all.
pub const OVERFLOW_PEERS_MAX: usize = 16;

/// Which digest algorithms challenges offer. A phone that knows one of several should pass over
/// the others (RFC 8760 §2.4), but older ones give up at the first they do not know, wherever it
/// stands; so SHA-256 is offered only where the phones are known to take it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DigestOffer {
    /// MD5 alone.
    #[default]
    Md5,
    /// SHA-256 alone.
    #[serde(rename = "sha-256")]
    Sha256,
    /// SHA-256, then MD5.
    Both,
}

/// How media travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MediaMode {
    /// Through our relay.
    #[default]
    Relay,
    /// Directly between the parties; SDP passes unchanged.
    Bypass,
}

/// What music on hold is played over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MusicOver {
    /// The holder's silence: music that it sends itself is heard instead.
    #[default]
    Silence,
    /// Whatever the holder sends.
    Everything,
}

/// What carries what a HEP collector is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HepTransport {
    /// UDP: nothing is sent again.
    #[default]
    Udp,
    /// TCP.
    Tcp,
}

/// How the NAT mapping of a UDP contact is held open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeepAlive {
    /// OPTIONS: measures latency, finds dead contacts.
    #[default]
    Options,
    /// An empty UDP datagram: holds the mapping only.
    Empty,
}

/// The most networks of dispatchers: each request is compared with all.
const DISPATCHERS_MAX: usize = 256;
