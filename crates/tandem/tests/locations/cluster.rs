//! Some nodes, each with a line of its own to Redis, and phones played by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{
    Baresip, Credentials, FaultProxy, Message, Peer, PhoneOptions, PhoneTransport, Platform,
    PlatformOptions, PostgresServer, RedisServer, session, wait_for,
};

pub(crate) const ALICE_HZ: u32 = 440;
pub(crate) const BOB_HZ: u32 = 1_000;

pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Platform>,
    pub(crate) redis: RedisServer,
    /// Between each node and Redis.
    pub(crate) lines: Vec<FaultProxy>,
    _postgres: PostgresServer,
}

impl Cluster {
    /// Two nodes.
    pub(crate) fn start() -> Result<Self> {
        Self::with(&json!({}))
    }

    /// Two nodes with these settings from the start.
    pub(crate) fn with(settings: &Value) -> Result<Self> {
        Self::of(2, settings)
    }

    pub(crate) fn of(count: usize, settings: &Value) -> Result<Self> {
        let cluster = Self::of_options(count, settings, &[])?;
        cluster.wait_until_complete();
        Ok(cluster)
    }

    /// With these flags beside the usual ones.
    pub(crate) fn of_options(count: usize, settings: &Value, flags: &[&str]) -> Result<Self> {
        let (postgres, redis) = (PostgresServer::start()?, RedisServer::start()?);
        let (mut nodes, mut lines) = (Vec::<Platform>::new(), Vec::new());
        for _ in 0..count {
            let line = FaultProxy::to(redis.address())?;
            let options = PlatformOptions::new(env!("CARGO_BIN_EXE_tandem"));
            let options = options.argument("--store").argument(&postgres.url());
            let live = format!("redis://{}", line.address());
            let options = options.argument("--live").argument(&live);
            let options = flags.iter().fold(options, |o, flag| o.argument(flag));
            let options = match nodes.first() {
                Some(first) => {
                    let key = std::fs::read(first.data().join("cluster.key"))?;
                    options.data_file("cluster.key", &key)
                }
                None => options,
            };
            let node = options.start()?;
            if nodes.is_empty() {
                node.rest().change("/v1/settings", settings)?;
            }
            nodes.push(node);
            lines.push(line);
        }
        Ok(Self {
            nodes,
            redis,
            lines,
            _postgres: postgres,
        })
    }

    pub(crate) fn all(&self) -> Vec<usize> {
        (0..self.nodes.len()).collect()
    }

    pub(crate) fn wait_until_complete(&self) {
        self.wait_until_complete_at(&self.all());
    }

    /// Until these nodes know each other, and all that there is to know.
    pub(crate) fn wait_until_complete_at(&self, nodes: &[usize]) {
        wait_for("the nodes to know all", || {
            let is = |name: &str, value: f64| {
                let mut all = nodes.iter().map(|node| metric(&self.nodes[*node], name));
                all.all(|found| found == Some(value)).then_some(())
            };
            is("tandem_cluster_nodes", nodes.len() as f64)?;
            is("tandem_locations_complete", 1.0)
        });
    }

    /// What a user proves itself with at any node.
    pub(crate) fn credentials(&self, name: &str) -> Credentials {
        self.nodes[0].ready().credentials(name)
    }

    pub(crate) fn phone(
        &self,
        node: usize,
        name: &str,
        transport: PhoneTransport,
        hz: u32,
    ) -> Result<Baresip> {
        let ready = self.nodes[node].ready();
        let server = match transport {
            PhoneTransport::Udp => ready.sip.udp,
            PhoneTransport::Tcp => ready.sip.tcp,
            PhoneTransport::Tls => ready.sip.tls,
        };
        let options = PhoneOptions::new(name, &ready.domain)
            .password(&self.credentials(name).password)
            .server(server, transport)
            .tone_hz(hz);
        Baresip::register(options)
    }

    pub(crate) fn wait_for_routable(&self, count: usize) {
        for node in &self.nodes {
            node.wait_for_routable(count);
        }
    }

    /// The node that holds each contact, if these nodes say the same of all.
    pub(crate) fn agreed(&self, nodes: &[usize]) -> Option<BTreeMap<String, String>> {
        let mut said = nodes.iter().map(|node| {
            let all = self.nodes[*node].registrations();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let pairs = all.iter().map(|r| (text(&r["contact"]), text(&r["node"])));
            pairs.collect::<BTreeMap<_, _>>()
        });
        let first = said.next()?;
        said.all(|other| other == first).then_some(first)
    }

    /// Which node all say that holds the one registration there is.
    pub(crate) fn holder(&self) -> Option<String> {
        let agreed = self.agreed(&self.all())?;
        let [only] = <[String; 1]>::try_from(agreed.into_values().collect::<Vec<_>>()).ok()?;
        Some(only)
    }

    /// Until these nodes say that these contacts are registered, and no other.
    pub(crate) fn wait_for_contacts(&self, nodes: &[usize], phones: &[&Peer]) {
        let mut wanted: Vec<String> = phones.iter().map(|phone| contact_uri(phone)).collect();
        wanted.sort();
        let what = format!("{wanted:?} and no other at the nodes {nodes:?}");
        wait_for(&what, || {
            let agreed = self.agreed(nodes)?;
            let found: Vec<String> = agreed.into_keys().collect();
            (found == wanted).then_some(())
        });
    }

    /// A phone on UDP registers at a node; `contact` is what it says of itself.
    pub(crate) fn register(
        &self,
        peer: &Peer,
        node: usize,
        name: &str,
        contact: &str,
    ) -> Result<u16> {
        let ready = self.nodes[node].ready();
        let to = format!("To: <sip:{name}@{}>", ready.domain);
        let lines = [&*to, contact, "Expires: 600"];
        let uri = format!("sip:{}", ready.domain);
        let who = self.credentials(name);
        peer.send_with_digest(&who, "REGISTER", &uri, &lines, "")?;
        let answer = peer.expect("an answer", |m| {
            m.method() == "REGISTER" && m.status().is_some_and(|s| s >= 200)
        });
        Ok(answer.status().unwrap_or(0))
    }

    /// A phone of Bob's that is registered at a node by the address that it has.
    pub(crate) fn bob(&self, node: usize) -> Result<Peer> {
        let phone = Peer::new(self.nodes[node].ready().sip.udp)?;
        self.refresh(&phone, node)?;
        Ok(phone)
    }

    pub(crate) fn refresh(&self, phone: &Peer, node: usize) -> Result<()> {
        let contact = format!("Contact: <{}>", contact_uri(phone));
        assert_eq!(self.register(phone, node, "bob", &contact)?, 200);
        Ok(())
    }

    /// The phone takes its registration back, at the node that it sends to.
    pub(crate) fn unregister(&self, phone: &Peer, node: usize) -> Result<()> {
        let contact = format!("Contact: <{}>;expires=0", contact_uri(phone));
        assert_eq!(self.register(phone, node, "bob", &contact)?, 200);
        Ok(())
    }

    /// Somebody calls a user by a node, from a new socket.
    pub(crate) fn call(&self, node: usize, caller: &str, callee: &str) -> Result<(Peer, String)> {
        let ready = self.nodes[node].ready();
        let peer = Peer::new(ready.sip.udp)?;
        let uri = format!("sip:{callee}@{}", ready.domain);
        let offer = session("127.0.0.1:40000".parse()?);
        let port = peer.address().port();
        let from = format!("From: <sip:{caller}@{}>;tag=b{port}", ready.domain);
        let first = peer.request("INVITE", &uri, &[&from], &offer);
        peer.send(&first)?;
        let refusal = peer.expect_status(407, "INVITE");
        peer.send(peer.ack(&first, &refusal))?;
        let who = self.credentials(caller);
        let invite = peer.answer_challenge(&who, &first, &refusal, &[], &offer);
        peer.send(&invite)?;
        Ok((peer, invite))
    }

    /// A call to Bob by a node rings at these phones, each of which is busy.
    pub(crate) fn call_all(&self, node: usize, phones: &[Peer]) -> Result<()> {
        let (caller, invite) = self.call(node, "alice", "bob")?;
        std::thread::scope(|scope| {
            for phone in phones {
                scope.spawn(|| {
                    let invited = phone.expect_request("INVITE");
                    let busy = phone.response(&invited, "486 Busy Here", "r", &[], "");
                    phone.send_to(sent_by(&invited), busy)
                });
            }
        });
        assert_eq!(caller.refused(&invite)?.status(), Some(486));
        Ok(())
    }

    /// Where these nodes take SIP over UDP.
    pub(crate) fn addresses(&self, nodes: &[usize]) -> BTreeSet<SocketAddr> {
        let address = |node: &usize| self.nodes[*node].ready().sip.udp;
        nodes.iter().map(address).collect()
    }
}

pub(crate) fn contact_uri(phone: &Peer) -> String {
    format!("sip:bob@{}", phone.address())
}

/// Who sends OPTIONS to each of these phones, which answer, for so long.
pub(crate) fn pingers(phones: &[&Peer], time: Duration) -> Vec<BTreeSet<SocketAddr>> {
    let mut all = vec![BTreeSet::new(); phones.len()];
    // What waits there may be of a node that was starting, and did not know its own address yet.
    phones.iter().for_each(|phone| forget_received(phone));
    let end = Instant::now() + time;
    while Instant::now() < end {
        for (phone, from) in phones.iter().zip(&mut all) {
            let a_moment = Duration::from_millis(10);
            let silent = phone.stays_silent(a_moment, |message| {
                if message.status().is_none() && message.method() == "OPTIONS" {
                    from.insert(sent_by(message));
                    let answer = phone.response(message, "200 OK", "r", &[], "");
                    return phone.send_to(sent_by(message), answer).is_err();
                }
                false
            });
            assert!(silent, "an answer could not be sent");
        }
    }
    all
}

/// Who a request came from.
pub(crate) fn sent_by(request: &Message) -> SocketAddr {
    let via = request.header("Via").unwrap_or_default();
    let place = via.split([' ', ';']).nth(1).unwrap_or_default();
    place.parse().expect("a Via with an address")
}

/// Ends a call of ours before it is answered.
pub(crate) fn cancel_of(invite: &str) -> String {
    let (head, _) = invite.split_once("\r\n\r\n").unwrap_or((invite, ""));
    let lines = head
        .replace("INVITE sip:", "CANCEL sip:")
        .replace(" INVITE", " CANCEL");
    let lines = lines.lines().filter(|line| !line.starts_with("Content-"));
    let lines: Vec<&str> = lines.collect();
    format!("{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n"))
}

/// Passes over what has come, and answers the pings among it.
pub(crate) fn forget_received(peer: &Peer) {
    while peer.has_received() {
        let come = peer.expect("what has come", |_| true);
        if come.method() == "OPTIONS" {
            // One that is not answered comes again.
            let answer = peer.response(&come, "200 OK", "peer", &[], "");
            let _ = peer.send_to(sent_by(&come), answer);
        }
    }
}

/// Registrations on UDP that a node holds.
pub(crate) fn held(node: &Platform) -> Option<f64> {
    metric(node, "tandem_registrations{transport=\"udp\"}")
}

/// Registrations that others hold, as a node knows.
pub(crate) fn elsewhere(node: &Platform) -> Option<f64> {
    metric(node, "tandem_registrations_elsewhere")
}

pub(crate) fn metric(node: &Platform, name: &str) -> Option<f64> {
    let page = node.rest().read("/metrics").ok()?;
    let line = page.as_str()?.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}
