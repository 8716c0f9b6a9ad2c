//! Single points of failure, as the API tells of them.

use serde_json::json;

use crate::fixture::Api;

#[tokio::test]
async fn a_route_with_one_gateway_has_no_second_until_there_is_another() {
    let api = Api::new();
    let carrier = api.made("/v1/carriers", json!({ "name": "north" })).await["id"].clone();
    let add = |name: &'static str, host: &'static str| {
        let gateway = json!({ "carrier": carrier, "name": name, "host": host });
        api.made("/v1/gateways", gateway)
    };
    add("one", "192.0.2.1").await;
    let route = json!({ "prefix": "49", "carrier": carrier });
    api.made("/v1/routes", route).await;
    let standing = || async {
        let answer = api.get("/v1/posture").await;
        let parts = answer.body["parts"].as_array().unwrap();
        let part = parts.iter().find(|part| part["part"] == "route").unwrap();
        (part["name"].clone(), part["standing"].clone())
    };
    let name = json!("numbers that begin with 49");
    assert_eq!(standing().await, (name.clone(), json!("single")));
    add("two", "192.0.2.2").await;
    assert_eq!(standing().await, (name, json!("redundant")));
}
