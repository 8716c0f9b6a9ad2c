//! A softphone: baresip, driven over its control port.
//!
//! It speaks G.711 only, plays a tone into each call, and records what it hears. Its control
//! port takes commands and gives events as JSON in netstrings (module `ctrl_tcp`).

mod config;
mod control;
mod dialog;
mod speaker;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

pub use config::{MediaEncryption, PhoneOptions, PhoneTransport};
pub use control::Event;

use crate::audio::{self, SAMPLE_RATE_HZ};
use crate::program::Program;
use crate::wait::wait_for;
use control::Control;
use speaker::Speaker;

/// A running phone; ends with the value.
#[derive(Debug)]
pub struct Baresip {
    options: PhoneOptions,
    address: SocketAddr,
    control: Control,
    program: Program,
    speaker: Option<Speaker>,
    directory: TempDir,
}

impl Baresip {
    /// Starts a phone. It is not registered yet: see [`Self::register`].
    ///
    /// # Errors
    /// If baresip is not installed or does not start.
    pub fn start(options: PhoneOptions) -> Result<Self> {
        let directory = tempfile::tempdir().context("making a directory")?;
        let ports = config::write(&options, directory.path())?;
        let mut command = Command::new("baresip");
        // -s shows every SIP message in the log, where `dialog` finds the tags.
        command.arg("-s").arg("-f").arg(directory.path());
        let speaker = match options.has_speaker() {
            true => Some(Speaker::new(directory.path())?),
            false => None,
        };
        command.env("ALSA_CONFIG_PATH", speaker::alsa_config(directory.path()));
        let name = format!("baresip-{}", options.name());
        let mut program = Program::start(&name, &mut command, directory.path())?;
        let control = wait_for("baresip's control port", || {
            if program.exit_status().is_some() {
                return Some(Err(program.log_tail()));
            }
            Control::connect(ports.control).map(Ok)
        });
        let control = match control {
            Ok(control) => control,
            Err(log) => bail!("baresip ended:\n{log}"),
        };
        let address = options.sip_address(ports.sip);
        let mut phone = Self {
            options,
            address,
            control,
            program,
            speaker,
            directory,
        };
        let account = phone.options.account();
        phone.command("uanew", &account)?;
        Ok(phone)
    }

    /// Starts a phone and waits until it is registered.
    ///
    /// # Errors
    /// As [`Self::start`], or if the registration is refused.
    pub fn register(options: PhoneOptions) -> Result<Self> {
        let mut phone = Self::start(options)?;
        let event = phone.wait_for_any(&["REGISTER_OK", "REGISTER_FAIL"]);
        if event.kind != "REGISTER_OK" {
            bail!(
                "{} is not registered: {}",
                phone.options.name(),
                event.parameter
            );
        }
        Ok(phone)
    }

    /// Where it listens, for calls without a server between.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All it has printed, each SIP message included.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.log()
    }

    /// Calls this URI.
    ///
    /// # Errors
    /// If the phone refuses to.
    pub fn dial(&mut self, uri: &str) -> Result<()> {
        self.command("dial", uri)
    }

    /// Waits for a call to come in.
    #[track_caller]
    pub fn wait_for_incoming(&mut self) -> Event {
        self.wait_for_event("CALL_INCOMING")
    }

    /// Waits until the call is up.
    #[track_caller]
    pub fn wait_for_established(&mut self) -> Event {
        self.wait_for_event("CALL_ESTABLISHED")
    }

    /// Waits until the call has ended, and says why.
    #[track_caller]
    pub fn wait_for_closed(&mut self) -> Event {
        self.wait_for_event("CALL_CLOSED")
    }

    /// Answers the call that has come in.
    ///
    /// # Errors
    /// If the phone refuses to.
    pub fn answer(&mut self) -> Result<()> {
        self.command("accept", "")
    }

    /// Ends the current call, or declines the one that has come in.
    ///
    /// # Errors
    /// If the phone refuses to.
    pub fn hang_up(&mut self) -> Result<()> {
        self.command("hangup", "")
    }

    /// Holds the current call.
    ///
    /// # Errors
    /// If the phone refuses to.
    pub fn hold(&mut self) -> Result<()> {
        self.command("hold", "")
    }

    /// Takes the held call back.
    ///
    /// # Errors
    /// If the phone refuses to.
    pub fn resume(&mut self) -> Result<()> {
        self.command("resume", "")
    }

    /// Presses one key (RFC 4733).
    ///
    /// # Errors
    /// If the phone refuses to.
    pub fn send_dtmf(&mut self, key: char) -> Result<()> {
        self.command("sndcode", &key.to_string())
    }

    /// Waits until a key of the other side arrives, and says which.
    #[track_caller]
    pub fn wait_for_dtmf(&mut self) -> String {
        self.wait_for_event("CALL_DTMF_START").parameter
    }

    /// Sends the other side of the current call to `uri` and waits for nothing.
    ///
    /// # Errors
    /// If the phone refuses to.
    pub fn transfer(&mut self, uri: &str) -> Result<()> {
        self.command("transfer", uri)
    }

    /// Connects the other side of the current call with the party of the call `other`, whose
    /// URI is `uri`: a REFER with Replaces (RFC 3891 §3).
    ///
    /// # Errors
    /// If the phone knows no such call.
    pub fn transfer_to_call(&mut self, uri: &str, other: &Event) -> Result<()> {
        let replaces = dialog::replaces(&self.log(), other)
            .with_context(|| format!("no dialog of the call {}", other.call))?;
        self.command("transfer", &format!("<{uri}?Replaces={replaces}>"))
    }

    /// Waits for the next event of this kind. Events of other kinds are kept.
    ///
    /// # Panics
    /// If none comes in time.
    #[track_caller]
    pub fn wait_for_event(&mut self, kind: &str) -> Event {
        self.wait_for_any(&[kind])
    }

    /// Waits for the next event of one of these kinds.
    ///
    /// # Panics
    /// If none comes in time.
    #[track_caller]
    pub fn wait_for_any(&mut self, kinds: &[&str]) -> Event {
        let what = format!("{} at {}", kinds.join(" or "), self.options.name());
        wait_for(&what, || self.control.take_event(kinds))
    }

    /// Waits until this tone is heard: half a second of it, in what arrived last.
    ///
    /// # Panics
    /// If it is not heard in time.
    #[track_caller]
    pub fn wait_for_tone(&self, frequency_hz: u32) {
        let what = format!("{frequency_hz} Hz at {}", self.options.name());
        wait_for(&what, || {
            (self.heard_frequency_hz() == Some(frequency_hz)).then_some(())
        });
    }

    /// The tone in the last half second of what was heard; `None` without any.
    #[must_use]
    pub fn heard_frequency_hz(&self) -> Option<u32> {
        let samples = self.heard();
        let half_a_second = SAMPLE_RATE_HZ as usize / 2;
        let start = samples.len().checked_sub(half_a_second)?;
        audio::dominant_frequency_hz(&samples[start..])
    }

    /// What was heard since media last began to flow anew (a call, a re-INVITE); of a phone with
    /// a speaker, what it has played last.
    #[must_use]
    pub fn heard(&self) -> Vec<i16> {
        if let Some(speaker) = &self.speaker {
            return speaker.played();
        }
        self.newest_recording()
            .and_then(|path| audio::read_wav(&path).ok())
            .unwrap_or_default()
    }

    fn newest_recording(&self) -> Option<PathBuf> {
        let entries = std::fs::read_dir(self.directory.path()).ok()?;
        let recordings = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.to_string_lossy().ends_with("-dec.wav"));
        // The name holds the time.
        recordings.max()
    }

    fn command(&mut self, name: &str, parameters: &str) -> Result<()> {
        self.control
            .command(name, parameters)
            .with_context(|| format!("{} at {}", name, self.options.name()))
    }
}
