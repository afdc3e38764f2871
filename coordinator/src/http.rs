//! The HTTP API and the dashboard: extract, call a service, answer. One table names every URL ([`ROUTES`]); a route
//! cannot exist without saying who may call it.

mod activity;
mod body;
mod client_address;
mod dashboard;
mod device_authorization;
mod enroll;
mod health;
mod map;
mod metrics;
mod metrics_server;
mod node;
pub mod oidc;
mod openapi;
mod overview;
mod pair;
mod policy;
mod problem;
mod rate_limit;
mod relay;
mod report;
mod resources;
mod responses;
mod routes;
mod server;
mod servers;
mod sign_in;
mod site;
pub mod tls;

pub use activity::{Activity, Open};
pub use client_address::TrustedProxies;
pub use metrics::{Metrics, Sources};
pub use metrics_server::bind_metrics;
pub use openapi::openapi_json;
pub use policy::Policy;
pub use routes::{ROUTES, RouteSpec, configure};
pub use server::{Listener, ServerError, bind, bind_listener};
pub use site::Site;
pub(crate) use site::now_ms;
