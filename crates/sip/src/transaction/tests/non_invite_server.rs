use super::{T1, Transport, ms, timers};
use crate::transaction::Effect::{Deliver, End, Fail, Send, SendTrying, Set, Stop};
use crate::transaction::NonInviteServer::{Completed, Proceeding, Terminated, Trying};
use crate::transaction::NonInviteServerInput::{self as In, Respond};
use crate::transaction::{Effect, Failure, NonInviteServer, Timer};

const UDP: Transport = Transport::Udp;
const TCP: Transport = Transport::Tcp;

fn check(
    before: NonInviteServer,
    transport: Transport,
    input: In,
    effects: &[Effect],
    after: NonInviteServer,
) {
    let mut machine = before;
    let got = machine.step(input, &timers(), transport);
    assert_eq!(got.as_slice(), effects, "{before:?} {transport} {input:?}");
    assert_eq!(machine, after, "{before:?} {transport} {input:?}");
}

#[test]
fn rfc_3261_17_2_2_start_delivers_and_rfc_4320_4_1_owes_a_100_after_3500_ms() {
    let (machine, effects) = NonInviteServer::start(&timers());
    assert_eq!(machine, Trying);
    assert_eq!(effects.as_slice(), [Set(Timer::Trying, ms(3_500)), Deliver]);
    check(
        Trying,
        UDP,
        In::Timer(Timer::Trying),
        &[SendTrying],
        Proceeding,
    );
}

#[test]
fn rfc_3261_17_2_2_a_retransmission_gets_the_latest_response() {
    check(Trying, UDP, In::Retransmission, &[], Trying);
    check(Proceeding, UDP, In::Retransmission, &[Send], Proceeding);
    check(Completed, UDP, In::Retransmission, &[Send], Completed);
}

#[test]
fn rfc_3261_17_2_2_a_final_response_stays_until_timer_j() {
    let effects = [Send, Stop(Timer::Trying), Set(Timer::J, T1 * 64)];
    for status in [200, 401, 503] {
        check(Trying, UDP, Respond(status), &effects, Completed);
        check(Proceeding, UDP, Respond(status), &effects, Completed);
        check(Completed, UDP, Respond(status), &[], Completed);
    }
    check(Completed, UDP, In::Timer(Timer::J), &[End], Terminated);
}

#[test]
fn rfc_3261_17_2_2_timer_j_is_zero_on_reliable_transports() {
    check(Trying, TCP, Respond(200), &[Send, End], Terminated);
}

#[test]
fn rfc_4320_4_1_the_user_sends_no_provisional_response() {
    for status in [100, 183] {
        check(Trying, UDP, Respond(status), &[], Trying);
        check(Proceeding, UDP, Respond(status), &[], Proceeding);
    }
}

#[test]
fn rfc_4320_4_2_nobody_sends_408() {
    let silent = [Stop(Timer::Trying), Set(Timer::J, T1 * 64)];
    check(Trying, UDP, Respond(408), &silent, Completed);
    check(Proceeding, UDP, Respond(408), &silent, Completed);
    check(Trying, TCP, Respond(408), &[End], Terminated);
}

#[test]
fn rfc_3261_17_2_4_a_transport_error_is_reported() {
    check(
        Completed,
        UDP,
        In::TransportError,
        &[Fail(Failure::Transport)],
        Completed,
    );
    check(Trying, UDP, In::TransportError, &[], Trying);
}
