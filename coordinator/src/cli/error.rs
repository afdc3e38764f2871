//! Why a command failed: one sentence that says what is wrong and what to do.

use crate::http::ServerError;
use crate::http::tls::TlsError;
use crate::service::AdminError;
use crate::service::resources::ResourceError;
use crate::store::StoreError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// It could not be done.
    #[error("{0}")]
    Failed(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A rule.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A rule of what people administer.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// A file or socket.
    #[error("{what}: {error}")]
    Io {
        /// Which.
        what: String,
        /// Why.
        error: std::io::Error,
    },
    /// The web server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Certificate or key.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
}

impl CliError {
    pub(super) fn io(what: impl ToString) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.to_string();
        move |error| Self::Io { what, error }
    }

    /// 1 failed, 2 usage, 5 no permission.
    pub(super) fn exit_code(&self) -> u8 {
        let denied = |error: &std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
        let no_permission = match self {
            Self::Usage(_) => return 2,
            Self::Failed(_) => false,
            Self::Store(error)
            | Self::Admin(AdminError::Store(error))
            | Self::Resource(ResourceError::Store(error)) => error.is_permission_denied(),
            Self::Admin(_) | Self::Resource(_) => false,
            Self::Tls(error) => error.is_permission_denied(),
            Self::Io { error, .. } | Self::Server(ServerError { error, .. }) => denied(error),
        };
        if no_permission { 5 } else { 1 }
    }
}
