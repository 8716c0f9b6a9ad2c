use super::{T1, Transport, ms, timers};
use crate::transaction::Effect::{
    Deliver, End, Fail, Release, Send, SendReliable, SendTrying, Set, Stop,
};
use crate::transaction::InviteServer::{
    Accepted, Completed, Confirmed, Forsaken, Proceeding, Terminated,
};
use crate::transaction::InviteServerInput::{self as In, Respond};
use crate::transaction::{Effect, Failure, InviteServer, Timer, Timers};

const UDP: Transport = Transport::Udp;
const TCP: Transport = Transport::Tcp;
const PLAIN: InviteServer = Proceeding { reliable: None };
const RELIABLE: InviteServer = Proceeding { reliable: Some(T1) };
const COMPLETED: InviteServer = Completed { g: T1 };
const ACCEPTED: InviteServer = Accepted { success: Some(T1) };
const ACKNOWLEDGED: InviteServer = Accepted { success: None };

fn check(
    before: InviteServer,
    transport: Transport,
    input: In,
    effects: &[Effect],
    after: InviteServer,
) {
    let mut machine = before;
    let got = machine.step(input, &timers(), transport);
    assert_eq!(got.as_slice(), effects, "{before:?} {transport} {input:?}");
    assert_eq!(machine, after, "{before:?} {transport} {input:?}");
}

#[test]
fn rfc_3261_17_2_1_start_sends_100_and_delivers() {
    let (machine, effects) = InviteServer::start(&timers());
    assert_eq!(
        (machine, effects.as_slice()),
        (PLAIN, &[SendTrying, Deliver][..])
    );
}

#[test]
fn rfc_3261_17_2_1_100_may_wait_for_the_user() {
    let timers = Timers {
        trying: ms(200),
        ..timers()
    };
    let (_, effects) = InviteServer::start(&timers);
    assert_eq!(effects.as_slice(), [Set(Timer::Trying, ms(200)), Deliver]);
    check(PLAIN, UDP, In::Timer(Timer::Trying), &[SendTrying], PLAIN);
    check(
        PLAIN,
        UDP,
        Respond(180),
        &[Stop(Timer::Trying), Send],
        PLAIN,
    );
}

#[test]
fn rfc_3261_17_2_1_a_retransmission_gets_the_latest_response() {
    check(PLAIN, UDP, In::Retransmission, &[Send], PLAIN);
    check(COMPLETED, UDP, In::Retransmission, &[Send], COMPLETED);
    check(Confirmed, UDP, In::Retransmission, &[], Confirmed);
}

#[test]
fn rfc_3261_17_2_1_a_failure_is_sent_until_its_ack() {
    let effects = [Send, Set(Timer::G, T1), Set(Timer::H, T1 * 64)];
    check(PLAIN, UDP, Respond(486), &effects, COMPLETED);
    let mut machine = COMPLETED;
    for interval in [1_000, 2_000, 4_000, 4_000] {
        let effects = machine.step(In::Timer(Timer::G), &timers(), UDP);
        assert_eq!(effects.as_slice(), [Send, Set(Timer::G, ms(interval))]);
    }
    let effects = [Stop(Timer::G), Set(Timer::I, ms(5_000)), Release];
    check(machine, UDP, In::Ack, &effects, Confirmed);
    check(Confirmed, UDP, In::Ack, &[], Confirmed);
    check(Confirmed, UDP, In::Timer(Timer::I), &[End], Terminated);
}

#[test]
fn rfc_3261_17_2_1_reliable_transports_have_no_timer_g_and_no_i() {
    let effects = [Send, Stop(Timer::G), Set(Timer::H, T1 * 64)];
    check(PLAIN, TCP, Respond(486), &effects, COMPLETED);
    check(COMPLETED, TCP, In::Ack, &[End], Terminated);
}

#[test]
fn rfc_3261_17_2_1_timer_h_reports_a_missing_ack() {
    check(
        COMPLETED,
        UDP,
        In::Timer(Timer::H),
        &[Fail(Failure::NoAck), End],
        Terminated,
    );
}

#[test]
fn rfc_3261_17_2_1_there_is_one_final_response() {
    for status in [180, 200, 486] {
        check(COMPLETED, UDP, Respond(status), &[], COMPLETED);
        check(Confirmed, UDP, Respond(status), &[], Confirmed);
    }
    check(ACCEPTED, UDP, Respond(486), &[], ACCEPTED);
    check(ACCEPTED, UDP, Respond(180), &[], ACCEPTED);
}

#[test]
fn rfc_6026_7_1_a_2xx_leads_to_accepted() {
    let effects = [Send, Set(Timer::Success, T1), Set(Timer::L, T1 * 64)];
    for transport in [UDP, TCP] {
        check(PLAIN, transport, Respond(200), &effects, ACCEPTED);
    }
}

#[test]
fn rfc_6026_7_1_accepted_absorbs_retransmissions_and_passes_acks() {
    check(ACCEPTED, UDP, In::Retransmission, &[], ACCEPTED);
    check(ACCEPTED, UDP, In::Ack, &[Deliver], ACCEPTED);
    check(ACCEPTED, UDP, Respond(200), &[Send], ACCEPTED);
    check(ACKNOWLEDGED, UDP, In::Timer(Timer::L), &[End], Terminated);
}

#[test]
fn rfc_3261_13_3_1_4_a_2xx_is_sent_until_acknowledged() {
    let mut machine = ACCEPTED;
    for interval in [1_000, 2_000, 4_000, 4_000] {
        let effects = machine.step(In::Timer(Timer::Success), &timers(), TCP);
        assert_eq!(
            effects.as_slice(),
            [Send, Set(Timer::Success, ms(interval))]
        );
    }
    check(
        machine,
        UDP,
        In::Acknowledged,
        &[Stop(Timer::Success), Release],
        ACKNOWLEDGED,
    );
    check(
        ACKNOWLEDGED,
        UDP,
        In::Timer(Timer::Success),
        &[],
        ACKNOWLEDGED,
    );
    check(
        machine,
        UDP,
        In::Timer(Timer::L),
        &[Fail(Failure::NoAck), End],
        Terminated,
    );
}

#[test]
fn rfc_3262_3_a_reliable_provisional_is_sent_until_its_prack() {
    let effects = [
        Send,
        Set(Timer::Provisional, T1),
        Set(Timer::ProvisionalEnd, T1 * 64),
    ];
    check(PLAIN, UDP, In::RespondReliably, &effects, RELIABLE);
    let mut machine = RELIABLE;
    for interval in [1_000, 2_000, 4_000, 8_000] {
        let effects = machine.step(In::Timer(Timer::Provisional), &timers(), UDP);
        assert_eq!(
            effects.as_slice(),
            [SendReliable, Set(Timer::Provisional, ms(interval))]
        );
    }
    let stop = [Stop(Timer::Provisional), Stop(Timer::ProvisionalEnd)];
    check(machine, UDP, In::Pracked, &stop, PLAIN);
    check(PLAIN, UDP, In::Pracked, &[], PLAIN);
    let failed = [Stop(Timer::Provisional), Fail(Failure::NoPrack)];
    check(
        machine,
        UDP,
        In::Timer(Timer::ProvisionalEnd),
        &failed,
        PLAIN,
    );
}

#[test]
fn rfc_3262_3_an_unreliable_provisional_does_not_stop_a_reliable_one() {
    check(RELIABLE, UDP, Respond(180), &[Send], RELIABLE);
}

#[test]
fn rfc_6026_7_1_a_transport_error_is_reported_and_ends_nothing() {
    for state in [PLAIN, COMPLETED, ACCEPTED] {
        let report = [Fail(Failure::Transport)];
        check(state, UDP, In::TransportError, &report, state);
    }
    check(Confirmed, UDP, In::TransportError, &[], Confirmed);
}

#[test]
fn who_leaves_it_to_another_says_nothing_any_more() {
    let effects = [Stop(Timer::G), Set(Timer::I, T1 * 64), Release];
    for before in [PLAIN, RELIABLE, COMPLETED, ACCEPTED, ACKNOWLEDGED] {
        check(before, UDP, In::Forsake, &effects, Forsaken);
    }
    for input in [
        In::Retransmission,
        In::Ack,
        Respond(200),
        In::TransportError,
    ] {
        check(Forsaken, UDP, input, &[], Forsaken);
    }
    check(Forsaken, UDP, In::Timer(Timer::I), &[End], Terminated);
    check(Confirmed, UDP, In::Forsake, &[], Confirmed);
}
