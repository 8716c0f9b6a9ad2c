use std::net::SocketAddr;
use std::time::Duration;

use clock::Time;

use super::{Door, GONE_MAX, SILENCE_MAX, SILENT, STOPPED_MAX, Watch};
use crate::Member;

#[test]
fn a_process_that_is_gone_is_dead_soon() {
    assert_eq!(dead_after(|_| Door::Nobody), Some(SILENT + GONE_MAX));
}

#[test]
fn a_machine_that_is_silent_is_dead_late() {
    let after = dead_after(|_| Door::Silence).unwrap();
    assert!(after >= SILENT + SILENCE_MAX, "{after:?}");
}

#[test]
fn a_process_that_answers_is_not_dead() {
    assert_eq!(dead_after(|_| Door::Open), None);
}

#[test]
fn a_process_that_is_stopped_is_dead_a_little_later() {
    let after = dead_after(|_| Door::Stopped).unwrap();
    assert_eq!(after, SILENT + STOPPED_MAX);
}

/// It may have been out of the store's reach for as long as it likes.
#[test]
fn a_process_that_does_its_work_and_then_stops_is_given_the_same_time() {
    let stops = Duration::from_secs(30);
    let after = dead_after(|silent| match silent < stops {
        true => Door::Open,
        false => Door::Stopped,
    });
    assert!(after.unwrap() >= stops + STOPPED_MAX, "{after:?}");
    // What it permitted in its last second counts.
    let gone = dead_after(|silent| match silent < stops {
        true => Door::Open,
        false => Door::Nobody,
    });
    assert!(gone.unwrap() >= stops + GONE_MAX, "{gone:?}");
    let cut = dead_after(|silent| match silent < stops {
        true => Door::Open,
        false => Door::Silence,
    });
    assert!(cut.unwrap() >= stops + SILENCE_MAX, "{cut:?}");
}

#[test]
fn who_answers_now_and_then_is_not_dead() {
    let hesitant = |silent: Duration| match silent.as_millis() % 1_500 {
        0..500 => Door::Open,
        _ => Door::Stopped,
    };
    assert_eq!(dead_after(hesitant), None);
}

#[test]
fn who_beats_is_not_knocked_at() {
    let mut watch = Watch::new();
    for beat in 0..100 {
        let now = START + Duration::from_millis(200) * beat;
        assert_eq!(watch.look(now, &[member(u64::from(beat))]), []);
    }
}

#[test]
fn what_is_found_after_a_beat_says_nothing() {
    let mut watch = Watch::new();
    watch.look(START, &[member(1)]);
    let later = START + SILENT;
    assert_eq!(watch.look(later, &[member(1)]), [member(1)]);
    watch.look(later, &[member(2)]);
    let late = later + GONE_MAX;
    assert!(!watch.handle_door(later, &member(1), Door::Nobody));
    assert!(!watch.handle_door(late, &member(1), Door::Nobody));
}

/// How long after its last beat a member counts as dead, whose door is like this.
fn dead_after(door: impl Fn(Duration) -> Door) -> Option<Duration> {
    let mut watch = Watch::new();
    (0..600)
        .map(|round| Duration::from_millis(250) * round)
        .find(|silent| {
            let now = START + *silent;
            let due = watch.look(now, &[member(1)]);
            let mut dead = due.iter();
            dead.any(|due| watch.handle_door(now, due, door(*silent)))
        })
}

fn member(beat: u64) -> Member {
    Member {
        id: "gone".into(),
        address: SocketAddr::from(([192, 0, 2, 1], 8080)),
        beat,
    }
}

const START: Time = Time::from_secs(100);
