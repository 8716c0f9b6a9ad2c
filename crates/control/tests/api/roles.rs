//! Roles: every operation of the API with every role, against the table that operators read; what
//! who is confined to an account sees and changes; and the scopes of tokens.

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
const ROLES: [(Role, bool); 6] = [
    (Role::Viewer, false),
    (Role::Operator, false),
    (Role::Admin, false),
    (Role::Viewer, true),
    (Role::Operator, true),
    (Role::Admin, true),
];

/// Rows of the table in `docs/roles.md` by their path after `/v1/`.
fn table() -> HashMap<String, [May; 6]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/roles.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut rows = HashMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
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
fn allowed(table: &HashMap<String, [May; 6]>, path: &str, column: usize) -> May {
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
    for (column, (role, confined)) in ROLES.into_iter().enumerate() {
        let token = api.token_for(role, confined.then_some(account), None);
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
                    _ => filled,
                };
                let method = method.to_uppercase();
                let status = api.status_as(&token, &method, &filled, &json!({})).await;
                let who = format!("{role:?} confined={confined}: {method} {path} is {status}");
                assert_eq!(status != 403, may, "{who}");
                assert_ne!(status, 401, "{who}");
                asked += 1;
            }
        }
    }
    assert!(asked > 6 * 50, "{asked}");
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
