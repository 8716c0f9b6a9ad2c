//! A phone in a headless Chromium: JsSIP over WebSocket, WebRTC for media.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::audio;
use crate::npm;
use crate::program::Program;
use crate::wait::wait_for_within;

/// A phone on a page. Its browser ends with its value.
#[derive(Debug)]
pub struct Browser {
    program: Program,
    commands: ChildStdin,
    /// Lines of the log that were looked at.
    read: usize,
    /// What the registrar said.
    registered: Value,
    /// Removed last.
    _directory: TempDir,
}

impl Browser {
    /// Opens the page and registers `user` of `domain` over WSS with the server at `wss`, whose
    /// certificate is not looked at. It plays a tone into its calls.
    ///
    /// # Errors
    /// If the browser or what it needs cannot be started, or the registration is refused.
    pub fn register(
        user: &str,
        domain: &str,
        password: &str,
        wss: SocketAddr,
        tone_hz: u32,
    ) -> Result<Self> {
        Self::open([user, domain, password], wss, tone_hz, &[])
    }

    /// The same for one with a camera, whose sound and picture share a transport and are offered
    /// in no other way (RFC 9143).
    ///
    /// # Errors
    /// As [`Self::register`].
    pub fn register_seeing(
        user: &str,
        domain: &str,
        password: &str,
        wss: SocketAddr,
        tone_hz: u32,
    ) -> Result<Self> {
        Self::open([user, domain, password], wss, tone_hz, &["video"])
    }

    /// The same for one whose descriptions name no candidates: they follow by INFO once a call is
    /// answered (RFC 8840).
    ///
    /// # Errors
    /// As [`Self::register`].
    pub fn register_trickling(
        user: &str,
        domain: &str,
        password: &str,
        wss: SocketAddr,
        tone_hz: u32,
    ) -> Result<Self> {
        Self::open([user, domain, password], wss, tone_hz, &["trickle"])
    }

    fn open(
        [user, domain, password]: [&str; 3],
        wss: SocketAddr,
        tone_hz: u32,
        manners: &[&str],
    ) -> Result<Self> {
        let home = npm::prepare("browser")?;
        let directory = tempfile::tempdir().context("a directory for the browser")?;
        let tone = directory.path().join("tone.wav");
        audio::write_wav(&tone, &audio::tone(f64::from(tone_hz), TONE_DURATION_S))?;
        let options = json!({
            "url": format!("wss://{wss}/"),
            "uri": format!("sip:{user}@{domain}"),
            "password": password,
            "tone": tone,
            "trickle": manners.contains(&"trickle"),
            "video": manners.contains(&"video"),
            "directory": directory.path().join("profile"),
        });
        let mut command = Command::new("node");
        command
            .arg(home.join(SCRIPT))
            .arg(options.to_string())
            .stdin(Stdio::piped());
        let mut program = Program::start_fed("browser", &mut command, directory.path())?;
        let commands = program.take_stdin().context("its standard input")?;
        let mut phone = Self {
            program,
            commands,
            read: 0,
            registered: Value::Null,
            _directory: directory,
        };
        let event = phone.wait_for_any(&["registered", "refused"]);
        if event["kind"] != "registered" {
            bail!("{user} is not registered: {event}");
        }
        phone.registered = event;
        Ok(phone)
    }

    /// The URIs that lead to this phone alone, whatever others its user has (RFC 5627): the public
    /// one, and the one that hides whose it is.
    ///
    /// # Errors
    /// If the registrar gave it none.
    pub fn gruus(&self) -> Result<[String; 2]> {
        let gruu = |name: &str| {
            let uri = self.registered[name].as_str();
            uri.map(str::to_owned).with_context(|| format!("no {name}"))
        };
        Ok([gruu("public_gruu")?, gruu("temporary_gruu")?])
    }

    /// Calls this URI.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn dial(&mut self, uri: &str) -> Result<()> {
        self.tell(&json!({ "do": "call", "to": uri }))
    }

    /// Answers the call that has come in.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn answer(&mut self) -> Result<()> {
        self.tell(&json!({ "do": "answer" }))
    }

    /// Shows its picture in the call that had none.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn show(&mut self) -> Result<()> {
        self.tell(&json!({ "do": "show" }))
    }

    /// Ends the call.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn hang_up(&mut self) -> Result<()> {
        self.tell(&json!({ "do": "hang up" }))
    }

    /// Waits for a call to come in.
    #[track_caller]
    pub fn wait_for_incoming(&mut self) {
        self.wait_for_any(&["incoming"]);
    }

    /// Waits until the call is up.
    #[track_caller]
    pub fn wait_for_established(&mut self) {
        self.wait_for_any(&["established"]);
    }

    /// Waits until the call has ended.
    #[track_caller]
    pub fn wait_for_closed(&mut self) {
        self.wait_for_any(&["closed"]);
    }

    /// Waits until its candidates were taken; how many there were.
    #[track_caller]
    pub fn wait_for_trickled(&mut self) -> u64 {
        let event = self.wait_for_any(&["trickled"]);
        event["count"].as_u64().unwrap_or_default()
    }

    /// Waits until this tone is heard in the call.
    ///
    /// # Panics
    /// If it is not in time.
    #[track_caller]
    pub fn wait_for_tone(&mut self, frequency_hz: u32) {
        let wanted = u64::from(frequency_hz);
        self.wait_for(&format!("a tone of {frequency_hz} Hz"), |event| {
            event["kind"] == "tone"
                && event["hz"]
                    .as_u64()
                    .is_some_and(|heard_hz| heard_hz.abs_diff(wanted) <= TONE_TOLERANCE_HZ)
        });
    }

    /// Waits until the first packet of media has come.
    ///
    /// # Panics
    /// If none does in time.
    #[track_caller]
    pub fn wait_for_media(&mut self) {
        self.wait_for_any(&["media"]);
    }

    /// From now on gaps are measured anew.
    ///
    /// # Errors
    /// When the browser is gone.
    ///
    /// # Panics
    /// If it does not say in time that it does.
    #[track_caller]
    pub fn forget_gaps(&mut self) -> Result<()> {
        self.tell(&json!({ "do": "forget gaps" }))?;
        self.wait_for_any(&["forgotten"]);
        Ok(())
    }

    /// Waits until media comes; the longest time without any since gaps were measured anew.
    ///
    /// # Errors
    /// When the browser is gone.
    ///
    /// # Panics
    /// If none comes in time.
    #[track_caller]
    pub fn wait_for_gap(&mut self) -> Result<Duration> {
        self.tell(&json!({ "do": "gap" }))?;
        let event = self.wait_for_any(&["gap"]);
        Ok(Duration::from_millis(
            event["ms"].as_u64().unwrap_or(u64::MAX),
        ))
    }

    /// Waits until it has shown so many frames of a picture that came.
    ///
    /// # Panics
    /// If it has not in time.
    #[track_caller]
    pub fn wait_for_frames(&mut self, count: u64) {
        self.wait_for(&format!("{count} frames"), |event| {
            event["kind"] == "frames" && event["count"].as_u64() >= Some(count)
        });
    }

    #[track_caller]
    fn wait_for_any(&mut self, kinds: &[&str]) -> Value {
        self.wait_for(&format!("{kinds:?}"), |event| {
            kinds.iter().any(|kind| event["kind"] == *kind)
        })
    }

    /// The next event that is wanted; those before it are forgotten.
    #[track_caller]
    fn wait_for(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let (program, read) = (&self.program, &mut self.read);
        wait_for_within(BROWSER_PATIENCE, what, || {
            let log = program.log();
            let whole = log.rfind('\n').map_or("", |end| &log[..end]);
            while let Some(line) = whole.lines().nth(*read) {
                *read += 1;
                let event = serde_json::from_str(line).ok();
                if let Some(event) = event.filter(|event| wanted(event)) {
                    return Some(event);
                }
            }
            None
        })
    }

    fn tell(&mut self, command: &Value) -> Result<()> {
        writeln!(self.commands, "{command}").context("telling the browser")
    }
}

const SCRIPT: &str = "phone.mjs";
/// A browser is slow to start, and slower beside other tests.
const BROWSER_PATIENCE: Duration = Duration::from_secs(90);
const TONE_DURATION_S: f64 = 120.0;
/// The page looks at the spectrum in steps of 6 Hz.
const TONE_TOLERANCE_HZ: u64 = 12;
