//! A table of nft rules that is ours: named after the interface, and remembered on the disk for as long as it may be in the kernel.

use super::{nft, nft_tells};
use crate::state::StateFolder;

/// An interface's name has 15 bytes at most.
const MARK_BYTES_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Table {
    state: StateFolder,
    /// The file that names the table which may be in the kernel, also after a crash and under another interface's name.
    mark: &'static str,
    prefix: &'static str,
    name: String,
}

impl Table {
    /// The table of an interface; nothing is set or taken away yet.
    pub(crate) fn new(
        state: &StateFolder,
        mark: &'static str,
        prefix: &'static str,
        interface: &str,
    ) -> Self {
        let letters = interface.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        Self { state: state.clone(), mark, prefix, name: format!("{prefix}{letters}") }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Remembers that it may be in the kernel from now on.
    pub(crate) fn remember(&self) -> Result<(), String> {
        self.state.write(self.mark, self.name.as_bytes()).map_err(|error| error.to_string())
    }

    /// Loads the script that makes it.
    pub(crate) fn load(&self, script: &str) -> Result<(), String> {
        self.remember()?;
        nft(script)
    }

    /// What is in it; nothing where it is not there.
    pub(crate) fn listing(&self) -> String {
        nft_tells(&["list", "table", "inet", &self.name]).unwrap_or_default()
    }

    /// Whether it is in the kernel.
    pub(crate) fn is_there(&self) -> bool {
        !self.listing().is_empty()
    }

    /// The name of the table that may be in the kernel: this one, or that of an interface with another name.
    pub(crate) fn remembered(&self) -> Option<String> {
        let mark = self.state.read(self.mark, MARK_BYTES_MAX).ok().flatten()?;
        String::from_utf8(mark).ok().filter(|name| self.is_ours(name))
    }

    /// Takes it out of the kernel, where it may be.
    pub(crate) fn remove(&self) {
        if let Some(table) = self.remembered()
            && let Err(why) = nft(&removal(&table))
        {
            tracing::warn!(why, table, "rules of nft stay behind");
            return;
        }
        self.forget();
    }

    /// Forgets that it may be in the kernel.
    pub(crate) fn forget(&self) {
        if let Err(error) = self.state.remove(self.mark) {
            tracing::warn!(%error, "a mark stays behind");
        }
    }

    /// Whether a mark names a table that may be ours to remove.
    pub(crate) fn is_ours(&self, name: &str) -> bool {
        name.starts_with(self.prefix) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }
}

/// Adding the table first makes its removal succeed whether or not it was there.
pub(crate) fn removal(table: &str) -> String {
    format!("table inet {table}\ndelete table inet {table}\n")
}
