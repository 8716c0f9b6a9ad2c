//! Switches that share all they know, behind a dispatcher.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{
    Baresip, Dispatcher, FaultProxy, MediaServer, Peer, PhoneOptions, PhoneTransport, Platform,
    PlatformOptions, PostgresServer, RedisServer, wait_for, wait_for_within,
};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tandem");
pub(crate) const DOMAIN: &str = "calls.example";
/// How many calls of its first owner Redis has, answered as they are, and acknowledged.
pub(crate) const CALLS_KNOWN: &str = "EVAL \"local o = redis.call('SMEMBERS', 'tandem:call-owners')[1] \
    local n = 0 for _, r in ipairs(o and redis.call('HVALS', 'tandem:calls:' .. o) or {}) do \
    if not string.find(r, 'INVITE sip:', 1, true) and not string.find(r, 'SIP/2.0 2', 1, true) \
    then n = n + 1 end end return n\" 0";
pub(crate) const ALICE_HZ: u32 = 440;
pub(crate) const BOB_HZ: u32 = 1_000;

/// Switches behind a dispatcher that uses each only when those before it are gone.
pub(crate) struct Cluster {
    pub(crate) dispatcher: Dispatcher,
    pub(crate) switches: Vec<Platform>,
    pub(crate) redis: RedisServer,
    /// Between each switch and Redis.
    pub(crate) lines: Vec<FaultProxy>,
    _postgres: PostgresServer,
}

impl Cluster {
    /// Of two.
    pub(crate) fn start() -> Result<Self> {
        Self::of(2)
    }

    /// Of so many.
    pub(crate) fn of(count: usize) -> Result<Self> {
        Self::reached_over("udp", count)
    }

    /// Of so many, whom the dispatcher reaches over this transport.
    pub(crate) fn reached_over(transport: &str, count: usize) -> Result<Self> {
        let (postgres, redis) = (PostgresServer::start()?, RedisServer::start()?);
        let mut lines = Vec::new();
        let mut switch = |key: Option<&[u8]>| {
            let line = FaultProxy::to(redis.address())?;
            let live = format!("redis://{}", line.address());
            lines.push(line);
            let options = PlatformOptions::new(BINARY);
            let options = options.argument("--domain").argument(DOMAIN);
            let options = options.argument("--store").argument(&postgres.url());
            let options = options.argument("--live").argument(&live);
            match key {
                Some(key) => options.data_file("cluster.key", key).start(),
                None => options.start(),
            }
        };
        let mut switches = vec![switch(None)?];
        let key = std::fs::read(switches[0].data().join("cluster.key"))?;
        for _ in 1..count {
            switches.push(switch(Some(&key))?);
        }
        let dispatchers = json!({ "dispatchers": ["127.0.0.1/32"] });
        switches[0].rest().change("/v1/settings", &dispatchers)?;
        let target = |(n, switch): (usize, &Platform)| {
            let sip = switch.ready().sip.udp;
            format!("--target=s{n}={transport}:{sip},priority={n}")
        };
        let mut arguments: Vec<String> = switches.iter().enumerate().map(target).collect();
        arguments.extend(["--name", DOMAIN].map(str::to_owned));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let dispatcher = Dispatcher::start(BINARY, &arguments)?;
        let cluster = Self {
            dispatcher,
            switches,
            redis,
            lines,
            _postgres: postgres,
        };
        wait_for("all members", || {
            let members = cluster.redis.ask("HLEN tandem:members").ok()?;
            (members == format!(":{count}")).then_some(())
        });
        Ok(cluster)
    }

    /// All switches have their calls' media there.
    pub(crate) fn use_media(&self, media: &MediaServer) -> Result<()> {
        let rest = self.switches[0].rest();
        rest.add_media_server("m1", &media.control(), &json!({}))?;
        wait_for("the media server to be up for all", || {
            let up = |switch: &Platform| {
                let page = switch.rest().send("GET", "/metrics", None).ok()?.1;
                let mut lines = page.as_str()?.lines();
                let line = lines.find(|line| line.starts_with("tandem_media_server_up{"))?;
                Some(line.ends_with(" 1"))
            };
            let mut all = self.switches.iter();
            all.all(|switch| up(switch) == Some(true)).then_some(())
        });
        Ok(())
    }

    pub(crate) fn phone(&self, name: &str, tone_hz: u32) -> Result<Baresip> {
        let password = &self.switches[0].ready().user(name).password;
        let options = PhoneOptions::new(name, DOMAIN)
            .password(password)
            .server(self.dispatcher.sip().udp, PhoneTransport::Udp)
            .tone_hz(tone_hz);
        Baresip::register(options)
    }

    /// Alice and Bob, who hear each other, in a call of the first switch.
    pub(crate) fn talking(&self) -> Result<(Baresip, Baresip)> {
        let mut alice = self.phone("alice", ALICE_HZ)?;
        let mut bob = self.phone("bob", BOB_HZ)?;
        self.switches[0].wait_for_routable(2);
        alice.dial(&format!("sip:bob@{DOMAIN}"))?;
        bob.wait_for_incoming();
        bob.answer()?;
        alice.wait_for_established();
        bob.wait_for_established();
        alice.wait_for_tone(BOB_HZ);
        bob.wait_for_tone(ALICE_HZ);
        Ok((alice, bob))
    }

    /// How many calls a switch has taken over.
    pub(crate) fn taken_over(&self, switch: usize) -> u64 {
        metric(&self.switches[switch], "tandem_calls_taken_over_total")
    }

    pub(crate) fn calls(&self, switch: usize) -> usize {
        let calls = self.switches[switch].rest().list("/v1/calls");
        calls.map_or(0, |calls| calls.len())
    }

    /// The CDRs, when there are so many and the second switch has no call any more.
    pub(crate) fn cdrs(&self, count: usize) -> Vec<Value> {
        self.cdrs_of(1, count)
    }

    /// The CDRs, when there are so many and this survivor has no call any more.
    pub(crate) fn cdrs_of(&self, survivor: usize, count: usize) -> Vec<Value> {
        self.switches[survivor].wait_until_idle();
        let rest = self.switches[survivor].rest();
        wait_for(&format!("{count} CDRs"), || {
            let cdrs = rest.list("/v1/cdrs?limit=500").ok()?;
            (cdrs.len() >= count).then_some(cdrs)
        })
    }

    /// Kills the first switch.
    pub(crate) fn kill(&mut self) {
        self.switches[0].kill_9();
    }

    /// Waits until the dispatcher sends nothing to the first switch any more.
    pub(crate) fn wait_until_avoided(&self) {
        wait_for("the dispatcher to have noticed", || {
            (self.dispatcher.target("s0")["state"] == "down").then_some(())
        });
    }

    /// Waits until others would know of a call by a record that says all of this, and that whatever was
    /// answered in it was acknowledged.
    pub(crate) fn wait_until_known(&self, texts: &[&str]) {
        self.wait_for_record("0", texts);
    }

    /// Waits until others would know of a call by a record that says all of this, and of an answer in it
    /// that nobody has acknowledged.
    pub(crate) fn wait_until_known_unheard(&self, texts: &[&str]) {
        self.wait_for_record("1", texts);
    }

    fn wait_for_record(&self, unheard: &str, texts: &[&str]) {
        let find = format!(
            "EVAL \"for _, o in ipairs(redis.call('SMEMBERS', 'tandem:call-owners')) do \
             for _, r in ipairs(redis.call('HVALS', 'tandem:calls:' .. o)) do \
             local all = string.find(r, 'SIP/2.0 2', 1, true) and 1 or 0 \
             if all == {unheard} then all = 1 else all = 0 end \
             for _, t in ipairs(ARGV) do if not string.find(r, t, 1, true) then all = 0 end end \
             if all == 1 then return 1 end end end return 0\" 0 {}",
            texts.join(" ")
        );
        wait_for("others to know of it", || {
            (self.redis.ask(&find).ok()? == ":1").then_some(())
        });
    }

    /// Which of the living switches has the only call.
    pub(crate) fn owner(&self, living: &[usize]) -> usize {
        wait_for("a survivor to have the call", || {
            living.iter().copied().find(|at| self.calls(*at) == 1)
        })
    }

    /// A phone played by hand, registered through the dispatcher.
    pub(crate) fn hand_phone(&self, name: &str) -> Result<Peer> {
        let phone = Peer::new(self.dispatcher.sip().udp)?;
        let ready = self.switches[0].ready();
        let answer = phone.register(ready, name, &["Expires: 600"])?;
        assert_eq!(answer.status(), Some(200), "{answer:?}");
        phone.answer_options()?;
        Ok(phone)
    }

    /// A number of ours that rings a user.
    pub(crate) fn add_number(&self, number: &str, user: &str) -> Result<()> {
        let rest = self.switches[0].rest();
        let users = rest.list("/v1/users")?;
        let rung = users.iter().find(|known| known["name"] == user);
        let record = json!({
            "account": rest.account()?,
            "number": number,
            "target": { "kind": "user", "user": rung.map(|rung| &rung["id"]) },
        });
        rest.create("/v1/numbers", &record)?;
        Ok(())
    }

    /// Media go from side to side, of which the switches know nothing.
    pub(crate) fn bypass_media(&self) -> Result<()> {
        let rest = self.switches[0].rest();
        rest.change("/v1/settings", &json!({ "media": "bypass" }))?;
        Ok(())
    }

    /// The killed one comes back, and says nothing of calls that others have gone on with.
    pub(crate) fn bring_back(&mut self) -> Result<()> {
        self.switches[0].restart()?;
        let settled = "what became of the calls of before is known";
        wait_for_within(Duration::from_secs(30), "it to have settled", || {
            let log = self.switches[0].program().log();
            log.contains(settled).then_some(())
        });
        Ok(())
    }
}

pub(crate) fn metric(platform: &Platform, name: &str) -> u64 {
    let page = platform.rest().send("GET", "/metrics", None);
    let page = page.expect("metrics").1;
    let mut lines = page.as_str().unwrap_or_default().lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.expect("the metric").parse().expect("a number")
}

pub(crate) fn talked_us(cdr: &Value) -> u64 {
    let at = |field: &str| cdr[field].as_u64().unwrap_or(0);
    at("end_us") - at("answer_us")
}

/// The only record there is: of a call that was answered and ended by this side.
pub(crate) fn only_answered<'a>(cdrs: &'a [Value], ended_by: &str) -> &'a Value {
    let [cdr] = cdrs else {
        panic!("{cdrs:?}");
    };
    assert_eq!(
        (&cdr["outcome"], &cdr["ended_by"]),
        (&json!("answered"), &json!(ended_by))
    );
    cdr
}
