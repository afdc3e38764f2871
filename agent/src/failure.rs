//! Exit codes, all in one place, and the failure that carries one to the shell.

use std::io;

use serde::{Deserialize, Serialize};

/// Why a command did not succeed. The numbers are a promise to scripts: 0 is success, the rest stands here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Code {
    /// Anything without a number of its own.
    Failed = 1,
    /// The command line or a value in it is wrong; the number that clap uses.
    Usage = 2,
    /// No daemon answers at the control socket.
    NotRunning = 3,
    /// The machine is no node of any network.
    NotEnrolled = 4,
    /// The operating system or the daemon forbids it.
    NoPermission = 5,
    /// The coordinator or a peer cannot be reached.
    Unreachable = 6,
    /// No answer in time.
    TimedOut = 7,
    /// The coordinator understood and said no.
    Refused = 8,
}

/// A command's end without success: a code for scripts and one sentence for people, with what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// The kind, which becomes the exit code.
    pub(crate) code: Code,
    /// What is wrong, and what to do.
    pub(crate) message: String,
}

impl Failure {
    /// A failure of the given kind.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The failure that an operating system's error means: forbidden, or just failed.
    pub(crate) fn from_io(error: &io::Error, message: impl Into<String>) -> Self {
        let forbidden =
            matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem);
        Self::new(if forbidden { Code::NoPermission } else { Code::Failed }, message)
    }

    /// What every command says on a machine that is no node.
    pub(crate) fn not_enrolled() -> Self {
        Self::new(Code::NotEnrolled, "this machine is not enrolled: run `warren join URL`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_promised_ones() {
        let codes = [
            (Code::Failed, 1),
            (Code::Usage, 2),
            (Code::NotRunning, 3),
            (Code::NotEnrolled, 4),
            (Code::NoPermission, 5),
            (Code::Unreachable, 6),
            (Code::TimedOut, 7),
            (Code::Refused, 8),
        ];
        for (code, number) in codes {
            assert_eq!(code as u8, number, "{code:?}");
        }
    }
}
