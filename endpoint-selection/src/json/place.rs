//! Which field of a JSON text a place in it belongs to: a parser says where it stopped, a person needs to know what was
//! wrong there.

/// How much of a path is said: a hostile key may have a megabyte.
const CHARS_MAX: usize = 200;

/// An array or object that is open at some place in the text.
enum Open<'a> {
    /// An array, and which of its items comes next or is being read.
    Array(usize),
    /// An object and the key of the item that is being read; `None` before the first.
    Object(Option<&'a str>),
}

/// The path of the field that the byte at `place` belongs to, such as `candidates[0].address`; `input` for the whole. A place right
/// behind a value or key belongs to that one.
pub(super) fn field_at(text: &str, place: usize) -> String {
    path_of(&open_at(text, place.min(text.len())))
}

/// The same place for people with an editor: both count from 1.
pub(super) fn line_and_column(text: &str, place: usize) -> (usize, usize) {
    let before = text.as_bytes().get(..place).unwrap_or(text.as_bytes());
    let lines_before = before.iter().filter(|byte| **byte == b'\n').count();
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    (lines_before + 1, before.len() - line_start + 1)
}

/// What is open right before the byte at `place`; a container that ends there is one whole value, and so is none of these.
fn open_at(text: &str, place: usize) -> Vec<Open<'_>> {
    let bytes = text.as_bytes();
    let (mut open, mut at) = (Vec::new(), 0);
    while at < place {
        let start = at;
        at += 1;
        match bytes[start] {
            b'[' => open.push(Open::Array(0)),
            b'{' => open.push(Open::Object(None)),
            b']' | b'}' => {
                open.pop();
            }
            b',' => match open.last_mut() {
                Some(Open::Array(index)) => *index += 1,
                Some(Open::Object(key)) => *key = None,
                None => {}
            },
            b'"' => {
                at = end_of_string(bytes, at);
                // What comes first in an item of an object is its key.
                if let Some(Open::Object(key @ None)) = open.last_mut() {
                    *key = text.get(start + 1..at.saturating_sub(1));
                }
            }
            _ => {}
        }
    }
    open
}

/// The place behind the quote that ends the string whose first character is at `at`.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn path_of(open: &[Open<'_>]) -> String {
    let mut path = String::new();
    for container in open {
        match container {
            Open::Array(index) => {
                path.push('[');
                path.push_str(&index.to_string());
                path.push(']');
            }
            Open::Object(None) => {}
            Open::Object(Some(key)) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
        }
        if path.len() > CHARS_MAX {
            break;
        }
    }
    if path.is_empty() { "input".to_owned() } else { cut(path, CHARS_MAX) }
}

/// The first `chars_max` bytes or a little less, and three dots in place of the rest.
pub(super) fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The field of the place that is marked with `^` in the text.
    fn field(marked: &str) -> String {
        let (before, after) = marked.split_once('^').unwrap();
        field_at(&format!("{before}{after}"), before.len())
    }

    #[test]
    fn a_place_inside_or_right_behind_a_value_is_the_values() {
        for (marked, expected) in [
            (r#"{"now":-1^,"candidates":[]}"#, "now"),
            (r#"{"a":{"b":[1,{"c":"x"^}]}}"#, "a.b[1].c"),
            (r#"{"a":{"b":[1,{"c":^"x"}]}}"#, "a.b[1].c"),
            (r#"{"a":{"b":[1,{"c":"x"}^]}}"#, "a.b[1]"),
            (r#"{"a":{"b":[1,{"c":"x"}]^}}"#, "a.b"),
            (r#"{"a":{"b":[1,2],"d"^:3}}"#, "a.d"),
            ("[[1,2],[3,4^]]", "[1][1]"),
            ("{\n  \"a\": 1,\n  \"b\": [\n    nul^\n  ]\n}", "b[0]"),
        ] {
            assert_eq!(field(marked), expected, "{marked}");
        }
    }

    #[test]
    fn what_belongs_to_no_field_is_the_whole_input() {
        for marked in ["^", "{^", r#"{"a":1}^"#, "nu^ll", r#"{"a":1} x^"#, "]]^", r#"{"a":1,^}"#] {
            assert_eq!(field(marked), "input", "{marked}");
        }
    }

    #[test]
    fn quotes_and_brackets_inside_of_strings_do_not_count() {
        assert_eq!(field(r#"{"a]\"{":["\\\"[","}"^]}"#), r#"a]\"{[1]"#);
        assert_eq!(field(r#"{"a":"\"^"#), "a");
        assert_eq!(field(r#"{"a\^"#), "a");
    }

    #[test]
    fn a_long_path_is_cut_between_two_characters() {
        let key = "é".repeat(CHARS_MAX);
        let path = field(&format!(r#"{{"{key}x":1^}}"#));
        assert_eq!(path, format!("{}...", "é".repeat(CHARS_MAX / 2)));
        assert!(field(&format!("{}^", "[".repeat(1_000_000))).len() <= CHARS_MAX + 6);
    }

    #[test]
    fn a_place_outside_of_the_text_is_its_end() {
        let text = r#"{"a":1"#;
        assert_eq!((field_at(text, usize::MAX), line_and_column(text, usize::MAX)), ("a".into(), (1, 7)));
        assert_eq!((field_at("", 0), line_and_column("", 0)), ("input".into(), (1, 1)));
    }

    #[test]
    fn lines_and_columns_count_from_one() {
        let text = "{\n  \"a\": 1\n}";
        assert_eq!([0, 2, 4].map(|place| line_and_column(text, place)), [(1, 1), (2, 1), (2, 3)]);
    }
}
