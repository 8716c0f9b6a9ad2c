//! Two nodes that share all they know, the address in front of them, and their stores on a host beside.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{
    FaultProxy, Host, Network, Peer, PlatformOptions, PostgresServer, Ready, RedisServer, session,
    wait_for, wait_for_within,
};

use crate::node::{FIRST, MOVE_PATIENCE, Node, PHONE, SECOND, VIRTUAL, wait_for_move};

pub(crate) const DOMAIN: &str = "calls.example";
const STORES: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 4);

/// The first of them has the address.
pub(crate) struct Cluster {
    pub(crate) first: Node,
    pub(crate) second: Node,
    /// What the first said when it was ready.
    pub(crate) ready: Ready,
    pub(crate) phones: Host,
    stores: Stores,
    _network: Network,
}

/// Redis and PostgreSQL on a host, and lines to them: by themselves they are reached from there only.
struct Stores {
    live: FaultProxy,
    records: FaultProxy,
    redis: RedisServer,
    postgres: PostgresServer,
    host: Host,
}

impl Stores {
    fn start(host: Host) -> Result<Self> {
        let start = || -> Result<_> {
            let (redis, postgres) = (RedisServer::start()?, PostgresServer::start()?);
            let here = IpAddr::from(STORES);
            let database = SocketAddr::from((Ipv4Addr::LOCALHOST, postgres.port()));
            let lines = [redis.address(), database].map(|server| FaultProxy::at(here, server));
            let [live, records] = lines;
            Ok((live?, records?, redis, postgres))
        };
        let (live, records, redis, postgres) = host.enter(start)?;
        Ok(Self {
            live,
            records,
            redis,
            postgres,
            host,
        })
    }

    /// What has a node be of the cluster.
    fn shared(&self, options: PlatformOptions) -> PlatformOptions {
        let own = format!("127.0.0.1:{}", self.postgres.port());
        let store = self.postgres.url();
        let store = store.replace(&own, &self.records.address().to_string());
        let live = format!("redis://{}", self.live.address());
        let words = ["--domain", DOMAIN, "--store", &store, "--live", &live];
        words.into_iter().fold(options, PlatformOptions::argument)
    }

    /// The first line of what Redis answers.
    fn ask(&self, command: &str) -> Option<String> {
        self.host.enter(|| self.redis.ask(command)).ok()
    }
}

impl Cluster {
    pub(crate) fn start() -> Result<Self> {
        let mut network = Network::new()?;
        let hosts = [FIRST, SECOND, PHONE, STORES].map(|address| network.host(address));
        let [first, second, phones, stores] = hosts;
        let stores = Stores::start(stores?)?;
        let first = Node::start(first?, (SECOND, 150), |options| stores.shared(options))?;
        wait_for_within(MOVE_PATIENCE, "somebody to have the address", || {
            first.has_address().then_some(())
        });
        let key = std::fs::read(first.platform.data().join("cluster.key"))?;
        let second = Node::start(second?, (FIRST, 100), |options| {
            stores.shared(options).data_file("cluster.key", &key)
        })?;
        wait_for("both members", || {
            (stores.ask("HLEN tandem:members")? == ":2").then_some(())
        });
        Ok(Self {
            ready: first.platform.ready().clone(),
            first,
            second,
            phones: phones?,
            stores,
            _network: network,
        })
    }

    /// A peer on the phones' host that hears the virtual address alone.
    pub(crate) fn peer(&self, address: Ipv4Addr) -> Result<Peer> {
        let virtual_address = SocketAddr::from((VIRTUAL, 5060));
        let local = format!("{address}:0");
        let bind = || Peer::bound(&local, virtual_address)?.hearing_only_its_remote();
        self.phones.enter(bind)
    }

    /// A phone played by hand, registered at whoever has the address.
    pub(crate) fn phone(&self, name: &str) -> Result<Peer> {
        let phone = self.peer(PHONE)?;
        let answer = phone.register(&self.ready, name, &["Expires: 600"])?;
        assert_eq!(answer.status(), Some(200), "{answer:?}");
        phone.answer_options()?;
        Ok(phone)
    }

    /// Alice and Bob, whom both nodes can call.
    pub(crate) fn phones(&self) -> Result<(Peer, Peer)> {
        let phones = (self.phone("alice")?, self.phone("bob")?);
        for node in [&self.first, &self.second] {
            node.with(|platform| platform.wait_for_routable(2));
        }
        Ok(phones)
    }

    /// Media go from side to side, of which the nodes know nothing.
    pub(crate) fn bypass_media(&self) -> Result<()> {
        let settings = json!({ "media": "bypass" });
        self.first
            .with(|platform| platform.rest().change("/v1/settings", &settings))?;
        Ok(())
    }

    /// Alice calls bob; her INVITE as it was sent with credentials.
    pub(crate) fn alice_calls_bob(&self, alice: &Peer) -> Result<String> {
        let uri = format!("sip:bob@{DOMAIN}");
        let from = format!("From: <sip:alice@{DOMAIN}>;tag=alice-bob");
        let offer = session(alice.address());
        let first = alice.request("INVITE", &uri, &[&from], &offer);
        alice.send(&first)?;
        let refusal = alice.expect_status(407, "INVITE");
        alice.send(alice.ack(&first, &refusal))?;
        let is = self.ready.credentials("alice");
        let invite = alice.answer_challenge(&is, &first, &refusal, &[], &offer);
        alice.send(&invite)?;
        Ok(invite)
    }

    /// Waits until others would know of a call by a record that says this.
    pub(crate) fn wait_until_known(&self, text: &str) {
        let find = format!(
            "EVAL \"for _, o in ipairs(redis.call('SMEMBERS', 'tandem:call-owners')) do \
             for _, r in ipairs(redis.call('HVALS', 'tandem:calls:' .. o)) do \
             if string.find(r, ARGV[1], 1, true) then return 1 end end end return 0\" 0 {text}"
        );
        wait_for("others to know of it", || {
            (self.stores.ask(&find)? == ":1").then_some(())
        });
    }

    /// The first is killed; the other has the address then.
    pub(crate) fn first_dies(&mut self) {
        self.first.platform.kill_9();
        wait_for_move(&self.second, &self.first);
    }

    /// The only record of a call there is, once the second has none under way.
    pub(crate) fn only_cdr(&self) -> Value {
        let cdrs = self.second.with(|platform| {
            platform.wait_until_idle();
            wait_for("a CDR", || {
                let cdrs = platform.rest().list("/v1/cdrs").ok()?;
                (!cdrs.is_empty()).then_some(cdrs)
            })
        });
        let [cdr] = &cdrs[..] else {
            panic!("{cdrs:?}");
        };
        cdr.clone()
    }

    /// The first comes back, and has said what it knows of calls of before.
    pub(crate) fn first_comes_back(&mut self) -> Result<()> {
        self.first.platform.restart()?;
        let settled = "what became of the calls of before is known";
        wait_for_within(MOVE_PATIENCE + MOVE_PATIENCE, "it to have settled", || {
            let log = self.first.platform.program().log();
            log.contains(settled).then_some(())
        });
        Ok(())
    }
}
