use testkit::RedisServer;

use super::{Owned, RedisDuties};

fn node(server: &RedisServer) -> RedisDuties {
    RedisDuties::new(&server.url()).unwrap()
}

fn joins(server: &RedisServer, name: &str) {
    let said = server.ask(&format!("HSET tandem:members {name} \"127.0.0.1:1 1\""));
    said.unwrap();
}

fn wants(note: &str) -> Vec<(String, String)> {
    vec![("carrier".to_owned(), note.to_owned())]
}

fn owned(owner: &str, note: &str) -> Option<Vec<Owned>> {
    let (owner, note) = (owner.to_owned(), note.to_owned());
    Some(vec![Owned { owner, note }])
}

#[test]
fn a_duty_is_its_owners_until_that_is_gone() {
    let server = RedisServer::start().unwrap();
    let (mut one, mut other) = (node(&server), node(&server));
    joins(&server, "one");
    joins(&server, "other");
    assert_eq!(one.claim("one", &wants(""), &[]).unwrap(), owned("one", ""));
    assert_eq!(
        one.claim("one", &wants("at 1"), &[]).unwrap(),
        owned("one", "")
    );
    let others = other.claim("other", &wants("at 2"), &[]).unwrap();
    assert_eq!(others, owned("one", "at 1"));
    server.ask("HDEL tandem:members one").unwrap();
    server.ask("SADD tandem:buried one").unwrap();
    let heir = other.claim("other", &wants("at 2"), &[]).unwrap();
    assert_eq!(
        heir,
        owned("other", "at 1"),
        "it hears what was said before"
    );
    assert_eq!(one.claim("one", &wants("at 1"), &[]).unwrap(), None);
    // Started again under another name, it finds that another has it.
    joins(&server, "one-2");
    let late = one.claim("one-2", &wants(""), &[]).unwrap();
    assert_eq!(late, owned("other", "at 2"));
}

#[test]
fn what_is_given_up_is_the_next_ones() {
    let server = RedisServer::start().unwrap();
    let (mut one, mut other) = (node(&server), node(&server));
    joins(&server, "one");
    joins(&server, "other");
    one.claim("one", &wants("at 1"), &[]).unwrap();
    // Nobody gives up what is another's.
    other.claim("other", &[], &["carrier".to_owned()]).unwrap();
    let still = other.claim("other", &wants(""), &[]).unwrap();
    assert_eq!(still, owned("one", "at 1"));
    one.claim("one", &[], &["carrier".to_owned()]).unwrap();
    let next = other.claim("other", &wants(""), &[]).unwrap();
    assert_eq!(next, owned("other", ""));
}
