//! Records: what is made can be read, changed and deleted, by one client at a time.

use serde_json::json;

use crate::fixture::Api;

#[tokio::test]
async fn a_record_lives_from_creation_to_deletion_and_the_node_follows() {
    let api = Api::new();
    let answer = api.post("/v1/accounts", &json!({ "name": "acme" })).await;
    assert_eq!(answer.status, 201);
    let path = answer.header("location").to_owned();
    assert_eq!(
        path,
        format!("/v1/accounts/{}", answer.body["id"].as_str().unwrap())
    );
    assert_eq!(answer.body["enabled"], true, "defaults are shown");
    let etag = answer.header("etag").to_owned();

    let read = api.get(&path).await;
    assert_eq!(
        (read.status.as_u16(), read.header("etag")),
        (200, etag.as_str())
    );
    assert_eq!(read.body, answer.body);

    let changed = api
        .send(
            "PATCH",
            &path,
            &[("if-match", &etag)],
            &json!({ "limits": { "cps": 5 } }),
        )
        .await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(changed.body["limits"]["cps"], 5);
    assert_eq!(changed.body["name"], "acme");

    let replaced = api
        .send(
            "PUT",
            &path,
            &[("if-match", changed.header("etag"))],
            &json!({ "name": "new" }),
        )
        .await;
    assert_eq!(
        replaced.body["limits"]["cps"],
        json!(null),
        "what is left out becomes the default"
    );

    assert_eq!(api.delete(&path).await.status, 204);
    api.get(&path).await.is_problem(404, "not-found");
    let applied = &api.node.state.lock().unwrap().applied;
    let names: Vec<Vec<&str>> = applied
        .iter()
        .map(|s| s.accounts.iter().map(|a| a.name.as_str()).collect())
        .collect();
    assert_eq!(names, [vec!["acme"], vec!["acme"], vec!["new"], vec![]]);
    assert!(applied.is_sorted_by_key(|s| s.revision));
}

#[tokio::test]
async fn a_change_needs_the_revision_it_was_made_for() {
    let api = Api::new();
    let path = format!("/v1/accounts/{}", api.account().await.as_str().unwrap());
    let first = api.get(&path).await.header("etag").to_owned();
    api.send("PATCH", &path, &[], &json!({ "name": "x" }))
        .await
        .is_problem(428, "precondition-required");
    let changed = api
        .send(
            "PATCH",
            &path,
            &[("if-match", &first)],
            &json!({ "name": "x" }),
        )
        .await;
    assert_eq!(changed.status, 200);

    let late = api
        .send(
            "PATCH",
            &path,
            &[("if-match", &first)],
            &json!({ "name": "y" }),
        )
        .await;
    late.is_problem(412, "changed");
    let current = late.body["current_revision"].as_u64().unwrap();
    assert_eq!(changed.header("etag"), format!("\"{current}\""));
    api.send(
        "PUT",
        &path,
        &[("if-match", "nonsense")],
        &json!({ "name": "y" }),
    )
    .await
    .is_problem(412, "changed");
    assert_eq!(
        api.send("PUT", &path, &[("if-match", "*")], &json!({ "name": "y" }))
            .await
            .status,
        200
    );

    let request = axum::http::Request::delete(&path)
        .header("authorization", format!("Bearer {}", api.admin()))
        .header("if-match", &first);
    api.ask(request.body(axum::body::Body::empty()).unwrap())
        .await
        .is_problem(412, "changed");
    assert_eq!(api.get(&path).await.status, 200, "it is still there");
}

#[tokio::test]
async fn what_is_known_is_not_sent_again() {
    let api = Api::new();
    let path = format!("/v1/accounts/{}", api.account().await.as_str().unwrap());
    let etag = api.get(&path).await.header("etag").to_owned();
    let request = axum::http::Request::get(&path)
        .header("authorization", format!("Bearer {}", api.admin()))
        .header("if-none-match", &etag);
    let answer = api
        .ask(request.body(axum::body::Body::empty()).unwrap())
        .await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (304, ""));
}

#[tokio::test]
async fn lists_come_in_pages_without_gaps_or_repetitions() {
    let api = Api::new();
    for number in 0..5 {
        api.made("/v1/accounts", json!({ "name": format!("a{number}") }))
            .await;
    }
    let mut names = Vec::new();
    let mut path = "/v1/accounts?limit=2".to_owned();
    let mut pages = 0;
    loop {
        let page = api.get(&path).await.body;
        names.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|a| a["name"].as_str().unwrap().to_owned()),
        );
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/accounts?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    names.sort();
    assert_eq!(
        (pages, names),
        (
            3,
            vec![
                "a0".into(),
                "a1".into(),
                "a2".into(),
                "a3".into(),
                "a4".into()
            ]
        )
    );
}

#[tokio::test]
async fn lists_can_be_filtered_by_the_fields_that_are_named() {
    let api = Api::new();
    api.account().await;
    let wanted = api
        .made("/v1/accounts", json!({ "name": "other", "enabled": false }))
        .await;
    for filter in ["name=other", "enabled=false"] {
        let page = api.get(&format!("/v1/accounts?{filter}")).await.body;
        assert_eq!(page["items"], json!([wanted]), "{filter}");
    }
    api.get("/v1/accounts?nme=other")
        .await
        .is_problem(400, "malformed")
        .at_field("nme");
    for wrong in ["limit=0", "limit=501", "limit=x"] {
        api.get(&format!("/v1/accounts?{wrong}"))
            .await
            .is_problem(400, "malformed")
            .at_field("limit");
    }
    api.get("/v1/accounts?cursor=usr_1")
        .await
        .is_problem(400, "malformed")
        .at_field("cursor");
}

#[tokio::test]
async fn a_value_that_is_taken_and_a_record_in_use_are_conflicts() {
    let api = Api::new();
    let account = api.account().await;
    let user = json!({ "account": account, "name": "alice", "password": "correct horse" });
    api.made("/v1/users", user.clone()).await;
    api.post("/v1/users", &user)
        .await
        .is_problem(409, "duplicate")
        .at_field("name");
    let path = format!("/v1/accounts/{}", account.as_str().unwrap());
    api.delete(&path).await.is_problem(409, "in-use");
}

#[tokio::test]
async fn a_reference_to_nothing_is_refused_with_its_field() {
    let api = Api::new();
    let nobody = "acc_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let user = json!({ "account": nobody, "name": "alice" });
    api.post("/v1/users", &user)
        .await
        .is_problem(422, "invalid")
        .at_field("account");
}

#[tokio::test]
async fn every_kind_of_record_can_be_made() {
    let api = Api::new();
    let account = api.account().await;
    let user = api
        .made("/v1/users", json!({ "account": account, "name": "alice" }))
        .await;
    api.made(
        "/v1/devices",
        json!({ "user": user["id"], "name": "desk", "auth_name": "alice-desk" }),
    )
    .await;
    let target = json!({ "kind": "user", "user": user["id"] });
    api.made(
        "/v1/numbers",
        json!({ "account": account, "number": "+4930123", "target": target }),
    )
    .await;
    let auth = json!({ "kind": "address", "networks": ["192.0.2.0/24"] });
    api.made(
        "/v1/customers",
        json!({ "account": account, "name": "acme", "auth": auth }),
    )
    .await;
    let carrier = api.made("/v1/carriers", json!({ "name": "telco" })).await;
    api.made(
        "/v1/gateways",
        json!({ "carrier": carrier["id"], "name": "gw1", "host": "gw1.example" }),
    )
    .await;
    api.made(
        "/v1/routes",
        json!({ "prefix": "49", "carrier": carrier["id"] }),
    )
    .await;
    for noun in [
        "accounts",
        "users",
        "devices",
        "numbers",
        "customers",
        "carriers",
        "gateways",
        "routes",
    ] {
        let page = api.get(&format!("/v1/{noun}")).await.body;
        assert_eq!(page["items"].as_array().unwrap().len(), 1, "{noun}");
    }
}

#[tokio::test]
async fn a_patch_takes_fields_away_by_null_and_changes_kinds() {
    let api = Api::new();
    let account = api.account().await;
    let user = api
        .made(
            "/v1/users",
            json!({ "account": account, "name": "alice", "caller_number": "4930" }),
        )
        .await;
    let path = format!("/v1/users/{}", user["id"].as_str().unwrap());
    let changed = api
        .send(
            "PATCH",
            &path,
            &[("if-match", "*")],
            &json!({ "caller_number": null }),
        )
        .await;
    assert_eq!(changed.body["caller_number"], json!(null));

    let target = json!({ "kind": "user", "user": user["id"] });
    let number = api
        .made(
            "/v1/numbers",
            json!({ "account": account, "number": "4930", "target": target }),
        )
        .await;
    let path = format!("/v1/numbers/{}", number["id"].as_str().unwrap());
    let echo = json!({ "target": { "kind": "echo", "user": null } });
    let changed = api.send("PATCH", &path, &[("if-match", "*")], &echo).await;
    assert_eq!(
        changed.body["target"],
        json!({ "kind": "echo" }),
        "{}",
        changed.text
    );
}

#[tokio::test]
async fn a_patch_takes_away_only_fields_that_there_are() {
    let api = Api::new();
    let path = format!("/v1/accounts/{}", api.account().await.as_str().unwrap());
    for name in ["colour", ""] {
        let answer = api
            .send("PATCH", &path, &[("if-match", "*")], &json!({ name: null }))
            .await;
        answer.is_problem(422, "invalid").at_field(name);
    }
}

#[tokio::test]
async fn settings_are_one_object_with_its_own_revision() {
    let api = Api::new();
    let read = api.get("/v1/settings").await;
    assert_eq!(read.body["domain"], "tandem.local");
    let etag = read.header("etag").to_owned();
    let patch = json!({ "ring_timeout_s": 30 });
    api.send("PATCH", "/v1/settings", &[], &patch)
        .await
        .is_problem(428, "precondition-required");
    let changed = api
        .send("PATCH", "/v1/settings", &[("if-match", &etag)], &patch)
        .await;
    assert_eq!(
        (changed.status.as_u16(), &changed.body["ring_timeout_s"]),
        (200, &json!(30))
    );
    api.send("PATCH", "/v1/settings", &[("if-match", &etag)], &patch)
        .await
        .is_problem(412, "changed");
    let wrong = json!({ "session_expires_min_s": 1 });
    api.send("PATCH", "/v1/settings", &[("if-match", "*")], &wrong)
        .await
        .is_problem(422, "invalid");
    let typo = json!({ "ring_timeout": 30 });
    api.send("PATCH", "/v1/settings", &[("if-match", "*")], &typo)
        .await
        .is_problem(422, "invalid")
        .at_field("ring_timeout");
    assert_eq!(
        api.node
            .state
            .lock()
            .unwrap()
            .applied
            .last()
            .unwrap()
            .settings
            .ring_timeout_s,
        30
    );
}

#[tokio::test]
async fn a_change_is_stored_even_if_the_node_is_silent_and_reaches_it_later() {
    let api = Api::new();
    api.node.state.lock().unwrap().silent = true;
    api.account().await;
    assert!(api.node.state.lock().unwrap().applied.is_empty());
    api.node.state.lock().unwrap().silent = false;
    api.made("/v1/accounts", json!({ "name": "second" })).await;
    assert_eq!(
        api.node
            .state
            .lock()
            .unwrap()
            .applied
            .last()
            .unwrap()
            .accounts
            .len(),
        2
    );
}

#[tokio::test]
async fn the_audit_log_names_the_token_and_shows_before_and_after() {
    let api = Api::new();
    let path = format!("/v1/accounts/{}", api.account().await.as_str().unwrap());
    api.send(
        "PATCH",
        &path,
        &[("if-match", "*")],
        &json!({ "name": "new" }),
    )
    .await;
    let log = api.get("/v1/audit?limit=1").await.body;
    let entry = &log["items"][0];
    assert_eq!(
        (&entry["before"]["name"], &entry["after"]["name"]),
        (&json!("acme"), &json!("new"))
    );
    assert!(
        entry["actor"].as_str().unwrap().contains("(test)"),
        "{entry}"
    );
    let next = log["next_cursor"].as_str().unwrap();
    let older = api
        .get(&format!("/v1/audit?limit=1&cursor={next}"))
        .await
        .body;
    assert_eq!(older["items"][0]["before"], json!(null));
}
