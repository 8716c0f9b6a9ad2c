use super::*;

fn selection(from: &str, to: Option<&str>, via: Option<&str>) -> Selection {
    let mut selection = Selection::call("c").from_tag(from);
    selection.to_tag = to.map(str::to_owned);
    selection.via_branch = via.map(str::to_owned);
    selection
}

/// Takes an offer, and gives the session it belongs to and whose it is.
fn offer(calls: &mut Calls, from: &str, to: Option<&str>, via: Option<&str>) -> (u64, Side) {
    let selection = selection(from, to, via);
    let known = calls
        .call("c")
        .and_then(|call| call.place_of_offer(&selection));
    let place = known.unwrap_or_else(|| calls.open(&selection, Instant::now(), Duration::ZERO));
    let call = calls.call("c").expect("the call");
    (call.branches[place.branch].session, place.side)
}

fn answer(calls: &mut Calls, from: &str, to: &str, via: Option<&str>) -> Option<(u64, Side)> {
    let selection = selection(from, Some(to), via);
    let call = calls.call_mut("c")?;
    let place = call.place_of_answer(&selection)?;
    let branch = &mut call.branches[place.branch];
    branch.party_mut(place.side).learn(to, 0);
    Some((branch.session, place.side))
}

#[test]
fn a_plain_call_is_one_session() {
    let mut calls = Calls::default();
    assert_eq!(offer(&mut calls, "a", None, None), (1, Side::A));
    assert_eq!(answer(&mut calls, "a", "b", None), Some((1, Side::B)));
    assert_eq!(offer(&mut calls, "b", Some("a"), None), (1, Side::B));
    assert_eq!(answer(&mut calls, "b", "a", None), Some((1, Side::A)));
    assert_eq!(offer(&mut calls, "a", Some("b"), None), (1, Side::A));
    assert_eq!(calls.sessions(), 1);
}

#[test]
fn a_retried_offer_is_the_same_session() {
    let mut calls = Calls::default();
    assert_eq!(offer(&mut calls, "a", None, None), (1, Side::A));
    assert_eq!(offer(&mut calls, "a", None, None), (1, Side::A));
}

#[test]
fn branches_are_sessions_of_their_own() {
    let mut calls = Calls::default();
    assert_eq!(offer(&mut calls, "a", None, Some("v1")), (1, Side::A));
    assert_eq!(offer(&mut calls, "a", None, Some("v2")), (2, Side::A));
    assert_eq!(
        answer(&mut calls, "a", "b2", Some("v2")),
        Some((2, Side::B))
    );
    assert_eq!(
        answer(&mut calls, "a", "b1", Some("v1")),
        Some((1, Side::B))
    );
    assert_eq!(offer(&mut calls, "b1", Some("a"), Some("v3")), (1, Side::B));
    assert_eq!(offer(&mut calls, "a", Some("b2"), Some("v4")), (2, Side::A));
    let call = calls.call("c").expect("the call");
    let delete = selection("a", None, Some("v1"));
    assert_eq!(call.sessions_to_delete(&delete, HonourToTag::No), [1]);
    calls.remove("c", &[1]);
    assert!(calls.call("c").is_some());
    calls.remove("c", &[2]);
    assert_eq!((calls.len(), calls.sessions()), (0, 0));
}

#[test]
fn targets_without_branch_share_a_session() {
    let mut calls = Calls::default();
    assert_eq!(offer(&mut calls, "a", None, None), (1, Side::A));
    assert_eq!(answer(&mut calls, "a", "b1", None), Some((1, Side::B)));
    assert_eq!(answer(&mut calls, "a", "b2", None), Some((1, Side::B)));
    assert_eq!(offer(&mut calls, "b2", Some("a"), None), (1, Side::B));
}

#[test]
fn a_stranger_answers_and_deletes_nothing() {
    let mut calls = Calls::default();
    offer(&mut calls, "a", None, None);
    assert_eq!(answer(&mut calls, "x", "b", None), None);
    let call = calls.call("c").expect("the call");
    let none: [u64; 0] = [];
    let of = |selection: &Selection, to_tag| call.sessions_to_delete(selection, to_tag);
    assert_eq!(of(&selection("x", None, None), HonourToTag::No), none);
    let other = selection("a", Some("z"), None);
    assert_eq!(of(&other, HonourToTag::No), [1]);
    assert_eq!(of(&other, HonourToTag::Yes), none);
    assert_eq!(of(&Selection::call("c"), HonourToTag::No), [1]);
}
