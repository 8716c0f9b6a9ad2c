use clock::Time;
use serde_json::json;
use store::Sqlite;

use super::*;

const ISSUER: &str = "https://id";

fn settings(newcomers: Newcomers) -> OidcSettings {
    let rule = |value: &str, role| OidcRule {
        claim: "realm.groups".into(),
        value: value.into(),
        role,
        account: None,
        zones: Vec::new(),
    };
    OidcSettings {
        newcomers,
        rules: vec![rule("chiefs", Role::Admin), rule("ops", Role::Operator)],
        ..OidcSettings::default()
    }
}

fn claims(subject: &str, name: &str, groups: &[&str]) -> Value {
    json!({ "sub": subject, "preferred_username": name, "name": "Ann Example",
        "realm": { "groups": groups } })
}

fn with_store(test: impl FnOnce(&dyn Records)) {
    let directory = tempfile::tempdir().unwrap();
    test(&Sqlite::open(&directory.path().join("tandem.db")).unwrap());
}

/// What comes of somebody with these claims: their name, role and whether they are the same person as
/// before; or why not.
fn admitted(
    records: &dyn Records,
    settings: &OidcSettings,
    claims: &Value,
) -> Result<Person, &'static str> {
    let comer = Comer::of(claims, ISSUER, settings);
    let random = crate::secret::id_bits().unwrap();
    let id = PersonId::from_parts(1, random);
    match comer.admit(records, settings, &actor(), id) {
        Ok(person) => Ok(person),
        Err(Turned::Away(refused)) => Err(refused.code()),
        Err(Turned::Store(error)) => panic!("{error}"),
    }
}

fn actor() -> Actor {
    Actor {
        name: "a test".into(),
        at: Time::from_secs(1),
    }
}

fn made(records: &dyn Records, name: &str, sign_in: SignInBy) -> Person {
    let random = crate::secret::id_bits().unwrap();
    let person = Person {
        id: PersonId::from_parts(1, random),
        name: name.into(),
        display_name: String::new(),
        role: Role::Viewer,
        account: None,
        zones: Vec::new(),
        sign_in,
        oidc: None,
        enabled: true,
        password_hash: None,
        second_factor: None,
    };
    records.create(&actor(), person).unwrap().record
}

#[test]
fn a_newcomer_is_made_with_the_role_of_the_first_rule_and_is_the_same_next_time() {
    with_store(|records| {
        let settings = settings(Newcomers::Make);
        let first = admitted(records, &settings, &claims("7", "Ann", &["ops", "chiefs"])).unwrap();
        assert_eq!((first.name.as_str(), first.role), ("ann", Role::Admin));
        assert_eq!(first.display_name, "Ann Example");
        // Another name there, another group: the same person, who may do less.
        let later = admitted(records, &settings, &claims("7", "anna", &["ops"])).unwrap();
        assert_eq!((later.id, later.role), (first.id, Role::Operator));
        let stored = records.read::<Person>(first.id).unwrap().record;
        assert_eq!(stored.role, Role::Operator);
        let out = admitted(records, &settings, &claims("7", "ann", &["guests"]));
        assert_eq!(out, Err("no-role"));
        let refused = admitted(records, &settings, &claims("8", "bob", &[]));
        assert_eq!(refused, Err("no-role"));
    });
}

#[test]
fn only_who_is_meant_to_is_known_by_their_name_and_once() {
    with_store(|records| {
        let settings = settings(Newcomers::Refuse);
        made(records, "root", SignInBy::Password);
        let ann = made(records, "ann", SignInBy::Oidc);
        let taken = admitted(records, &settings, &claims("6", "root", &["chiefs"]));
        assert_eq!(taken, Err("name-taken"));
        let unknown = admitted(records, &settings, &claims("6", "eve", &["chiefs"]));
        assert_eq!(unknown, Err("unknown-person"));
        let known = admitted(records, &settings, &claims("7", "ann", &["ops"])).unwrap();
        assert_eq!(known.id, ann.id);
        assert_eq!(known.oidc.unwrap().subject, "7");
        // Whatever they are called there later, they are who they were, and nobody else.
        made(records, "bob", SignInBy::Oidc);
        let renamed = admitted(records, &settings, &claims("7", "bob", &["ops"])).unwrap();
        assert_eq!(renamed.id, ann.id);
        // Who takes over the name at the provider is somebody else.
        let heir = admitted(records, &settings, &claims("9", "ann", &["ops"]));
        assert_eq!(heir, Err("name-taken"));
    });
}

#[test]
fn who_is_disabled_or_signs_in_by_password_now_stays_out() {
    with_store(|records| {
        let settings = settings(Newcomers::Make);
        let ann = admitted(records, &settings, &claims("7", "ann", &["ops"])).unwrap();
        let change = |change: &dyn Fn(&mut Person)| {
            let mut stored = records.read::<Person>(ann.id).unwrap();
            change(&mut stored.record);
            records
                .update(&actor(), stored.record, stored.revision)
                .unwrap();
        };
        change(&|person| person.enabled = false);
        let out = admitted(records, &settings, &claims("7", "ann", &["ops"]));
        assert_eq!(out, Err("disabled"));
        change(&|person| {
            person.enabled = true;
            person.sign_in = SignInBy::Password;
        });
        let out = admitted(records, &settings, &claims("7", "ann", &["ops"]));
        assert_eq!(out, Err("name-taken"));
    });
}

#[test]
fn without_rules_people_keep_what_their_page_says() {
    with_store(|records| {
        let mut settings = settings(Newcomers::Refuse);
        settings.rules.clear();
        made(records, "ann", SignInBy::Oidc);
        let ann = admitted(records, &settings, &claims("7", "ann", &["chiefs"])).unwrap();
        assert_eq!(ann.role, Role::Viewer);
    });
}

#[test]
fn a_rule_that_names_what_is_gone_lets_nobody_in() {
    with_store(|records| {
        let mut settings = settings(Newcomers::Make);
        settings.rules[1].zones = vec![ZoneId::from_parts(9, 9)];
        let out = admitted(records, &settings, &claims("7", "ann", &["ops"]));
        assert_eq!(out, Err("bad-rule"));
    });
}

#[test]
fn a_name_that_is_none_here_makes_nobody() {
    with_store(|records| {
        let settings = settings(Newcomers::Make);
        for name in ["", "Ann Example", "änn"] {
            let out = admitted(records, &settings, &claims("7", name, &["ops"]));
            assert_eq!(out, Err("no-name"), "{name}");
        }
    });
}

#[test]
fn rules_look_into_claims() {
    let rule = |claim: &str, value: &str| OidcRule {
        claim: claim.into(),
        value: value.into(),
        role: Role::Viewer,
        account: None,
        zones: Vec::new(),
    };
    let claims =
        json!({ "a": "x", "b": ["x", "y"], "c": { "d": true }, "https://h/e": 7, "f": null });
    for (claim, value, fits) in [
        ("a", "x", true),
        ("a", "X", false),
        ("b", "y", true),
        ("b", "z", false),
        ("c.d", "true", true),
        ("c", "*", true),
        ("https://h/e", "7", true),
        ("f", "*", false),
        ("g", "*", false),
    ] {
        assert_eq!(
            rule_fits(&rule(claim, value), &claims),
            fits,
            "{claim} {value}"
        );
    }
}

#[test]
fn an_address_that_is_not_verified_leads_to_nobody() {
    with_store(|records| {
        let by_address = OidcSettings {
            name_claim: "email".into(),
            rules: vec![OidcRule {
                claim: "email".into(),
                value: "ann@example.com".into(),
                role: Role::Admin,
                account: None,
                zones: Vec::new(),
            }],
            newcomers: Newcomers::Make,
            ..OidcSettings::default()
        };
        made(records, "ann@example.com", SignInBy::Oidc);
        let claims = |verified| json!({ "sub": "7", "email": "ann@example.com", "email_verified": verified });
        for unverified in [Value::Null, json!(false), json!("false"), json!("")] {
            let claims = claims(unverified);
            assert!(!is_complete(&claims, &by_address), "{claims}");
            assert_eq!(
                admitted(records, &by_address, &claims),
                Err("no-role"),
                "{claims}"
            );
        }
        let ann = admitted(records, &by_address, &claims(json!(true))).unwrap();
        assert_eq!(
            (ann.name.as_str(), ann.role),
            ("ann@example.com", Role::Admin)
        );
    });
}
