//! The requests, and the limits that both sides keep.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::{Code, Failure};
use crate::state::ChoiceChange;

/// The longest request line, in bytes; a sound one has less than 200.
pub(crate) const LINE_BYTES_MAX: usize = 64 * 1024;

/// The longest answer that the command line reads, in bytes: the candidates of 10,000 peers.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The longest path of a Unix socket (`sun_path` of unix(7), less its closing zero).
pub(crate) const SOCKET_PATH_MAX: usize = 107;

/// What the command line asks of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub(crate) enum Request {
    /// Everything at a glance.
    Status,
    /// Why a peer is reached the way it is.
    Why {
        /// Name, mesh address, id, or beginning of the public key.
        peer: String,
    },
    /// One round trip to a peer.
    Ping {
        /// Name, mesh address, id, or beginning of the public key.
        peer: String,
    },
    /// What the network around the node is like.
    Netcheck,
    /// Learn everything about the network anew.
    Rediscover,
    /// The tunnel shall be up, also after a restart.
    Up,
    /// The tunnel shall be down, also after a restart.
    Down,
    /// Choose otherwise.
    Set(ChoiceChange),
    /// Stop being a node.
    Leave {
        /// Even where the coordinator does not answer.
        force: bool,
    },
    /// The identity on disk is new.
    Reload,
}

/// What the daemon answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// It worked.
    Ok(Value),
    /// It did not.
    Error(Failure),
}

/// Checks that a socket can have this path at all.
///
/// # Errors
/// Where the kernel would cut it.
pub(crate) fn check_path(path: &Path) -> Result<(), Failure> {
    let length = path.as_os_str().len();
    if length > SOCKET_PATH_MAX {
        let message = format!(
            "the socket path has {length} bytes, at most {SOCKET_PATH_MAX} are possible: \
             choose a shorter one with --socket"
        );
        return Err(Failure::new(Code::Usage, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_json_object_with_its_name() {
        let json = serde_json::to_string(&Request::Leave { force: true }).unwrap();
        assert_eq!(json, r#"{"request":"leave","force":true}"#);
    }

    #[test]
    fn a_socket_path_that_the_kernel_would_cut_is_refused() {
        let path = |length| "/".to_owned() + &"x".repeat(length - 1);
        assert!(check_path(Path::new(&path(SOCKET_PATH_MAX))).is_ok());
        assert_eq!(check_path(Path::new(&path(SOCKET_PATH_MAX + 1))).unwrap_err().code, Code::Usage);
    }
}
