//! One pair of ports that face each other: what comes in at one side, and where it goes.
//!
//! Decisions only; the worker reads and writes the sockets. A path that does more than relay, or
//! less of it in user space, takes the place of [`Channel::inspect`] and [`Channel::route`]: it
//! needs the same terms and fills the same figures.

mod offload;
mod shared;
mod terms;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use rtp::{Header, Reception};
use socket2::SockAddr;

use crate::config::AddressFamily;
use crate::counters::DropReason;
use crate::engine::{MediaEvent, SeenReport, Side};
use crate::formats::Format;
use crate::full::Part;
use crate::options::Way;
use crate::quality;
use crate::source::{Source, Steering};
use crate::tally::{StreamStats, Tally};
use crate::worker::Look;
use offload::Relayer;
pub(crate) use terms::{Kind, Path, Role, RtcpPort, Terms, Xr};

/// A channel of a session: the RTP or the RTCP ports of one medium.
#[derive(Debug)]
pub(crate) struct Channel {
    /// By the side that packets come from.
    ways: [Way; 2],
    kind: Kind,
    ends: [End; 2],
    path: Path,
    relayer: Relayer,
    /// The traffic class of what is sent; 0: none. The kernel's program sets none.
    traffic_class: u8,
}

/// One side of a channel.
#[derive(Debug)]
struct End {
    /// Of both families, as a call may be offered to both.
    sockets: [Option<UdpSocket>; 2],
    /// `None` before the first negotiation: nothing is let in.
    terms: Option<Terms>,
    source: Source,
    /// [`Source::destination`], as the kernel wants it.
    destination: Option<(AddressFamily, SockAddr)>,
    tally: Tally,
    /// When the worker was told last that something has come.
    looked: Look,
}

/// What a packet is, if it may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    Media,
    TelephoneEvent,
    /// It was for us: ICE or a handshake.
    Control,
}

impl Channel {
    /// Without sockets and closed to both sides. `stats` are those of sides A and B.
    pub(crate) fn new(ways: [Way; 2], stats: [Arc<StreamStats>; 2]) -> Self {
        Self {
            ways,
            kind: Kind::Rtp,
            ends: stats.map(End::new),
            path: Path::Plain,
            relayer: Relayer::default(),
            traffic_class: 0,
        }
    }

    /// Which way packets take.
    #[inline]
    pub(crate) fn path(&self) -> Path {
        self.path
    }

    /// Sends packets another way from now on.
    pub(crate) fn take(&mut self, path: Path) {
        self.path = path;
    }

    /// Whether it carries what is neither RTP nor RTCP.
    pub(crate) fn is_opaque(&self) -> bool {
        self.kind == Kind::Opaque
    }

    /// Sends what the sides send other ways from now on.
    pub(crate) fn turn(&mut self, ways: [Way; 2]) {
        self.reconsider();
        self.ways = ways;
    }

    /// The side that packets which came from `side` go to, if they go anywhere.
    pub(crate) fn destination_side(&self, side: Side) -> Side {
        self.ways[side as usize].destination(side)
    }

    /// By which port a side takes RTCP.
    pub(crate) fn rtcp_port(&self, side: Side) -> RtcpPort {
        let terms = self.ends[side as usize].terms.as_ref();
        terms.map_or(RtcpPort::Own, |terms| terms.rtcp)
    }

    /// Where a side may send to from now on.
    pub(crate) fn open(&mut self, side: Side, family: AddressFamily, socket: UdpSocket) {
        if self.traffic_class != 0 {
            mark(&socket, family, self.traffic_class);
        }
        self.ends[side as usize].sockets[family as usize] = Some(socket);
    }

    /// Marks what is sent with a traffic class from now on.
    pub(crate) fn classify(&mut self, traffic_class: u8) {
        self.reconsider();
        self.traffic_class = traffic_class;
        for end in &self.ends {
            for family in [AddressFamily::V4, AddressFamily::V6] {
                if let Some(socket) = &end.sockets[family as usize] {
                    mark(socket, family, traffic_class);
                }
            }
        }
    }

    /// Closes the sockets that face a side.
    pub(crate) fn close(&mut self, side: Side) {
        self.ends[side as usize].sockets = [None, None];
    }

    /// Takes the outcome of a negotiation.
    pub(crate) fn negotiate(&mut self, side: Side, terms: Terms, learn_until_us: u64) {
        self.reconsider();
        self.kind = terms.kind;
        let end = &mut self.ends[side as usize];
        end.source.negotiate(
            terms.described,
            terms.signalling,
            terms.policy,
            learn_until_us,
        );
        end.terms = Some(terms);
        end.update_destination();
    }

    /// Says how the address of a side is found out.
    pub(crate) fn steer(&mut self, side: Side, steering: Steering) {
        let end = &mut self.ends[side as usize];
        if end.source.steer(steering) {
            end.update_destination();
        }
    }

    /// Whether a packet from an address could be the side's, were it valid.
    pub(crate) fn may_come_from(&self, side: Side, from: SocketAddr) -> bool {
        let end = &self.ends[side as usize];
        end.terms.is_some() && end.source.may_admit(from)
    }

    /// Where packets for a side go.
    pub(crate) fn destination(&self, side: Side) -> Option<SocketAddr> {
        let end = &self.ends[side as usize];
        end.destination.as_ref()?.1.as_socket()
    }

    /// When the worker was told last that something has come from a side.
    pub(crate) fn looked_mut(&mut self, side: Side) -> &mut Look {
        &mut self.ends[side as usize].looked
    }

    /// The socket that faces a side.
    pub(crate) fn socket(&self, side: Side, family: AddressFamily) -> Option<&UdpSocket> {
        self.ends[side as usize].sockets[family as usize].as_ref()
    }

    /// Judges and counts a packet that came from `side`.
    ///
    /// # Errors
    /// Why it must not pass.
    #[inline]
    pub(crate) fn inspect(
        &mut self,
        side: Side,
        from: SocketAddr,
        bytes: &[u8],
        now_us: u64,
    ) -> Result<Passed, DropReason> {
        match self.kind {
            Kind::Rtp if rtp::is_rtcp(bytes) => {
                let passed = self.inspect_multiplexed(side, from, bytes)?;
                self.observe(side, bytes, now_us);
                Ok(passed)
            }
            Kind::Rtp => self.inspect_rtp(side, from, bytes, now_us),
            Kind::Rtcp => {
                check_rtcp(bytes)?;
                let passed = self.ends[side as usize].admit(from, 0, now_us)?;
                self.observe(side, bytes, now_us);
                Ok(passed)
            }
            Kind::Opaque => self.ends[side as usize].admit(from, 0, now_us),
        }
    }

    /// Where packets that came from `side` go.
    ///
    /// # Errors
    /// Why they go nowhere.
    pub(crate) fn route(&self, side: Side) -> Result<(&UdpSocket, &SockAddr), DropReason> {
        if self.ways[side as usize] == Way::Nowhere {
            return Err(DropReason::Discarded);
        }
        self.route_to(self.destination_side(side))
    }

    /// Where packets for `side` go.
    ///
    /// # Errors
    /// Why they go nowhere.
    pub(crate) fn route_to(&self, side: Side) -> Result<(&UdpSocket, &SockAddr), DropReason> {
        let end = &self.ends[side as usize];
        let terms = end.terms.as_ref().ok_or(DropReason::NoDestination)?;
        if !terms.receives && self.kind != Kind::Rtcp {
            return Err(DropReason::Held);
        }
        self.way_to(side)
    }

    /// Where reports that came from `side` go: they flow while the other is on hold
    /// (RFC 3264 §5.1).
    ///
    /// # Errors
    /// Why they go nowhere.
    pub(crate) fn way(&self, side: Side) -> Result<(&UdpSocket, &SockAddr), DropReason> {
        if self.ways[side as usize] == Way::Nowhere {
            return Err(DropReason::Discarded);
        }
        self.way_to(self.destination_side(side))
    }

    /// The same for reports for `side`.
    ///
    /// # Errors
    /// Why they go nowhere.
    pub(crate) fn way_to(&self, side: Side) -> Result<(&UdpSocket, &SockAddr), DropReason> {
        let end = &self.ends[side as usize];
        let (family, address) = end.destination.as_ref().ok_or(DropReason::NoDestination)?;
        let socket = end.sockets[*family as usize].as_ref();
        Ok((socket.ok_or(DropReason::NoDestination)?, address))
    }

    fn inspect_rtp(
        &mut self,
        side: Side,
        from: SocketAddr,
        bytes: &[u8],
        now_us: u64,
    ) -> Result<Passed, DropReason> {
        let header = Header::parse(bytes).map_err(|error| match error {
            rtp::HeaderError::Truncated => DropReason::Truncated,
            _ => DropReason::NotRtp,
        })?;
        let end = &mut self.ends[side as usize];
        let terms = end.terms.as_ref().ok_or(DropReason::UnknownSource)?;
        let format = terms.formats.of(header.payload_type);
        if format == Format::Unknown && !end.source.knows(from) {
            return Err(DropReason::PayloadType);
        }
        end.admit(from, header.ssrc, now_us)?;
        end.count(&header, bytes.len(), now_us)
    }

    /// Learns from reports that pass. Encrypted ones say nothing.
    fn observe(&self, side: Side, bytes: &[u8], now_us: u64) {
        let facing = self.destination_side(side);
        let [from, toward] = [side, facing].map(|side| self.ends[side as usize].tally.stats());
        from.note_rtcp(bytes.len(), now_us);
        quality::observe(bytes, &from.quality, &toward.quality, now_us);
    }

    /// What came from a side.
    pub(crate) fn reception(&self, side: Side) -> Option<&Reception> {
        self.ends[side as usize].tally.reception()
    }

    /// What a payload type stands for at a side.
    pub(crate) fn format(&self, side: Side, payload_type: u8) -> Format {
        let terms = self.ends[side as usize].terms.as_ref();
        terms.map_or(Format::Unknown, |terms| terms.formats.of(payload_type))
    }

    /// Whether a side wants extended reports.
    pub(crate) fn xr(&self, side: Side) -> Xr {
        let terms = self.ends[side as usize].terms.as_ref();
        terms.map_or(Xr::Unwanted, |terms| terms.xr)
    }

    /// RTCP that came from a side; `None` if it is not known where from.
    pub(crate) fn seen(&self, session: u64, side: Side, bytes: &[u8]) -> Option<MediaEvent> {
        let peer = self.destination(side)?;
        Some(MediaEvent::Rtcp(SeenReport {
            session,
            from: peer,
            to: self.local(side, peer)?,
            bytes: bytes.to_vec(),
        }))
    }

    /// RTCP of our own for a side.
    pub(crate) fn said(&self, session: u64, side: Side, bytes: &[u8]) -> Option<MediaEvent> {
        let peer = self.destination(side)?;
        Some(MediaEvent::Rtcp(SeenReport {
            session,
            from: self.local(side, peer)?,
            to: peer,
            bytes: bytes.to_vec(),
        }))
    }

    /// Our address towards a peer of a side.
    fn local(&self, side: Side, peer: SocketAddr) -> Option<SocketAddr> {
        self.socket(side, peer.into())?.local_addr().ok()
    }

    /// A report of our own went to a side: its answer will name it, and speak of our clock.
    pub(crate) fn note_own_report(&self, to: Side, ntp: u64, clock_rate_hz: u32, now_us: u64) {
        let heard = self.destination_side(to);
        let stats = [heard, to].map(|side| self.ends[side as usize].tally.stats());
        stats[0].quality.note_own_report(ntp, now_us);
        stats[1].quality.note_own_clock(clock_rate_hz);
    }

    /// The figures of each side.
    pub(crate) fn stats(&self) -> [&StreamStats; 2] {
        [Side::A, Side::B].map(|side| self.ends[side as usize].tally.stats())
    }

    /// RTCP on the RTP port proves nothing about where RTP comes from.
    fn inspect_multiplexed(
        &self,
        side: Side,
        from: SocketAddr,
        bytes: &[u8],
    ) -> Result<Passed, DropReason> {
        check_rtcp(bytes)?;
        let end = &self.ends[side as usize];
        if end.terms.is_some() && end.source.knows(from) {
            return Ok(Passed::Media);
        }
        Err(DropReason::UnknownSource)
    }
}

impl End {
    fn new(stats: Arc<StreamStats>) -> Self {
        Self {
            sockets: [None, None],
            terms: None,
            source: Source::default(),
            destination: None,
            tally: Tally::new(stats),
            looked: Look::default(),
        }
    }

    /// Lets in what comes from the peer.
    fn admit(&mut self, from: SocketAddr, ssrc: u32, now_us: u64) -> Result<Passed, DropReason> {
        if self.terms.is_none() {
            return Err(DropReason::UnknownSource);
        }
        if self.source.hear(from, now_us) {
            return Ok(Passed::Media);
        }
        let before = self.source.destination();
        if !self.source.admit(from, ssrc, now_us) {
            return Err(DropReason::UnknownSource);
        }
        if self.source.destination() != before {
            self.update_destination();
        }
        Ok(Passed::Media)
    }

    /// Counts RTP that was let in.
    #[inline]
    fn count(&mut self, header: &Header, bytes: usize, now_us: u64) -> Result<Passed, DropReason> {
        let terms = self.terms.as_ref().ok_or(DropReason::UnknownSource)?;
        let format = terms.formats.of(header.payload_type);
        self.tally.record(header, bytes, format, now_us);
        match format {
            Format::Event => Ok(Passed::TelephoneEvent),
            Format::Media { .. } | Format::Unknown => Ok(Passed::Media),
        }
    }

    fn update_destination(&mut self) {
        let usable = |address: &SocketAddr| address.port() != 0 && !address.ip().is_unspecified();
        let destination = self.source.destination().filter(usable);
        if let Some(terms) = &self.terms {
            let part = match terms.kind {
                Kind::Rtcp => Part::Rtcp,
                Kind::Rtp | Kind::Opaque => Part::Rtp,
            };
            self.tally.stats().note_endpoint(part, destination);
        }
        self.destination = destination.map(|address| (address.into(), address.into()));
    }
}

fn mark(socket: &UdpSocket, family: AddressFamily, traffic_class: u8) {
    let socket = socket2::SockRef::from(socket);
    let marked = match family {
        AddressFamily::V4 => socket.set_tos_v4(traffic_class.into()),
        AddressFamily::V6 => socket.set_tclass_v6(traffic_class.into()),
    };
    if let Err(error) = marked {
        // It goes without: the network may treat it worse.
        tracing::debug!(%error, "a media socket cannot be marked");
    }
}

/// RFC 3550 §A.2, with the reduced size of RFC 5506 allowed.
fn check_rtcp(bytes: &[u8]) -> Result<(), DropReason> {
    match rtp::Compound::parse(bytes) {
        Ok(_) => Ok(()),
        // SRTCP appends an index and a tag to the packets, which look like a cut-off packet.
        Err(rtp::RtcpError::Truncated) if bytes.len() < MIN_RTCP_BYTES => {
            Err(DropReason::Truncated)
        }
        Err(_) if rtp::is_rtcp(bytes) => Ok(()),
        Err(_) => Err(DropReason::NotRtp),
    }
}

/// A header and the SSRC it speaks for.
const MIN_RTCP_BYTES: usize = 8;

#[cfg(test)]
mod tests;
