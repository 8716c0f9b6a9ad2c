//! Register cycles with digest through the machine alone, without a socket: for profilers.
//!
//! `valgrind --tool=callgrind --toggle-collect='*serve*' register_cycles 1000` counts the
//! instructions of the server's side; divide by the number of cycles, here those after the
//! first of each user. `register_cycles 100000 100000` prints the time of a cycle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clock::Time;
use model::{
    Account, AccountId, DigestSecret, Forking, LimitSpec, Settings, Snapshot, User, UserId,
};
use sip::digest::{Algorithm, Session, ha1};
use sip::{Flow, Framing, ListenerId, Message, Transport};
use switch::{Listener, Output, Switch, SwitchConfig};

const DOMAIN: &str = "example.com";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(Some(default), |a| a.parse().ok());
    let (Some(cycles), Some(users)) = (number(10_000), number(1_000)) else {
        eprintln!("register_cycles [CYCLES [USERS]]");
        return;
    };
    let mut phones = Phones::new(users);
    let mut switch = switch(users);
    phones.run(&mut switch, users);
    let before = phones.served;
    phones.run(&mut switch, cycles);
    let per_cycle = (phones.served - before) / cycles as u32;
    println!("{per_cycle:?} per cycle, {cycles} cycles of {users} users");
}

/// What the server does for one datagram. The profiler looks inside this.
#[inline(never)]
fn serve(switch: &mut Switch, now: Time, flow: Flow, request: &[u8], out: &mut Vec<Bytes>) {
    switch.handle_datagram(now, flow, request);
    while let Some(output) = switch.poll_output() {
        if let Output::Transmit(transmit) = output {
            out.push(transmit.bytes);
        }
    }
}

struct Phones {
    secrets: Vec<Vec<u8>>,
    now: Time,
    cseq: u32,
    served: Duration,
}

impl Phones {
    fn new(users: usize) -> Self {
        Self {
            secrets: (0..users)
                .map(|n| secret(n, Algorithm::Md5).into_bytes())
                .collect(),
            now: Time::from_secs(1_700_000_000),
            cseq: 0,
            served: Duration::ZERO,
        }
    }

    fn run(&mut self, switch: &mut Switch, cycles: usize) {
        for cycle in 0..cycles {
            let number = cycle % self.secrets.len();
            self.now += Duration::from_micros(50);
            if switch.poll_timeout().is_some_and(|due| due <= self.now) {
                switch.handle_timeout(self.now);
            }
            let challenge = self.ask(switch, number, "");
            let challenge = Message::parse(challenge, Framing::Datagram).expect("a message");
            let text = String::from_utf8_lossy(challenge.raw()).replace("SHA-256", "other");
            let challenge = Message::parse(Bytes::from(text), Framing::Datagram).expect("one");
            let mut session = Session::new(&challenge).expect("a challenge");
            let uri = format!("sip:{DOMAIN}");
            let name = format!("user{number}");
            let secret = &self.secrets[number];
            let value = session.authorize(
                b"REGISTER",
                uri.as_bytes(),
                name.as_bytes(),
                secret,
                b"0a4f113b",
            );
            let header = format!("Authorization: {}\r\n", String::from_utf8_lossy(&value));
            let answer = self.ask(switch, number, &header);
            assert!(answer.starts_with(b"SIP/2.0 200 "), "{answer:?}");
        }
    }

    fn ask(&mut self, switch: &mut Switch, number: usize, header: &str) -> Bytes {
        self.cseq += 1;
        let cseq = self.cseq;
        let [_, _, high, low] = (number as u32 % 20_000).to_be_bytes();
        let remote = SocketAddr::from(([127, 1, high, low], 30_600));
        let request = format!(
            "REGISTER sip:{DOMAIN} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {remote};branch=z9hG4bKr{number}-{cseq};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:user{number}@{DOMAIN}>;tag=f{number}\r\n\
             To: <sip:user{number}@{DOMAIN}>\r\nCall-ID: r{number}@{remote}\r\n\
             CSeq: {cseq} REGISTER\r\nContact: <sip:user{number}@{remote}>;\
             +sip.instance=\"<urn:uuid:00000000-0000-4000-8000-{number:012x}>\"\r\n\
             Expires: 3600\r\nUser-Agent: bench\r\n{header}Content-Length: 0\r\n\r\n"
        );
        let flow = Flow {
            transport: Transport::Udp,
            listener: ListenerId(0),
            conn: None,
            remote,
        };
        let mut out = Vec::with_capacity(1);
        let start = Instant::now();
        serve(switch, self.now, flow, request.as_bytes(), &mut out);
        self.served += start.elapsed();
        out.pop().expect("an answer")
    }
}

fn secret(number: usize, algorithm: Algorithm) -> String {
    let (name, password) = (format!("user{number}"), format!("secret-{number}"));
    let hex = ha1(
        algorithm,
        name.as_bytes(),
        DOMAIN.as_bytes(),
        password.as_bytes(),
    );
    String::from_utf8_lossy(&hex).into_owned()
}

fn switch(users: usize) -> Switch {
    let account = AccountId::from_bits(1);
    let snapshot = Snapshot {
        revision: 1,
        settings: Settings {
            domain: DOMAIN.into(),
            verify_bindings: false,
            keep_alive_interval_s: 0,
            ..Settings::default()
        },
        accounts: vec![Arc::new(Account {
            id: account,
            name: "acme".into(),
            enabled: true,
            music_on_hold: None,
            limits: LimitSpec::default(),
        })],
        users: (0..users)
            .map(|number| {
                Arc::new(User {
                    id: UserId::from_parts(1, number as u128),
                    account,
                    name: format!("user{number}"),
                    display_name: String::new(),
                    caller_number: None,
                    secret: DigestSecret {
                        md5: secret(number, Algorithm::Md5),
                        sha256: secret(number, Algorithm::Sha256),
                    },
                    enabled: true,
                    contacts_max: 0,
                    forking: Forking::Parallel,
                    ring_timeout_s: 0,
                    record: false,
                    dtmf: model::DtmfMode::default(),
                    limits: LimitSpec::default(),
                })
            })
            .collect(),
        ..Snapshot::default()
    };
    let mut switch = Switch::new(SwitchConfig {
        node: "node".into(),
        product: "Tandem/0.1.0".into(),
        seed: 7,
        cluster_key: [7; 32],
        sequence: 0,
    });
    switch.set_listener(Listener {
        id: ListenerId(0),
        transport: Transport::Udp,
        advertised: SocketAddr::from(([127, 0, 0, 1], 5060)),
    });
    switch.configure(Time::from_secs(1_700_000_000), Arc::new(snapshot));
    while switch.poll_output().is_some() {}
    switch
}
