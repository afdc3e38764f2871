//! Columns to values and back.

use std::str::FromStr;

use rusqlite::Row;
use rusqlite::types::Type;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::StrDeserializer;
use sha2::{Digest, Sha256};

/// The SHA-256 of a random secret: all that the database keeps of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretHash(pub(super) [u8; 32]);

impl SecretHash {
    /// Hashes a secret of 256 random bits.
    #[must_use]
    pub fn of(secret: &[u8; 32]) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

/// Reads a text column into a value.
pub(super) fn parse<T: FromStr>(row: &Row<'_>, column: &str) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.get(column)?;
    parse_text(row, column, &text)
}

/// Reads a text column that may be null.
pub(super) fn parse_optional<T: FromStr>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: Option<String> = row.get(column)?;
    text.map(|text| parse_text(row, column, &text)).transpose()
}

fn parse_text<T: FromStr>(row: &Row<'_>, column: &str, text: &str) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let index = row.as_ref().column_index(column)?;
    text.parse().map_err(|error: T::Err| {
        rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error))
    })
}

/// Reads a column with one word of an enum, as serde names it.
pub(super) fn word<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    let index = row.as_ref().column_index(column)?;
    T::deserialize(StrDeserializer::<serde::de::value::Error>::new(&text))
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error)))
}

/// Reads a column of JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    let index = row.as_ref().column_index(column)?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error)))
}

/// An enum's value as its word.
pub(super) fn to_word<T: Serialize>(value: &T) -> String {
    to_json(value).trim_matches('"').to_owned()
}

/// A value as JSON.
pub(super) fn to_json<T: Serialize>(value: &T) -> String {
    #[expect(clippy::expect_used, reason = "the store keeps no maps with keys other than strings")]
    serde_json::to_string(value).expect("columns are JSON")
}

/// Reads a hash column that may be null.
pub(super) fn hash_optional(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<SecretHash>> {
    Ok(row.get::<_, Option<[u8; 32]>>(column)?.map(SecretHash))
}

/// Whether an error says that one row's content is wrong, and not that the database is.
pub(super) fn is_bad_row(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..)
    )
}
