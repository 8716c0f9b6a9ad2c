//! Roles: every operation of the API with every role, against the table that operators read; what
//! who is confined to an account or to zones sees and changes; and the scopes of tokens.

use std::collections::HashMap;
use std::path::Path;

use model::{AccountId, Role};
use serde_json::{Value, json};

use crate::fixture::{Answer, Api};
use crate::tab::Tab;

/// What a role may do in an area, in the words of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum May {
    Nothing,
    Read,
    Change,
}

/// The columns of the table.
const COLUMNS: usize = 9;
const ROLES: [(Role, Part); COLUMNS] = [
    (Role::Viewer, Part::All),
    (Role::Operator, Part::All),
    (Role::Admin, Part::All),
    (Role::Viewer, Part::Account),
    (Role::Operator, Part::Account),
    (Role::Admin, Part::Account),
    (Role::Viewer, Part::Zone),
    (Role::Operator, Part::Zone),
    (Role::Admin, Part::Zone),
];

/// What of the platform somebody sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    All,
    Account,
    Zone,
}

/// Rows of the table in `docs/roles.md` by their path after `/v1/`.
fn table() -> HashMap<String, [May; COLUMNS]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/roles.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut rows = HashMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        // The page has other tables, too.
        if cells.len() != COLUMNS + 1 {
            continue;
        }
        let may = |cell: &str| match cell {
            "–" => May::Nothing,
            "read" => May::Read,
            "change" => May::Change,
            other => panic!("{other:?} in {line}"),
        };
        let columns: Vec<May> = cells[1..].iter().map(|cell| may(cell)).collect();
        rows.insert(cells[0].replace('`', ""), columns.try_into().unwrap());
    }
    rows
}

/// Where the table has a path, or else its area; what it does not have is for admins alone.
fn allowed(table: &HashMap<String, [May; COLUMNS]>, path: &str, column: usize) -> May {
    let path = path.trim_start_matches('/').trim_start_matches("v1/");
    let area = path.split(['/', ':']).next().unwrap();
    let row = table.get(path).or_else(|| table.get(area));
    let only_admins = if column == 2 {
        May::Change
    } else {
        May::Nothing
    };
    row.map_or(only_admins, |row| row[column])
}

#[tokio::test]
async fn every_operation_is_open_to_whom_the_table_says_and_to_nobody_else() {
    let api = Api::new();
    let account: AccountId = serde_json::from_value(api.account().await).unwrap();
    let user = json!({ "name": "ann", "account": account });
    let user = api.made("/v1/users", user).await["id"].clone();
    let table = table();
    let document: Value = serde_json::from_str(control::openapi::text()).unwrap();
    let mut asked = 0;
    let zone = api.made("/v1/zones", json!({ "name": "Berlin" })).await["id"].clone();
    let zone = serde_json::from_value(zone).unwrap();
    let server = json!({ "name": "one", "zone": "Berlin" });
    let server = api.made("/v1/servers", server).await["id"].clone();
    for (column, (role, part)) in ROLES.into_iter().enumerate() {
        let token = match part {
            Part::All => api.token(role, None),
            Part::Account => api.token_for(role, Some(account), None),
            Part::Zone => api.token_for_zones(role, &[zone]),
        };
        for (path, operations) in document["paths"].as_object().unwrap() {
            for method in operations.as_object().unwrap().keys() {
                if method == "parameters" || is_for_everybody(path) {
                    continue;
                }
                let reads = method == "get" || path == "/v1/routes/simulate";
                let needed = if reads { May::Read } else { May::Change };
                let may = allowed(&table, path, column) >= needed;
                let filled = path.replace("{id}", "nothing").replace("{address}", "::1");
                let filled = match &*filled {
                    "/v1/registrations" => format!("{filled}?user={}", user.as_str().unwrap()),
                    "/v1/history" => format!("{filled}?server={}", server.as_str().unwrap()),
                    _ => filled,
                };
                let method = method.to_uppercase();
                let status = api.status_as(&token, &method, &filled, &json!({})).await;
                let who = format!("{role:?} of {part:?}: {method} {path} is {status}");
                assert_eq!(status != 403, may, "{who}");
                assert_ne!(status, 401, "{who}");
                asked += 1;
            }
        }
    }
    assert!(asked > COLUMNS * 50, "{asked}");
}

/// What needs no role: one's own session, what is open, and what is open to this machine.
fn is_for_everybody(path: &str) -> bool {
    let open = ["/healthz", "/readyz", "/metrics", "/v1/version"];
    open.contains(&path) || path == "/v1/session" || path.starts_with("/v1/session/")
}

/// Two accounts with a user each, and an operator's token for the first.
struct Tenants {
    api: Api,
    first: Value,
    second: Value,
    ann: Value,
    bob: Value,
    token: String,
}

impl Tenants {
    async fn new() -> Self {
        let api = Api::new();
        let first = api.account().await;
        let second = api.made("/v1/accounts", json!({ "name": "second" })).await["id"].clone();
        let user = |name: &str, account: &Value| json!({ "name": name, "account": account });
        let ann = api.made("/v1/users", user("ann", &first)).await["id"].clone();
        let bob = api.made("/v1/users", user("bob", &second)).await["id"].clone();
        let account = serde_json::from_value(first.clone()).unwrap();
        let token = api.token_for(Role::Operator, Some(account), None);
        Self {
            api,
            first,
            second,
            ann,
            bob,
            token,
        }
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("if-match", "*")];
        self.api
            .send_as(&self.token, method, path, &headers, body)
            .await
    }

    async fn get(&self, path: &str) -> Answer {
        self.api.get_as(&self.token, path).await
    }
}

fn path(noun: &str, id: &Value) -> String {
    format!("/v1/{noun}/{}", id.as_str().unwrap())
}

#[tokio::test]
async fn who_is_confined_sees_one_account_and_nothing_of_others() {
    let tenants = Tenants::new().await;
    for (noun, own) in [("accounts", &tenants.first), ("users", &tenants.ann)] {
        let list = tenants.get(&format!("/v1/{noun}")).await.body;
        let items = list["items"].as_array().unwrap();
        assert_eq!(items.len(), 1, "{list}");
        assert_eq!(&items[0]["id"], own);
        assert_eq!(tenants.get(&path(noun, own)).await.status, 200);
    }
    let others = tenants.get(&path("users", &tenants.bob)).await;
    others.is_problem(404, "not-found");
    let others = tenants.get(&path("accounts", &tenants.second)).await;
    others.is_problem(404, "not-found");
    let of_second = tenants.second.as_str().unwrap();
    for path in ["/v1/cdrs", "/v1/calls", "/v1/cdrs/export.csv"] {
        assert_eq!(tenants.get(path).await.status, 200);
        let asked = tenants.get(&format!("{path}?account={of_second}")).await;
        asked.is_problem(403, "forbidden");
    }
    let all = tenants.get("/v1/registrations").await;
    all.is_problem(403, "forbidden");
    let user = tenants.bob.as_str().unwrap();
    let others = tenants.get(&format!("/v1/registrations?user={user}")).await;
    others.is_problem(404, "not-found");
}

#[tokio::test]
async fn who_is_confined_changes_one_account_and_nothing_of_others() {
    let tenants = Tenants::new().await;
    // A new user is of their account, whether it is said or not.
    let made = tenants
        .send("POST", "/v1/users", &json!({ "name": "cat" }))
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.body["account"], tenants.first);
    let foreign = json!({ "name": "dan", "account": tenants.second });
    let foreign = tenants.send("POST", "/v1/users", &foreign).await;
    foreign.is_problem(403, "forbidden");
    let move_away = json!({ "account": tenants.second });
    let ann = path("users", &tenants.ann);
    let moved = tenants.send("PATCH", &ann, &move_away).await;
    moved.is_problem(403, "forbidden");
    let renamed = tenants
        .send("PATCH", &ann, &json!({ "display_name": "Ann" }))
        .await;
    assert_eq!(renamed.status, 200, "{}", renamed.text);
    let bob = path("users", &tenants.bob);
    for (method, body) in [
        ("PATCH", json!({ "display_name": "x" })),
        ("DELETE", Value::Null),
    ] {
        let refused = tenants.send(method, &bob, &body).await;
        refused.is_problem(404, "not-found");
    }
    // What belongs to another's user would be another's.
    let device = |user: &Value| json!({ "name": "desk", "auth_name": "desk-1", "user": user });
    let foreign = tenants
        .send("POST", "/v1/devices", &device(&tenants.bob))
        .await;
    foreign.is_problem(403, "forbidden");
    let own = tenants
        .send("POST", "/v1/devices", &device(&tenants.ann))
        .await;
    assert_eq!(own.status, 201, "{}", own.text);
    let moved = json!({ "user": tenants.bob });
    let desk = path("devices", &own.body["id"]);
    let moved = tenants.send("PATCH", &desk, &moved).await;
    moved.is_problem(403, "forbidden");
}

#[tokio::test]
async fn an_account_administrator_makes_people_of_the_account_alone() {
    let tenants = Tenants::new().await;
    let boss = json!({ "name": "boss", "role": "admin", "account": tenants.first,
        "password": "correct horse battery" });
    tenants.api.made("/v1/people", boss).await;
    let root = json!({ "name": "root", "role": "admin" });
    let root = tenants.api.made("/v1/people", root).await["id"].clone();
    let tab = Tab::with_password(&tenants.api, "boss", "correct horse battery").await;
    let made = json!({ "name": "clerk", "role": "operator" });
    let made = tab.change("POST", "/v1/people", &made).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.body["account"], tenants.first);
    let own = path("people", &made.body["id"]);
    for freed in [
        json!({ "account": null }),
        json!({ "account": tenants.second }),
    ] {
        let refused = tab.change("PATCH", &own, &freed).await;
        refused.is_problem(403, "forbidden");
    }
    let refused = json!({ "name": "spy", "role": "viewer", "account": tenants.second });
    let refused = tab.change("POST", "/v1/people", &refused).await;
    refused.is_problem(403, "forbidden");
    let listed = tab.get("/v1/people").await.body;
    let names: Vec<&Value> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["name"])
        .collect();
    assert_eq!(names, ["boss", "clerk"]);
    let root = path("people", &root);
    let taken = json!({ "password": "correct horse battery" });
    let taken = tab.change("PATCH", &root, &taken).await;
    taken.is_problem(404, "not-found");
    let unlock = format!("{root}/unlock");
    let unlocked = tab.change("POST", &unlock, &Value::Null).await;
    unlocked.is_problem(404, "not-found");
    // Pages that are not theirs are not offered.
    let session = tab.get("/v1/session").await.body;
    let may = |area: &str| {
        let areas = session["areas"].as_array().unwrap();
        let found = areas.iter().find(|open| open["area"] == area);
        found.map(|open| open["may"].as_str().unwrap().to_owned())
    };
    assert_eq!(may("users").as_deref(), Some("change"));
    assert_eq!(may("cdrs").as_deref(), Some("read"));
    assert_eq!(
        (may("settings"), may("tokens"), may("gateways")),
        (None, None, None)
    );
}

#[tokio::test]
async fn scopes_narrow_what_the_role_of_a_token_may() {
    let api = Api::new();
    let wish = |scopes: Value| json!({ "name": "billing", "role": "admin", "scopes": scopes });
    let made = api
        .made("/v1/tokens", wish(json!(["cdrs", "users:read"])))
        .await;
    assert_eq!(made["scopes"], json!(["cdrs", "users:read"]));
    let token = made["token"].as_str().unwrap();
    for open in ["/v1/cdrs", "/v1/users", "/v1/session"] {
        assert_eq!(api.get_as(token, open).await.status, 200, "{open}");
    }
    for closed in ["/v1/settings", "/v1/tokens", "/v1/calls"] {
        let refused = api.get_as(token, closed).await;
        refused.is_problem(403, "forbidden");
    }
    let user = json!({ "name": "ann" });
    let refused = api.send_as(token, "POST", "/v1/users", &[], &user).await;
    refused.is_problem(403, "forbidden");
    let unknown = api.post("/v1/tokens", &wish(json!(["nonsense"]))).await;
    unknown.is_problem(422, "invalid").at_field("scopes");
}

/// Two zones with a server each, one server in none, and who is confined to the first zone.
struct Zones {
    api: Api,
    berlin: Value,
    paris: Value,
    near: Value,
    far: Value,
    nowhere: Value,
    token: String,
}

impl Zones {
    async fn new() -> Self {
        let api = Api::new();
        let zone = |name: &str| json!({ "name": name });
        let berlin = api.made("/v1/zones", zone("Berlin")).await["id"].clone();
        let paris = api.made("/v1/zones", zone("Paris")).await["id"].clone();
        let server = |name: &str, zone: &str| json!({ "name": name, "zone": zone });
        let near = api.made("/v1/servers", server("near", "Berlin")).await["id"].clone();
        let far = api.made("/v1/servers", server("far", "Paris")).await["id"].clone();
        let nowhere = api.made("/v1/servers", server("nowhere", "")).await["id"].clone();
        let own = serde_json::from_value(berlin.clone()).unwrap();
        let token = api.token_for_zones(Role::Operator, &[own]);
        Self {
            api,
            berlin,
            paris,
            near,
            far,
            nowhere,
            token,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.api.get_as(&self.token, path).await
    }

    async fn post(&self, path: &str) -> Answer {
        self.api
            .send_as(&self.token, "POST", path, &[], &json!({}))
            .await
    }

    /// A field of all items of a list.
    async fn listed(&self, path: &str, field: &str) -> Vec<Value> {
        let list = self.get(path).await;
        assert_eq!(list.status, 200, "{path}: {}", list.text);
        let items = list.body["items"].as_array().unwrap().iter();
        items.map(|item| item[field].clone()).collect()
    }
}

#[tokio::test]
async fn who_is_confined_to_zones_sees_the_servers_there_and_nothing_of_others() {
    let zones = Zones::new().await;
    for path in ["/v1/servers", "/v1/server-health"] {
        assert_eq!(zones.listed(path, "name").await, ["near"], "{path}");
    }
    for path in ["/v1/zones", "/v1/zone-health"] {
        assert_eq!(zones.listed(path, "name").await, ["Berlin"], "{path}");
    }
    assert_eq!(zones.get(&path("servers", &zones.near)).await.status, 200);
    for other in [&zones.far, &zones.nowhere] {
        let refused = zones.get(&path("servers", other)).await;
        refused.is_problem(404, "not-found");
        let id = other.as_str().unwrap();
        for asked in ["calls", "events/recent", "history"] {
            let refused = zones.get(&format!("/v1/{asked}?server={id}")).await;
            refused.is_problem(403, "forbidden");
        }
    }
    let refused = zones.get(&path("zones", &zones.paris)).await;
    refused.is_problem(404, "not-found");
    let refused = zones.get("/v1/history").await;
    refused.is_problem(403, "forbidden");
    let media = |name: &str, zone: &str| json!({ "name": name, "control": format!("udp:192.0.2.1:{}", 2_000 + name.len()), "zone": zone });
    zones
        .api
        .made("/v1/media-servers", media("m", "Berlin"))
        .await;
    zones
        .api
        .made("/v1/media-servers", media("mm", "Paris"))
        .await;
    assert_eq!(zones.listed("/v1/media-servers", "name").await, ["m"]);
}

#[tokio::test]
async fn who_is_confined_to_zones_acts_on_the_servers_there_alone() {
    let zones = Zones::new().await;
    let drain = |server: &Value| format!("{}/drain", path("servers", server));
    let begun = zones.post(&drain(&zones.near)).await;
    assert_eq!(begun.status, 202, "{}", begun.text);
    for other in [&zones.far, &zones.nowhere] {
        for action in [
            "drain", "resume", "resize", "flush", "restart", "stop", "start", "update",
        ] {
            let refused = zones
                .post(&format!("{}/{action}", path("servers", other)))
                .await;
            refused.is_problem(404, "not-found");
        }
    }
    // Tasks of other servers are not theirs to see either.
    let other = zones.api.post(&drain(&zones.far), &json!({})).await;
    assert_eq!(other.status, 202, "{}", other.text);
    assert_eq!(
        zones.listed("/v1/tasks", "server").await,
        std::slice::from_ref(&zones.near)
    );
    let other = format!("/v1/tasks/{}", other.body["id"].as_str().unwrap());
    zones.get(&other).await.is_problem(404, "not-found");
    // A server that moves away is out of reach at once.
    let moved = json!({ "zone": "Paris" });
    let near = path("servers", &zones.near);
    let moved = zones
        .api
        .send("PATCH", &near, &[("if-match", "*")], &moved)
        .await;
    assert_eq!(moved.status, 200, "{}", moved.text);
    zones.get(&near).await.is_problem(404, "not-found");
    zones
        .post(&drain(&zones.near))
        .await
        .is_problem(404, "not-found");
}

#[tokio::test]
async fn who_is_confined_to_zones_sees_the_calls_of_servers_there() {
    let zones = Zones::new().await;
    zones.api.node.state.lock().unwrap().calls = vec![crate::fixture::call(1)];
    let call = format!("/v1/calls/{}", crate::fixture::call(1).id);
    // This node is in another zone.
    zones
        .api
        .control
        .is_server(serde_json::from_value(zones.far.clone()).unwrap());
    assert_eq!(zones.listed("/v1/calls", "id").await, [""; 0]);
    zones.get(&call).await.is_problem(404, "not-found");
    zones
        .post(&format!("{call}/hangup"))
        .await
        .is_problem(404, "not-found");
    assert_eq!(zones.api.get(&call).await.status, 200);
    // It moves into theirs.
    let far = path("servers", &zones.far);
    let moved = json!({ "zone": "Berlin" });
    zones
        .api
        .send("PATCH", &far, &[("if-match", "*")], &moved)
        .await;
    assert_eq!(zones.listed("/v1/calls", "caller").await, ["caller-1"]);
    assert_eq!(zones.get(&call).await.status, 200);
    assert_eq!(zones.post(&format!("{call}/hangup")).await.status, 204);
}

#[tokio::test]
async fn zones_of_people_and_tokens_exist_and_are_not_deleted_under_them() {
    let zones = Zones::new().await;
    let gone = "zone_00000000010000000000000009";
    let spy = json!({ "name": "spy", "role": "viewer", "zones": [gone] });
    let refused = zones.api.post("/v1/people", &spy).await;
    refused.is_problem(422, "invalid").at_field("zones");
    let refused = zones.api.post("/v1/tokens", &spy).await;
    refused.is_problem(422, "invalid").at_field("zones");
    let clerk = json!({ "name": "clerk", "role": "operator", "zones": [zones.paris],
        "password": "correct horse battery" });
    zones.api.made("/v1/people", clerk).await;
    let paris = path("zones", &zones.paris);
    let far = path("servers", &zones.far);
    assert_eq!(zones.api.delete(&far).await.status, 204);
    zones.api.delete(&paris).await.is_problem(409, "in-use");
    // A token whose zone is gone sees nothing, and not all.
    assert_eq!(
        zones.api.delete(&path("servers", &zones.near)).await.status,
        204
    );
    assert_eq!(
        zones.api.delete(&path("zones", &zones.berlin)).await.status,
        204
    );
    assert_eq!(zones.listed("/v1/servers", "name").await, [""; 0]);
    let tab = Tab::with_password(&zones.api, "clerk", "correct horse battery").await;
    let session = tab.get("/v1/session").await.body;
    assert_eq!(session["zones"], json!([zones.paris]));
    let areas = session["areas"].as_array().unwrap();
    assert!(
        areas.iter().all(|open| open["area"] != "users"),
        "{areas:?}"
    );
}
