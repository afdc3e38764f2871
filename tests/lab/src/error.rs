//! What can go wrong in the lab itself, and the exit code each kind leads to.

use std::path::Path;

/// A failure of the lab or of its machine, not of the software under test.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The machine lacks something; the text says what and what to do. Exit code 2.
    #[error("{0}")]
    Unusable(String),
    /// The machine forbids something; the text says what and what to do. Exit code 5.
    #[error("{0}")]
    Forbidden(String),
    /// A description, a name or a recipe is wrong. Exit code 2.
    #[error("{0}")]
    Description(String),
    /// A command of the lab failed.
    #[error("`{command}` failed: {output}")]
    Command {
        /// The command line.
        command: String,
        /// What it printed on its way out.
        output: String,
    },
    /// A system call failed.
    #[error("cannot {action}: {source}")]
    System {
        /// What was tried.
        action: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Something did not come true in its time.
    #[error("{0}")]
    Unmet(String),
}

impl LabError {
    /// The exit code of a process that ends because of this error.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Unusable(_) | Self::Description(_) => 2,
            Self::Forbidden(_) => 5,
            Self::Command { .. } | Self::System { .. } | Self::Unmet(_) => 1,
        }
    }

    /// A failed system call, told with the path it was about.
    #[must_use]
    pub fn at_path(action: &str, path: &Path, source: std::io::Error) -> Self {
        Self::System { action: format!("{action} {}", path.display()), source }
    }
}

/// Adds what was tried to the error of a system call.
pub trait Trying<T> {
    /// Names the action, which completes the sentence "cannot …".
    ///
    /// # Errors
    /// The same failure with the action's name.
    fn trying(self, action: impl Into<String>) -> Result<T, LabError>;
}

impl<T, E: Into<std::io::Error>> Trying<T> for Result<T, E> {
    fn trying(self, action: impl Into<String>) -> Result<T, LabError> {
        self.map_err(|error| LabError::System { action: action.into(), source: error.into() })
    }
}
