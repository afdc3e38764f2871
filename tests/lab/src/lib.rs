//! Internets in Linux network namespaces, built from a description, for the real agents to prove themselves in.
//!
//! Everything lives in private namespaces of one process tree and vanishes with it.

mod agreement;
mod bad_input;
pub mod behaviour;
mod capture;
mod change;
pub mod classification;
mod classifier;
mod coordinator;
mod daemon;
mod deadline;
pub mod demo;
pub mod distribution;
pub mod error;
pub mod internet;
mod ipv6;
mod lab_itself;
mod lying_router;
mod matrix;
mod mesh;
mod mtu;
pub mod namespace;
mod netcheck;
mod node;
mod opening;
pub mod output;
pub mod ping;
mod plan;
mod port_mapping;
pub mod preflight;
mod rebinding;
pub mod recipe;
mod relay_secrecy;
mod report;
mod router_daemon;
pub mod runner;
pub mod sandbox;
pub mod scenario;
mod status;
mod stun_message;
mod stun_server;
pub mod topology;
mod translator;
mod udp_blocked;
pub mod wire;
mod wireguard_go;
