//! Logs: to stderr, as text for people or JSON for machines, and never a secret.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object per line.
    Json,
}

/// Libraries that handle headers and bodies with secrets in them: whatever `RUST_LOG` asks for, they say no more than
/// this.
const QUIET: [&str; 4] = ["hyper=info", "hyper_util=info", "reqwest=info", "rustls=info"];

/// Starts logging at `level`, or as `RUST_LOG` says.
pub(crate) fn start(format: LogFormat, level: LevelFilter) {
    let wanted = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
    let filter = QUIET.iter().filter_map(|text| text.parse().ok()).fold(wanted, EnvFilter::add_directive);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process changes nothing; tests do that.
    let _ = match format {
        LogFormat::Human => builder.with_ansi(crate::cli::is_colourful_stderr()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
