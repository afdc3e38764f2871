//! A table of nft rules that is ours: named after the interface, and remembered on the disk for as long as it may be in the kernel.

use super::nft;
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

    /// Loads the script that makes it.
    pub(crate) fn load(&self, script: &str) -> Result<(), String> {
        self.state.write(self.mark, self.name.as_bytes()).map_err(|error| error.to_string())?;
        nft(script)
    }

    /// Whether it is in the kernel.
    pub(crate) fn is_there(&self) -> bool {
        nft(&format!("list table inet {}\n", self.name)).is_ok()
    }

    /// Whether a table may be in the kernel, of this interface or of one before.
    pub(crate) fn is_remembered(&self) -> bool {
        !matches!(self.state.contains(self.mark), Ok(false))
    }

    /// Takes the table of an interface of another name out of the kernel, where one may be.
    pub(crate) fn remove_other(&self) {
        let mark = self.state.read(self.mark, MARK_BYTES_MAX);
        if mark.is_ok_and(|mark| mark.is_some_and(|name| name != self.name.as_bytes())) {
            self.remove();
        }
    }

    /// Takes it out of the kernel, where it may be.
    pub(crate) fn remove(&self) {
        let Ok(Some(mark)) = self.state.read(self.mark, MARK_BYTES_MAX) else { return };
        let table = std::str::from_utf8(&mark).ok().filter(|name| self.is_ours(name));
        if let Some(table) = table
            && let Err(why) = nft(&removal(table))
        {
            tracing::warn!(why, table, "rules of nft stay behind");
            return;
        }
        if let Err(error) = self.state.remove(self.mark) {
            tracing::warn!(%error, "a mark stays behind");
        }
    }

    /// Forgets that it may be in the kernel.
    pub(crate) fn forget(&self) {
        drop(self.state.remove(self.mark));
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
