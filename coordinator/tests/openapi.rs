//! The API's description: the copy in the repository, and every route that people use.

use std::collections::BTreeSet;

use coordinator::http::{Policy, ROUTES, openapi_json};

const COPY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/openapi.json");

#[test]
fn the_copy_in_the_repository_is_what_the_handlers_say() {
    let fresh = openapi_json();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(COPY, &fresh).unwrap();
    }
    let copy = std::fs::read_to_string(COPY).unwrap_or_default();
    assert!(
        copy == fresh,
        "docs/reference/openapi.json is old: run this test with UPDATE_OPENAPI=1 and look at the change"
    );
}

#[test]
fn it_describes_the_routes_of_people_and_no_others() {
    let description: serde_json::Value = serde_json::from_str(&openapi_json()).unwrap();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut described = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            described.insert((method.to_uppercase(), path.clone()));
        }
    }
    // Sign-in by link is for browsers, the overview and pairs for our dashboard of the same version.
    let internal = ["/api/v1/overview", "/api/v1/pairs/{own}/{peer}", "/api/v1/sign-out"];
    let public =
        ["/api/v1/sign-in", "/api/v1/sign-in-methods", "/api/v1/oidc/sign-in", "/api/v1/invitations/accept"];
    let routes: BTreeSet<_> = ROUTES
        .iter()
        .filter(|route| match route.policy {
            Policy::Organization(_) | Policy::AnyOrganization | Policy::Operator => true,
            Policy::Person => !internal.contains(&route.path),
            Policy::Public => public.contains(&route.path),
            Policy::Node => false,
        })
        .map(|route| (route.method.to_owned(), route.path.to_owned()))
        .collect();
    assert_eq!(described, routes);
}

#[test]
fn each_call_has_a_name_of_its_own() {
    let description: serde_json::Value = serde_json::from_str(&openapi_json()).unwrap();
    let items = description["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    let ids: Vec<&str> = operations.filter_map(|operation| operation["operationId"].as_str()).collect();
    let distinct: BTreeSet<&str> = ids.iter().copied().collect();
    assert!(ids.len() > 30 && ids.len() == distinct.len(), "{ids:?}");
}
