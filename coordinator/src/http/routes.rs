//! Every URL of the product, in one table.

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Route};

use super::policy::{self, Policy};
use super::problem::ApiError;
use super::rate_limit::Limit;
use super::{dashboard, enroll, health, map, node, overview, pair, relay, report, sign_in};

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
    route("POST",   "/api/v1/report",    Policy::Node,   Limit::Unlimited, || web::post().to(report::report)),
    route("GET",    "/api/v1/map",       Policy::Node,   Limit::Unlimited, || web::get().to(map::map)),
    route("GET",    "/api/v1/relay",     Policy::Public, Limit::Relay,     || web::get().to(relay::relay)),
    route("DELETE", "/api/v1/node",      Policy::Node,   Limit::Unlimited, || web::delete().to(node::leave)),
    route("GET",    "/api/v1/overview",  Policy::Person, Limit::Unlimited, || web::get().to(overview::overview)),
    route("GET",    "/api/v1/pairs/{own}/{peer}", Policy::Person, Limit::Unlimited, || web::get().to(pair::pair)),
    route("POST",   "/api/v1/sign-out",  Policy::Person, Limit::Unlimited, || web::post().to(sign_in::sign_out)),
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
