//! The machine: its parts, its configuration, its clock.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use bytes::Bytes;
use call::{Config as CallConfig, Input, MediaAsk, Random, RefusedDial};
use clock::{Ahead, Time, Wheel};
use forward::KeySeal;
use hashbrown::HashMap;
use limits::Limits;
use model::{DigestOffer, GatewayId, Settings, Snapshot};
use registrar::{Policy, Registrar, Upstream};
use routing::{Health, Step, Table, Trace as _};
use sip::digest::{Algorithm, Authenticator, AuthenticatorConfig};
use sip::transaction::{ClientId, Listener as SentBy, ServerId, TransactionConfig, Transactions};
use sip::{ConnId, Destination, Transport};

use crate::calls::Calls;
use crate::counters::Counters;
use crate::defence::Defence;
use crate::dial::Question;
use crate::duties::Duties;
use crate::listeners::{Listener, Listeners, Presence};
use crate::locations::Peers;
use crate::media_servers::KeysThere;
use crate::output::{CallKey, Output};
use crate::owner::Owner;
use crate::passage::Passage;
use crate::takeover::Sought;
use crate::upstream::UpstreamTargets;

/// What a switch is made of.
#[derive(Clone, Debug)]
pub struct SwitchConfig {
    /// The node's name, written into records.
    pub node: String,
    /// Written in Server and User-Agent.
    pub product: String,
    /// Secret bits for tags, Call-IDs, branches and tables.
    pub seed: u64,
    /// The secret that nonces and GRUUs are made with; the same on all nodes of a cluster.
    pub cluster_key: [u8; 32],
    /// The number of the last record of this node.
    pub sequence: u64,
}

/// The switch.
pub struct Switch {
    pub(crate) node: String,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) routes: Table,
    pub(crate) health: Health,
    pub(crate) limits: Limits,
    /// Present where a cluster keeps limits together.
    pub(crate) shares: Option<limits::Shares>,
    pub(crate) transactions: Transactions,
    pub(crate) registrar: Registrar,
    /// The nodes that this one shares bindings with, and how it sends on for them; present where it
    /// does.
    pub(crate) peers: Option<Peers>,
    pub(crate) passage: Option<Passage>,
    /// Our own registrations, and where their requests go.
    pub(crate) upstream: Upstream,
    pub(crate) upstream_targets: UpstreamTargets,
    /// Which node registers where; `None` if this one is alone.
    pub(crate) duties: Option<Duties>,
    pub(crate) authenticator: Authenticator,
    /// Names of the certificates that clients have shown, by their open connections.
    pub(crate) certificates: HashMap<ConnId, Arc<[Box<str>]>, RandomState>,
    pub(crate) defence: Defence,
    pub(crate) counters: Counters,
    pub(crate) listeners: Listeners,
    pub(crate) call_config: CallConfig,
    pub(crate) calls: Calls,
    /// Whether other nodes are told of calls, and asked for theirs.
    pub(crate) shares_calls: bool,
    /// Requests whose calls are looked for elsewhere.
    pub(crate) sought: HashMap<CallKey, Sought, RandomState>,
    pub(crate) alarms: Wheel<CallKey>,
    /// Whose request each client transaction is.
    pub(crate) owners: HashMap<ClientId, Owner, RandomState>,
    /// The calls of INVITE server transactions, for CANCEL and for an ACK that never comes.
    pub(crate) invites: HashMap<ServerId, CallKey, RandomState>,
    /// MESSAGE requests whose callee has not answered yet.
    pub(crate) messages: HashMap<ServerId, (sip::Flow, sip::Message), RandomState>,
    pub(crate) questions: HashMap<u64, (Question, Box<str>, sip::ListenerId), RandomState>,
    pub(crate) last_question: u64,
    /// Addresses of gateways given by name.
    pub(crate) gateway_addresses: HashMap<GatewayId, Vec<IpAddr>, RandomState>,
    next_lookup: Time,
    pub(crate) random: Random,
    pub(crate) sequence: u64,
    pub(crate) outputs: VecDeque<Output>,
    /// Inputs for calls that came up while another call was being served.
    pub(crate) work: VecDeque<(CallKey, Input)>,
    pub(crate) working: bool,
    pub(crate) scratch: VecDeque<call::Output>,
    /// What media servers do with keys.
    pub(crate) keys_there: KeysThere,
    /// Whether new calls are taken.
    pub(crate) accepting: bool,
    /// Set by [`Switch::stop_all`], and never taken back.
    pub(crate) stopping: bool,
    pub(crate) cluster_key: [u8; 32],
    /// Of keys in tags, by which calls are looked for elsewhere.
    pub(crate) key_seal: KeySeal,
    /// How far our clock is ahead of the one that all nodes read; `None` while nobody knows.
    pub(crate) clock_ahead: Option<Ahead>,
    pub(crate) seed: u64,
}

/// Nonces whose use is remembered, against replays. A phone that uses an older one again is asked
/// for fresh credentials; more would only cost memory, for most use each nonce once. As many as
/// two hash tables of 32,768 places hold.
const REPLAY_NONCES_MAX: usize = 57_344;
/// How often the names of gateways are looked up anew.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(60);

impl Switch {
    /// A switch without listeners and with an empty configuration.
    #[must_use]
    pub fn new(config: SwitchConfig) -> Self {
        let snapshot = Arc::new(Snapshot::default());
        let seed = config.seed;
        let state = RandomState::with_seeds(seed, seed.rotate_left(13), !seed, 11);
        let transactions = TransactionConfig::new(Vec::new(), [seed, seed.rotate_left(32)]);
        Self {
            node: config.node,
            routes: Table::compile(&snapshot),
            health: Health::default(),
            limits: Limits::new(),
            shares: None,
            transactions: Transactions::new(transactions),
            registrar: Registrar::new(Policy::default(), (seed >> 24) as u8, &config.cluster_key),
            peers: None,
            passage: None,
            upstream: Upstream::default(),
            upstream_targets: UpstreamTargets::default(),
            duties: None,
            authenticator: authenticator(&snapshot.settings, config.cluster_key, seed),
            certificates: HashMap::with_hasher(state.clone()),
            defence: Defence::new(seed),
            counters: Counters::default(),
            listeners: Listeners::default(),
            call_config: call_config(&snapshot, &config.product, &Listeners::default()),
            calls: Calls::begin_at((seed >> 32) as u32),
            shares_calls: false,
            sought: HashMap::with_hasher(state.clone()),
            alarms: Wheel::new(),
            owners: HashMap::with_hasher(state.clone()),
            invites: HashMap::with_hasher(state.clone()),
            messages: HashMap::with_hasher(state.clone()),
            questions: HashMap::with_hasher(state.clone()),
            last_question: 0,
            gateway_addresses: HashMap::with_hasher(state),
            next_lookup: Time::ZERO,
            random: Random::new(seed ^ 0x5DEE_CE66_D1CE_4E5B),
            sequence: config.sequence,
            outputs: VecDeque::new(),
            work: VecDeque::new(),
            working: false,
            scratch: VecDeque::new(),
            keys_there: KeysThere::default(),
            accepting: true,
            stopping: false,
            cluster_key: config.cluster_key,
            key_seal: KeySeal::new(&config.cluster_key),
            clock_ahead: None,
            seed,
            snapshot,
        }
    }

    /// Takes over a configuration; an older one than it has is ignored. Calls go on.
    pub fn configure(&mut self, now: Time, snapshot: Arc<Snapshot>) {
        if snapshot.revision < self.snapshot.revision {
            return;
        }
        let same_realm = snapshot.settings.domain == self.snapshot.settings.domain
            && snapshot.settings.digest == self.snapshot.settings.digest;
        self.routes = Table::compile(&snapshot);
        self.limits.configure_all(routing::limits_of(&snapshot));
        if let Some(cluster) = snapshot.cluster.as_ref().filter(|_| self.shares.is_none()) {
            let part = routing::limit(cluster.part());
            self.limits.configure(routing::cluster_of(cluster.id), part);
        }
        self.health
            .configure(now, snapshot.gateways.iter().map(|g| &**g));
        self.registrar.set_policy(Policy::from(&snapshot.settings));
        if !same_realm {
            self.authenticator = authenticator(&snapshot.settings, self.cluster_key, self.seed);
        }
        let product = self.call_config.product.clone();
        self.call_config = call_config(&snapshot, &product, &self.listeners);
        let names: Vec<GatewayId> = snapshot.gateways.iter().map(|g| g.id).collect();
        self.gateway_addresses.retain(|id, _| names.contains(id));
        self.snapshot = snapshot;
        self.apply_duties(now);
        self.next_lookup = now;
        self.drop_unknown_bindings(now);
        self.pump(now);
    }

    /// Users that are gone or switched off lose their bindings at once.
    fn drop_unknown_bindings(&mut self, now: Time) {
        // What others hold is theirs to drop.
        let held = self.registrar.held_aors();
        let gone = held.filter(|aor| {
            let name = aor.split('@').next().unwrap_or_default();
            !self
                .routes
                .user_named(name)
                .is_some_and(|user| user.enabled)
        });
        let gone: Vec<String> = gone.map(str::to_owned).collect();
        for aor in gone {
            self.registrar.remove_all(now, &aor);
        }
    }

    /// Whether the address of a listener that moves between nodes is at this one.
    pub fn set_presence(&mut self, id: sip::ListenerId, presence: Presence) {
        self.listeners.set_presence(id, presence);
    }

    /// What peers are told that a listener's address is.
    #[must_use]
    pub fn listener_address(&self, id: sip::ListenerId) -> Option<std::net::SocketAddr> {
        let mut all = self.listeners.all().iter();
        all.find(|listener| listener.id == id)
            .map(|listener| listener.advertised)
    }

    /// Adds a listener, or changes it.
    pub fn set_listener(&mut self, listener: Listener) {
        if let Some(passage) = &mut self.passage {
            passage.hops.set(&listener);
        }
        self.listeners.set(listener);
        self.announce_listeners();
    }

    /// Takes a listener away.
    pub fn remove_listener(&mut self, id: sip::ListenerId) {
        if let Some(passage) = &mut self.passage {
            passage.hops.remove(id);
        }
        self.listeners.remove(id);
        self.announce_listeners();
    }

    fn announce_listeners(&mut self) {
        self.call_config.contacts = self.listeners.contacts();
        for listener in self.listeners.all() {
            let stream = (listener.transport == Transport::Udp)
                .then(|| {
                    self.listeners
                        .toward(Transport::Tcp, listener.advertised.ip())
                })
                .flatten();
            self.transactions.set_listener(SentBy {
                id: listener.id,
                sent_by: listener.advertised.to_string().into(),
                stream,
            });
        }
    }

    /// A binding saved before a restart.
    pub fn restore_binding(&mut self, now: Time, record: &registrar::Record) {
        // A damaged record is one binding less: its phone registers again.
        let _ = self.registrar.restore(now, record);
    }

    /// Passes at most `max` bindings on that have changed and are not saved yet.
    pub fn save_bindings(&mut self, max: usize, save: impl FnMut(registrar::State<'_>)) {
        self.registrar.save_changed(max, save);
    }

    /// How many bindings [`Switch::save_bindings`] has to pass on, or a few more.
    #[must_use]
    pub fn changed_bindings(&self) -> usize {
        self.registrar.changed()
    }

    /// The answer to [`Output::Media`].
    pub fn handle_media(
        &mut self,
        now: Time,
        call: CallKey,
        ask: MediaAsk,
        answer: Result<Bytes, u16>,
    ) {
        let answer = answer.map_err(RefusedDial::from);
        self.feed(now, call, Input::Media(ask, answer));
        self.pump(now);
    }

    /// A media session is lost with its server: its call looks for another.
    pub fn handle_media_lost(&mut self, now: Time, call: CallKey, session: u64) {
        self.feed(now, call, Input::MediaLost { session });
        self.pump(now);
    }

    /// What media servers do with keys in new calls from now on.
    pub fn set_keys_there(&mut self, keys: KeysThere) {
        self.keys_there = keys;
    }

    /// Why a media server was chosen for a call: part of its explanation.
    pub fn explain_media(&mut self, call: CallKey, why: String) {
        if let Some(entry) = self.calls.entry_mut(call) {
            entry.facts.steps.step(|| Step::Media(why.into()));
        }
    }

    /// The answer to [`Output::MediaEnd`]: what the caller's and the callee's side received, and
    /// the files of the session's recording.
    pub fn handle_media_report(
        &mut self,
        call: CallKey,
        legs: [model::CdrLegMedia; 2],
        recordings: Vec<String>,
    ) {
        self.note_media(call, legs, recordings);
    }

    /// The relay has heard a key in a session of a call.
    pub fn handle_key(
        &mut self,
        now: Time,
        call: CallKey,
        (session, from): (u64, call::Side),
        press: call::Press,
    ) {
        let key = Input::Key {
            session,
            from,
            press,
        };
        self.feed(now, call, key);
        self.pump(now);
    }

    /// The caller's Call-ID of a call.
    #[must_use]
    pub fn sip_call_id(&self, call: CallKey) -> Option<&str> {
        Some(self.calls.entry(call)?.facts.sip_call_id())
    }

    /// Where music for who is put on hold in a call is, as its account or the platform has it.
    #[must_use]
    pub fn music_on_hold(&self, call: CallKey) -> Option<&str> {
        let account = self.calls.entry(call)?.facts.account;
        let account = account.and_then(|id| self.routes.account(id));
        let music = account.and_then(|account| account.music_on_hold.as_deref());
        music.or(self.snapshot.settings.music_on_hold.as_deref())
    }

    /// No media came from a side of a session of a call for too long. Before the answer nobody has to be heard:
    /// who is waited for may have agreed with an attempt that has failed since. A relay that was
    /// asked nothing at the answer goes on counting from before.
    pub fn handle_media_silent(&mut self, now: Time, call: CallKey, session: u64) {
        let patience = self.call_config.media_lost_max;
        let entry = self.calls.entry(call);
        let answered = entry.and_then(|entry| entry.facts.answer);
        if answered.is_some_and(|at| now.since(at) >= patience / 2) {
            let cause = call::Cause::MediaSilent;
            self.feed(now, call, Input::SessionOver { session, cause });
            self.pump(now);
        }
    }

    /// Whether consent that a side of a session has lost is of any concern. It is not in a session that
    /// a transfer has left, nor before the answer that of a callee: its attempt may have failed, while
    /// another rings.
    #[must_use]
    pub fn needs_consent(&self, call: CallKey, (session, side): (u64, call::Side)) -> bool {
        self.calls.entry(call).is_some_and(|entry| {
            let is_answered = entry.facts.answer.is_some();
            entry.call.session() == session && (side == call::Side::A || is_answered)
        })
    }

    /// A side of a session has not said for too long that it still wants media: what is sent to it
    /// reaches nobody, or somebody else (RFC 7675).
    pub fn handle_consent_lost(
        &mut self,
        now: Time,
        call: CallKey,
        (session, side): (u64, call::Side),
    ) {
        if !self.needs_consent(call, (session, side)) {
            return;
        }
        let who = match side {
            call::Side::A => call::EndedBy::Caller,
            call::Side::B => call::EndedBy::Callee,
        };
        let cause = call::Cause::ConsentExpired(who);
        self.feed(now, call, Input::SessionOver { session, cause });
        self.pump(now);
    }

    /// Whether new calls are taken; while not, they get 503. One that stops takes none again.
    pub fn set_accepting(&mut self, accepting: bool) {
        self.accepting = accepting && !self.stopping;
    }

    /// Whether calls may begin: the node may be held up, stopping, stopped or draining.
    pub(crate) fn takes_calls(&self) -> bool {
        self.accepting && !self.snapshot.draining && !self.snapshot.stopped
    }

    /// Fires everything that is due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.transactions.handle_timeout(now);
        if self.can_speak() {
            self.registrar.handle_timeout(now);
        }
        self.upstream.handle_timeout(now);
        self.ring_alarms(now);
        self.give_up_seeking(now);
        self.look_up_gateways(now);
        self.pump(now);
    }

    /// When [`Switch::handle_timeout`] is wanted.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let lookup = (!self.snapshot.gateways.is_empty()).then_some(self.next_lookup);
        [
            self.transactions.poll_timeout(),
            self.registrar.poll_timeout().filter(|_| self.can_speak()),
            self.upstream.poll_timeout(),
            self.alarms.next_timeout(),
            self.health.poll_timeout(),
            self.next_sought(),
            lookup,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether there is a listener to speak from. Before the first, the bindings of a restart are
    /// there already, and a ping would name nobody in its Via.
    fn can_speak(&self) -> bool {
        !self.listeners.all().is_empty()
    }

    /// What it wants next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Sends a request in a transaction of its own.
    pub(crate) fn send_request(
        &mut self,
        now: Time,
        to: Destination,
        bytes: &[u8],
        owner: Owner,
    ) -> ClientId {
        let client = self.transactions.request(now, to, bytes);
        self.owners.insert(client, owner);
        client
    }

    fn look_up_gateways(&mut self, now: Time) {
        if now < self.next_lookup {
            return;
        }
        self.next_lookup = now + LOOKUP_INTERVAL;
        let snapshot = self.snapshot.clone();
        for gateway in snapshot.gateways.iter().filter(|g| g.enabled && g.inbound) {
            if gateway.host.parse::<IpAddr>().is_err() {
                let uri = crate::plan::gateway_uri(gateway, "");
                let question = Question::GatewayAddress {
                    gateway: gateway.id,
                };
                self.resolve(now, uri.as_bytes(), self.listeners.first(), question);
            }
        }
    }

    /// The gateway, given by name, whose name leads to an address.
    pub(crate) fn gateway_by_name(&self, address: IpAddr) -> Option<GatewayId> {
        if self.gateway_addresses.is_empty() {
            return None;
        }
        let fits = |(id, all): (&GatewayId, &Vec<IpAddr>)| all.contains(&address).then_some(*id);
        self.gateway_addresses.iter().filter_map(fits).min()
    }
}

fn authenticator(settings: &Settings, cluster_key: [u8; 32], seed: u64) -> Authenticator {
    let algorithms = match settings.digest {
        DigestOffer::Md5 => vec![Algorithm::Md5],
        DigestOffer::Sha256 => vec![Algorithm::Sha256],
        DigestOffer::Both => vec![Algorithm::Sha256, Algorithm::Md5],
    };
    let config = AuthenticatorConfig::new(&settings.domain, cluster_key, seed);
    Authenticator::new(AuthenticatorConfig {
        algorithms,
        replay_nonces_max: REPLAY_NONCES_MAX,
        ..config
    })
}

fn call_config(snapshot: &Snapshot, product: &str, listeners: &Listeners) -> CallConfig {
    let settings = &snapshot.settings;
    CallConfig {
        product: product.into(),
        contacts: listeners.contacts(),
        duration_max: Duration::from_secs(settings.call_duration_max_s.into()),
        session_expires_s: settings.session_expires_s,
        session_expires_min_s: settings.session_expires_min_s,
        media_lost_max: Duration::from_secs(settings.media_timeout_s.into()),
    }
}
