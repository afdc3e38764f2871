//! `backup`, `restore`, `check`.

use super::args::{FileArgs, PlaceArgs};
use super::config::data_dir;
use super::error::CliError;
use super::output;
use crate::http::now_ms;
use crate::store;

pub(super) fn backup(args: &FileArgs) -> Result<(), CliError> {
    store::backup(&data_dir(&args.place)?, &args.file)?;
    output::line(&format!("backed up and verified: {}", args.file.display()))
}

pub(super) fn restore(args: &FileArgs) -> Result<(), CliError> {
    let kept = store::restore(&data_dir(&args.place)?, &args.file, now_ms())?;
    let kept = kept.map(|path| format!("; the old database is {}", path.display())).unwrap_or_default();
    output::line(&format!("restored {}{kept}", args.file.display()))
}

pub(super) fn check(args: &PlaceArgs) -> Result<(), CliError> {
    let dir = data_dir(args)?;
    store::check(&dir)?;
    output::line(&format!("sound: {}", dir.database().display()))
}
