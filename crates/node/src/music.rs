//! Music on hold: what a party hears while the other has put it on hold.
//!
//! Files are read off the switch's thread, when the configuration that names them is applied. A
//! holder that sends nothing at all (`inactive`) would have the held party's phone expect nothing
//! either; so the held one is told `sendonly`, and its `recvonly` becomes `inactive` again for the
//! holder.
//!
//! Whoever has the media of a call plays it: the node's own engine from what was read here, or the
//! media server of the call from a file of the same name on its own disk.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use call::{MediaAsk, MediaOp};
use clock::Time;
use media::{Audio, Engine, Over, PlayOptions, Prompt, Side, Times};
use model::{MusicOver, Snapshot};
use sdp::{Description, Direction, Edit, Media};
use switch::media_servers::Music as Piece;
use switch::{CallKey, MediaRequest};

use crate::host::{CALL_BITS, side, side_of_call};
use crate::media_servers::MediaLink;

/// The files of a configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf(Arc<HashMap<String, Audio>>, Arc<HashMap<String, Stamp>>);

/// What a file that was changed differs in: when it was written to last, and its length in bytes.
type Stamp = (SystemTime, u64);

/// Where the sides of a call have talked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Talked {
    /// In this session: in another, begun while it lasts, they are with somebody else.
    In(u64),
    /// In one that has ended then: what follows is the same call on another relay.
    Before(Time),
}

/// Who hears what.
#[derive(Debug, Default)]
pub(crate) struct Music {
    shelf: Shelf,
    over: MusicOver,
    /// Sides that music is played to, by session.
    playing: HashSet<(u64, Side)>,
    /// Calls whose sides have once both agreed to send and to receive, and where.
    talked: HashMap<u64, Talked>,
    /// Calls whose session has ended, the oldest first: they may go on in another.
    left: VecDeque<(u64, Time)>,
    /// Offers that an answer may come for, where there is music: who made them, and what.
    offers: HashMap<u64, (Side, Bytes)>,
    /// What media servers were asked, where there is music, until they answer.
    asked: HashMap<(CallKey, u16), Question>,
}

/// What whoever has the media was asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    session: u64,
    op: MediaOp,
    from: Side,
    sdp: Bytes,
}

/// Who has the media of a call.
pub(crate) enum Deck<'host> {
    /// The node.
    Engine(&'host mut Engine),
    /// A media server.
    Servers(&'host MediaLink),
}

impl Shelf {
    /// Reads the files that a configuration names, but for those that have not changed since
    /// `before` was read. One that cannot be read is left out, with a line in the log: whoever is
    /// put on hold there hears nothing.
    pub(crate) fn read(snapshot: &Snapshot, before: &Self) -> Self {
        let mut files = HashMap::new();
        let mut stamps = HashMap::new();
        for path in paths(snapshot) {
            if files.len() == FILES_MAX {
                tracing::error!(path, "music on hold is not read: {FILES_MAX} files are");
                break;
            }
            if files.contains_key(path) {
                continue;
            }
            let stamp = stamp(Path::new(path));
            let same = stamp.is_some() && before.1.get(path).copied() == stamp;
            let audio = before.0.get(path).filter(|_| same).cloned();
            match audio.map_or_else(|| read(Path::new(path)), Ok) {
                Ok(audio) => {
                    files.insert(path.to_owned(), audio);
                    stamps.extend(stamp.map(|stamp| (path.to_owned(), stamp)));
                }
                Err(error) => tracing::error!(path, error, "no music on hold"),
            }
        }
        Self(Arc::new(files), Arc::new(stamps))
    }
}

impl Music {
    /// Calls that are put on hold from now on hear these, over so much.
    pub(crate) fn configure(&mut self, shelf: Shelf, over: MusicOver) {
        self.shelf = shelf;
        self.over = over;
    }

    /// A media server is asked: the question is wanted again with its answer.
    pub(crate) fn handle_asked(&mut self, request: &MediaRequest, path: Option<&str>) {
        if path.is_some() || self.offers.contains_key(&request.session) {
            let key = (request.call, request.ask.0);
            self.asked.insert(key, Question::from(request));
        }
    }

    /// What was asked, if there is music; once.
    pub(crate) fn take_asked(&mut self, call: CallKey, ask: MediaAsk) -> Option<Question> {
        self.asked.remove(&(call, ask.0))
    }

    /// Takes what was made of a description, and returns what the other side gets. `path` is
    /// where the call's music is.
    pub(crate) fn handle(
        &mut self,
        deck: &mut Deck<'_>,
        question: &Question,
        path: Option<&str>,
        sdp: Vec<u8>,
    ) -> Vec<u8> {
        let session = question.session;
        let path = path.filter(|path| deck.has(&self.shelf, path));
        match question.op {
            MediaOp::Offer if path.is_some() || self.offers.contains_key(&session) => {
                let offer = (question.from, question.sdp.clone());
                self.offers.insert(session, offer);
                if path.is_some() {
                    offer_music(sdp)
                } else {
                    sdp
                }
            }
            MediaOp::Answer => {
                let Some((offerer, offer)) = self.offers.get(&session).cloned() else {
                    return sdp;
                };
                let descriptions: [&[u8]; 2] = match offerer {
                    Side::A => [&offer, &question.sdp],
                    Side::B => [&question.sdp, &offer],
                };
                self.settle(deck, session, path, descriptions);
                let sdp = answer_holder(sdp, &offer);
                if self.playing.contains(&(session, offerer)) {
                    // It has offered to go on as it is: held, and hearing music.
                    offer_music(sdp)
                } else {
                    sdp
                }
            }
            MediaOp::Offer | MediaOp::Echo => sdp,
        }
    }

    /// Plays to whom is on hold, and stops playing to whom no longer is. `descriptions` are what
    /// A and B have said last.
    fn settle(
        &mut self,
        deck: &mut Deck<'_>,
        session: u64,
        path: Option<&str>,
        descriptions: [&[u8]; 2],
    ) {
        if !self.have_talked(session, descriptions) {
            return;
        }
        for side in [Side::A, Side::B] {
            let own = descriptions[side as usize];
            let other = descriptions[side.other() as usize];
            let file = path.filter(|_| is_on_hold(own, other));
            let on = self.playing.contains(&(session, side));
            match file {
                Some(path) if !on && deck.play((&self.shelf, self.over), (session, side), path) => {
                    self.playing.insert((session, side));
                }
                None if on => {
                    self.playing.remove(&(session, side));
                    deck.stop(session, side);
                }
                _ => {}
            }
        }
    }

    /// Whether one side can have put the other on hold: only who has talked can. What goes one way
    /// alone before is the announcement of a carrier, or a call that is meant to be so.
    fn have_talked(&mut self, session: u64, descriptions: [&[u8]; 2]) -> bool {
        let call = session & CALL_BITS;
        let here = Talked::In(session);
        match self.talked.get(&call) {
            Some(talked) if *talked == here => return true,
            Some(Talked::Before(_)) => {}
            _ if descriptions.into_iter().all(is_two_way) => {}
            _ => return false,
        }
        self.talked.insert(call, here);
        true
    }

    /// A session has ended; its call may go on in another.
    pub(crate) fn forget(&mut self, now: Time, session: u64) {
        self.offers.remove(&session);
        self.asked.retain(|_, question| question.session != session);
        for side in [Side::A, Side::B] {
            self.playing.remove(&(session, side));
        }
        let call = session & CALL_BITS;
        if self.talked.get(&call) == Some(&Talked::In(session)) {
            self.talked.insert(call, Talked::Before(now));
            self.left.push_back((call, now));
        }
        let is_old = |left: &mut (u64, Time)| now.since(left.1) >= MOVE_MAX;
        while let Some((call, at)) = self.left.pop_front_if(is_old) {
            if self.talked.get(&call) == Some(&Talked::Before(at)) {
                self.talked.remove(&call);
            }
        }
    }
}

impl From<&MediaRequest> for Question {
    fn from(request: &MediaRequest) -> Self {
        Self {
            session: request.session,
            op: request.op,
            from: side(request.from),
            sdp: request.sdp.clone(),
        }
    }
}

impl Deck<'_> {
    /// What media servers have on their disks is not known here.
    fn has(&self, shelf: &Shelf, path: &str) -> bool {
        match self {
            Self::Engine(_) => shelf.0.contains_key(path),
            Self::Servers(_) => true,
        }
    }

    fn play(
        &mut self,
        (shelf, over): (&Shelf, MusicOver),
        (session, side): (u64, Side),
        path: &str,
    ) -> bool {
        match self {
            Self::Engine(engine) => {
                let Some(audio) = shelf.0.get(path) else {
                    return false;
                };
                let prompt = Prompt::Audio(audio.clone());
                let options = PlayOptions {
                    times: Times::Forever,
                    duration: None,
                    over: match over {
                        MusicOver::Silence => Over::Silence,
                        MusicOver::Everything => Over::Everything,
                    },
                };
                let played = engine.play(session, side, prompt, options);
                if let Err(error) = &played {
                    tracing::debug!(session, %error, "no music for who is on hold");
                }
                played.is_ok()
            }
            Self::Servers(link) => {
                let file = path.to_owned();
                link.play(session, side_of_call(side), Some(Piece { file, over }))
            }
        }
    }

    fn stop(&mut self, session: u64, side: Side) {
        match self {
            // A session that is gone plays nothing.
            Self::Engine(engine) => drop(engine.stop_playing(session, side)),
            Self::Servers(link) => {
                link.play(session, side_of_call(side), None);
            }
        }
    }
}

/// An offer as the one who is put on hold gets it: the holder may say that it sends nothing, but
/// there is music.
fn offer_music(sdp: Vec<u8>) -> Vec<u8> {
    redirect(sdp, Direction::Inactive, Direction::SendOnly)
}

/// The answer as the holder gets it, which offered `inactive` (RFC 3264 §6.1).
fn answer_holder(sdp: Vec<u8>, offered: &[u8]) -> Vec<u8> {
    let was_inactive = Description::parse(offered)
        .is_ok_and(|offer| audio(&offer).any(|media| media.direction() == Direction::Inactive));
    if was_inactive {
        redirect(sdp, Direction::RecvOnly, Direction::Inactive)
    } else {
        sdp
    }
}

/// Whether the other side takes no media, and this one does.
fn is_on_hold(own: &[u8], other: &[u8]) -> bool {
    let [Ok(own), Ok(other)] = [own, other].map(Description::parse) else {
        return false;
    };
    let takes = |media: Media<'_>| media.direction().receives() && !media.is_nowhere();
    audio(&own).any(takes) && !audio(&other).any(takes)
}

fn is_two_way(sdp: &[u8]) -> bool {
    let both = |media: Media<'_>| {
        media.direction().sends() && media.direction().receives() && !media.is_nowhere()
    };
    Description::parse(sdp).is_ok_and(|sdp| audio(&sdp).any(both))
}

fn redirect(sdp: Vec<u8>, from: Direction, to: Direction) -> Vec<u8> {
    let Ok(description) = Description::parse(&sdp) else {
        return sdp;
    };
    let mut edit = Edit::new(&description);
    let mut changed = false;
    for media in audio(&description).filter(|media| media.direction() == from) {
        edit.direction(media.index(), to);
        changed = true;
    }
    if changed { edit.finish() } else { sdp.clone() }
}

fn audio<'d>(description: &'d Description<'d>) -> impl Iterator<Item = Media<'d>> {
    let media = description.media();
    media.filter(|media| media.kind() == sdp::Kind::Audio && !media.is_rejected())
}

fn paths(snapshot: &Snapshot) -> impl Iterator<Item = &str> {
    let accounts = snapshot.accounts.iter();
    let accounts = accounts.filter_map(|account| account.music_on_hold.as_deref());
    snapshot
        .settings
        .music_on_hold
        .as_deref()
        .into_iter()
        .chain(accounts)
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = path.metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read(path: &Path) -> Result<Audio, String> {
    // To open a pipe waits for whoever writes to it, and a device has no end.
    if !path.metadata().map_err(|e| e.to_string())?.is_file() {
        return Err("it is no file".into());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    if read.map_err(|error| error.to_string())? as u64 > FILE_BYTES_MAX {
        return Err(format!("it has more than {FILE_BYTES_MAX} bytes"));
    }
    Audio::from_wav(&bytes).map_err(|error| error.to_string())
}

/// How long a call that has lost its relay is remembered: longer than one looks for another.
const MOVE_MAX: Duration = Duration::from_secs(600);
/// Files of one configuration; the rest is not read.
const FILES_MAX: usize = 64;
/// Ten minutes in stereo at 48 kHz, more than is ever played.
const FILE_BYTES_MAX: u64 = 128 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn sdp(direction: &str) -> Vec<u8> {
        format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
             m=audio 4000 RTP/AVP 8\r\na={direction}\r\n"
        )
        .into_bytes()
    }

    #[test]
    fn on_hold_is_who_takes_media_from_one_who_takes_none() {
        for (own, other, held) in [
            ("recvonly", "sendonly", true),
            ("recvonly", "inactive", true),
            ("sendrecv", "sendrecv", false),
            ("sendonly", "recvonly", false),
            ("inactive", "inactive", false),
            ("sendonly", "sendonly", false),
        ] {
            assert_eq!(is_on_hold(&sdp(own), &sdp(other)), held, "{own} {other}");
        }
        let nowhere = String::from_utf8(sdp("sendrecv")).expect("text");
        let nowhere = nowhere.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0");
        assert!(is_on_hold(&sdp("sendrecv"), nowhere.as_bytes()), "RFC 2543");
    }

    /// A WAV file of a few samples.
    fn wav() -> Vec<u8> {
        let samples = [0; 32];
        let length = samples.len() as u32;
        let mut file = Vec::new();
        file.extend_from_slice(b"RIFF");
        file.extend_from_slice(&(36 + length).to_le_bytes());
        file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        file.extend_from_slice(&8_000_u32.to_le_bytes());
        file.extend_from_slice(&16_000_u32.to_le_bytes());
        file.extend_from_slice(b"\x02\0\x10\0data");
        file.extend_from_slice(&length.to_le_bytes());
        file.extend_from_slice(&samples);
        file
    }

    fn naming(path: &Path) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.settings.music_on_hold = path.to_str().map(Into::into);
        snapshot
    }

    #[test]
    fn what_is_no_file_is_no_music() {
        let shelf = Shelf::read(&naming(Path::new("/dev/zero")), &Shelf::default());
        assert!(shelf.0.is_empty());
        assert!(Shelf::read(&naming(Path::new("/tmp")), &shelf).0.is_empty());
    }

    #[test]
    fn a_file_is_read_again_when_it_was_changed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("music.wav");
        let write = |bytes: &[u8], age_s: u64| {
            std::fs::write(&path, bytes).expect("written");
            let changed = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age_s);
            let file = File::options().write(true).open(&path).expect("opened");
            file.set_modified(changed).expect("dated");
        };
        let named = naming(&path);
        write(&wav(), 1);
        let shelf = Shelf::read(&named, &Shelf::default());
        assert_eq!(shelf.0.len(), 1);
        // No music any more, and nothing tells it.
        write(&vec![0; wav().len()], 1);
        let shelf = Shelf::read(&named, &shelf);
        assert_eq!(shelf.0.len(), 1);
        write(&vec![0; wav().len()], 2);
        assert!(Shelf::read(&named, &shelf).0.is_empty());
    }

    /// The session of a call, by their numbers.
    fn session(count: u64, call: u64) -> u64 {
        count << CALL_BITS.count_ones() | call
    }

    #[test]
    fn an_announcement_puts_nobody_on_hold() {
        let mut music = Music::default();
        let [both, announces] = ["sendrecv", "sendonly"].map(sdp);
        assert!(!music.have_talked(1, [&both, &announces]));
        assert!(music.have_talked(1, [&both, &both]));
        assert!(music.have_talked(1, [&both, &announces]));
        assert!(!music.have_talked(2, [&both, &announces]));
        // Whoever it is transferred to may announce, too: the first session is still there.
        assert!(!music.have_talked(session(1, 1), [&both, &announces]));
    }

    #[test]
    fn who_is_on_hold_stays_so_when_the_relay_is_lost() {
        let mut music = Music::default();
        let [both, holds] = ["sendrecv", "sendonly"].map(sdp);
        let time = Time::from_secs;
        for call in [1, 2] {
            assert!(music.have_talked(call, [&both, &both]));
            music.forget(time(10), call);
        }
        assert!(music.have_talked(session(1, 1), [&both, &holds]));
        // A call that has ended is not remembered for ever.
        music.forget(time(10) + MOVE_MAX, session(9, 9));
        assert!(!music.have_talked(session(1, 2), [&both, &holds]));
        assert!(music.have_talked(session(1, 1), [&both, &holds]));
        assert_eq!((music.talked.len(), music.left.len()), (1, 0));
    }

    #[test]
    fn a_holder_that_is_inactive_stays_so_to_itself() {
        assert_eq!(offer_music(sdp("inactive")), sdp("sendonly"));
        assert_eq!(offer_music(sdp("sendonly")), sdp("sendonly"));
        let answer = answer_holder(sdp("recvonly"), &sdp("inactive"));
        assert_eq!(answer, sdp("inactive"));
        let answer = answer_holder(sdp("recvonly"), &sdp("sendonly"));
        assert_eq!(answer, sdp("recvonly"));
    }
}
