//! Drafts: what is prepared is seen by who names the draft, and in force for nobody before it is applied.

use model::{Cdr, Role};
use serde_json::{Value, json};
use store::CdrStore;

use crate::cdrs::cdr;
use crate::fixture::{Answer, Api};

/// A carrier with a route, and a draft without changes.
struct Prepared {
    api: Api,
    carrier: Value,
    /// The path of the route.
    route: String,
    /// The path of the draft.
    draft: String,
    id: String,
}

impl Prepared {
    async fn new() -> Self {
        let api = Api::new();
        let carrier = api.made("/v1/carriers", json!({ "name": "north" })).await["id"].clone();
        let body = json!({ "carrier": carrier, "prefix": "49", "priority": 1 });
        let route = api.post("/v1/routes", &body).await;
        let route = route.header("location").to_owned();
        let draft = api.post("/v1/drafts", &json!({ "name": "spring" })).await;
        assert_eq!(draft.status, 201, "{}", draft.text);
        let id = draft.body["id"].as_str().unwrap().to_owned();
        let draft = format!("/v1/drafts/{id}");
        Self {
            api,
            carrier,
            route,
            draft,
            id,
        }
    }

    /// A request within the draft, of whatever revision.
    async fn within(&self, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("tandem-draft", self.id.as_str()), ("if-match", "*")];
        self.api.send(method, path, &headers, body).await
    }

    /// The route's prefix, as it is and in the draft.
    async fn prefixes(&self) -> (Value, Value) {
        let live = self.api.get(&self.route).await.body["prefix"].clone();
        let drafted = self.within("GET", &self.route, &json!({})).await;
        (live, drafted.body["prefix"].clone())
    }

    async fn change_prefix(&self, prefix: &str) {
        let body = json!({ "prefix": prefix });
        let changed = self.within("PATCH", &self.route, &body).await;
        assert_eq!(changed.status, 200, "{}", changed.text);
    }

    /// The route changed behind the draft's back.
    async fn change_meanwhile(&self) {
        let body = json!({ "prefix": "43" });
        let changed = self
            .api
            .send("PATCH", &self.route, &[("if-match", "*")], &body);
        assert_eq!(changed.await.status, 200);
    }

    async fn step(&self, step: &str) -> Answer {
        let path = format!("{}/{step}", self.draft);
        self.api.post(&path, &json!({})).await
    }
}

#[tokio::test]
async fn a_draft_is_seen_within_it_alone_until_it_is_applied_and_can_be_put_back() {
    let it = Prepared::new().await;
    it.change_prefix("44").await;
    it.change_prefix("45").await;
    assert_eq!(it.prefixes().await, (json!("49"), json!("45")));
    // A carrier and what is behind it, which name each other within the draft.
    let east = it
        .within("POST", "/v1/carriers", &json!({ "name": "east" }))
        .await;
    assert_eq!(east.status, 201, "{}", east.text);
    let body = json!({ "carrier": east.body["id"], "prefix": "33", "priority": 1 });
    let second = it.within("POST", "/v1/routes", &body).await;
    assert_eq!(second.status, 201, "{}", second.text);
    let listed = it.within("GET", "/v1/routes", &json!({})).await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 2);
    let live = it.api.get("/v1/routes").await;
    assert_eq!(live.body["items"].as_array().unwrap().len(), 1);
    let asked = json!({ "called": "45123", "caller": "" });
    let simulated = it.within("POST", "/v1/routes/simulate", &asked).await;
    assert_eq!(simulated.body["steps"][0], "nobody takes 45123 by 2 routes");

    let shown = it.api.get(&it.draft).await.body;
    assert_eq!(shown["refused"], Value::Null);
    assert_eq!(shown["records"], 3, "{shown}");
    assert_eq!(shown["changes"][0]["noun"], "routes");
    assert_eq!(shown["changes"][0]["before"]["prefix"], "49");
    assert_eq!(shown["changes"][0]["after"]["prefix"], "45");
    assert_eq!(shown["changes"][1]["before"], Value::Null);

    let nodes = it.api.node.state.lock().unwrap().applied.len();
    let applied = it.step("apply").await;
    assert_eq!(applied.status, 200, "{}", applied.text);
    assert_eq!(applied.body["state"], "applied");
    assert_eq!(
        it.api.node.state.lock().unwrap().applied.len(),
        nodes + 1,
        "one change for the node"
    );
    assert_eq!(it.api.get(&it.route).await.body["prefix"], "45");
    let again = it.step("apply").await;
    again.is_problem(409, "in-use");
    let late = it
        .within("PATCH", &it.route, &json!({ "prefix": "46" }))
        .await;
    late.is_problem(409, "in-use");

    let back = it.step("rollback").await;
    assert_eq!(back.status, 200, "{}", back.text);
    assert_eq!(back.body["state"], "rolled-back");
    assert_eq!(it.api.get(&it.route).await.body["prefix"], "49");
    let carriers = it.api.get("/v1/carriers").await;
    assert_eq!(carriers.body["items"].as_array().unwrap().len(), 1);
    it.step("rollback").await.is_problem(409, "not-revertible");
    // Nobody takes it for what is in force.
    it.within("GET", &it.route, &json!({}))
        .await
        .is_problem(409, "in-use");
    let log = it.api.get("/v1/audit?limit=1").await;
    let actor = log.body["items"][0]["actor"].as_str().unwrap().to_owned();
    assert!(actor.ends_with("by the draft spring"), "{actor}");
}

#[tokio::test]
async fn what_was_changed_meanwhile_is_in_the_way_and_named() {
    let it = Prepared::new().await;
    it.change_prefix("45").await;
    it.within("POST", "/v1/carriers", &json!({ "name": "east" }))
        .await;
    it.change_meanwhile().await;
    let shown = it.api.get(&it.draft).await.body;
    let record = it.route.rsplit('/').next().unwrap();
    let why = format!("route 45 ({record}): it has been changed meanwhile");
    assert_eq!(shown["refused"], why);
    it.step("apply").await.is_problem(409, "stale-draft");
    // None of it was made, and it is still open.
    let carriers = it.api.get("/v1/carriers").await;
    assert_eq!(carriers.body["items"].as_array().unwrap().len(), 1);
    let body = json!({ "name": "west" });
    let refused = it.within("POST", "/v1/carriers", &body).await;
    refused.is_problem(422, "invalid").at_field("draft");
    let path = format!("{}/changes/{record}", it.draft);
    assert_eq!(it.api.delete(&path).await.status, 200);
    it.api.delete(&path).await.is_problem(404, "not-found");
    assert_eq!(it.step("apply").await.status, 200);
    assert_eq!(it.api.get(&it.route).await.body["prefix"], "43");
}

#[tokio::test]
async fn what_was_changed_after_a_draft_is_not_overwritten_by_putting_back() {
    let it = Prepared::new().await;
    it.change_prefix("45").await;
    assert_eq!(it.step("apply").await.status, 200);
    it.change_meanwhile().await;
    it.step("rollback").await.is_problem(409, "stale-draft");
    assert_eq!(it.api.get(&it.route).await.body["prefix"], "43");
}

#[tokio::test]
async fn a_draft_refuses_what_the_records_would_refuse() {
    let it = Prepared::new().await;
    let nobody =
        json!({ "carrier": "car_00000000000000000000000001", "prefix": "1", "priority": 1 });
    it.within("POST", "/v1/routes", &nobody)
        .await
        .is_problem(422, "invalid");
    let carrier = format!("/v1/carriers/{}", it.carrier.as_str().unwrap());
    it.within("DELETE", &carrier, &json!({}))
        .await
        .is_problem(409, "in-use");
    assert_eq!(it.within("DELETE", &it.route, &json!({})).await.status, 204);
    it.within("GET", &it.route, &json!({}))
        .await
        .is_problem(404, "not-found");
    assert_eq!(it.within("DELETE", &carrier, &json!({})).await.status, 204);
    // Of the revision that the draft has made, another does not hold any more.
    let made = it
        .within("POST", "/v1/carriers", &json!({ "name": "east" }))
        .await;
    let path = made.header("location").to_owned();
    let headers = [
        ("tandem-draft", it.id.as_str()),
        ("if-match", made.header("etag")),
    ];
    let body = json!({ "name": "far east" });
    let send = || it.api.send("PATCH", &path, &headers, &body);
    assert_eq!(send().await.status, 200);
    send().await.is_problem(412, "changed");
    assert_eq!(it.step("apply").await.status, 200);
    assert_eq!(it.api.get(&path).await.body["name"], "far east");
    assert_eq!(it.step("rollback").await.status, 200);
    assert_eq!(it.prefixes().await.0, "49", "with the carrier it names");
}

#[tokio::test]
async fn what_takes_effect_at_once_is_no_part_of_a_draft() {
    let it = Prepared::new().await;
    let settings = it
        .within("PATCH", "/v1/settings", &json!({ "domain": "x.example" }))
        .await;
    settings.is_problem(409, "in-use");
    let drain = it
        .within("POST", "/v1/people", &json!({ "name": "eve" }))
        .await;
    drain.is_problem(409, "in-use");
    let wrong = [("tandem-draft", "spring")];
    let body = json!({ "name": "east" });
    let refused = it.api.send("POST", "/v1/carriers", &wrong, &body).await;
    refused.is_problem(400, "malformed");
    let gone = [("tandem-draft", "dft_00000000000000000000000001")];
    let refused = it.api.send("POST", "/v1/carriers", &gone, &body).await;
    refused.is_problem(404, "not-found");
    for name in ["", " ", &"x".repeat(65)] {
        let refused = it.api.post("/v1/drafts", &json!({ "name": name })).await;
        refused.is_problem(422, "invalid").at_field("name");
    }
}

#[tokio::test]
async fn only_who_may_change_records_has_drafts() {
    let it = Prepared::new().await;
    it.change_prefix("45").await;
    let viewer = it.api.token(Role::Viewer, None);
    assert_eq!(it.api.get_as(&viewer, &it.draft).await.status, 200);
    let apply = format!("{}/apply", it.draft);
    let refused = it
        .api
        .send_as(&viewer, "POST", &apply, &[], &json!({}))
        .await;
    refused.is_problem(403, "forbidden");
    let account = it.api.made("/v1/accounts", json!({ "name": "acme" })).await;
    let account = account["id"].as_str().unwrap().parse().unwrap();
    let confined = it.api.token_for(Role::Operator, Some(account), None);
    it.api
        .get_as(&confined, &it.draft)
        .await
        .is_problem(403, "forbidden");
    let headers = [("tandem-draft", it.id.as_str())];
    let seen = it
        .api
        .send_as(&confined, "GET", "/v1/users", &headers, &json!({}))
        .await;
    seen.is_problem(403, "forbidden");
}

#[tokio::test]
async fn secrets_of_users_are_in_no_draft_that_is_shown() {
    let it = Prepared::new().await;
    let account = it.api.made("/v1/accounts", json!({ "name": "acme" })).await;
    let body =
        json!({ "account": account["id"], "name": "alice", "password": "correct horse battery" });
    let made = it.within("POST", "/v1/users", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let shown = it.api.get(&it.draft).await;
    assert_eq!(shown.body["changes"][0]["after"]["name"], "alice");
    assert!(!shown.text.contains("secret"), "{}", shown.text);
    assert_eq!(it.api.delete(&it.draft).await.status, 204);
    it.api.get(&it.draft).await.is_problem(404, "not-found");
    let users = it.api.get("/v1/users").await;
    assert_eq!(users.body["items"], json!([]));
}

#[tokio::test]
async fn past_calls_are_decided_as_things_are_and_with_the_draft() {
    let it = Prepared::new().await;
    let account = it.api.made("/v1/accounts", json!({ "name": "acme" })).await;
    let auth = json!({ "kind": "address", "networks": ["192.0.2.0/24"] });
    let customer = json!({ "account": account["id"], "name": "pbx", "auth": auth });
    let customer = it.api.made("/v1/customers", customer).await;
    let gateway = |carrier: &Value, name: &str| json!({ "carrier": carrier, "name": name, "host": "192.0.2.9" });
    it.api
        .made("/v1/gateways", gateway(&it.carrier, "old"))
        .await;
    let cdrs: Vec<Cdr> = (1..=6)
        .map(|n| Cdr {
            customer: (n > 1).then(|| customer["id"].as_str().unwrap().parse().unwrap()),
            from_user: None,
            source: "udp:192.0.2.7:5060".into(),
            called: if n > 2 { "4930".into() } else { "33".into() },
            ..cdr(n)
        })
        .collect();
    it.api.store.insert_batch(&cdrs).unwrap();
    let east = it
        .within("POST", "/v1/carriers", &json!({ "name": "east" }))
        .await;
    let new = gateway(&east.body["id"], "new");
    assert_eq!(it.within("POST", "/v1/gateways", &new).await.status, 201);
    let moved = json!({ "carrier": east.body["id"] });
    assert_eq!(it.within("PATCH", &it.route, &moved).await.status, 200);

    let path = format!("{}/replay", it.draft);
    let found = it.api.post(&path, &json!({})).await;
    assert_eq!(found.status, 200, "{}", found.text);
    assert_eq!(found.body["calls"], 6);
    assert_eq!(found.body["elsewhere"], 4, "{}", found.text);
    assert_eq!(found.body["same"], 1, "refused as before: {}", found.text);
    assert_eq!(found.body["unjudged"][0]["calls"], 1);
    let load = |name: &str| {
        let loads = found.body["gateways"].as_array().unwrap();
        let one = loads
            .iter()
            .find(|load| load["gateway_name"] == name)
            .unwrap();
        (one["calls"].clone(), one["draft_calls"].clone())
    };
    assert_eq!(load("old"), (json!(4), json!(0)));
    assert_eq!(load("new"), (json!(0), json!(4)));
    let first = &found.body["differences"][0];
    assert_eq!(first["verdict"], "elsewhere");
    assert!(
        first["draft_ways"][0]
            .as_str()
            .unwrap()
            .starts_with("east by new")
    );
    let latest = it.api.post(&path, &json!({ "limit": 2 })).await;
    assert_eq!(
        (&latest.body["calls"], &latest.body["elsewhere"]),
        (&json!(2), &json!(2))
    );
    for limit in [0, 20_001] {
        let refused = it.api.post(&path, &json!({ "limit": limit })).await;
        refused.is_problem(422, "invalid").at_field("limit");
    }
    assert_eq!(it.prefixes().await.0, "49", "nothing is changed");
}

#[tokio::test]
async fn what_is_changed_back_can_be_taken_out_all_the_same() {
    let it = Prepared::new().await;
    it.change_prefix("45").await;
    it.change_prefix("49").await;
    it.change_meanwhile().await;
    let shown = it.api.get(&it.draft).await.body;
    assert_eq!(shown["records"], 1, "{shown}");
    it.step("apply").await.is_problem(409, "stale-draft");
    let record = it.route.rsplit('/').next().unwrap();
    let left = it
        .api
        .delete(&format!("{}/changes/{record}", it.draft))
        .await;
    assert_eq!(left.body["refused"], Value::Null);
    assert_eq!(left.body["records"], 0);
}

#[tokio::test]
async fn of_two_who_apply_a_draft_at_once_one_does() {
    let it = Prepared::new().await;
    it.change_prefix("45").await;
    let (one, other) = tokio::join!(it.step("apply"), it.step("apply"));
    let mut answers = [one.status.as_u16(), other.status.as_u16()];
    answers.sort_unstable();
    assert_eq!(answers, [200, 409], "{} {}", one.text, other.text);
    assert_eq!(it.api.get(&it.draft).await.body["state"], "applied");
    assert_eq!(it.step("rollback").await.status, 200);
    assert_eq!(it.api.get(&it.route).await.body["prefix"], "49");
}

#[tokio::test]
async fn the_same_key_in_a_draft_and_out_of_it_is_of_two_requests() {
    let it = Prepared::new().await;
    let body = json!({ "name": "east" });
    let drafted = [("tandem-draft", it.id.as_str()), ("idempotency-key", "one")];
    let made = it.api.send("POST", "/v1/carriers", &drafted, &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let live = it
        .api
        .send("POST", "/v1/carriers", &[("idempotency-key", "one")], &body);
    live.await
        .is_problem(422, "invalid")
        .at_field("Idempotency-Key");
}
