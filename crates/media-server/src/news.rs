//! What has happened that nobody has asked for, kept for the switches that will ask.
//!
//! Each remembers the number of the last piece that it knows, and the server's status has that of
//! the last there is. Nothing is kept for anybody in particular: whoever comes later hears it, too.

use std::collections::VecDeque;

use ng::{Happening, News};

/// The latest news.
#[derive(Debug, Default)]
pub(crate) struct Board {
    kept: VecDeque<News>,
    last_number: u64,
}

impl Board {
    /// Puts up another piece. It gets the next number.
    pub(crate) fn push(&mut self, what: Happening) {
        if self.kept.len() == KEPT_MAX {
            self.kept.pop_front();
        }
        self.last_number += 1;
        let number = self.last_number;
        self.kept.push_back(News { number, what });
    }

    /// The number of the last piece; 0: there was none.
    pub(crate) const fn last_number(&self) -> u64 {
        self.last_number
    }

    /// The pieces after a number, the oldest first.
    pub(crate) fn after(&self, number: u64) -> Vec<News> {
        let begin = self.kept.partition_point(|news| news.number <= number);
        let new = self.kept.iter().skip(begin);
        new.take(AT_ONCE_MAX).cloned().collect()
    }
}

/// Pieces that are kept; of more, the oldest are forgotten.
pub(crate) const KEPT_MAX: usize = 1_024;
/// Pieces in one reply, which is to fit a datagram; the next question gets the others.
const AT_ONCE_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(file: usize) -> Happening {
        Happening::UploadFailed {
            file: file.to_string(),
            reason: "away".into(),
        }
    }

    #[test]
    fn whoever_asks_gets_what_it_does_not_know_a_few_at_a_time() {
        let mut board = Board::default();
        assert_eq!((board.last_number(), board.after(0)), (0, Vec::new()));
        (1..=AT_ONCE_MAX + 2).for_each(|n| board.push(failed(n)));
        let first = board.after(0);
        assert_eq!(first.len(), AT_ONCE_MAX);
        assert_eq!(board.after(0), first, "its answer was lost");
        let rest = board.after(first[AT_ONCE_MAX - 1].number);
        assert_eq!(rest.len(), 2);
        assert_eq!(rest[1].what, failed(AT_ONCE_MAX + 2));
        assert_eq!(rest[1].number, board.last_number());
        assert_eq!(board.after(board.last_number()), []);
    }

    #[test]
    fn their_number_is_bounded() {
        let mut board = Board::default();
        (1..=2 * KEPT_MAX).for_each(|n| board.push(failed(n)));
        assert_eq!(board.kept.len(), KEPT_MAX);
        assert_eq!(board.after(0)[0].what, failed(KEPT_MAX + 1));
    }
}
