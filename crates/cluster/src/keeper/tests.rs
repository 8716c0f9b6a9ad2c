mod fail_over;
mod world;

use self::world::{FORMAT, World, keep};
use super::*;
use crate::{Door, GRACE, SPARED};

#[test]
fn calls_of_a_dead_node_go_on_here() {
    let mut world = World::new();
    world.orders("a", vec![keep(1), keep(2)]);
    world.model.bury("a", None);
    world.wait(ROUND);
    world.orders("b", Vec::new());
    assert_eq!(world.calls("b"), [1, 2]);
    assert_eq!(world.model.calls_of("b").count(), 2);
}

#[test]
fn a_call_that_another_has_a_request_for_is_handed_over() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.orders("b", vec![Order::Seek(1)]);
    assert!(world.calls("b").is_empty(), "its owner lives");
    world.wait(ROUND);
    world.orders("a", Vec::new());
    assert!(world.calls("a").is_empty());
    world.orders("b", Vec::new());
    assert_eq!(world.calls("b"), [1]);
    assert_eq!(world.nodes["b"].sought, [(1, Whereabouts::Nowhere)]);
}

#[test]
fn a_call_whose_node_is_gone_is_taken_when_it_is_asked_for() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.see_members("b");
    world.wait(Duration::from_secs(1));
    world.door = Door::Nobody;
    world.orders("b", vec![Order::Seek(1)]);
    assert_eq!(world.calls("b"), [1]);
    assert!(world.model.is_buried("a"));
}

#[test]
fn what_an_emptied_store_has_forgotten_is_told_again() {
    let mut world = World::new();
    world.orders("a", vec![keep(1), keep(2)]);
    world.model.flush();
    for _ in 0..3 {
        world.wait(ROUND);
        world.orders("a", Vec::new());
    }
    assert_eq!(world.model.calls_of("a").count(), 2);
}

#[test]
fn what_a_busy_switch_had_no_time_to_tell_again_it_tells_later() {
    let mut world = World::new();
    world.orders("a", vec![keep(1), keep(2)]);
    world.model.flush();
    let busy = |visit: &Visit| matches!(visit, Visit::KeepAgain(_));
    world.nodes.get_mut("a").unwrap().is_too_busy_for = busy;
    world.rounds("a", 3);
    assert_eq!(world.model.calls_of("a").count(), 0);
    world.nodes.get_mut("a").unwrap().is_too_busy_for = |_| false;
    world.rounds("a", 3);
    assert_eq!(world.model.calls_of("a").count(), 2);
}

/// It was taken for dead and nobody else had claimed its calls when it came again.
#[test]
fn calls_that_a_node_claims_back_itself_are_not_forgotten_for_others() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.model.bury("a", None);
    let a = world.nodes.get_mut("a").unwrap();
    a.is_too_busy_for = |visit| matches!(visit, Visit::Lose(_));
    a.id_now = "a-2";
    world.orders("a", vec![Order::ClearUp]);
    world.rounds("a", 2);
    world.nodes.get_mut("a").unwrap().is_too_busy_for = |_| false;
    world.rounds("a", 4);
    assert_eq!(world.calls("a"), [1]);
    assert_eq!(world.model.calls_of("a-2").collect::<Vec<_>>(), [1]);
}

#[test]
fn what_a_store_did_not_hear_it_is_told_when_it_is_back() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.is_away = true;
    world.orders("a", vec![keep(2), Order::Unkeep(1)]);
    world.nodes.get_mut("a").unwrap().calls.remove(&1);
    world.is_away = false;
    for _ in 0..3 {
        world.wait(ROUND);
        world.orders("a", Vec::new());
    }
    assert_eq!(world.model.calls_of("a").collect::<Vec<_>>(), [2]);
}

#[test]
fn who_was_taken_for_dead_forgets_what_others_have() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.is_away = true;
    world.orders("a", vec![keep(2)]);
    world.is_away = false;
    world.model.bury("a", None);
    world.orders("b", Vec::new());
    world.nodes.get_mut("a").unwrap().roster.rename("a-2");
    for _ in 0..3 {
        world.wait(ROUND);
        world.orders("a", Vec::new());
    }
    assert_eq!(world.nodes["a"].noted, ["a-2"]);
    assert_eq!(world.calls("b"), [1]);
    assert_eq!(world.calls("a"), [2], "the store never heard of the second");
    assert_eq!(world.model.calls_of("a-2").collect::<Vec<_>>(), [2]);
}

#[test]
fn a_switch_goes_on_after_a_pause_only_by_the_word_of_the_store() {
    let mut world = World::new();
    world.see_members("a");
    world.wait(GRACE);
    world.model.bury("a", None);
    world.orders("a", vec![Order::ClearUp]);
    assert_eq!(world.nodes["a"].went_on, 0);
    world.nodes.get_mut("a").unwrap().roster.rename("a-2");
    world.orders("a", Vec::new());
    assert_eq!(world.nodes["a"].went_on, 1);
}

#[test]
fn a_call_is_handed_to_the_node_that_has_asked_for_it() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.orders("b", vec![Order::Seek(1)]);
    world.wait(ROUND);
    world.orders("a", Vec::new());
    world.orders("c", Vec::new());
    world.wait(ROUND);
    world.orders("c", Vec::new());
    assert_eq!(world.calls("c"), [0; 0], "it has not asked");
    world.orders("b", Vec::new());
    assert_eq!(world.calls("b"), [1]);
}

#[test]
fn a_call_that_nobody_fetches_goes_on_with_anybody() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.orders("b", vec![Order::Seek(1)]);
    world.wait(ROUND);
    world.orders("a", Vec::new());
    // Whoever asked is gone.
    world.wait(SPARED);
    world.rounds("c", 2);
    assert_eq!(world.calls("c"), [1]);
}

#[test]
fn a_call_that_ended_where_it_was_handed_to_stays_over() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.orders("b", vec![Order::Seek(1)]);
    world.wait(ROUND);
    world.is_answer_lost = |question| matches!(question, Question::HandOver(..));
    world.orders("a", Vec::new());
    world.orders("b", Vec::new());
    assert_eq!(world.calls("b"), [1]);
    world.nodes.get_mut("b").unwrap().calls.clear();
    world.orders("b", vec![Order::Unkeep(1)]);
    world.rounds("a", 3);
    assert_eq!(world.calls("a"), [0; 0]);
}

#[test]
fn a_call_that_was_not_handed_over_goes_on_where_it_was() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.orders("b", vec![Order::Seek(1)]);
    world.wait(ROUND);
    world.is_question_lost = |question| matches!(question, Question::HandOver(..));
    world.orders("a", Vec::new());
    assert_eq!(world.calls("a"), [0; 0]);
    world.rounds("a", 1);
    assert_eq!(world.calls("a"), [1]);
}

#[test]
fn calls_that_a_busy_switch_did_not_take_up_are_taken_up_later() {
    let mut world = World::new();
    world.orders("a", vec![keep(1), keep(2)]);
    world.model.bury("a", None);
    world.wait(ROUND);
    world.nodes.get_mut("b").unwrap().is_too_busy_for = |visit| matches!(visit, Visit::TakeUp(_));
    world.rounds("b", 2);
    // It is told all anew, and looks what else is there.
    world.is_away = true;
    world.rounds("b", 1);
    world.is_away = false;
    world.rounds("b", 2);
    assert_eq!(world.model.calls_of("b").count(), 2, "nobody else has them");
    world.nodes.get_mut("b").unwrap().is_too_busy_for = |_| false;
    world.rounds("b", 2);
    assert_eq!(world.calls("b"), [1, 2]);
    assert_eq!(world.model.calls_of("b").count(), 2);
}

#[test]
fn nobody_is_told_that_there_is_no_call_while_there_is_one() {
    // The switch has no time to take it up.
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.model.bury("a", None);
    world.is_question_lost = |question| matches!(question, Question::Claim(..));
    world.nodes.get_mut("b").unwrap().is_too_busy_for = |visit| matches!(visit, Visit::TakeUp(_));
    world.orders("b", vec![Order::Seek(1)]);
    world.orders("b", Vec::new());
    world.nodes.get_mut("b").unwrap().is_too_busy_for = |_| false;
    assert_eq!(world.nodes["b"].sought, []);
    world.rounds("b", 1);
    assert_eq!(world.calls("b"), [1]);
    // The word that it was given was lost, and then the store is silent.
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.model.bury("a", None);
    world.is_question_lost = |question| matches!(question, Question::Claim(..));
    world.is_answer_lost = |question| matches!(question, Question::Find(_));
    world.orders("b", vec![Order::Seek(1)]);
    world.is_answer_lost = |question| matches!(question, Question::Own | Question::Read(_));
    world.orders("b", vec![Order::Seek(1)]);
    assert_eq!(world.nodes["b"].sought.len(), 1, "nobody can say");
    world.is_answer_lost = |_| false;
    world.rounds("b", 3);
    assert_eq!(world.calls("b"), [1]);
    let told = world.nodes["b"].sought.iter();
    let told: Vec<_> = told.map(|(_, whereabouts)| *whereabouts).collect();
    assert_eq!(told, [Whereabouts::Elsewhere, Whereabouts::Nowhere]);
    // Another version can read it.
    let mut world = World::new();
    world.orders("a", vec![Order::Keep(1, vec![FORMAT + 1; 20])]);
    world.model.bury("a", None);
    world.orders("b", vec![Order::Seek(1)]);
    assert_eq!(world.nodes["b"].sought, [(1, Whereabouts::Elsewhere)]);
}

#[test]
fn a_silent_store_is_waited_for_once_and_not_for_each_call() {
    let mut world = World::new();
    world.is_away = true;
    world.rounds("a", 1);
    let before = world.questions;
    world.orders("a", (1..=100).map(Order::Seek).collect());
    assert_eq!(world.questions, before + 1);
    assert_eq!(world.nodes["a"].sought.len(), 100);
}

#[test]
fn calls_that_others_have_are_forgotten_though_the_switch_was_busy() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.model.bury("a", None);
    world.rounds("b", 2);
    assert_eq!(world.calls("b"), [1]);
    let went_on = world.nodes["a"].went_on;
    let a = world.nodes.get_mut("a").unwrap();
    a.is_too_busy_for = |visit| matches!(visit, Visit::Lose(_));
    a.id_now = "a-2";
    world.orders("a", vec![Order::ClearUp]);
    world.rounds("a", 1);
    world.nodes.get_mut("a").unwrap().is_too_busy_for = |_| false;
    assert_eq!(
        (world.calls("a").len(), world.nodes["a"].went_on),
        (1, went_on)
    );
    world.rounds("a", 2);
    assert_eq!(world.calls("a"), [0; 0]);
    assert!(world.nodes["a"].went_on > went_on);
}

#[test]
fn a_call_that_another_may_have_is_told_of_only_when_it_is_known() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    // A change of it, of which nobody knows whether it arrived.
    world.is_away = true;
    world.orders("a", vec![keep(1)]);
    world.is_away = false;
    world.model.bury("a", None);
    world.rounds("b", 2);
    assert_eq!(world.calls("b"), [1]);
    world.nodes.get_mut("a").unwrap().id_now = "a-2";
    world.is_question_lost = |question| matches!(question, Question::LookFor(_));
    world.rounds("a", 3);
    assert_eq!(world.model.calls_of("a-2").count(), 0);
    world.is_question_lost = |_| false;
    world.rounds("a", 3);
    assert_eq!(world.calls("a"), [0; 0]);
    assert_eq!(world.calls("b"), [1]);
}

/// It ended where it had gone on: here it would have nobody to talk to.
#[test]
fn a_call_that_ended_with_another_is_not_told_of_again() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    // A change of it, of which nobody knows whether it arrived.
    world.is_away = true;
    world.orders("a", vec![keep(1)]);
    world.is_away = false;
    world.model.bury("a", None);
    world.rounds("b", 2);
    world.nodes.get_mut("b").unwrap().calls.clear();
    world.orders("b", vec![Order::Unkeep(1)]);
    world.nodes.get_mut("a").unwrap().id_now = "a-2";
    world.rounds("a", 3);
    assert_eq!(world.calls("a"), [0; 0]);
    assert_eq!(world.model.calls_of("a-2").count(), 0);
}

#[test]
fn a_call_that_ended_while_it_was_in_doubt_is_not_brought_back() {
    for is_answer_lost in [false, true] {
        let mut world = World::new();
        world.orders("a", vec![keep(1)]);
        world.is_away = true;
        world.orders("a", vec![keep(1)]);
        world.is_away = false;
        world.model.bury("a", None);
        world.nodes.get_mut("a").unwrap().id_now = "a-2";
        world.is_question_lost = |question| matches!(question, Question::Claim(..));
        if is_answer_lost {
            world.is_answer_lost = |question| matches!(question, Question::LookFor(_));
        }
        let busy = |visit: &Visit| matches!(visit, Visit::KeptCalls);
        world.nodes.get_mut("a").unwrap().is_too_busy_for = busy;
        world.rounds("a", 1);
        assert_eq!(world.model.calls_of("a-2").collect::<Vec<_>>(), [1]);
        world.nodes.get_mut("a").unwrap().calls.clear();
        world.orders("a", vec![Order::Unkeep(1)]);
        world.is_answer_lost = |_| false;
        world.nodes.get_mut("a").unwrap().is_too_busy_for = |_| false;
        world.rounds("a", 4);
        assert_eq!(world.calls("a"), [0; 0], "{is_answer_lost}");
        assert_eq!(world.model.calls_of("a-2").count(), 0, "{is_answer_lost}");
    }
}

#[test]
fn a_call_of_which_the_store_did_not_hear_the_end_is_not_brought_back_under_another_name() {
    let mut world = World::new();
    world.orders("a", vec![keep(1), keep(2)]);
    world.is_away = true;
    world.nodes.get_mut("a").unwrap().calls.remove(&1);
    world.orders("a", vec![Order::Unkeep(1)]);
    world.is_away = false;
    world.model.bury("a", None);
    world.nodes.get_mut("a").unwrap().id_now = "a-2";
    world.rounds("a", 4);
    assert_eq!(world.calls("a"), [2]);
    assert_eq!(world.model.calls_of("a-2").collect::<Vec<_>>(), [2]);
    assert_eq!(world.model.calls_of("a").count(), 0);
}

/// More has changed than is written at a time, and the other node asks in between.
#[test]
fn what_was_still_to_be_written_of_a_call_that_was_handed_over_is_not() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.orders("b", vec![Order::Seek(1)]);
    let mut orders: Vec<Order> = (1_000..1_000 + PORTION_MAX as u64).map(keep).collect();
    orders.push(keep(1));
    world.orders("a", orders);
    assert!(!world.calls("a").contains(&1));
    assert!(!world.model.calls_of("a").any(|call| call == 1));
    world.orders("b", Vec::new());
    assert_eq!(world.calls("b"), [1]);
}

#[test]
fn what_was_still_to_be_written_of_a_call_that_others_have_is_not() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.model.bury("a", None);
    world.rounds("b", 2);
    world.nodes.get_mut("a").unwrap().id_now = "a-2";
    world.orders("a", vec![keep(1)]);
    world.rounds("a", 1);
    assert_eq!(world.calls("a"), [0; 0]);
    assert_eq!(world.model.calls_of("a-2").count(), 0);
    assert_eq!(world.calls("b"), [1]);
}

/// The hand-over was not heard to arrive, and the call has been with another since.
#[test]
fn a_call_that_comes_back_comes_as_it_was_left_by_the_last_who_had_it() {
    for is_answer_lost in [false, true] {
        let mut world = World::new();
        world.orders("a", vec![keep(1)]);
        world.orders("b", vec![Order::Seek(1)]);
        world.wait(ROUND);
        world.is_answer_lost = |question| matches!(question, Question::HandOver(..));
        world.is_question_lost = |question| matches!(question, Question::LookFor(_));
        world.orders("a", Vec::new());
        world.orders("b", Vec::new());
        assert_eq!(world.calls("b"), [1]);
        let Order::Keep(_, mut newer) = keep(1) else {
            unreachable!("it is one");
        };
        newer.push(7);
        world.orders("b", vec![Order::Keep(1, newer.clone())]);
        world.model.bury("b", None);
        world.is_question_lost = |question| matches!(question, Question::Claim(..));
        if is_answer_lost {
            world.is_answer_lost = |question| matches!(question, Question::LookFor(_));
            world.rounds("a", 2);
        }
        world.is_answer_lost = |_| false;
        world.rounds("a", 2);
        assert_eq!(
            world.nodes["a"].calls.get(&1),
            Some(&newer),
            "{is_answer_lost}"
        );
    }
}

#[test]
fn a_store_that_was_started_again_is_told_what_it_has_lost_of_its_last_second() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.rounds("a", 2);
    let before = world.model.clone();
    let Order::Keep(_, mut newer) = keep(1) else {
        unreachable!("it is one");
    };
    newer.push(7);
    world.orders("a", vec![Order::Keep(1, newer.clone())]);
    world.model = before;
    // Whoever asks first finds that the line is cut.
    world.is_question_lost = |question| matches!(question, Question::Find(_));
    world.orders("a", vec![Order::Seek(2)]);
    world.is_question_lost = |_| false;
    world.rounds("a", 3);
    assert_eq!(world.model.read("a", &[1]), [(1, newer)]);
}

#[test]
fn a_call_whose_end_the_store_has_lost_again_is_not_brought_back() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    let before = world.model.clone();
    world.nodes.get_mut("a").unwrap().calls.clear();
    world.orders("a", vec![Order::Unkeep(1)]);
    world.model = before;
    world.rounds("a", 3);
    assert_eq!(world.calls("a"), [0; 0]);
    assert_eq!(world.model.calls_of("a").count(), 0);
}

#[test]
fn records_of_before_are_not_closed_while_calls_wait_to_be_taken_over() {
    let mut world = World::new();
    world.orders("c", vec![keep(1)]);
    world.nodes.get_mut("a").unwrap().open = vec![1];
    world.model.bury("c", None);
    world.is_question_lost = |question| matches!(question, Question::Claim(..));
    for _ in 0..20 {
        world.wait(Duration::from_secs(1));
        world.orders("a", Vec::new());
    }
    assert_eq!(world.nodes["a"].closed, 0);
    world.is_question_lost = |_| false;
    world.rounds("a", 1);
    assert_eq!(world.nodes["a"].closed, 1);
}

fn owners(world: &World) -> Vec<&'static str> {
    let has = |node: &&&str| world.nodes[**node].calls.contains_key(&1);
    ["a", "b", "c"].iter().filter(has).copied().collect()
}

/// A line that was cut brings what was said over it after the call was over and its node dead.
#[test]
fn a_word_that_nobody_waits_for_any_more_brings_no_call_back() {
    let mut world = World::new();
    world.is_question_held_up = |_| true;
    world.orders("a", vec![keep(1)]);
    world.is_question_held_up = |_| false;
    world.wait(Duration::from_secs(2));
    world.let_through();
    world.model.bury("a", None);
    world.nodes.get_mut("a").unwrap().calls.clear();
    world.rounds("b", 2);
    assert_eq!(owners(&world), [""; 0]);
    assert_eq!(world.model.len().2, 0);
}

#[test]
fn a_word_that_is_slow_counts_while_it_is_waited_for() {
    let mut world = World::new();
    world.is_question_held_up = |_| true;
    world.orders("a", vec![keep(1)]);
    world.is_question_held_up = |_| false;
    world.wait(Duration::from_millis(900));
    world.let_through();
    world.model.bury("a", None);
    world.nodes.get_mut("a").unwrap().calls.clear();
    world.rounds("b", 2);
    assert_eq!(owners(&world), ["b"]);
}

#[test]
fn what_the_switch_said_before_a_call_was_given_away_is_not_told_after_it() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.orders("b", vec![Order::Seek(1)]);
    world.wait(ROUND);
    world.orders("a", Vec::new());
    // It was on its way, and what follows it is still.
    world.nodes.get_mut("a").unwrap().orders.push(keep(1));
    world.rounds("a", 1);
    world.orders("a", vec![Order::Unkeep(1)]);
    world.rounds("b", 1);
    assert_eq!(owners(&world), ["b"]);
}

/// Its scripts run one after the other, and each of all nodes waits for the longest.
#[test]
fn the_store_is_told_of_many_ends_in_portions() {
    let mut world = World::new();
    let calls = 1..=4 * PORTION_MAX as u64;
    world.orders("a", calls.clone().map(keep).collect());
    world.is_away = true;
    world.rounds("a", 1);
    world.nodes.get_mut("a").unwrap().calls.clear();
    world.orders("a", calls.map(Order::Unkeep).collect());
    world.is_away = false;
    world.is_question_lost = |question| {
        assert!(!matches!(question, Question::Keep(changes) if changes.len() > PORTION_MAX));
        false
    };
    world.rounds("a", 3);
    assert_eq!(world.model.calls_of("a").count(), 0);
}

#[test]
fn a_call_that_changes_twice_is_told_of_once() {
    let mut world = World::new();
    world.is_question_lost = |question| {
        assert!(!matches!(question, Question::Keep(changes) if changes.len() > 1));
        false
    };
    let Order::Keep(_, mut newer) = keep(1) else {
        unreachable!("it is one");
    };
    newer.push(7);
    world.orders("a", vec![keep(1), Order::Keep(1, newer.clone())]);
    assert_eq!(world.model.read("a", &[1]), [(1, newer)]);
}

#[test]
fn a_silent_store_is_not_asked_of_each_call_in_doubt() {
    let mut world = World::new();
    world.orders("a", (1..=50).map(keep).collect());
    world.model.bury("a", None);
    world.nodes.get_mut("b").unwrap().is_too_busy_for = |visit| matches!(visit, Visit::TakeUp(_));
    world.rounds("b", 3);
    assert_eq!(world.calls("b"), [0; 0]);
    // It hears what it is told, and says nothing of where calls are.
    world.is_question_lost = |question| matches!(question, Question::LookFor(_));
    let before = world.questions;
    world.rounds("b", 1);
    assert!(
        world.questions < before + 10,
        "{}",
        world.questions - before
    );
    world.is_question_lost = |_| false;
    world.nodes.get_mut("b").unwrap().is_too_busy_for = |_| false;
    world.rounds("b", 3);
    assert_eq!(world.calls("b").len(), 50);
}
