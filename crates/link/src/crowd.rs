//! Strangers who are let in for a while: so many and no more. Where there is no room the one that has
//! been there longest goes, of the address that most of them come from; so whoever does nothing but be
//! there keeps nobody out.

use std::convert::Infallible;
use std::net::IpAddr;

use tokio::sync::oneshot;

/// Those who are there.
#[derive(Debug)]
pub(crate) struct Crowd {
    most: usize,
    /// Those who came first are in front. Dropping the sender sends somebody away.
    all: Vec<(IpAddr, oneshot::Sender<Infallible>)>,
}

/// Held by who is there; done when it has to go.
pub(crate) type Stay = oneshot::Receiver<Infallible>;

/// Whether somebody went for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// There was room.
    Free,
    /// Somebody has made room.
    Made,
}

impl Crowd {
    /// For so many at once.
    pub(crate) const fn new(most: usize) -> Self {
        Self {
            most,
            all: Vec::new(),
        }
    }

    /// Lets one in.
    pub(crate) fn admit(&mut self, from: IpAddr) -> (Stay, Room) {
        self.all.retain(|(_, here)| !here.is_closed());
        let mut room = Room::Free;
        if self.all.len() >= self.most {
            self.all.remove(self.next_to_go());
            room = Room::Made;
        }
        let (here, stay) = oneshot::channel();
        self.all.push((from, here));
        (stay, room)
    }

    fn next_to_go(&self) -> usize {
        let of = |ip: IpAddr| self.all.iter().filter(|(from, _)| *from == ip).count();
        let counts = self.all.iter().map(|(from, _)| of(*from)).enumerate();
        // The first of those with the greatest count.
        let greatest = counts.max_by_key(|(at, count)| (*count, usize::MAX - at));
        greatest.map_or(0, |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn has_to_go(stay: &mut Stay) -> bool {
        stay.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn the_oldest_of_the_address_with_most_goes() {
        let mut crowd = Crowd::new(4);
        let (mut one, _) = crowd.admit(ONE);
        let mut many: Vec<Stay> = (0..3).map(|_| crowd.admit(MANY).0).collect();
        let (mut fifth, room) = crowd.admit(MANY);
        assert_eq!(room, Room::Made);
        assert!(has_to_go(&mut many[0]));
        let stays = [&mut one, &mut fifth].map(has_to_go);
        assert_eq!(stays, [false, false]);
        assert!(!many[1..].iter_mut().any(has_to_go));
    }

    #[test]
    fn who_has_left_takes_no_room() {
        let mut crowd = Crowd::new(2);
        let (mut one, _) = crowd.admit(ONE);
        let (gone, _) = crowd.admit(MANY);
        drop(gone);
        assert_eq!(crowd.admit(MANY).1, Room::Free);
        assert!(!has_to_go(&mut one));
    }
}
