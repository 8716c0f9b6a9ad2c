//! Finding keys in sound: Goertzel's algorithm over blocks of 12.75 ms.

use core::f64::consts::TAU;

use super::{COLUMNS_HZ, GRID, Key, ROWS_HZ};

/// Finds keys in a stream of samples.
#[derive(Clone, Debug)]
pub struct DtmfDetector {
    filters: [Filter; 8],
    sample_rate_hz: u32,
    /// Samples of a block, and those of this one so far, with their energy.
    block: usize,
    filled: usize,
    energy: f32,
    /// What the last block was.
    last: Option<Key>,
    /// The key that is held down, since which sample, and how many blocks did not have it.
    held: Option<(Key, u64)>,
    missed: u32,
    /// Samples that are missing since the last block.
    hole: usize,
    /// Blocks that may yet sound wrong, as a decoder finds its way after a hole.
    grace: u32,
    position: u64,
}

/// A key goes down, or up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEdge {
    /// It was found to be down, after two blocks of it.
    Down(Key),
    /// It is up again.
    Up {
        /// Which one.
        key: Key,
        /// How long it was down, to a block.
        duration_ms: u32,
    },
}

impl DtmfDetector {
    /// For samples of `sample_rate_hz`.
    #[must_use]
    pub fn new(sample_rate_hz: u32) -> Self {
        let filter = |frequency_hz: f64| Filter::new(frequency_hz, sample_rate_hz);
        let [a, b, c, d] = ROWS_HZ.map(filter);
        let [e, f, g, h] = COLUMNS_HZ.map(filter);
        Self {
            filters: [a, b, c, d, e, f, g, h],
            sample_rate_hz,
            block: (sample_rate_hz as usize * BLOCK_US / 1_000_000).max(1),
            filled: 0,
            energy: 0.0,
            last: None,
            held: None,
            missed: 0,
            hole: 0,
            grace: 0,
            position: 0,
        }
    }

    /// Listens to samples, and tells what was found.
    pub fn push(&mut self, mut samples: &[i16], mut found: impl FnMut(KeyEdge)) {
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(self.block - self.filled));
            for filter in &mut self.filters {
                filter.push(now);
            }
            self.energy += now.iter().map(|s| f32::from(*s).powi(2)).sum::<f32>();
            self.filled += now.len();
            self.position += now.len() as u64;
            samples = later;
            if self.filled == self.block {
                self.hole = 0;
                let heard = self.judge();
                if let Some(edge) = self.step(heard) {
                    found(edge);
                }
            }
        }
    }

    /// So many samples are missing, and what was in them is not known. A key that is held down
    /// goes on through a short hole, and is up after a long one.
    pub fn miss(&mut self, count: usize) -> Option<KeyEdge> {
        // Blocks on both sides of a hole have nothing in common.
        self.filters.iter_mut().for_each(|filter| {
            filter.take();
        });
        self.energy = 0.0;
        self.filled = 0;
        self.last = None;
        self.grace = GRACE;
        self.position = self.position.saturating_add(count as u64);
        self.hole = self.hole.saturating_add(count);
        let (key, since) = self.held?;
        if self.hole < self.sample_rate_hz as usize * HOLE_MAX_MS / 1_000 {
            return None;
        }
        self.held = None;
        let until = self.position.saturating_sub(self.hole as u64);
        Some(self.up(key, since, until))
    }

    /// The key that is held down, if one is.
    #[must_use]
    pub fn held(&self) -> Option<Key> {
        self.held.map(|(key, _)| key)
    }

    /// Whether a key may have gone down and is not sure yet.
    #[must_use]
    pub fn suspects(&self) -> bool {
        self.last.is_some()
    }

    /// What the block that is full now has in it.
    fn judge(&mut self) -> Option<Key> {
        let powers = self.filters.each_mut().map(Filter::take);
        let energy = core::mem::take(&mut self.energy);
        self.filled = 0;
        let (rows, columns) = powers.split_at(4);
        let (row, row_power) = loudest(rows);
        let (column, column_power) = loudest(columns);
        // A sine of amplitude A has the power (A n / 2)^2 here, and the energy A^2 n / 2.
        let share = 2.0 / (self.block as f32);
        let least = (LEAST_AMPLITUDE * self.block as f32 / 2.0).powi(2);
        let loud = row_power > least && column_power > least;
        let twisted =
            column_power > row_power * FORWARD_TWIST || row_power > column_power * REVERSE_TWIST;
        let alone = |powers: &[f32], at: usize| {
            let others = powers.iter().enumerate().filter(|(other, _)| *other != at);
            others
                .into_iter()
                .all(|(_, power)| power * OTHERS < powers[at])
        };
        let pure = (row_power + column_power) * share > energy * PURITY;
        let key = loud && !twisted && pure && alone(rows, row) && alone(columns, column);
        key.then(|| Key::from_event(GRID[row * 4 + column]))
            .flatten()
    }

    fn step(&mut self, heard: Option<Key>) -> Option<KeyEdge> {
        let before = core::mem::replace(&mut self.last, heard);
        match self.held {
            Some((key, _)) if heard == Some(key) => {
                (self.missed, self.grace) = (0, 0);
                None
            }
            Some(_) if self.grace > 0 => {
                self.grace -= 1;
                None
            }
            Some((key, since)) => {
                self.missed += 1;
                if self.missed < MISSES {
                    return None;
                }
                self.held = None;
                let missed = u64::from(self.missed) * self.block as u64;
                Some(self.up(key, since, self.position.saturating_sub(missed)))
            }
            None => {
                let key = heard.filter(|_| heard == before)?;
                self.held = Some((key, self.position - 2 * self.block as u64));
                self.missed = 0;
                Some(KeyEdge::Down(key))
            }
        }
    }

    fn up(&self, key: Key, since: u64, until: u64) -> KeyEdge {
        let samples = until.saturating_sub(since);
        let duration_ms = samples * 1_000 / u64::from(self.sample_rate_hz);
        KeyEdge::Up {
            key,
            duration_ms: u32::try_from(duration_ms).unwrap_or(u32::MAX),
        }
    }
}

/// Goertzel's algorithm for one frequency.
#[derive(Clone, Debug)]
struct Filter {
    coefficient: f32,
    last: f32,
    before: f32,
}

impl Filter {
    fn new(frequency_hz: f64, sample_rate_hz: u32) -> Self {
        let step = TAU * frequency_hz / f64::from(sample_rate_hz);
        Self {
            coefficient: (2.0 * step.cos()) as f32,
            last: 0.0,
            before: 0.0,
        }
    }

    fn push(&mut self, samples: &[i16]) {
        let (mut last, mut before) = (self.last, self.before);
        for sample in samples {
            let next = f32::from(*sample) + self.coefficient * last - before;
            before = last;
            last = next;
        }
        (self.last, self.before) = (last, before);
    }

    /// The power of the block, which ends.
    fn take(&mut self) -> f32 {
        let (last, before) = (self.last, self.before);
        (self.last, self.before) = (0.0, 0.0);
        (last * last + before * before - self.coefficient * last * before).max(0.0)
    }
}

fn loudest(powers: &[f32]) -> (usize, f32) {
    let all = powers.iter().copied().enumerate();
    all.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0))
}

/// At 8 kHz 102 samples, which part the frequencies best.
const BLOCK_US: usize = 12_750;
/// Blocks without a key before it counts as up.
const MISSES: u32 = 2;
/// Blocks after a hole that do not end a key.
const GRACE: u32 = 4;
/// A key is held through a hole that is shorter: two lost packets, or three.
const HOLE_MAX_MS: usize = 70;
/// Peak of the softer tone: about -36 dBm0.
const LEAST_AMPLITUDE: f32 = 360.0;
/// How much louder a column may be, as power: 8 dB; and a row: 6 dB.
const FORWARD_TWIST: f32 = 6.3;
const REVERSE_TWIST: f32 = 4.0;
/// How much softer the other rows and columns are, as power: 6 dB. Blocks are short, so that
/// neighbours hear each other.
const OTHERS: f32 = 4.0;
/// The share of the energy that both tones have.
const PURITY: f32 = 0.75;
