use super::*;
use proptest::prelude::*;

fn header(sequence: u16, timestamp: u32) -> Header {
    Header {
        payload_type: 8,
        sequence,
        timestamp,
        ssrc: 1,
        ..Header::default()
    }
}

/// Feeds packets of 20 ms that arrive exactly in time.
fn receive(sequences: impl IntoIterator<Item = u16>) -> Snapshot {
    let mut sequences = sequences.into_iter();
    let first = sequences.next().expect("at least one packet");
    let mut reception = Reception::new(&header(first, 0), 0, 8_000);
    for (i, sequence) in (1_u32..).zip(sequences) {
        reception.record(&header(sequence, i * 160), u64::from(i) * 20_000, 8_000);
    }
    reception.snapshot()
}

#[test]
fn nothing_is_lost_in_order() {
    let snapshot = receive(10..110);
    assert_eq!((snapshot.received, snapshot.lost), (100, 0));
    assert_eq!(snapshot.jitter_us, 0);
}

#[test]
fn a_gap_is_loss_also_over_the_wrap() {
    let snapshot = receive([65_534, 65_535, 2, 3]);
    assert_eq!((snapshot.received, snapshot.lost), (4, 2));
}

#[test]
fn another_relay_counts_on_from_here_and_back() {
    let mut reception = Reception::new(&header(65_530, 0), 0, 8_000);
    assert_eq!(reception.progress().highest, 65_530);
    // It has seen 65,531 to 65,541 but one, over the wrap.
    let progress = Progress {
        highest: 65_541,
        jitter_q4: 160,
    };
    reception.absorb(progress, 10);
    reception.record(&header(6, 12 * 160), 240_000, 8_000);
    let snapshot = reception.snapshot();
    assert_eq!((snapshot.received, snapshot.lost), (12, 1));
    assert_eq!(snapshot.jitter_us, 1_250);
    // A figure that is behind takes nothing back.
    reception.absorb(progress, 1);
    assert_eq!(reception.progress().highest, 65_542);
}

#[test]
fn a_late_packet_is_not_lost() {
    let snapshot = receive([1, 2, 4, 3, 5]);
    assert_eq!((snapshot.received, snapshot.lost), (5, 0));
}

#[test]
fn a_late_packet_from_before_the_wrap_does_not_count_a_cycle() {
    let snapshot = receive([65_534, 0, 65_535, 1]);
    assert_eq!((snapshot.received, snapshot.lost), (4, 0));
}

#[test]
fn duplicates_do_not_hide_as_negative_loss() {
    let snapshot = receive([1, 2, 2, 2, 3]);
    assert_eq!((snapshot.received, snapshot.lost), (5, 0));
}

#[test]
fn a_restart_is_no_loss() {
    let snapshot = receive([1, 2, 3, 30_000, 30_001, 30_002]);
    assert_eq!((snapshot.received, snapshot.lost), (6, 0));
    let snapshot = receive([1, 2, 3, 40_000, 40_001, 40_002]);
    assert_eq!((snapshot.received, snapshot.lost), (6, 0));
}

#[test]
fn a_single_stray_packet_does_not_move_the_sequence() {
    let snapshot = receive([1, 2, 3, 30_000, 4, 5]);
    assert_eq!(snapshot.lost, 0);
}

#[test]
fn jitter_follows_the_rfc() {
    // Arrivals alternate by 10 ms around the schedule: |D| is 10 ms each time, so the estimate
    // approaches 10 ms = 80 units from below.
    let mut reception = Reception::new(&header(0, 0), 0, 8_000);
    for i in 1..1_000_u32 {
        let late = u64::from(i % 2) * 10_000;
        reception.record(
            &header(i as u16, i * 160),
            u64::from(i) * 20_000 + late,
            8_000,
        );
    }
    let jitter_us = reception.snapshot().jitter_us;
    assert!((9_000..=10_000).contains(&jitter_us), "{jitter_us}");
}

#[test]
fn another_clock_rate_is_not_jitter() {
    let mut reception = Reception::new(&header(0, 0), 0, 8_000);
    reception.record(&header(1, 4_000_000_000), 20_000, 48_000);
    reception.record(&header(2, 4_000_000_960), 40_000, 48_000);
    assert_eq!(reception.snapshot().jitter_us, 0);
}

proptest! {
    #[test]
    fn any_sequence_is_survived_and_counted(sequences in prop::collection::vec(any::<u16>(), 1..300)) {
        let count = sequences.len() as u64;
        prop_assert_eq!(receive(sequences).received, count);
    }

    #[test]
    fn losses_are_counted_exactly(start: u16, kept in prop::collection::vec(any::<bool>(), 2..2_000)) {
        // The ends are kept: what is missing before or after cannot be known.
        let last = kept.len() - 1;
        let sequences: Vec<u16> = kept
            .iter()
            .enumerate()
            .filter(|(i, kept)| **kept || *i == 0 || *i == last)
            .map(|(i, _)| start.wrapping_add(i as u16))
            .collect();
        let missing = (kept.len() - sequences.len()) as u64;
        prop_assert_eq!(receive(sequences).lost, missing);
    }
}

#[test]
fn jitter_is_measured_as_well_after_years() {
    let year_us = 366 * 24 * 3_600 * 1_000_000_u64;
    for start_us in [0, 999_999, 5 * year_us] {
        let mut reception = Reception::new(&header(0, 0), start_us, 48_000);
        for i in 1..200_u32 {
            // Each second packet 5 ms late: |D| is 240 ticks.
            let late_us = u64::from(i % 2) * 5_000;
            let arrival_us = start_us + u64::from(i) * 20_000 + late_us;
            reception.record(&header(i as u16, i * 960), arrival_us, 48_000);
        }
        let jitter_us = reception.snapshot().jitter_us;
        assert!((4_900..=5_000).contains(&jitter_us), "{jitter_us}");
    }
}
