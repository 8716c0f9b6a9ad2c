use super::{T1, Transport, ms, timers};
use crate::transaction::Effect::{Ack, Cancel, Deliver, End, Fail, Release, Send, Set, Stop};
use crate::transaction::InviteClient::{
    Accepted, Calling, Cancelling, Completed, Proceeding, Terminated,
};
use crate::transaction::InviteClientInput::{self as In, Response};
use crate::transaction::{Effect, Failure, InviteClient, Timer};

const UDP: Transport = Transport::Udp;
const TCP: Transport = Transport::Tcp;

/// One step: the state before, the transport, the input, the effects and the state after.
fn check(
    before: InviteClient,
    transport: Transport,
    input: In,
    effects: &[Effect],
    after: InviteClient,
) {
    let mut machine = before;
    let got = machine.step(input, &timers(), transport);
    assert_eq!(got.as_slice(), effects, "{before:?} {transport} {input:?}");
    assert_eq!(machine, after, "{before:?} {transport} {input:?}");
}

const CALLING: InviteClient = Calling { a: T1 };

#[test]
fn rfc_3261_17_1_1_2_start_sends_and_sets_a_and_b() {
    let (machine, effects) = InviteClient::start(&timers(), UDP);
    assert_eq!(machine, CALLING);
    assert_eq!(
        effects.as_slice(),
        [Send, Set(Timer::A, T1), Set(Timer::B, T1 * 64)]
    );
}

#[test]
fn rfc_3261_17_1_1_2_reliable_transports_have_no_timer_a() {
    for transport in [TCP, Transport::Tls, Transport::Ws, Transport::Wss] {
        let (_, effects) = InviteClient::start(&timers(), transport);
        assert_eq!(effects.as_slice(), [Send, Set(Timer::B, T1 * 64)]);
    }
}

#[test]
fn rfc_3261_17_1_1_2_timer_a_doubles_without_end() {
    let mut machine = CALLING;
    for doubling in 1..=6 {
        let interval = T1 * (1 << doubling);
        let effects = machine.step(In::Timer(Timer::A), &timers(), UDP);
        assert_eq!(effects.as_slice(), [Send, Set(Timer::A, interval)]);
    }
    assert_eq!(machine, Calling { a: ms(32_000) });
}

#[test]
fn rfc_3261_17_1_1_2_timer_b_ends_calling_with_a_timeout() {
    check(
        CALLING,
        UDP,
        In::Timer(Timer::B),
        &[Fail(Failure::Timeout), End],
        Terminated,
    );
}

#[test]
fn rfc_3261_17_1_1_2_a_provisional_response_stops_retransmissions() {
    let effects = [Deliver, Stop(Timer::A), Set(Timer::C, timers().c)];
    for status in [100, 183, 199] {
        check(CALLING, UDP, Response(status), &effects, Proceeding);
    }
    check(Proceeding, UDP, In::Timer(Timer::A), &[], Proceeding);
    check(Proceeding, UDP, In::Timer(Timer::B), &[], Proceeding);
}

#[test]
fn rfc_3261_16_7_every_provisional_but_100_starts_timer_c_anew() {
    check(Proceeding, UDP, Response(100), &[Deliver], Proceeding);
    check(
        Proceeding,
        UDP,
        Response(180),
        &[Deliver, Set(Timer::C, timers().c)],
        Proceeding,
    );
}

#[test]
fn rfc_3261_16_8_timer_c_cancels() {
    check(Proceeding, UDP, In::Timer(Timer::C), &[Cancel], Proceeding);
}

#[test]
fn rfc_3261_17_1_1_2_a_failure_is_acknowledged_and_absorbed_until_timer_d() {
    let effects = [Stop(Timer::A), Ack, Set(Timer::D, ms(32_000)), Deliver];
    for status in [300, 486, 503, 699] {
        check(CALLING, UDP, Response(status), &effects, Completed);
        check(Proceeding, UDP, Response(status), &effects, Completed);
    }
    check(Completed, UDP, Response(486), &[Ack], Completed);
    check(Completed, UDP, Response(180), &[], Completed);
    check(Completed, UDP, Response(200), &[], Completed);
    check(Completed, UDP, In::Timer(Timer::D), &[End], Terminated);
}

#[test]
fn rfc_3261_17_1_1_2_timer_d_is_zero_on_reliable_transports() {
    check(
        Proceeding,
        TCP,
        Response(486),
        &[Ack, Deliver, End],
        Terminated,
    );
}

#[test]
fn rfc_6026_7_2_a_2xx_leads_to_accepted() {
    let effects = [Stop(Timer::A), Set(Timer::M, T1 * 64), Deliver, Release];
    for transport in [UDP, TCP] {
        check(CALLING, transport, Response(200), &effects, Accepted);
        check(Proceeding, transport, Response(202), &effects, Accepted);
    }
}

#[test]
fn rfc_6026_7_2_accepted_passes_each_2xx_and_nothing_else() {
    check(Accepted, UDP, Response(200), &[Deliver], Accepted);
    check(Accepted, UDP, Response(180), &[], Accepted);
    check(Accepted, UDP, Response(486), &[], Accepted);
    check(Accepted, UDP, In::TransportError, &[], Accepted);
    check(Accepted, UDP, In::Timer(Timer::M), &[End], Terminated);
}

#[test]
fn rfc_3261_17_1_4_a_transport_error_ends_it() {
    check(
        CALLING,
        TCP,
        In::TransportError,
        &[Fail(Failure::Transport), End],
        Terminated,
    );
    check(
        Completed,
        UDP,
        In::TransportError,
        &[Fail(Failure::Transport), End],
        Terminated,
    );
    check(Proceeding, UDP, In::TransportError, &[], Proceeding);
}

#[test]
fn rfc_3261_9_1_a_cancelled_invite_is_given_up_after_64_t1() {
    let limit = [Set(Timer::Cancelled, T1 * 64)];
    check(Proceeding, UDP, In::Cancelled, &limit, Cancelling);
    // A phone that goes on ringing does not prolong it.
    check(Cancelling, UDP, Response(180), &[Deliver], Cancelling);
    check(Cancelling, UDP, In::Timer(Timer::C), &[], Cancelling);
    let effects = [Fail(Failure::Timeout), End];
    check(
        Cancelling,
        UDP,
        In::Timer(Timer::Cancelled),
        &effects,
        Terminated,
    );
}

#[test]
fn rfc_3261_9_1_a_cancelled_invite_ends_by_its_final_response() {
    let refused = [Stop(Timer::A), Ack, Set(Timer::D, ms(32_000)), Deliver];
    check(Cancelling, UDP, Response(487), &refused, Completed);
    let accepted = [Stop(Timer::A), Set(Timer::M, T1 * 64), Deliver, Release];
    check(Cancelling, UDP, Response(200), &accepted, Accepted);
}
