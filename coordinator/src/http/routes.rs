//! Every URL of the product, in one table.

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Route};

use super::policy::{self, Policy};
use super::problem::ApiError;
use super::rate_limit::Limit;
use super::resources::{
    access_rules, account, api_tokens, audit_log, enrollment_keys, invitations, members, networks, nodes,
    organizations, relays, stun_servers,
};
use super::{
    dashboard, device_authorization, enroll, health, map, node, oidc, openapi, overview, pair, relay, report,
    sign_in,
};
use crate::store::Role;

/// A route: who may call it is part of it.
pub struct RouteSpec {
    /// The method.
    pub method: &'static str,
    /// The path, `{…}` for what varies.
    pub path: &'static str,
    /// Who may call it.
    pub policy: Policy,
    limit: Limit,
    handler: fn() -> Route,
}

impl std::fmt::Debug for RouteSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({:?})", self.method, self.path, self.policy)
    }
}

const fn route(
    method: &'static str,
    path: &'static str,
    policy: Policy,
    limit: Limit,
    handler: fn() -> Route,
) -> RouteSpec {
    RouteSpec { method, path, policy, limit, handler }
}

/// All routes. Everything else is a file of the dashboard or a problem.
#[rustfmt::skip]
pub const ROUTES: &[RouteSpec] = &[
    route("POST",   "/api/v1/enroll",    Policy::Public, Limit::Enroll,    || web::post().to(enroll::enroll)),
    route("POST", "/api/v1/device-authorization", Policy::Public, Limit::Enroll, || web::post().to(device_authorization::begin)),
    route("POST", "/api/v1/device-authorization/enrollment-key", Policy::Public, Limit::Enroll, || web::post().to(device_authorization::ask)),
    route("GET", "/api/v1/device-authorization/{user_code}", Policy::Person, Limit::Enroll, || web::get().to(device_authorization::show)),
    route("POST",   "/api/v1/report",    Policy::Node,   Limit::Unlimited, || web::post().to(report::report)),
    route("GET",    "/api/v1/map",       Policy::Node,   Limit::Unlimited, || web::get().to(map::map)),
    route("GET",    "/api/v1/relay",     Policy::Public, Limit::Relay,     || web::get().to(relay::relay)),
    route("DELETE", "/api/v1/node",      Policy::Node,   Limit::Unlimited, || web::delete().to(node::leave)),
    route("GET",    "/api/v1/overview",  Policy::Person, Limit::Unlimited, || web::get().to(overview::overview)),
    route("GET",    "/api/v1/pairs/{own}/{peer}", Policy::Person, Limit::Unlimited, || web::get().to(pair::pair)),
    route("POST",   "/api/v1/sign-out",  Policy::Person, Limit::Unlimited, || web::post().to(sign_in::sign_out)),
    route("GET", "/api/v1/openapi.json", Policy::Public, Limit::Unlimited, || web::get().to(openapi::show)),
    route("POST", "/api/v1/sign-in", Policy::Public, Limit::SignIn, || web::post().to(account::sign_in)),
    route("GET", "/api/v1/account", Policy::Person, Limit::Unlimited, || web::get().to(account::show)),
    route("PUT", "/api/v1/account/password", Policy::Person, Limit::SignIn, || web::put().to(account::change_password)),
    route("GET", "/api/v1/account/sessions", Policy::Person, Limit::Unlimited, || web::get().to(account::sessions)),
    route("DELETE", "/api/v1/account/sessions/{session}", Policy::Person, Limit::Unlimited, || web::delete().to(account::end_session)),
    route("GET", "/api/v1/account/identities", Policy::Person, Limit::Unlimited, || web::get().to(oidc::identities)),
    route("POST", "/api/v1/account/identities", Policy::Person, Limit::SignIn, || web::post().to(oidc::link)),
    route("DELETE", "/api/v1/account/identities", Policy::Person, Limit::Unlimited, || web::delete().to(oidc::unlink)),
    route("GET", "/api/v1/sign-in-methods", Policy::Public, Limit::Unlimited, || web::get().to(account::methods)),
    route("POST", "/api/v1/oidc/sign-in", Policy::Public, Limit::SignIn, || web::post().to(oidc::begin)),
    route("POST", "/api/v1/invitations/accept", Policy::Public, Limit::SignIn, || web::post().to(invitations::accept)),
    route("POST", "/api/v1/invitations/join", Policy::Person, Limit::SignIn, || web::post().to(invitations::join)),
    route("GET", "/api/v1/organizations", Policy::Person, Limit::Unlimited, || web::get().to(organizations::list)),
    route("POST", "/api/v1/organizations", Policy::Person, Limit::Unlimited, || web::post().to(organizations::create)),
    route("PATCH", "/api/v1/organizations/{organization}", Policy::Organization(Role::Owner), Limit::Unlimited, || web::patch().to(organizations::rename)),
    route("GET", "/api/v1/organizations/{organization}/members", Policy::Organization(Role::Viewer), Limit::Unlimited, || web::get().to(members::list)),
    route("PATCH", "/api/v1/organizations/{organization}/members/{member}", Policy::Organization(Role::Admin), Limit::Unlimited, || web::patch().to(members::change)),
    route("DELETE", "/api/v1/organizations/{organization}/members/{member}", Policy::Organization(Role::Viewer), Limit::Unlimited, || web::delete().to(members::remove)),
    route("GET", "/api/v1/organizations/{organization}/invitations", Policy::Organization(Role::Admin), Limit::Unlimited, || web::get().to(invitations::list)),
    route("POST", "/api/v1/organizations/{organization}/invitations", Policy::Organization(Role::Admin), Limit::Unlimited, || web::post().to(invitations::create)),
    route("DELETE", "/api/v1/organizations/{organization}/invitations/{invitation}", Policy::Organization(Role::Admin), Limit::Unlimited, || web::delete().to(invitations::delete)),
    route("POST", "/api/v1/organizations/{organization}/device-authorization/{user_code}", Policy::Organization(Role::Member), Limit::Enroll, || web::post().to(device_authorization::approve)),
    route("DELETE", "/api/v1/organizations/{organization}/device-authorization/{user_code}", Policy::Organization(Role::Member), Limit::Enroll, || web::delete().to(device_authorization::refuse)),
    route("GET", "/api/v1/organizations/{organization}/networks", Policy::Organization(Role::Viewer), Limit::Unlimited, || web::get().to(networks::list)),
    route("POST", "/api/v1/organizations/{organization}/networks", Policy::Organization(Role::Admin), Limit::Unlimited, || web::post().to(networks::create)),
    route("PATCH", "/api/v1/organizations/{organization}/networks/{network}", Policy::Organization(Role::Admin), Limit::Unlimited, || web::patch().to(networks::change)),
    route("DELETE", "/api/v1/organizations/{organization}/networks/{network}", Policy::Organization(Role::Admin), Limit::Unlimited, || web::delete().to(networks::delete)),
    route("GET", "/api/v1/organizations/{organization}/networks/{network}/access-rules", Policy::Organization(Role::Viewer), Limit::Unlimited, || web::get().to(access_rules::list)),
    route("POST", "/api/v1/organizations/{organization}/networks/{network}/access-rules", Policy::Organization(Role::Admin), Limit::Unlimited, || web::post().to(access_rules::create)),
    route("PUT", "/api/v1/organizations/{organization}/networks/{network}/access-rules/{rule}", Policy::Organization(Role::Admin), Limit::Unlimited, || web::put().to(access_rules::replace)),
    route("DELETE", "/api/v1/organizations/{organization}/networks/{network}/access-rules/{rule}", Policy::Organization(Role::Admin), Limit::Unlimited, || web::delete().to(access_rules::delete)),
    route("GET", "/api/v1/organizations/{organization}/nodes", Policy::Organization(Role::Viewer), Limit::Unlimited, || web::get().to(nodes::list)),
    route("POST", "/api/v1/organizations/{organization}/nodes", Policy::Organization(Role::Admin), Limit::Unlimited, || web::post().to(nodes::create)),
    route("GET", "/api/v1/organizations/{organization}/nodes/{node}", Policy::Organization(Role::Viewer), Limit::Unlimited, || web::get().to(nodes::show)),
    route("PATCH", "/api/v1/organizations/{organization}/nodes/{node}", Policy::Organization(Role::Admin), Limit::Unlimited, || web::patch().to(nodes::change)),
    route("DELETE", "/api/v1/organizations/{organization}/nodes/{node}", Policy::Organization(Role::Admin), Limit::Unlimited, || web::delete().to(nodes::delete)),
    route("GET", "/api/v1/organizations/{organization}/enrollment-keys", Policy::Organization(Role::Member), Limit::Unlimited, || web::get().to(enrollment_keys::list)),
    route("POST", "/api/v1/organizations/{organization}/enrollment-keys", Policy::Organization(Role::Member), Limit::Unlimited, || web::post().to(enrollment_keys::create)),
    route("DELETE", "/api/v1/organizations/{organization}/enrollment-keys/{key}", Policy::Organization(Role::Admin), Limit::Unlimited, || web::delete().to(enrollment_keys::revoke)),
    route("GET", "/api/v1/organizations/{organization}/api-tokens", Policy::Organization(Role::Viewer), Limit::Unlimited, || web::get().to(api_tokens::list)),
    route("POST", "/api/v1/organizations/{organization}/api-tokens", Policy::Organization(Role::Viewer), Limit::Unlimited, || web::post().to(api_tokens::create)),
    route("DELETE", "/api/v1/organizations/{organization}/api-tokens/{token}", Policy::Organization(Role::Viewer), Limit::Unlimited, || web::delete().to(api_tokens::revoke)),
    route("GET", "/api/v1/organizations/{organization}/audit-log", Policy::Organization(Role::Admin), Limit::Unlimited, || web::get().to(audit_log::list)),
    route("GET", "/api/v1/relays", Policy::AnyOrganization, Limit::Unlimited, || web::get().to(relays::list)),
    route("POST", "/api/v1/relays", Policy::Operator, Limit::Unlimited, || web::post().to(relays::create)),
    route("GET", "/api/v1/relays/{relay}", Policy::AnyOrganization, Limit::Unlimited, || web::get().to(relays::show)),
    route("PATCH", "/api/v1/relays/{relay}", Policy::Operator, Limit::Unlimited, || web::patch().to(relays::change)),
    route("DELETE", "/api/v1/relays/{relay}", Policy::Operator, Limit::Unlimited, || web::delete().to(relays::delete)),
    route("GET", "/api/v1/stun-servers", Policy::AnyOrganization, Limit::Unlimited, || web::get().to(stun_servers::list)),
    route("POST", "/api/v1/stun-servers", Policy::Operator, Limit::Unlimited, || web::post().to(stun_servers::create)),
    route("GET", "/api/v1/stun-servers/{server}", Policy::AnyOrganization, Limit::Unlimited, || web::get().to(stun_servers::show)),
    route("PATCH", "/api/v1/stun-servers/{server}", Policy::Operator, Limit::Unlimited, || web::patch().to(stun_servers::change)),
    route("DELETE", "/api/v1/stun-servers/{server}", Policy::Operator, Limit::Unlimited, || web::delete().to(stun_servers::delete)),
    route("GET",    "/invitation/{token}", Policy::Public, Limit::Unlimited, || web::get().to(invitations::page)),
    route("GET",    oidc::CALLBACK,      Policy::Public, Limit::Unlimited, || web::get().to(oidc::callback)),
    route("GET",    "/account",          Policy::Public, Limit::Unlimited, || web::get().to(account::page)),
    route("GET",    "/join",             Policy::Public, Limit::Unlimited, || web::get().to(device_authorization::page)),
    route("GET",    "/join/{user_code}", Policy::Public, Limit::Unlimited, || web::get().to(device_authorization::page)),
    route("GET",    "/sign-in/{token}",  Policy::Public, Limit::Unlimited, || web::get().to(sign_in::page)),
    route("POST",   "/sign-in/{token}",  Policy::Public, Limit::SignIn,    || web::post().to(sign_in::sign_in)),
    route("GET",    "/healthz",          Policy::Public, Limit::Unlimited, || web::get().to(health::healthz)),
];

/// Registers the routes of an application.
pub fn configure(config: &mut ServiceConfig) {
    let mut paths: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
    paths.dedup();
    for path in paths {
        let routes = ROUTES.iter().filter(|route| route.path == path);
        let resource = routes.fold(web::resource(path), |resource, route| resource.route(guarded(route)));
        config.service(resource.default_service(web::route().to(method_not_allowed)));
    }
    config.default_service(web::route().to(dashboard::asset));
}

fn guarded(route: &RouteSpec) -> Route {
    let (policy, limit) = (route.policy, route.limit);
    (route.handler)().wrap(from_fn(move |request, next| policy::enforce(policy, limit, request, next)))
}

async fn method_not_allowed() -> Result<HttpResponse, ApiError> {
    Err(ApiError::method_not_allowed())
}
