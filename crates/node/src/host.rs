//! What the switch has around it on its own thread: journal, media, bindings on disk, watchers.

mod relay;
mod tell;

use std::collections::HashSet;

use clock::Time;
use control::PlatformEvent;
use crossbeam_channel::Receiver;
use media::{Engine, Telling};
use model::{CallId, Cdr};
use net::Host;
pub(crate) use relay::{CALL_BITS, side, side_of_call};
use store::journal::{Journal, JournalEntry, OpenCdr};
use store::{BindingState, LiveStore};
use switch::media_servers::MediaOutput;
use switch::{JournalEvent, Opening, Switch, Whereabouts};
use tokio::sync::broadcast;

use crate::calls::CallsLink;
use crate::hep::HepLink;
use crate::machine::{Effect, SwitchMachine};
use crate::media_servers::MediaLink;
use crate::music::{Music, Shelf};
use crate::quality::Quality;
use crate::recording::Outcomes;
use crate::trace::{CollectorLink, TraceLink};
use crate::uploads::Uploads;
use crate::visit::Visit;

/// The most bindings that are saved at a time: some tenths of a millisecond.
const BINDINGS_PER_ROUND: usize = 512;

/// The host of the switch.
pub(crate) struct SwitchHost {
    pub(crate) journal: Journal,
    pub(crate) engine: Engine,
    live: Box<dyn LiveStore>,
    /// The thread of the media servers, what it says, and which sessions are there.
    pub(crate) media_link: MediaLink,
    media_said: Receiver<MediaOutput>,
    remote: HashSet<u64>,
    visits: Receiver<Visit>,
    events: broadcast::Sender<PlatformEvent>,
    event_sequence: u64,
    /// Of the calls that ended.
    pub(crate) quality: Quality,
    /// Recordings that ended.
    pub(crate) recordings: Outcomes,
    /// Where they are taken from then on.
    pub(crate) uploads: Uploads,
    /// Entries the journal had no room for.
    pub(crate) entries_lost: u64,
    /// Signs of life among the entries of the journal.
    pub(crate) heartbeats: u64,
    /// Who is told of reports and quality.
    pub(crate) hep: HepLink,
    /// Where messages are kept.
    pub(crate) trace: TraceLink,
    /// Where other systems tell of theirs.
    pub(crate) collector: CollectorLink,
    music: Music,
    /// Where calls are shared with other nodes.
    calls: Option<CallsLink>,
    /// Records of calls that a crash left open, as if they had ended with it: others may go on with
    /// them.
    unsettled: Vec<Cdr>,
}

/// Who is told of what happens.
pub(crate) struct Tellers {
    pub(crate) events: broadcast::Sender<PlatformEvent>,
    pub(crate) hep: HepLink,
    pub(crate) trace: TraceLink,
    pub(crate) collector: CollectorLink,
}

impl SwitchHost {
    pub(crate) fn new(
        journal: Journal,
        engine: Engine,
        live: Box<dyn LiveStore>,
        (media_link, media_said): (MediaLink, Receiver<MediaOutput>),
        uploads: Uploads,
        visits: Receiver<Visit>,
        tellers: Tellers,
    ) -> Self {
        let Tellers {
            events,
            hep,
            trace,
            collector,
        } = tellers;
        Self {
            journal,
            engine,
            live,
            media_link,
            media_said,
            remote: HashSet::new(),
            visits,
            events,
            event_sequence: 0,
            quality: Quality::default(),
            recordings: Outcomes::default(),
            uploads,
            entries_lost: 0,
            heartbeats: 0,
            hep,
            trace,
            collector,
            music: Music::default(),
            calls: None,
            unsettled: Vec::new(),
        }
    }

    /// Takes over settings, and the files that they and the accounts name.
    pub(crate) fn configure(&mut self, settings: &model::Settings, shelf: Shelf) {
        self.hep.configure(settings);
        self.trace.configure(&settings.trace);
        self.collector.configure(&settings.trace);
        self.engine.tell_rtcp(match self.hep.is_on() {
            true => Telling::All,
            false => Telling::Nothing,
        });
        self.music.configure(shelf, settings.music_on_hold_over);
    }

    fn append(&mut self, machine: &mut SwitchMachine, event: JournalEvent) {
        let entry = match event {
            JournalEvent::Opened(opening) => {
                // This node itself goes on with what it had left.
                self.unsettled.retain(|cdr| cdr.call != opening.call);
                JournalEntry::Opened(open_cdr(*opening))
            }
            JournalEvent::Answered { call, at } => JournalEntry::Answered { call, at },
            JournalEvent::Closed(cdr) => JournalEntry::Closed(*cdr),
            JournalEvent::Left { call } => JournalEntry::Left(call),
        };
        self.write_down(machine, &entry);
    }

    fn write_down(&mut self, machine: &mut SwitchMachine, entry: &JournalEntry) {
        if self.journal.append(entry).is_err() {
            // The disk takes nothing and memory is used up: no new calls until it does again.
            self.entries_lost += 1;
            machine.switch.set_accepting(false);
        }
    }

    /// Shares calls with other nodes; what a crash left open is settled by what they say.
    pub(crate) fn share_calls(&mut self, calls: CallsLink, unsettled: Vec<Cdr>) {
        self.calls = Some(calls);
        self.unsettled = unsettled;
    }

    /// Calls that a crash left open, and of which nobody has said yet what became of them.
    pub(crate) fn unsettled(&self) -> Vec<CallId> {
        self.unsettled.iter().map(|cdr| cdr.call).collect()
    }

    /// Other nodes go on with these.
    pub(crate) fn leave(&mut self, machine: &mut SwitchMachine, calls: &[CallId]) {
        for call in calls {
            let known = self.unsettled.iter().position(|cdr| cdr.call == *call);
            if let Some(at) = known {
                self.unsettled.remove(at);
                self.write_down(machine, &JournalEntry::Left(*call));
            }
        }
    }

    /// The others have ended with the process that had them.
    pub(crate) fn close_unsettled(&mut self, machine: &mut SwitchMachine) {
        for cdr in std::mem::take(&mut self.unsettled) {
            self.write_down(machine, &JournalEntry::Closed(cdr));
        }
    }

    fn tick(&mut self, now: Time, machine: &mut SwitchMachine) {
        if self.journal.append(&JournalEntry::Heartbeat(now)).is_ok() {
            self.heartbeats += 1;
            machine.switch.set_accepting(true);
        }
        self.save_bindings(BINDINGS_PER_ROUND, &mut machine.switch);
        if let Err(error) = self.live.flush() {
            tracing::warn!(%error, "registrations could not be saved; they are tried again");
        }
        self.hear_of_media(now, machine);
    }

    /// Hands bindings that have changed to the store, if it has room for them.
    fn save_bindings(&mut self, max: usize, switch: &mut Switch) {
        if !self.live.has_room() {
            return;
        }
        switch.save_bindings(max, |state| {
            self.live.save(BindingState {
                aor: state.aor,
                key: &state.key,
                expires_us: state.expires_us,
                body: state.body,
            });
        });
    }
}

impl Host<SwitchMachine> for SwitchHost {
    fn handle_effect(&mut self, now: Time, effect: Effect, machine: &mut SwitchMachine) {
        match effect {
            Effect::Media(request) => self.ask_media(now, request, machine),
            Effect::Candidates {
                session,
                from,
                fragment,
            } => self.trickle(session, from, fragment),
            Effect::Press { session, to, press } => self.press(session, to, press),
            Effect::MediaEnd { call, session } => self.end_media(now, call, session, machine),
            Effect::Record {
                call,
                session,
                part,
            } => self.record(call, session, part),
            Effect::Journal(event) => self.append(machine, event),
            Effect::SaveBindings => self.save_bindings(BINDINGS_PER_ROUND, &mut machine.switch),
            Effect::RemoveBinding { aor, key } => self.live.remove(&aor, &key),
            Effect::Event(event) => self.tell(now, &event, &machine.switch),
            Effect::Adopt(adopted) => self.adopt_media(*adopted),
            Effect::Forsake { session } => self.forsake_media(now, session),
            Effect::Keep { call, record } => {
                if let Some(calls) = &self.calls {
                    calls.keep(call, record);
                }
            }
            Effect::Unkeep { call } => {
                if let Some(calls) = &self.calls {
                    calls.unkeep(call);
                }
            }
            Effect::Seek { call } => {
                let asked = self.calls.as_ref().is_some_and(|calls| calls.seek(call));
                if !asked {
                    let nobody_knows = Whereabouts::Elsewhere;
                    machine.switch.handle_sought(now, call, nobody_knows);
                }
            }
            Effect::Paused => match &self.calls {
                Some(calls) => calls.clear_up(),
                None => machine.go_on(now),
            },
            Effect::Tick => self.tick(now, machine),
        }
    }

    fn handle_wake(&mut self, now: Time, machine: &mut SwitchMachine) {
        while let Ok(visit) = self.visits.try_recv() {
            visit(now, machine, self);
        }
        while let Ok(said) = self.media_said.try_recv() {
            self.hear(now, said, machine);
        }
        self.hear_of_media(now, machine);
    }

    fn flush(&mut self, _now: Time) {
        if let Err(error) = self.journal.write() {
            tracing::error!(%error, "the CDR journal could not be written; it is tried again");
        }
    }
}

impl SwitchHost {
    /// Brings everything to disk; the last thing before the process ends.
    pub(crate) fn sync(&mut self, switch: &mut Switch) {
        self.save_bindings(usize::MAX, switch);
        if let Err(error) = self.journal.write() {
            tracing::error!(%error, "the last CDRs could not be written");
        }
        if let Err(error) = self.live.sync() {
            tracing::error!(%error, "the last registrations could not be saved");
        }
    }
}

fn open_cdr(opening: Opening) -> OpenCdr {
    OpenCdr {
        call: opening.call,
        account: opening.account,
        from_user: opening.from_user,
        customer: opening.customer,
        carrier: opening.carrier,
        start_us: opening.start.as_micros(),
        caller: opening.caller.into(),
        called: opening.called.into(),
        source: opening.source.to_string(),
        sip_call_id: opening.sip_call_id.into(),
    }
}
