//! Zones and clusters, which servers, media servers and routes name by their names.

use serde_json::json;

use crate::fixture::Api;

#[tokio::test]
async fn a_zone_is_made_moved_into_renamed_and_deleted_when_it_is_empty() {
    let api = Api::new();
    let lost = json!({ "name": "berlin", "zone": "Germany" });
    api.post("/v1/servers", &lost)
        .await
        .is_problem(422, "invalid")
        .at_field("zone");
    let place = json!({ "name": "Germany", "latitude": 50.11, "longitude": 8.68 });
    let zone = api.made("/v1/zones", place).await;
    assert_eq!(zone["latitude"], 50.11);
    let server = api.made("/v1/servers", lost).await;
    let (zone, server) = (zone["id"].as_str().unwrap(), server["id"].as_str().unwrap());
    let (zone, server) = (format!("/v1/zones/{zone}"), format!("/v1/servers/{server}"));
    let refused = api.delete(&zone).await;
    refused.is_problem(409, "in-use");
    assert!(refused.text.contains("berlin"), "{}", refused.text);
    let any = [("if-match", "*")];
    let renamed = api
        .send("PATCH", &zone, &any, &json!({ "name": "DE" }))
        .await;
    assert_eq!(renamed.status, 200, "{}", renamed.text);
    assert_eq!(api.get(&server).await.body["zone"], "DE");
    let health = api.get("/v1/zone-health").await.body;
    let item = &health["items"][0];
    assert_eq!(
        (&item["name"], &item["longitude"]),
        (&json!("DE"), &json!(8.68))
    );
    assert_eq!(item["capacity"]["members"][0]["name"], "berlin");
    assert_eq!(item["capacity"]["members"][0]["channels"], json!(null));
    assert_eq!(item["capacity"]["standing"], "unknown");
    let moved = api
        .send("PATCH", &server, &any, &json!({ "zone": "" }))
        .await;
    assert_eq!(moved.status, 200, "{}", moved.text);
    assert_eq!(api.delete(&zone).await.status, 204);
    let health = api.get("/v1/zone-health").await.body;
    assert_eq!(health["items"], json!([]));
}

#[tokio::test]
async fn a_place_has_both_coordinates_or_none() {
    let api = Api::new();
    let half = json!({ "name": "here", "latitude": 50.11 });
    api.post("/v1/zones", &half)
        .await
        .is_problem(422, "invalid")
        .at_field("longitude");
}

#[tokio::test]
async fn a_node_is_told_of_its_cluster() {
    let api = Api::new();
    let limits = json!({ "channels": 10 });
    let north = json!({ "name": "north", "limits": limits });
    let north = api.made("/v1/clusters", north).await;
    let one = json!({ "name": "one", "cluster": "north" });
    let one = api.made("/v1/servers", one).await;
    let two = json!({ "name": "two", "cluster": "north" });
    api.made("/v1/servers", two).await;
    let id = one["id"].as_str().unwrap().parse().unwrap();
    let snapshot = api
        .node
        .state
        .lock()
        .unwrap()
        .applied
        .last()
        .cloned()
        .unwrap();
    let plan = snapshot.planned_for(id).cluster.unwrap();
    assert_eq!(plan.id.to_string(), north["id"]);
    assert_eq!((plan.members, plan.part().channels), (2, Some(5)));
    let health = api.get("/v1/cluster-health").await.body;
    assert_eq!(health["items"][0]["limits"]["channels"], 10);
    let cluster = format!("/v1/clusters/{}", north["id"].as_str().unwrap());
    api.delete(&cluster).await.is_problem(409, "in-use");
}
