//! Random requests, closed connections and passing time, against a list that does the same
//! in the plainest way.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Action {
    Register {
        user: usize,
        contact: usize,
        expires_s: u32,
        /// 0 is UDP.
        conn: u64,
    },
    RemoveAll {
        user: usize,
    },
    Close {
        conn: u64,
    },
    Pass {
        s: u64,
    },
}

/// What the plain list holds of a binding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Plain {
    user: usize,
    uri: String,
    conn: u64,
    expires: Time,
}

fn action() -> impl Strategy<Value = Action> {
    let expires_s = prop_oneof![Just(0_u32), 60..300_u32];
    prop_oneof![
        6 => (0..3_usize, 0..4_usize, expires_s, 0..4_u64).prop_map(
            |(user, contact, expires_s, conn)| Action::Register { user, contact, expires_s, conn }
        ),
        1 => (0..3_usize).prop_map(|user| Action::RemoveAll { user }),
        1 => (1..4_u64).prop_map(|conn| Action::Close { conn }),
        2 => (0..200_u64).prop_map(|s| Action::Pass { s }),
    ]
}

fn apply_plainly(plain: &mut Vec<Plain>, now: Time, action: &Action) {
    match *action {
        Action::Register {
            user,
            contact,
            expires_s,
            conn,
        } => {
            let uri = format!("sip:{contact}@h");
            let present = plain.iter().filter(|b| b.user == user).count();
            let is_known = plain.iter().any(|b| b.user == user && b.uri == uri);
            if expires_s > 0 && !is_known && present >= CONTACTS_MAX {
                return;
            }
            plain.retain(|b| b.user != user || b.uri != uri);
            if expires_s > 0 {
                plain.push(Plain {
                    user,
                    uri,
                    conn,
                    expires: now + Duration::from_secs(expires_s.into()),
                });
            }
        }
        Action::RemoveAll { user } => plain.retain(|b| b.user != user),
        Action::Close { conn } => plain.retain(|b| b.conn != conn),
        Action::Pass { .. } => plain.retain(|b| b.expires > now),
    }
}

fn apply(rig: &mut Rig, action: &Action) {
    let flow = |conn| match conn {
        0 => udp("192.0.2.1:5060"),
        conn => tcp(conn),
    };
    let (user, conn, headers) = match action {
        Action::Register {
            user,
            contact,
            expires_s,
            conn,
        } => {
            let headers = format!("Contact: <sip:{contact}@h>;expires={expires_s}");
            (*user, *conn, headers)
        }
        Action::RemoveAll { user } => (*user, 0, "Contact: *\nExpires: 0".to_owned()),
        Action::Close { conn } => {
            rig.registrar.handle_connection_closed(ConnId(*conn));
            return;
        }
        Action::Pass { s } => {
            rig.pass(Duration::from_secs(*s));
            return;
        }
    };
    rig.cseq += 1;
    let message = register_text(&rig.via, "x", rig.cseq, &headers);
    let request = from_message(&message, flow(conn), USERS[user], 0).unwrap();
    // Refused when full; the plain list does nothing then either.
    let _ = rig.registrar.register(rig.now, &request);
}

fn held(rig: &Rig) -> Vec<Plain> {
    let views = rig.registrar.list(&crate::Filter::default(), None, 100);
    let mut held: Vec<Plain> = views
        .iter()
        .map(|view| Plain {
            user: USERS.iter().position(|user| *user == view.aor).unwrap(),
            uri: text(view.uri),
            conn: view.reach.flow().conn.map_or(0, |conn| conn.0),
            expires: view.expires,
        })
        .collect();
    held.sort();
    held
}

proptest! {
    #[test]
    fn the_registrar_holds_what_a_plain_list_holds(
        actions in prop::collection::vec(action(), 1..80),
    ) {
        let mut rig = Rig::with(Policy {
            verify: false,
            contacts_max: CONTACTS_MAX as u16,
            keep_alive_interval: Duration::ZERO,
            ..Policy::default()
        });
        let mut plain: Vec<Plain> = Vec::new();
        for action in &actions {
            apply(&mut rig, action);
            apply_plainly(&mut plain, rig.now, action);
            plain.sort();
            prop_assert_eq!(held(&rig), plain.clone());
            for (user, aor) in USERS.iter().enumerate() {
                let found = rig.registrar.lookup(rig.now, aor).len();
                prop_assert_eq!(found, plain.iter().filter(|b| b.user == user).count());
            }
            let udp = plain.iter().filter(|b| b.conn == 0).count();
            prop_assert_eq!(rig.registrar.count(Transport::Udp), udp);
            prop_assert_eq!(rig.registrar.poll_timeout().is_none(), plain.is_empty());
            rig.outputs();
        }
    }
}

const USERS: [&str; 3] = ["alice@example.com", "bob@example.com", "carol@example.com"];
const CONTACTS_MAX: usize = 3;
