//! Answers on standard output: lines and tables for people, JSON for programs.

use std::io::Write;

use serde_json::Value;

use super::error::CliError;

/// Prints one line.
pub(super) fn line(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(CliError::io("cannot print the answer"))
}

/// Prints JSON for programs or lines for people.
pub(super) fn answer(as_json: bool, json: &Value, text: &str) -> Result<(), CliError> {
    if as_json { line(&json.to_string()) } else { line(text) }
}

/// A time for people and programs: RFC 3339, UTC, whole seconds.
pub(super) fn time(ms: i64) -> String {
    jiff::Timestamp::from_second(ms.div_euclid(1000))
        .map_or_else(|_| format!("{ms} ms"), |time| time.to_string())
}

/// Columns, as wide as their content.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    table_right(head, rows, &[])
}

/// The same with some columns aligned at their right end, as numbers are.
pub(super) fn table_right(head: &[&str], rows: &[Vec<String>], right: &[usize]) -> String {
    let cell_width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|name| name.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(cell_width).collect();
    let format_row = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if right.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:width$}") }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let body = rows.iter().map(|row| format_row(row.iter().map(String::as_str).collect()));
    std::iter::once(format_row(head.to_vec())).chain(body).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".into(), "1".into()], vec!["longer".into(), "2".into()]];
        assert_eq!(table(&["name", "n"], &rows), "name    n\na       1\nlonger  2");
        let rows = [vec!["a".into(), "1 ms".into()], vec!["b".into(), "20 ms".into()]];
        assert_eq!(table_right(&["", "rtt"], &rows, &[1]), "     rtt\na   1 ms\nb  20 ms");
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(time(1_000), "1970-01-01T00:00:01Z");
    }
}
