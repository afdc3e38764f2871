//! How the command line talks to the daemon: one JSON line each way over a Unix socket.

pub(crate) mod answer;
mod client;
mod protocol;
mod server;

pub(crate) use client::call;
pub(crate) use protocol::Request;
pub(crate) use server::{Call, Server};
