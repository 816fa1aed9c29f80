//! The served description.

#[test]
fn every_route_is_described_with_its_answers() {
    let document = rcseal_broker::openapi_document();
    let paths: Vec<&str> = document.paths.paths.keys().map(String::as_str).collect();
    for path in [
        "/v1/broker",
        "/v1/broker/enrolment",
        "/v1/login",
        "/v1/login/challenge",
        "/v1/lookups",
        "/v1/numbers",
        "/v1/numbers/{number}",
        "/v1/numbers/{number}/confirm",
        "/v1/numbers/{number}/veto",
        "/v1/numbers/{number}/visibility",
    ] {
        assert!(paths.contains(&path), "{path} is missing in {paths:?}");
    }
    let json: serde_json::Value = serde_json::from_str(&document.to_json().unwrap()).unwrap();
    let text = json.to_string();
    // Every schema that is referred to is there.
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(json["components"]["schemas"][name].is_object(), "{name} is not defined");
    }
}
