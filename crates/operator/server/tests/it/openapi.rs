//! The served OpenAPI document, and that it knows every route.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::TestServer;

/// Every route of the server but the two WebSockets of the message plane, whose frames OpenAPI cannot describe.
const ROUTES: [(&str, &str); 35] = [
    ("post", "/v1/accounts"),
    ("post", "/v1/login/challenge"),
    ("post", "/v1/login"),
    ("put", "/v1/account/key-set"),
    ("put", "/v1/account/delivery-tokens"),
    ("get", "/v1/account/delivery-tokens"),
    ("get", "/v1/account/key-map"),
    ("post", "/v1/account/deletion"),
    ("get", "/v1/account/reset"),
    ("delete", "/v1/account/reset"),
    ("post", "/v1/accounts/{account}/key-set"),
    ("post", "/v1/accounts/{account}/recovery"),
    ("post", "/v1/accounts/{account}/reset"),
    ("get", "/v1/accounts/{account}/key-set"),
    ("get", "/v1/accounts/{account}/key-sets"),
    ("post", "/v1/accounts/{account}/bundles"),
    ("put", "/v1/device"),
    ("get", "/v1/device/prekeys"),
    ("post", "/v1/blobs"),
    ("get", "/v1/blobs/{id}"),
    ("head", "/v1/blobs/{id}"),
    ("patch", "/v1/blobs/{id}"),
    ("delete", "/v1/blobs/{id}"),
    ("post", "/v1/links"),
    ("put", "/v1/links/{id}/{n}"),
    ("get", "/v1/links/{id}/{n}"),
    ("get", "/v1/server-key"),
    ("post", "/v1/retained"),
    ("get", "/v1/retained"),
    ("put", "/v1/push"),
    ("delete", "/v1/push"),
    ("get", "/openapi.json"),
    ("post", "/v1/messages"),
    ("get", "/v1/mailbox/messages"),
    ("post", "/v1/mailbox/acknowledge"),
];

async fn document() -> Value {
    let server = TestServer::start().await;
    server.connect().await.get("/openapi.json").await.json()
}

fn described(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(|method| (method.clone(), path.clone())).collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test]
async fn every_route_is_described() {
    let document = document().await;
    assert_eq!(document["openapi"], "3.1.0");
    let described = described(&document);
    let routes = ROUTES.map(|(method, path)| (method.to_owned(), path.to_owned()));
    assert_eq!(described, BTreeSet::from(routes));
}

#[tokio::test]
async fn every_description_is_a_route() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let document: Value = client.get("/openapi.json").await.json();
    for (method, path) in described(&document) {
        let path = path.replace("{account}", "00000000-0000-4000-8000-000000000000").replace("{n}", "1");
        let path = path.replace("{id}", &"A".repeat(22));
        let reply = client.bytes(method.to_uppercase().parse().unwrap(), &path, &[], b"").await;
        // Whatever it answers, the router knows path and method.
        assert_ne!(reply.status, 405, "{method} {path}");
        if reply.status == 404 {
            assert!(path.contains("AAAA"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_response_has_the_description_that_openapi_demands() {
    let document = document().await;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(response["description"].is_string(), "{method} {path} {status}");
            }
        }
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let document = document().await;
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                references.push(reference.clone());
            }
            fields.values().for_each(|field| collect(field, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}
