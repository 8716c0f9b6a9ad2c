//! rtpengine in user space, driven by its `ng` protocol: bencode over UDP with a cookie.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rtp::srtp::MasterKey;
use tempfile::TempDir;
use testkit::{Host, Program, ports, wait_for};

use crate::load::message::Message;
use crate::load::uac;
use crate::peers::SERVER_CPU;
use crate::peers::ng::NgClient;

/// A running rtpengine; ends with the value.
pub(crate) struct Rtpengine {
    program: Program,
    socket: UdpSocket,
    next_cookie: u32,
    _directory: TempDir,
}

impl Rtpengine {
    /// On loopback.
    pub(crate) fn start() -> Result<Self> {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        Self::launch(&[], Ipv4Addr::LOCALHOST, bind()?)
    }

    /// On a host of its own.
    pub(crate) fn start_on(host: &Host) -> Result<Self> {
        let socket = host.enter(|| UdpSocket::bind((host.address, 0)))?;
        Self::launch(&host.wrapper(), host.address, socket)
    }

    /// `socket` is to talk to it from.
    fn launch(wrapper: &[&str], local: Ipv4Addr, socket: UdpSocket) -> Result<Self> {
        let address = SocketAddrV4::new(local, ports::one());
        let directory = tempfile::tempdir().context("making a directory")?;
        let words: Vec<&str> = wrapper.iter().copied().chain(["taskset"]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command.args([
            "-c",
            SERVER_CPU,
            "rtpengine",
            "--foreground",
            "--log-stderr",
        ]);
        command.args(OPTIONS);
        command.arg(format!("--interface={local}"));
        command.arg(format!("--listen-ng={address}"));
        command.arg(format!("--port-min={RTP_FIRST_PORT}"));
        command.arg(format!("--port-max={RTP_LAST_PORT}"));
        command.arg(format!(
            "--pidfile={}",
            directory.path().join("pid").display()
        ));
        let program = Program::start("rtpengine", &mut command, directory.path())?;
        socket.connect(address).context("connecting")?;
        socket
            .set_read_timeout(Some(ANSWER_PATIENCE))
            .context("setting a timeout")?;
        let mut rtpengine = Self {
            program,
            socket,
            next_cookie: 0,
            _directory: directory,
        };
        wait_for("an answer of rtpengine", || {
            rtpengine.ask(&[("command", "ping")]).ok()
        });
        Ok(rtpengine)
    }

    /// Another way to ask it.
    pub(crate) fn client(&self) -> Result<NgClient> {
        NgClient::connect(self.socket.peer_addr().context("no address")?)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// Sets up a call between two media ports; gives the relay's ports for caller and callee.
    pub(crate) fn call(&mut self, number: usize, media_ports: (u16, u16)) -> Result<(u16, u16)> {
        let local = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        self.call_of(number, [local(media_ports.0), local(media_ports.1)])
    }

    /// The same between two media addresses.
    pub(crate) fn call_of(
        &mut self,
        number: usize,
        phones: [SocketAddrV4; 2],
    ) -> Result<(u16, u16)> {
        let offer = uac::session(*phones[0].ip(), phones[0].port());
        let answer = uac::session(*phones[1].ip(), phones[1].port());
        self.call_between(number, &offer, &answer, &[])
    }

    /// The same with media encrypted on both sides, by keys of the descriptions: each side has
    /// its own, so that each packet is decrypted and encrypted.
    pub(crate) fn encrypted_call(
        &mut self,
        number: usize,
        media_ports: (u16, u16),
        keys: &[MasterKey; 2],
    ) -> Result<(u16, u16)> {
        let session =
            |port, key| uac::encrypted_session(Ipv4Addr::LOCALHOST, port, "RTP/SAVP", key);
        let offer = session(media_ports.0, &keys[0]);
        let answer = session(media_ports.1, &keys[1]);
        self.call_between(
            number,
            &offer,
            &answer,
            &[("transport-protocol", "RTP/SAVP")],
        )
    }

    fn call_between(
        &mut self,
        number: usize,
        offer: &str,
        answer: &str,
        more: &[(&str, &str)],
    ) -> Result<(u16, u16)> {
        let id = format!("bench-{number}");
        let mut offered = vec![
            ("command", "offer"),
            ("call-id", &id),
            ("from-tag", "a"),
            ("sdp", offer),
        ];
        offered.extend_from_slice(more);
        let to_callee = self.session(&offered)?;
        let to_caller = self.session(&[
            ("command", "answer"),
            ("call-id", &id),
            ("from-tag", "a"),
            ("to-tag", "b"),
            ("sdp", answer),
        ])?;
        Ok((to_caller, to_callee))
    }

    /// Gives a command; takes the audio port out of the session description that comes back.
    fn session(&mut self, dictionary: &[(&str, &str)]) -> Result<u16> {
        let answer = self.ask(dictionary)?;
        // The session description is the only value with such lines in it.
        let message = Message {
            body: &answer,
            ..Message::default()
        };
        match message.audio_port() {
            Some(port) => Ok(port),
            None => bail!("rtpengine: {}", String::from_utf8_lossy(&answer)),
        }
    }

    fn ask(&mut self, dictionary: &[(&str, &str)]) -> Result<Vec<u8>> {
        self.next_cookie += 1;
        let cookie = format!("{} ", self.next_cookie);
        let mut bytes = cookie.clone().into_bytes();
        bytes.extend(bencode(dictionary).into_bytes());
        self.socket.send(&bytes).context("sending to rtpengine")?;
        let mut buffer = vec![0; 65_536];
        loop {
            let size = self
                .socket
                .recv(&mut buffer)
                .context("no answer of rtpengine")?;
            if let Some(answer) = buffer[..size].strip_prefix(cookie.as_bytes()) {
                return Ok(answer.to_vec());
            }
        }
    }
}

/// A dictionary of strings, and of `flags` parted by blanks; keys in order, as bencode has it.
pub(crate) fn bencode(dictionary: &[(&str, &str)]) -> String {
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

/// User space only, one thread for one processor, no log of each call.
pub(crate) const OPTIONS: [&str; 3] = ["--table=-1", "--num-threads=1", "--log-level=3"];

const RTP_FIRST_PORT: u16 = 50_000;
const RTP_LAST_PORT: u16 = 59_999;
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
