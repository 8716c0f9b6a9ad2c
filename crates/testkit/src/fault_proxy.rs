//! A bad line to a server: slow, dead, cut off or refusing, as a test says.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::SockRef;

/// What a line does with what is sent over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// It brings everything at once.
    Good,
    /// It brings everything so much later, each way.
    Slow(Duration),
    /// It takes everything and brings nothing, and says so to nobody.
    Dead,
    /// Connections break, and no new one is taken.
    Refusing,
}

/// A TCP proxy between a program and a server. Ends with the value.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    listener: TcpListener,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    line: Mutex<Line>,
    /// The next answer that says this does not arrive.
    lost: Mutex<Option<Vec<u8>>>,
    connections: Mutex<Vec<TcpStream>>,
}

impl FaultProxy {
    /// A good line to a server.
    ///
    /// # Errors
    /// If there is no port to be had.
    pub fn to(server: SocketAddr) -> Result<Self> {
        Self::at(Ipv4Addr::LOCALHOST.into(), server)
    }

    /// The same at another address than that of loopback. Made on a [`crate::Host`], it stays there.
    ///
    /// # Errors
    /// As [`FaultProxy::to`].
    pub fn at(address: IpAddr, server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((address, 0)).context("a port for the proxy")?;
        let address = listener.local_addr()?;
        let taking = listener.try_clone()?;
        let shared = Arc::new(Shared {
            line: Mutex::new(Line::Good),
            lost: Mutex::default(),
            connections: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in taking.incoming().map_while(Result::ok) {
                accepting.connect(client, server);
            }
        });
        Ok(Self {
            address,
            listener,
            shared,
        })
    }

    /// Where it takes connections.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes the line so from now on, also for connections that are there.
    pub fn set(&self, line: Line) {
        *lock(&self.shared.line) = line;
        if line == Line::Refusing {
            self.cut();
        }
    }

    /// Breaks the connection over which the server next says this, before it is said: what was asked
    /// for is done, and nobody knows.
    pub fn lose_answer(&self, text: &str) {
        *lock(&self.shared.lost) = Some(text.into());
    }

    /// Whether that has happened.
    #[must_use]
    pub fn has_lost_it(&self) -> bool {
        lock(&self.shared.lost).is_none()
    }

    /// Breaks all connections; new ones are taken.
    pub fn cut(&self) {
        for connection in lock(&self.shared.connections).drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        // Wakes whoever waits for connections, wherever that is (shutdown(2) on Linux).
        let _ = SockRef::from(&self.listener).shutdown(Shutdown::Both);
        self.cut();
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, client: TcpStream, server: SocketAddr) {
        if *lock(&self.line) == Line::Refusing {
            return;
        }
        let Ok(server) = TcpStream::connect(server) else {
            return;
        };
        let ways = [
            (&client, &server, Way::There),
            (&server, &client, Way::Back),
        ];
        for (from, to, way) in ways {
            let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else {
                return;
            };
            let shared = Arc::clone(self);
            thread::spawn(move || shared.carry(from, to, way));
        }
        lock(&self.connections).extend([client, server]);
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream, way: Way) {
        let mut bytes = [0; 16_384];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let line = *lock(&self.line);
            if let Line::Slow(delay) = line {
                thread::sleep(delay);
            }
            if way == Way::Back && self.loses(&bytes[..count]) {
                let _ = from.shutdown(Shutdown::Both);
                break;
            }
            if line != Line::Dead && to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }

    /// Whether this is what is to be lost; only once.
    fn loses(&self, bytes: &[u8]) -> bool {
        let mut lost = lock(&self.lost);
        let is_it = lost
            .as_ref()
            .is_some_and(|text| bytes.windows(text.len()).any(|here| here == text));
        if is_it {
            *lost = None;
        }
        is_it
    }
}

/// From the program to the server, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

fn lock<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
