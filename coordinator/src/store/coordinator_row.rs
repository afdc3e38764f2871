//! The coordinator's own row: keys, boot counter, public URL.

use rusqlite::OptionalExtension;
use zeroize::Zeroizing;

use super::{ReadTx, StoreError, WriteTx};

/// What the coordinator knows of itself. No `Debug`: it holds private keys.
pub struct CoordinatorRow {
    /// How often `serve` has started.
    pub boot_count: u32,
    /// Where browsers and agents reach it, as `serve` was last told.
    pub public_url: Option<String>,
    /// The X25519 private key of the relay inside.
    pub relay_private_key: Zeroizing<[u8; 32]>,
    /// The Ed25519 key that signs relay tokens.
    pub token_signing_key: Zeroizing<[u8; 32]>,
}

impl ReadTx<'_> {
    /// The coordinator's row; `None` before the first start.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn coordinator(&self) -> Result<Option<CoordinatorRow>, StoreError> {
        let sql = "SELECT boot_count, public_url, relay_private_key, token_signing_key FROM coordinator";
        let row = self.sql().query_row(sql, (), |row| {
            Ok(CoordinatorRow {
                boot_count: row.get(0)?,
                public_url: row.get(1)?,
                relay_private_key: Zeroizing::new(row.get(2)?),
                token_signing_key: Zeroizing::new(row.get(3)?),
            })
        });
        Ok(row.optional()?)
    }
}

impl ReadTx<'_> {
    /// Whether `serve` made the first owner itself and nobody has signed in since.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn awaits_owner(&self) -> Result<bool, StoreError> {
        let found = self.sql().query_row("SELECT awaits_owner FROM coordinator", (), |row| row.get(0));
        Ok(found.optional()?.unwrap_or(false))
    }
}

impl WriteTx<'_> {
    /// Notes whether the first owner is still to come. Writes nothing where that is known.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn set_awaits_owner(&self, awaits: bool) -> Result<(), StoreError> {
        self.sql().execute("UPDATE coordinator SET awaits_owner = ?1 WHERE awaits_owner <> ?1", [awaits])?;
        Ok(())
    }

    /// Counts one start; the first one stores the given random keys.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn count_boot(
        &self,
        relay_private_key: &[u8; 32],
        token_signing_key: &[u8; 32],
    ) -> Result<CoordinatorRow, StoreError> {
        self.sql().execute(
            "INSERT INTO coordinator (id, boot_count, relay_private_key, token_signing_key) VALUES (1, 1, ?1, ?2)
             ON CONFLICT (id) DO UPDATE SET boot_count = boot_count + 1",
            (relay_private_key, token_signing_key),
        )?;
        self.reading().coordinator()?.ok_or(StoreError::Sqlite(rusqlite::Error::QueryReturnedNoRows))
    }

    /// Notes where browsers and agents reach the coordinator.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn set_public_url(&self, url: &str) -> Result<(), StoreError> {
        self.sql().execute("UPDATE coordinator SET public_url = ?1", [url])?;
        Ok(())
    }
}
