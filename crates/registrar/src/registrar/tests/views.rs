//! What people see, and what they can do.

use super::*;
use crate::{BindingId, Filter, Standing};

fn rig_of(count: usize) -> Rig {
    let mut rig = Rig::with(Policy {
        verify: false,
        contacts_max: 100,
        ..Policy::default()
    });
    for n in 0..count {
        rig.register(&format!(
            "User-Agent: Phone/{}\nContact: <sip:{n}@h>",
            n % 2
        ))
        .unwrap();
    }
    rig
}

#[test]
fn pages_follow_one_another_without_gap_or_repetition() {
    let rig = rig_of(25);
    let mut seen: Vec<BindingId> = Vec::new();
    loop {
        let page = rig
            .registrar
            .list(&Filter::default(), seen.last().copied(), 10);
        if page.is_empty() {
            break;
        }
        seen.extend(page.iter().map(|view| view.id));
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.is_sorted());
}

#[test]
fn filters_narrow_the_list() {
    let mut rig = rig_of(4);
    rig.register_from(tcp(1), "Contact: <sip:tcp@h>").unwrap();
    let count = |filter: Filter<'_>| rig.registrar.list(&filter, None, 100).len();
    assert_eq!(count(Filter::default()), 5);
    let aor = |aor| Filter {
        aor: Some(aor),
        ..Filter::default()
    };
    assert_eq!(count(aor(ALICE)), 5);
    assert_eq!(count(aor("bob@example.com")), 0);
    let text = |text| Filter {
        text: Some(text),
        ..Filter::default()
    };
    assert_eq!(count(text("phone/1")), 2);
    assert_eq!(count(text("SIP:TCP")), 1);
    let transport = Some(Transport::Tcp);
    assert_eq!(
        count(Filter {
            transport,
            ..Filter::default()
        }),
        1
    );
    assert_eq!(rig.registrar.count(Transport::Tcp), 1);
    assert_eq!(rig.registrar.count(Transport::Udp), 4);
}

#[test]
fn a_view_shows_the_binding() {
    let mut rig = Rig::with(Policy::default());
    rig.register("User-Agent: Phone/1\nContact: <sip:a@10.0.0.1>;q=0.3")
        .unwrap();
    let id = rig.registrar.list(&Filter::default(), None, 1)[0].id;
    let view = rig.registrar.view(id).unwrap();
    assert_eq!(view.standing, Standing::Pending);
    let shown = view.to_model(None, "n");
    assert_eq!(shown.id, id.to_string());
    assert_eq!(shown.aor, ALICE);
    assert_eq!(shown.contact, "sip:a@10.0.0.1");
    assert_eq!(shown.received, "udp:192.0.2.1:5060");
    assert_eq!(shown.user_agent, "Phone/1");
    assert!(!shown.routable);
    let ping = rig.verification();
    rig.answer(&ping, 200);
    let shown = rig.registrar.view(id).unwrap().to_model(None, "n");
    assert_eq!((shown.routable, shown.rtt_us), (true, Some(20_000)));
}

#[test]
fn an_operator_removes_one_or_all() {
    let mut rig = rig_of(3);
    rig.outputs();
    let id = rig.lookup()[0].binding;
    assert!(rig.registrar.remove(rig.now, id));
    assert!(!rig.registrar.remove(rig.now, id));
    assert_eq!(rig.events(), [EventKind::Unregistered(Removal::Operator)]);
    assert_eq!(rig.registrar.remove_all(rig.now, ALICE), 2);
    assert!(rig.registrar.is_empty());
    assert_eq!(rig.registrar.poll_timeout(), None);
    assert_eq!(rig.registrar.count(Transport::Udp), 0);
}
