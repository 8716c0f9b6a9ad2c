//! A call that the kernel relays comes back while somebody listens to it.

use media::{AddressFamily, Negotiation, Options, Participant, Side};
use testkit::wait_for;

use crate::stage::{HOOKS, SESSION, Stage};

const SUBSCRIPTION: u64 = 100;
const A: Participant = Participant {
    session: SESSION,
    side: Side::A,
};

#[test]
fn a_call_leaves_the_kernel_for_a_subscriber_and_goes_back_after_it() {
    for hook in HOOKS {
        let Some(mut stage) = Stage::new(hook) else {
            return;
        };
        let listener = stage.phone_at(2, AddressFamily::V4);
        let sdp = listener.sdp("recvonly");
        let options = Options::default();
        let offer = stage
            .engine(|engine| engine.subscribe(SUBSCRIPTION, &[A], &options, AddressFamily::V4));
        offer.expect("an offer");
        // Nobody listens yet.
        let before = stage.in_user_space();
        (0..10).for_each(|_| stage.talk());
        assert_eq!(stage.in_user_space(), before, "{hook:?}: not yet");
        let answer = Negotiation {
            from: Side::B,
            sdp: sdp.as_bytes(),
            signalling: None,
            options: Options::relay(),
        };
        let answered = stage.engine(|engine| engine.answer(SUBSCRIPTION, answer));
        answered.expect("it fits");
        wait_for("user space to relay", || {
            stage.talk();
            (stage.in_user_space() > before).then_some(())
        });
        // All that comes from now on is copied, and nothing is lost on the way.
        stage.a.say(stage.towards_b, "copied");
        assert_eq!(stage.b.hear().0, "copied");
        while listener.hear().0 != "copied" {}
        for text in ["one", "two", "three"] {
            stage.a.say(stage.towards_b, text);
            assert_eq!(stage.b.hear().0, text);
            assert_eq!(listener.hear().0, text);
        }
        stage.engine(|engine| engine.delete(SUBSCRIPTION));
        stage.until_in_kernel();
        let before = stage.in_user_space();
        (0..20).for_each(|_| stage.talk());
        assert_eq!(
            stage.in_user_space(),
            before,
            "{hook:?}: back in the kernel"
        );
        let report = stage.engine(|engine| engine.delete(SESSION));
        let report = report.expect("a session");
        assert_eq!((report.a.lost, report.b.lost), (0, 0), "{hook:?}");
    }
}
