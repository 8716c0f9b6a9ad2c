//! The thread that talks with media servers: a socket for each, and the machine that knows them.
//!
//! It has a thread of its own, so that neither a burst of calls nor a busy API makes a media
//! server look dead.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use call::Side;
use crossbeam_channel::{Receiver, Sender};
use model::{MediaServer, MediaServerHealth, MediaServerId};
use net::{Clock, Waker};
use switch::media_servers::{Adopted, MediaOutput, MediaServers, Music, Place};
use switch::{CallKey, IceAgent, MediaRequest};
use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

/// Orders that wait for the thread; what does not fit fails at once.
const ORDERS_MAX: usize = 16_384;
/// Datagrams that wait for the machine; the rest waits in the sockets.
const DATAGRAMS_MAX: usize = 4_096;
/// The longest reply; a datagram cannot be longer.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// How soon a name that leads nowhere is looked up again.
const LOOKUP_AGAIN: Duration = Duration::from_secs(5);

/// What the thread is asked.
enum Order {
    Configure(Vec<Arc<MediaServer>>, Option<Duration>),
    Request(Box<MediaRequest>),
    Record {
        session: u64,
        name: String,
        part: u16,
    },
    Candidates {
        session: u64,
        from: Side,
        fragment: Bytes,
    },
    Play {
        session: u64,
        side: call::Side,
        /// `None`: none any more.
        music: Option<Music>,
    },
    Press {
        session: u64,
        to: call::Side,
        press: call::Press,
    },
    End {
        call: CallKey,
        session: u64,
    },
    Adopt(Box<Adopted>),
    Forsake {
        session: u64,
    },
    Health(oneshot::Sender<Vec<MediaServerHealth>>),
    Explain(Place, oneshot::Sender<String>),
}

/// The way to the thread, for the switch's host and for the API.
#[derive(Clone)]
pub(crate) struct MediaLink {
    orders: mpsc::Sender<Order>,
}

impl MediaLink {
    /// Starts the thread. What it says comes by the receiver; `waker` is woken each time. `agent`
    /// is what sides that speak ICE find in the servers.
    pub(crate) fn start(
        seed: u64,
        agent: IceAgent,
        clock: Clock,
        waker: Waker,
    ) -> Result<(Self, Receiver<MediaOutput>)> {
        let (orders, taken) = mpsc::channel(ORDERS_MAX);
        // Each thing said answers an order or a session, which are bounded themselves.
        let (said, heard) = crossbeam_channel::unbounded();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut servers = MediaServers::new(seed);
        servers.set_ice_agent(agent);
        let thread = Thread {
            servers,
            clock,
            sockets: HashMap::new(),
            said,
            waker,
        };
        std::thread::Builder::new()
            .name("media-servers".into())
            .spawn(move || runtime.block_on(thread.run(taken)))
            .context("no thread for media servers")?;
        Ok((Self { orders }, heard))
    }

    /// Takes over the records, and how long a side of a call may not be heard.
    pub(crate) fn configure(&self, records: &[Arc<MediaServer>], inactivity: Option<Duration>) {
        if !self.order(Order::Configure(records.to_vec(), inactivity)) {
            tracing::error!("the media servers' configuration was not taken over");
        }
    }

    /// Asks for a call; false if there is no room for the question.
    pub(crate) fn request(&self, request: Box<MediaRequest>) -> bool {
        self.order(Order::Request(request))
    }

    /// A session is to be recorded; false if there is no room for the order.
    pub(crate) fn record(&self, session: u64, name: String, part: u16) -> bool {
        self.order(Order::Record {
            session,
            name,
            part,
        })
    }

    /// A side names candidates after its description; false if there is no room for the order.
    pub(crate) fn trickle(&self, session: u64, from: Side, fragment: Bytes) -> bool {
        self.order(Order::Candidates {
            session,
            from,
            fragment,
        })
    }

    /// A side is to hear music, or no music any more; false if there is no room for the order.
    pub(crate) fn play(&self, session: u64, side: call::Side, music: Option<Music>) -> bool {
        self.order(Order::Play {
            session,
            side,
            music,
        })
    }

    /// A side is to hear a key of the other; false if there is no room for the order.
    pub(crate) fn press(&self, session: u64, to: call::Side, press: call::Press) -> bool {
        self.order(Order::Press { session, to, press })
    }

    /// A session that another node has begun goes on as ours.
    pub(crate) fn adopt(&self, adopted: Adopted) {
        if !self.order(Order::Adopt(Box::new(adopted))) {
            tracing::error!("the media of a call that was taken over are not looked after");
        }
    }

    /// A session goes on as another node's.
    pub(crate) fn forsake(&self, session: u64) {
        if !self.order(Order::Forsake { session }) {
            tracing::error!(session, "another node's media are still looked after");
        }
    }

    /// A session is over; whether its report will come.
    pub(crate) fn end(&self, call: CallKey, session: u64) -> bool {
        self.order(Order::End { call, session })
    }

    /// How each is; empty if the thread has ended.
    pub(crate) async fn health(&self) -> Vec<MediaServerHealth> {
        let (reply, answer) = oneshot::channel();
        if !self.order(Order::Health(reply)) {
            return Vec::new();
        }
        answer.await.unwrap_or_default()
    }

    /// Which server a call of this place would get, and why.
    pub(crate) async fn explain(&self, place: Place) -> Option<String> {
        let (reply, answer) = oneshot::channel();
        if !self.order(Order::Explain(place, reply)) {
            return None;
        }
        answer.await.ok()
    }

    fn order(&self, order: Order) -> bool {
        self.orders.try_send(order).is_ok()
    }
}

/// What came from a server's socket.
enum Came {
    Datagram(Vec<u8>),
    Refused,
    Open(Arc<UdpSocket>),
}

struct Thread {
    servers: MediaServers,
    clock: Clock,
    sockets: HashMap<MediaServerId, Control>,
    said: Sender<MediaOutput>,
    waker: Waker,
}

/// Where a server is controlled.
struct Control {
    address: String,
    socket: Option<Arc<UdpSocket>>,
    reader: AbortHandle,
}

impl Drop for Control {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Thread {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let (came, mut arrivals) = mpsc::channel(DATAGRAMS_MAX);
        loop {
            let now = self.clock.now();
            let due = self.servers.poll_timeout();
            let wait = due.map_or(Duration::from_secs(3_600), |at| {
                if at > now {
                    at.since(now)
                } else {
                    Duration::ZERO
                }
            });
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.carry_out(order, &came),
                    None => return,
                },
                Some((id, what)) = arrivals.recv() => self.take(id, what),
                () = tokio::time::sleep(wait) => {}
            }
            let now = self.clock.now();
            self.servers.handle_timeout(now);
            self.drain();
        }
    }

    fn carry_out(&mut self, order: Order, came: &mpsc::Sender<(MediaServerId, Came)>) {
        let now = self.clock.now();
        match order {
            Order::Configure(records, inactivity) => {
                self.open_sockets(&records, came);
                self.servers.set_inactivity(inactivity);
                self.servers.configure(now, &records);
            }
            Order::Request(request) => self.servers.handle_request(now, request),
            Order::Record {
                session,
                name,
                part,
            } => self.servers.handle_record(now, session, name, part),
            Order::Candidates {
                session,
                from,
                fragment,
            } => self
                .servers
                .handle_candidates(now, session, from, &fragment),
            Order::Play {
                session,
                side,
                music,
            } => self.servers.handle_play(now, session, side, music),
            Order::Press { session, to, press } => {
                self.servers.handle_press(now, session, to, press);
            }
            Order::End { call, session } => self.servers.handle_end(now, call, session),
            Order::Adopt(adopted) => self.servers.handle_adopted(now, *adopted),
            Order::Forsake { session } => self.servers.handle_forsaken(session),
            // Whoever asked may have gone.
            Order::Health(reply) => drop(reply.send(self.servers.health())),
            Order::Explain(place, reply) => drop(reply.send(self.servers.explain(now, &place))),
        }
    }

    fn open_sockets(
        &mut self,
        records: &[Arc<MediaServer>],
        came: &mpsc::Sender<(MediaServerId, Came)>,
    ) {
        self.sockets.retain(|id, control| {
            let same = |r: &&Arc<MediaServer>| r.id == *id && r.control == control.address;
            records.iter().any(|r| same(&r))
        });
        for record in records {
            if self.sockets.contains_key(&record.id) {
                continue;
            }
            let Some(host_port) = record.control_host_port() else {
                continue;
            };
            let reader = tokio::spawn(read(record.id, host_port.to_owned(), came.clone()));
            let control = Control {
                address: record.control.clone(),
                socket: None,
                reader: reader.abort_handle(),
            };
            self.sockets.insert(record.id, control);
        }
    }

    fn take(&mut self, id: MediaServerId, came: Came) {
        let now = self.clock.now();
        match came {
            Came::Datagram(bytes) => self.servers.handle_datagram(now, id, &bytes),
            Came::Refused => self.servers.handle_refused(now, id),
            Came::Open(socket) => {
                if let Some(control) = self.sockets.get_mut(&id) {
                    control.socket = Some(socket);
                }
            }
        }
    }

    fn drain(&mut self) {
        let mut said = false;
        while let Some(output) = self.servers.poll_output() {
            match output {
                MediaOutput::Send { server, bytes } => {
                    let control = self.sockets.get(&server);
                    if let Some(socket) = control.and_then(|c| c.socket.as_ref()) {
                        // What is lost is sent again; a refusal is heard by the reader.
                        let _ = socket.try_send(&bytes);
                    }
                }
                output => {
                    // The host has ended: so will this thread.
                    let _ = self.said.send(output);
                    said = true;
                }
            }
        }
        if said {
            self.waker.wake();
        }
    }
}

/// Opens the socket towards a server and reads from it for ever.
async fn read(id: MediaServerId, host_port: String, came: mpsc::Sender<(MediaServerId, Came)>) {
    let socket = loop {
        match open(&host_port).await {
            Ok(socket) => break Arc::new(socket),
            Err(error) => {
                tracing::warn!(server = %id, %error, "a media server's address leads nowhere");
                tokio::time::sleep(LOOKUP_AGAIN).await;
            }
        }
    };
    let mut open = came.send((id, Came::Open(Arc::clone(&socket)))).await;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    while open.is_ok() {
        let what = match socket.recv(&mut buffer).await {
            Ok(length) => Came::Datagram(buffer[..length].to_vec()),
            // What else a connected socket reports is said of its peer as well.
            Err(_) => Came::Refused,
        };
        open = came.send((id, what)).await;
    }
}

async fn open(host_port: &str) -> std::io::Result<UdpSocket> {
    let mut found = lookup_host(host_port).await?;
    let address = found.next().ok_or(std::io::ErrorKind::NotFound)?;
    let local: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(address).await?;
    Ok(socket)
}
