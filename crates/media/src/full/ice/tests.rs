use super::*;

const OURS: &str = "192.0.2.1:30000";
const PEER: &str = "198.51.100.7:4000";
const ELSEWHERE: &str = "203.0.113.66:4000";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn credentials(name: &str) -> Credentials {
    Credentials {
        ufrag: name.into(),
        password: format!("the password of {name}"),
    }
}

/// An agent between `local` and `remote`, with the peer's candidates.
fn agent(names: [&str; 2], kinds: [AgentKind; 2], offerer: Offerer, to: &[&str]) -> Agent {
    let terms = IceTerms {
        local: credentials(names[0]),
        remote: credentials(names[1]),
        agent: kinds[0],
        remote_agent: kinds[1],
        offerer,
        candidates: [to.iter().map(|to| address(to)).collect(), Vec::new()],
    };
    let random = names[0].bytes().map(u64::from).sum();
    Agent::new(terms, random, 0)
}

/// Carries checks between two agents at two addresses for a second.
fn run(agents: &mut [Agent; 2], at: [SocketAddr; 2]) {
    let mut room = [0; 1_024];
    for time_us in (0..1_000_000).step_by(10_000) {
        for sender in 0..2 {
            while let Some((port, to, len)) = agents[sender].poll_transmit(time_us, &mut room) {
                if to == at[1 - sender] {
                    let check = room[..len].to_vec();
                    let other = &mut agents[1 - sender];
                    let handled = other.handle_packet(port, at[sender], &check, time_us, &mut room);
                    if let Some(len) = handled.expect("taken").response {
                        let response = room[..len].to_vec();
                        let sender_at = at[1 - sender];
                        let taken = agents[sender]
                            .handle_packet(port, sender_at, &response, time_us, &mut room);
                        assert_eq!(taken, Ok(Handled::default()));
                    }
                }
            }
        }
    }
}

/// A check of a full peer for a lite agent of ours.
fn check(names: [&str; 2], transaction: u8, nominates: bool) -> Vec<u8> {
    let mut room = vec![0; 1_024];
    let writer = Writer::new(&mut room, Class::Request, [transaction; 12])
        .username(names)
        .priority(1)
        .claim(Claim::Controlling(1));
    let writer = if nominates { writer.nominate() } else { writer };
    let len = writer.finish(&credentials(names[0]).password);
    room.truncate(len);
    room
}

const LITE: [AgentKind; 2] = [AgentKind::Lite, AgentKind::Full];

#[test]
fn a_lite_agent_takes_the_first_proved_path_and_answers() {
    let mut lite = agent(["ours", "theirs"], LITE, Offerer::Peer, &[]);
    let mut room = [0; 1_024];
    assert_eq!(lite.selected(Part::Rtp), None);
    let request = check(["ours", "theirs"], 1, true);
    let handled = lite.handle_packet(Part::Rtp, address(PEER), &request, 0, &mut room);
    let len = handled.expect("taken").response.expect("an answer");
    let response = Message::parse(&room[..len]).expect("a message");
    assert_eq!(response.class, Class::Success);
    assert!(response.is_authentic(&credentials("ours").password));
    assert_eq!(lite.selected(Part::Rtp), Some(address(PEER)));
    assert!(lite.knows(Part::Rtp, address(PEER)));
    assert!(!lite.knows(Part::Rtcp, address(PEER)));
}

#[test]
fn forged_checks_prove_nothing() {
    let mut lite = agent(["ours", "theirs"], LITE, Offerer::Peer, &[]);
    let mut room = [0; 1_024];
    let good = check(["ours", "theirs"], 1, true);
    let mut changed = good.clone();
    changed[25] ^= 1;
    for forged in [
        changed,
        check(["ours", "somebody"], 1, true),
        check(["theirs", "ours"], 1, true),
        good[..good.len() - 1].to_vec(),
        vec![0; 20],
    ] {
        let handled = lite.handle_packet(Part::Rtp, address(ELSEWHERE), &forged, 0, &mut room);
        assert_eq!(handled, Err(DropReason::Stun));
    }
    assert_eq!(lite.selected(Part::Rtp), None);
}

#[test]
fn a_recorded_check_played_again_from_elsewhere_moves_nothing() {
    let mut lite = agent(["ours", "theirs"], LITE, Offerer::Peer, &[]);
    let mut room = [0; 1_024];
    let request = check(["ours", "theirs"], 1, true);
    for from in [PEER, ELSEWHERE] {
        let handled = lite.handle_packet(Part::Rtp, address(from), &request, 0, &mut room);
        assert!(handled.is_ok());
    }
    assert_eq!(lite.selected(Part::Rtp), Some(address(PEER)));
    assert!(!lite.knows(Part::Rtp, address(ELSEWHERE)));
    // We ask back there, and only who knows the password can answer.
    let asked = lite.poll_transmit(0, &mut room).expect("a check");
    assert_eq!((asked.0, asked.1), (Part::Rtp, address(ELSEWHERE)));
    let check = Message::parse(&room[..asked.2]).expect("a message");
    let transaction = check.transaction;
    let len = Writer::new(&mut room, Class::Success, transaction)
        .mapped_address(address(OURS))
        .finish("a guess");
    let response = room[..len].to_vec();
    let handled = lite.handle_packet(Part::Rtp, address(ELSEWHERE), &response, 0, &mut room);
    assert_eq!(handled, Err(DropReason::Stun));
    assert_eq!(lite.selected(Part::Rtp), Some(address(PEER)));
    // The peer itself, at its new address, can.
    let len = Writer::new(&mut room, Class::Success, transaction)
        .mapped_address(address(OURS))
        .finish(&credentials("theirs").password);
    let response = room[..len].to_vec();
    let handled = lite.handle_packet(Part::Rtp, address(ELSEWHERE), &response, 0, &mut room);
    assert!(handled.is_ok());
    assert_eq!(lite.selected(Part::Rtp), Some(address(ELSEWHERE)));
}

#[test]
fn full_agents_find_each_other_whoever_claims_control() {
    let full = [AgentKind::Full; 2];
    for offerers in [
        [Offerer::We, Offerer::Peer],
        [Offerer::We, Offerer::We],
        [Offerer::Peer, Offerer::Peer],
    ] {
        let mut agents = [
            agent(["a", "b"], full, offerers[0], &[ELSEWHERE, PEER]),
            agent(["b", "a"], full, offerers[1], &[OURS]),
        ];
        run(&mut agents, [address(OURS), address(PEER)]);
        assert_eq!(agents[0].selected(Part::Rtp), Some(address(PEER)));
        assert_eq!(agents[1].selected(Part::Rtp), Some(address(OURS)));
    }
}

#[test]
fn a_full_agent_finds_a_lite_one_and_two_lite_ones_believe_the_description() {
    let mut agents = [
        agent(
            ["a", "b"],
            [AgentKind::Full, AgentKind::Lite],
            Offerer::Peer,
            &[PEER],
        ),
        agent(["b", "a"], LITE, Offerer::We, &[]),
    ];
    run(&mut agents, [address(OURS), address(PEER)]);
    assert_eq!(agents[0].selected(Part::Rtp), Some(address(PEER)));
    assert_eq!(agents[1].selected(Part::Rtp), Some(address(OURS)));
    let lite = agent(["a", "b"], [AgentKind::Lite; 2], Offerer::We, &[PEER]);
    assert_eq!(lite.selected(Part::Rtp), Some(address(PEER)));
}

#[test]
fn a_restart_keeps_the_path_until_a_new_one_is_proved() {
    let mut lite = agent(["ours", "theirs"], LITE, Offerer::Peer, &[]);
    let mut room = [0; 1_024];
    let request = check(["ours", "theirs"], 1, true);
    lite.handle_packet(Part::Rtp, address(PEER), &request, 0, &mut room)
        .expect("taken");
    let terms = IceTerms {
        local: credentials("ours2"),
        remote: credentials("theirs2"),
        ..lite.terms.clone()
    };
    lite.update(terms, 0);
    assert_eq!(lite.selected(Part::Rtp), Some(address(PEER)));
    let old = lite.handle_packet(Part::Rtp, address(PEER), &request, 0, &mut room);
    assert_eq!(old, Err(DropReason::Stun));
    let new = check(["ours2", "theirs2"], 2, true);
    let handled = lite.handle_packet(Part::Rtp, address(PEER), &new, 0, &mut room);
    assert!(handled.is_ok());
}

#[test]
fn checks_are_given_up_and_bounded() {
    let full = [AgentKind::Full; 2];
    let candidates: Vec<String> = (1..100).map(|n| format!("198.51.100.{n}:9")).collect();
    let candidates: Vec<&str> = candidates.iter().map(String::as_str).collect();
    let mut agent = agent(["a", "b"], full, Offerer::We, &candidates);
    let mut room = [0; 1_024];
    let mut sent = 0;
    for time_us in (0..60_000_000).step_by(10_000) {
        while agent.poll_transmit(time_us, &mut room).is_some() {
            sent += 1;
        }
    }
    assert_eq!(sent, CHECKS_MAX * TRIES_MAX as usize);
    assert_eq!(agent.poll_timeout(), None);
}

/// Two full agents that have found each other; the first is controlled, and has nothing more to
/// check.
fn connected() -> [Agent; 2] {
    let full = [AgentKind::Full; 2];
    let mut agents = [
        agent(["a", "b"], full, Offerer::Peer, &[PEER]),
        agent(["b", "a"], full, Offerer::We, &[OURS]),
    ];
    run(&mut agents, [address(OURS), address(PEER)]);
    agents
}

#[test]
fn consent_that_is_given_holds_and_one_that_is_not_runs_out() {
    let mut agents = connected();
    let mut room = [0; 1_024];
    let mut questions = 0;
    let mut expired_us = None;
    for time_us in (1_000_000..120_000_000).step_by(100_000) {
        if agents[0].expire(time_us) == [true, false] {
            expired_us = Some(time_us);
        }
        while let Some((port, to, len)) = agents[0].poll_transmit(time_us, &mut room) {
            assert_eq!(to, address(PEER));
            questions += 1;
            let question = room[..len].to_vec();
            // The peer falls silent after a minute.
            if time_us < 60_000_000 {
                let answered =
                    agents[1].handle_packet(port, address(OURS), &question, time_us, &mut room);
                let len = answered.expect("taken").response.expect("an answer");
                let answer = room[..len].to_vec();
                let taken =
                    agents[0].handle_packet(port, address(PEER), &answer, time_us, &mut room);
                assert_eq!(taken, Ok(Handled::default()));
            }
        }
    }
    let expired_us = expired_us.expect("it runs out");
    assert!(
        (84_000_000..91_000_000).contains(&expired_us),
        "{expired_us}"
    );
    assert!((12..25).contains(&questions), "{questions}");
    assert_eq!(agents[0].selected(Part::Rtp), None);
    assert!(!agents[0].knows(Part::Rtp, address(PEER)));
    assert_eq!(agents[0].poll_timeout(), None, "nothing is asked any more");
    // The peer is back: its check is answered, and ours to it proves the path again.
    run(&mut agents, [address(OURS), address(PEER)]);
    let request = check(["a", "b"], 9, false);
    let handled = agents[0].handle_packet(Part::Rtp, address(PEER), &request, 0, &mut room);
    assert!(handled.expect("taken").response.is_some());
    run(&mut agents, [address(OURS), address(PEER)]);
    assert_eq!(agents[0].selected(Part::Rtp), Some(address(PEER)));
}

#[test]
fn nobody_else_can_give_consent() {
    let mut agents = connected();
    let mut room = [0; 1_024];
    for time_us in (1_000_000..40_000_000).step_by(100_000) {
        agents[0].expire(time_us);
        while let Some((port, _, _)) = agents[0].poll_transmit(time_us, &mut room) {
            let transaction: Transaction = room[8..20].try_into().expect("12 bytes");
            for (from, password) in [(PEER, "a guess"), (ELSEWHERE, "the password of b")] {
                let len = Writer::new(&mut room, Class::Success, transaction)
                    .mapped_address(address(OURS))
                    .finish(password);
                let forged = room[..len].to_vec();
                let taken =
                    agents[0].handle_packet(port, address(from), &forged, time_us, &mut room);
                assert_eq!(taken, Err(DropReason::Stun));
            }
        }
    }
    assert_eq!(agents[0].selected(Part::Rtp), None);
}

#[test]
fn candidates_that_come_later_are_checked_by_a_full_agent_alone() {
    for (kind, checks) in [(AgentKind::Full, 2), (AgentKind::Lite, 0)] {
        let kinds = [kind, AgentKind::Full];
        let mut agent = agent(["a", "b"], kinds, Offerer::Peer, &[]);
        let mut room = [0; 1_024];
        assert_eq!(agent.poll_transmit(0, &mut room), None);
        let later = [PEER, ELSEWHERE, PEER].map(|to| (Part::Rtp, address(to)));
        agent.add_candidates(&later, 0);
        agent.add_candidates(&later, 0);
        let mut sent = Vec::new();
        while let Some((_, to, _)) = agent.poll_transmit(0, &mut room) {
            sent.push(to);
        }
        assert_eq!(sent.len(), checks);
    }
}

#[test]
fn an_agent_that_turns_lite_asks_for_no_consent_any_more() {
    let mut agents = connected();
    let mut room = [0; 1_024];
    while agents[0].poll_transmit(1_000_000, &mut room).is_some() {}
    let terms = IceTerms {
        agent: AgentKind::Lite,
        ..agents[0].terms.clone()
    };
    agents[0].update(terms, 1_000_000);
    assert_eq!(agents[0].poll_timeout(), None);
    assert_eq!(agents[0].expire(60_000_000), [false; 2]);
    assert_eq!(agents[0].selected(Part::Rtp), Some(address(PEER)));
}

#[test]
fn a_peer_that_comes_back_at_another_proved_address_is_sent_to_again() {
    let mut agents = connected();
    // It is proved at a second address, too.
    let check = check(["a", "b"], 7, false);
    let mut room = [0; 1_024];
    let prove = |agent: &mut Agent, time_us| {
        let mut room = [0; 1_024];
        let handled =
            agent.handle_packet(Part::Rtp, address(ELSEWHERE), &check, time_us, &mut room);
        handled.expect("a check of the peer's");
        while let Some((port, to, _)) = agent.poll_transmit(time_us, &mut room) {
            let transaction: Transaction = room[8..20].try_into().expect("12 bytes");
            if to == address(ELSEWHERE) {
                let len = Writer::new(&mut room, Class::Success, transaction)
                    .mapped_address(address(OURS))
                    .finish("the password of b");
                let answer = room[..len].to_vec();
                let taken = agent.handle_packet(port, to, &answer, time_us, &mut room);
                taken.expect("the answer to a check");
            }
        }
    };
    prove(&mut agents[0], 1_000_000);
    assert_eq!(agents[0].selected(Part::Rtp), Some(address(PEER)));
    // The first address is answered by nobody any more.
    for time_us in (1_000_000..40_000_000).step_by(100_000) {
        agents[0].expire(time_us);
        while agents[0].poll_transmit(time_us, &mut room).is_some() {}
    }
    assert_eq!(agents[0].selected(Part::Rtp), None);
    prove(&mut agents[0], 40_000_000);
    assert_eq!(agents[0].selected(Part::Rtp), Some(address(ELSEWHERE)));
}

#[test]
fn a_port_that_rtcp_has_left_is_asked_for_no_consent() {
    let both = [vec![address(PEER)], vec![address(ELSEWHERE)]];
    let terms = IceTerms {
        local: credentials("a"),
        remote: credentials("b"),
        agent: AgentKind::Full,
        remote_agent: AgentKind::Full,
        offerer: Offerer::We,
        candidates: both,
    };
    let mut agent = Agent::new(terms.clone(), 1, 0);
    let mut room = [0; 1_024];
    for time_us in [0, 50_000] {
        while let Some((port, to, _)) = agent.poll_transmit(time_us, &mut room) {
            let transaction: Transaction = room[8..20].try_into().expect("12 bytes");
            let len = Writer::new(&mut room, Class::Success, transaction)
                .mapped_address(address(OURS))
                .finish("the password of b");
            let answer = room[..len].to_vec();
            let taken = agent.handle_packet(port, to, &answer, time_us, &mut room);
            taken.expect("the answer to a check");
        }
    }
    assert_eq!(agent.selected(Part::Rtcp), Some(address(ELSEWHERE)));
    let muxed = IceTerms {
        candidates: [vec![address(PEER)], Vec::new()],
        ..terms
    };
    agent.update(muxed, 100_000);
    assert_eq!(agent.selected(Part::Rtcp), None);
    let asked = agent.poll_transmit(200_000, &mut room);
    assert!(asked.is_some_and(|(port, ..)| port == Part::Rtp));
}

#[test]
fn a_restart_begins_with_consent_of_its_own() {
    let mut agents = connected();
    let mut room = [0; 1_024];
    // The peer falls silent, and almost half a minute later another has taken its place.
    for time_us in (1_000_000..29_000_000).step_by(100_000) {
        while agents[0].poll_transmit(time_us, &mut room).is_some() {}
    }
    let terms = IceTerms {
        remote: credentials("another"),
        ..agents[0].terms.clone()
    };
    agents[0].update(terms, 29_000_000);
    let mut expired_us = None;
    for time_us in (29_000_000..90_000_000).step_by(100_000) {
        if agents[0].expire(time_us)[0] {
            expired_us.get_or_insert(time_us);
        }
        while agents[0].poll_transmit(time_us, &mut room).is_some() {}
    }
    assert_eq!(expired_us, Some(59_000_000));
}
