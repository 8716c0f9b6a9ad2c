use super::{T1, Transport, ms, timers};
use crate::transaction::Effect::{Deliver, End, Fail, Release, Send, Set, Stop};
use crate::transaction::NonInviteClient::{Completed, Proceeding, Terminated, Trying};
use crate::transaction::NonInviteClientInput::{self as In, Response};
use crate::transaction::{Effect, Failure, NonInviteClient, Timer};

const UDP: Transport = Transport::Udp;
const TCP: Transport = Transport::Tcp;
const TRYING: NonInviteClient = Trying { e: T1 };

fn check(
    before: NonInviteClient,
    transport: Transport,
    input: In,
    effects: &[Effect],
    after: NonInviteClient,
) {
    let mut machine = before;
    let got = machine.step(input, &timers(), transport);
    assert_eq!(got.as_slice(), effects, "{before:?} {transport} {input:?}");
    assert_eq!(machine, after, "{before:?} {transport} {input:?}");
}

#[test]
fn rfc_3261_17_1_2_2_start_sends_and_sets_e_and_f() {
    let (machine, effects) = NonInviteClient::start(&timers(), UDP);
    assert_eq!(machine, TRYING);
    assert_eq!(
        effects.as_slice(),
        [Send, Set(Timer::E, T1), Set(Timer::F, T1 * 64)]
    );
    let (_, effects) = NonInviteClient::start(&timers(), TCP);
    assert_eq!(effects.as_slice(), [Send, Set(Timer::F, T1 * 64)]);
}

#[test]
fn rfc_3261_17_1_2_2_timer_e_doubles_up_to_t2() {
    let mut machine = TRYING;
    for interval in [1_000, 2_000, 4_000, 4_000] {
        let effects = machine.step(In::Timer(Timer::E), &timers(), UDP);
        assert_eq!(effects.as_slice(), [Send, Set(Timer::E, ms(interval))]);
    }
}

#[test]
fn rfc_3261_17_1_2_2_timer_f_ends_it_with_a_timeout() {
    let effects = [Fail(Failure::Timeout), End];
    check(TRYING, UDP, In::Timer(Timer::F), &effects, Terminated);
    check(Proceeding, UDP, In::Timer(Timer::F), &effects, Terminated);
}

#[test]
fn rfc_3261_17_1_2_2_proceeding_retransmits_every_t2() {
    check(TRYING, UDP, Response(100), &[Deliver], Proceeding);
    check(Proceeding, UDP, Response(183), &[Deliver], Proceeding);
    let effects = [Send, Set(Timer::E, ms(4_000))];
    check(Proceeding, UDP, In::Timer(Timer::E), &effects, Proceeding);
}

#[test]
fn rfc_3261_17_1_2_2_a_final_response_leads_to_completed_until_timer_k() {
    let effects = [Stop(Timer::E), Set(Timer::K, ms(5_000)), Deliver, Release];
    for status in [200, 302, 404, 503, 603] {
        check(TRYING, UDP, Response(status), &effects, Completed);
        check(Proceeding, UDP, Response(status), &effects, Completed);
    }
    check(Completed, UDP, Response(200), &[], Completed);
    check(Completed, UDP, In::TransportError, &[], Completed);
    check(Completed, UDP, In::Timer(Timer::K), &[End], Terminated);
}

#[test]
fn rfc_3261_17_1_2_2_timer_k_is_zero_on_reliable_transports() {
    check(TRYING, TCP, Response(200), &[Deliver, End], Terminated);
}

#[test]
fn rfc_3261_17_1_4_a_transport_error_ends_it() {
    let effects = [Fail(Failure::Transport), End];
    check(TRYING, TCP, In::TransportError, &effects, Terminated);
    check(Proceeding, TCP, In::TransportError, &effects, Terminated);
}
