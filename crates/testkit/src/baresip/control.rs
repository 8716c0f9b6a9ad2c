//! baresip's control port: JSON in netstrings over TCP.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::wait::wait_for;

/// Something that happened at the phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What, in baresip's words: `CALL_ESTABLISHED`.
    pub kind: String,
    /// The Call-ID; empty for events without a call.
    pub call: String,
    /// The URI of the other side; empty for events without a call.
    pub peer: String,
    /// More about it: the reason of an end, the key of a DTMF event.
    pub parameter: String,
}

#[derive(Debug)]
pub(super) struct Control {
    stream: TcpStream,
    received: Vec<u8>,
    events: VecDeque<Event>,
    answers: VecDeque<Value>,
}

impl Control {
    /// `None` while nobody listens at the port.
    pub(super) fn connect(port: u16) -> Option<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
        stream.set_nonblocking(true).ok()?;
        Some(Self {
            stream,
            received: Vec::new(),
            events: VecDeque::new(),
            answers: VecDeque::new(),
        })
    }

    /// Gives a command and waits for its answer.
    pub(super) fn command(&mut self, name: &str, parameters: &str) -> Result<()> {
        let json = json!({ "command": name, "params": parameters }).to_string();
        let netstring = format!("{}:{json},", json.len());
        self.stream
            .write_all(netstring.as_bytes())
            .context("writing to the control port")?;
        let answer = wait_for(name, || {
            self.receive();
            self.answers.pop_front()
        });
        if answer["ok"].as_bool() != Some(true) {
            bail!("baresip refused: {}", answer["data"]);
        }
        Ok(())
    }

    /// Takes the oldest event of one of these kinds out of those that have come.
    pub(super) fn take_event(&mut self, kinds: &[&str]) -> Option<Event> {
        self.receive();
        let at = self
            .events
            .iter()
            .position(|event| kinds.contains(&event.kind.as_str()))?;
        self.events.remove(at)
    }

    /// Reads what has come, without waiting.
    fn receive(&mut self) {
        let mut buffer = [0; 4_096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(size) => self.received.extend_from_slice(&buffer[..size]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        while let Some(json) = self.next_netstring() {
            if json["event"].as_bool() == Some(true) {
                self.events.push_back(event(&json));
            } else {
                self.answers.push_back(json);
            }
        }
    }

    /// Takes `LENGTH:JSON,` from the front of what was received; `None` until it is whole.
    fn next_netstring(&mut self) -> Option<Value> {
        let colon = self.received.iter().position(|&byte| byte == b':')?;
        let length: usize = str::from_utf8(&self.received[..colon]).ok()?.parse().ok()?;
        let end = colon + 1 + length;
        if self.received.len() <= end {
            return None;
        }
        let json = serde_json::from_slice(&self.received[colon + 1..end]).unwrap_or(Value::Null);
        self.received.drain(..=end);
        Some(json)
    }
}

fn event(json: &Value) -> Event {
    let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
    Event {
        kind: text("type"),
        call: text("id"),
        peer: text("peeruri"),
        parameter: text("param"),
    }
}
