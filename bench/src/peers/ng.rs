//! A client of the `ng` protocol: bencode over UDP with a cookie.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rtp::srtp::MasterKey;
use testkit::wait_for;

use crate::load::message::{self, Message};
use crate::load::uac;

/// Asks one media server.
pub(crate) struct NgClient {
    socket: UdpSocket,
    next_cookie: u32,
}

impl NgClient {
    /// From loopback; waits until the server answers.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding")?;
        Self::over(socket, address)
    }

    /// The same by a socket that may be another host's.
    pub(crate) fn over(socket: UdpSocket, address: SocketAddr) -> Result<Self> {
        socket.connect(address).context("connecting")?;
        let timeout = Some(ANSWER_PATIENCE);
        socket
            .set_read_timeout(timeout)
            .context("setting a timeout")?;
        let mut client = Self {
            socket,
            next_cookie: 0,
        };
        wait_for("an answer of the media server", || {
            client.ask(&[("command", "ping")]).ok()
        });
        Ok(client)
    }

    /// Another client of the same server.
    pub(crate) fn another(&self) -> Result<Self> {
        Self::connect(self.socket.peer_addr().context("no address")?)
    }

    /// Sets up a call between two media ports; gives the relay's ports for caller and callee.
    pub(crate) fn call(&mut self, number: usize, media_ports: (u16, u16)) -> Result<(u16, u16)> {
        let local = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        self.call_of(number, [local(media_ports.0), local(media_ports.1)])
    }

    /// The same between two media addresses, in whatever family each is.
    pub(crate) fn call_of<A: Copy + Into<SocketAddr>>(
        &mut self,
        number: usize,
        phones: [A; 2],
    ) -> Result<(u16, u16)> {
        let [caller, callee] = phones.map(Into::into);
        let offer = uac::session(caller.ip(), caller.port());
        let answer = uac::session(callee.ip(), callee.port());
        let family = if callee.is_ipv4() { "IP4" } else { "IP6" };
        self.call_between(number, &offer, &answer, &[("address-family", family)])
    }

    /// The same with these descriptions; `more` is asked of the server for the offer.
    pub(crate) fn call_between(
        &mut self,
        number: usize,
        offer: &str,
        answer: &str,
        more: &[(&str, &str)],
    ) -> Result<(u16, u16)> {
        let to_callee = self.offer(number, offer, more)?;
        let to_caller = self.answer(number, answer)?;
        Ok((port(&to_caller)?, port(&to_callee)?))
    }

    /// The same with media encrypted on both sides, by keys of the descriptions. The suites
    /// differ, lest the server hands the keys through and leaves the packets as they are.
    pub(crate) fn encrypted_call(
        &mut self,
        number: usize,
        media_ports: (u16, u16),
        keys: &[MasterKey; 2],
    ) -> Result<(u16, u16)> {
        ensure!(
            keys[0].suite() != keys[1].suite(),
            "one suite for both sides"
        );
        let session = |port, tag, key| {
            uac::encrypted_session(Ipv4Addr::LOCALHOST, port, "RTP/SAVP", tag, key)
        };
        let offer = session(media_ports.0, 1, &keys[0]);
        let to_callee = self.offer(number, &offer, &[("transport-protocol", "RTP/SAVP")])?;
        let tag = message::crypto_tag(&to_callee, keys[1].suite().name());
        let tag = tag.context("the callee's suite is not offered")?;
        let answer = session(media_ports.1, tag, &keys[1]);
        let to_caller = self.answer(number, &answer)?;
        // rtpengine does so where both suites are one.
        let key = |line: &str| line.split("inline:").nth(1).map(str::to_owned);
        let key = answer.lines().find_map(key).context("no key")?;
        ensure!(
            !String::from_utf8_lossy(&to_caller).contains(&key),
            "the callee's key is handed through: nothing is encrypted anew"
        );
        Ok((port(&to_caller)?, port(&to_callee)?))
    }

    /// Ends a call at once.
    pub(crate) fn delete(&mut self, number: usize) -> Result<()> {
        let id = call_id(number);
        // Integers are strings to both servers where they are read from a script.
        self.ask(&[
            ("command", "delete"),
            ("call-id", &id),
            ("from-tag", "a"),
            ("delete-delay", "0"),
        ])?;
        Ok(())
    }

    /// What the callee is to be offered.
    fn offer(&mut self, number: usize, sdp: &str, more: &[(&str, &str)]) -> Result<Vec<u8>> {
        let id = call_id(number);
        let mut dictionary = vec![
            ("command", "offer"),
            ("call-id", &id),
            ("from-tag", "a"),
            ("sdp", sdp),
        ];
        dictionary.extend_from_slice(more);
        self.ask(&dictionary)
    }

    /// What the caller is to be answered.
    fn answer(&mut self, number: usize, sdp: &str) -> Result<Vec<u8>> {
        let id = call_id(number);
        self.ask(&[
            ("command", "answer"),
            ("call-id", &id),
            ("from-tag", "a"),
            ("to-tag", "b"),
            ("sdp", sdp),
        ])
    }

    fn ask(&mut self, dictionary: &[(&str, &str)]) -> Result<Vec<u8>> {
        self.next_cookie += 1;
        // rtpengine repeats its answer to a cookie whoever sends it: no two clients may share one.
        let port = self.socket.local_addr().context("no address")?.port();
        let cookie = format!("{port}_{} ", self.next_cookie);
        let mut bytes = cookie.clone().into_bytes();
        bytes.extend(bencode(dictionary).into_bytes());
        self.socket.send(&bytes).context("sending")?;
        let mut buffer = vec![0; 65_536];
        loop {
            let size = self.socket.recv(&mut buffer).context("no answer")?;
            if let Some(answer) = buffer[..size].strip_prefix(cookie.as_bytes()) {
                return Ok(answer.to_vec());
            }
        }
    }
}

fn call_id(number: usize) -> String {
    format!("bench-{number}")
}

/// The audio port in the session description of a reply, which is the only value with such lines.
fn port(reply: &[u8]) -> Result<u16> {
    let message = Message {
        body: reply,
        ..Message::default()
    };
    match message.audio_port() {
        Some(port) => Ok(port),
        None => bail!("the media server: {}", String::from_utf8_lossy(reply)),
    }
}

/// A dictionary of strings, and of `flags` parted by blanks; keys in order, as bencode has it.
fn bencode(dictionary: &[(&str, &str)]) -> String {
    let mut sorted = dictionary.to_vec();
    sorted.sort_unstable();
    let string = |text: &str| format!("{}:{text}", text.len());
    let list = |words: &str| words.split(' ').map(string).collect::<String>();
    let pair = |(key, value): (&str, &str)| match key {
        "flags" => format!("{}l{}e", string(key), list(value)),
        _ => string(key) + &string(value),
    };
    let body: String = sorted.into_iter().map(pair).collect();
    format!("d{body}e")
}

const ANSWER_PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::bencode;

    #[test]
    fn keys_are_sorted() {
        assert_eq!(
            bencode(&[("sdp", "x"), ("command", "offer")]),
            "d7:command5:offer3:sdp1:xe"
        );
    }

    #[test]
    fn flags_are_a_list() {
        assert_eq!(bencode(&[("flags", "a bc")]), "d5:flagsl1:a2:bcee");
    }
}
