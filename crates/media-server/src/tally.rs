//! What was asked and what came of it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use media::RecordingOutcome;
use ng::{Command, Dictionary, GateVerb, RecordVerb, Value};

/// Counters of one desk.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    by_proxy: HashMap<IpAddr, Commands>,
    total: Commands,
    malformed: u64,
    repeated: u64,
    unknown_commands: u64,
    unknown_flags: u64,
    undone_flags: u64,
    rejected: u64,
    timeouts: u64,
    ended: u64,
    recordings: Recordings,
    busy: Duration,
}

/// Recordings by how they ended.
#[derive(Debug, Default)]
struct Recordings {
    finished: u64,
    damaged: u64,
    repaired: u64,
    failed: u64,
}

#[derive(Debug, Default, Clone)]
struct Commands {
    counts: [u64; NAMES.len()],
    errors: u64,
}

impl Tally {
    pub(crate) fn count_command(&mut self, source: IpAddr, command: &Command) {
        let place = place(command);
        self.total.counts[place] += 1;
        if let Some(proxy) = self.proxy(source) {
            proxy.counts[place] += 1;
        }
    }

    pub(crate) fn count_error(&mut self, source: IpAddr) {
        self.total.errors += 1;
        if let Some(proxy) = self.proxy(source) {
            proxy.errors += 1;
        }
    }

    pub(crate) fn count_time(&mut self, _: &Command, busy: Duration) {
        self.busy += busy;
    }

    pub(crate) fn count_malformed(&mut self) {
        self.malformed += 1;
    }

    pub(crate) fn count_repeated(&mut self) {
        self.repeated += 1;
    }

    pub(crate) fn count_unknown_command(&mut self) {
        self.unknown_commands += 1;
    }

    pub(crate) fn count_unknown_flags(&mut self, count: usize) {
        self.unknown_flags += count as u64;
    }

    pub(crate) fn count_undone_flags(&mut self, count: usize) {
        self.undone_flags += count as u64;
    }

    pub(crate) fn count_rejected(&mut self) {
        self.rejected += 1;
    }

    pub(crate) fn count_timeout(&mut self) {
        self.timeouts += 1;
    }

    pub(crate) fn count_ended(&mut self, count: usize) {
        self.ended += count as u64;
    }

    pub(crate) fn count_recorded(&mut self, outcome: &RecordingOutcome) {
        let recordings = &mut self.recordings;
        *match outcome {
            RecordingOutcome::Finished => &mut recordings.finished,
            RecordingOutcome::Damaged { .. } => &mut recordings.damaged,
            RecordingOutcome::Repaired => &mut recordings.repaired,
            RecordingOutcome::Failed { .. } => &mut recordings.failed,
        } += 1;
    }

    pub(crate) fn write_totals(&self, to: &mut Dictionary<'static>) {
        let offers = self.total.counts[OFFER];
        to.push("managedsessions", offers.saturating_sub(self.rejected))
            .push("rejectedsessions", self.rejected)
            .push("timeoutsessions", self.timeouts)
            .push("silenttimeoutsessions", 0_u64)
            .push("finaltimeoutsessions", 0_u64)
            .push("offertimeoutsessions", 0_u64)
            .push("regularterminatedsessions", self.ended)
            .push("forcedterminatedsessions", 0_u64);
    }

    pub(crate) fn write_commands(&self, to: &mut Dictionary<'static>) {
        let mut sources: Vec<_> = self.by_proxy.iter().collect();
        sources.sort_by_key(|(source, _)| **source);
        let proxies = sources.into_iter().map(|(source, commands)| {
            let mut proxy = Dictionary::new();
            proxy.push("proxy", source.to_string());
            commands.write("", &mut proxy);
            Value::Dictionary(proxy)
        });
        to.push("proxies", Value::List(proxies.collect()));
        self.total.write("total", to);
    }

    pub(crate) fn write_metrics(&self, line: &mut impl FnMut(&str, &str, u64)) {
        for (name, count) in NAMES.iter().zip(self.total.counts) {
            line(&format!("ng_{name}_total"), "counter", count);
        }
        let counters = [
            ("ng_errors_total", self.total.errors),
            ("ng_malformed_total", self.malformed),
            ("ng_repeated_total", self.repeated),
            ("ng_unknown_commands_total", self.unknown_commands),
            ("ng_unknown_flags_total", self.unknown_flags),
            ("ng_undone_flags_total", self.undone_flags),
            ("media_sessions_rejected_total", self.rejected),
            ("media_sessions_timed_out_total", self.timeouts),
            ("media_sessions_ended_total", self.ended),
            ("media_recordings_finished_total", self.recordings.finished),
            ("media_recordings_damaged_total", self.recordings.damaged),
            ("media_recordings_repaired_total", self.recordings.repaired),
            ("media_recordings_failed_total", self.recordings.failed),
            ("ng_busy_us_total", self.busy.as_micros() as u64),
        ];
        for (name, count) in counters {
            line(name, "counter", count);
        }
    }

    fn proxy(&mut self, source: IpAddr) -> Option<&mut Commands> {
        let room = self.by_proxy.len() < PROXIES_MAX || self.by_proxy.contains_key(&source);
        room.then(|| self.by_proxy.entry(source).or_default())
    }
}

impl Commands {
    fn write(&self, prefix: &str, to: &mut Dictionary<'static>) {
        for (name, count) in NAMES.iter().zip(self.counts) {
            to.push(format!("{prefix}{name}"), count);
        }
        to.push(format!("{prefix}errorcount"), self.errors);
    }
}

fn place(command: &Command) -> usize {
    match command {
        Command::Ping => 0,
        Command::Offer(_) => OFFER,
        Command::Answer(_) => 2,
        Command::Delete(_) => 3,
        Command::Query(_) => 4,
        Command::List { .. } => 5,
        Command::Record(RecordVerb::Start, _) => 6,
        Command::Record(RecordVerb::Stop, _) => 7,
        Command::Record(RecordVerb::Pause, _) => 8,
        Command::Gate(GateVerb::BlockDtmf, _) => 9,
        Command::Gate(GateVerb::UnblockDtmf, _) => 10,
        Command::Gate(GateVerb::BlockMedia, _) => 11,
        Command::Gate(GateVerb::UnblockMedia, _) => 12,
        Command::Gate(GateVerb::SilenceMedia, _) => 13,
        Command::Gate(GateVerb::UnsilenceMedia, _) => 14,
        Command::PlayMedia(_) => 15,
        Command::StopMedia(_) => 16,
        Command::PlayDtmf(_) => 17,
        Command::Statistics => 18,
        Command::Publish(_) => 19,
        Command::SubscribeRequest(_) => 20,
        Command::SubscribeAnswer(_) => 21,
        Command::Unsubscribe(_) => 22,
        Command::Drain => 23,
        Command::Resume => 24,
        Command::Keys { .. } => 25,
        Command::News { .. } => 26,
    }
}

const OFFER: usize = 1;
/// As rtpengine counts them; the last four are ours.
const NAMES: [&str; 27] = [
    "pingcount",
    "offercount",
    "answercount",
    "deletecount",
    "querycount",
    "listcount",
    "startreccount",
    "stopreccount",
    "pausereccount",
    "blkdtmfcount",
    "unblkdtmfcount",
    "blkmedia",
    "unblkmedia",
    "silencemedia",
    "unsilencemedia",
    "playmedia",
    "stopmedia",
    "playdtmf",
    "statistics",
    "publishcount",
    "subreqcount",
    "subanscount",
    "unsubcount",
    "draincount",
    "resumecount",
    "keyscount",
    "newscount",
];
/// Proxies counted apart; those beyond are in the totals alone.
const PROXIES_MAX: usize = 64;
