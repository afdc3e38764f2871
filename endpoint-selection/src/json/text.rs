//! JSON text, part by part: what comes next, and what is wrong with it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, Expected, Unexpected};

use super::place::{cut, field_at, line_and_column};

/// Arrays and objects inside one another; our own inputs have eight.
const DEPTH_MAX: u8 = 127;

/// How much is said about a field: a hostile value, which is repeated, may have a megabyte.
const WHY_BYTES_MAX: usize = 400;

/// A text and the place up to which it is read.
pub(super) struct Text<'de> {
    text: &'de str,
    /// What comes next; where it stands when something is wrong, the field that is wrong begins or has just ended.
    at: usize,
    depth: u8,
    /// The last string or key.
    pub(super) string: String,
    /// Whether an array or object had a next item.
    pub(super) has_item: bool,
}

impl<'de> Text<'de> {
    pub(super) const fn new(text: &'de str) -> Self {
        Self { text, at: 0, depth: 0, string: String::new(), has_item: false }
    }

    /// The next byte that is no white space, which stays; 0 at the end of the text (a byte that no JSON holds).
    pub(super) fn peek(&mut self) -> u8 {
        loop {
            let byte = self.text.as_bytes().get(self.at).copied().unwrap_or(0);
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return byte;
            }
            self.at += 1;
        }
    }

    const fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    pub(super) fn end(&mut self) -> Result<(), Why> {
        self.peek();
        if self.is_at_end() { Ok(()) } else { Err(syntax("trailing characters")) }
    }

    pub(super) fn wrong(&self, Why(message): Why) -> Wrong {
        let (line, column) = line_and_column(self.text, self.at);
        let why = cut(message.0, WHY_BYTES_MAX);
        Wrong { field: field_at(self.text, self.at), why: format!("{why} at line {line} column {column}") }
    }

    /// What is there instead of `expected`.
    pub(super) fn mistaken(&mut self, expected: &dyn Expected) -> Why {
        let given = match self.peek() {
            _ if self.is_at_end() => return syntax("the text ends too early"),
            b'"' => "string",
            b'{' => "map",
            b'[' => "sequence",
            b't' | b'f' => "boolean",
            b'n' => "null",
            b'-' | b'0'..=b'9' => "number",
            _ => return syntax("expected value"),
        };
        because(format!("invalid type: {given}, expected {expected}"))
    }

    /// Passes this text if it comes next, and says whether it did.
    fn eat(&mut self, text: &str) -> bool {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let is_next = rest.starts_with(text.as_bytes());
        if is_next {
            self.at += text.len();
        }
        is_next
    }

    /// The same behind white space.
    pub(super) fn is_word(&mut self, word: &str) -> bool {
        self.peek();
        self.eat(word)
    }

    /// Begins an array or object; returns how many are open with it.
    pub(super) fn open(&mut self, bracket: u8, expected: &dyn Expected) -> Result<u8, Why> {
        if self.peek() != bracket {
            return Err(self.mistaken(expected));
        }
        if self.depth == DEPTH_MAX {
            return Err(syntax("nested too deep"));
        }
        self.at += 1;
        self.depth += 1;
        Ok(self.depth)
    }

    /// Goes to the next item of the array or object that ends with `end`; `self.has_item` says whether there is one. Where not, the
    /// end is passed.
    pub(super) fn go_to_item(&mut self, end: u8) -> Result<(), Why> {
        // In ASCII, the bracket that opens lies two before the one that closes. No value ends with it.
        let is_first = self.text.as_bytes().get(self.at.wrapping_sub(1)) == Some(&(end - 2));
        self.has_item = true;
        match self.peek() {
            byte if byte == end => {
                self.at += 1;
                self.depth -= 1;
                self.has_item = false;
            }
            _ if self.is_at_end() => return Err(syntax("the text ends too early")),
            _ if is_first => {}
            b',' => {
                self.at += 1;
                if self.peek() == end {
                    return Err(syntax("trailing comma"));
                }
            }
            _ => return Err(syntax("expected `,` or the end")),
        }
        Ok(())
    }

    /// The same in an object: the key goes into `self.string`, and its colon is passed.
    pub(super) fn go_to_key(&mut self) -> Result<(), Why> {
        self.go_to_item(b'}')?;
        if self.has_item {
            self.string(&"a key")?;
            if self.peek() != b':' {
                return Err(syntax("expected `:`"));
            }
            self.at += 1;
        }
        Ok(())
    }

    /// Looks that the array or object that was opened as number `depth` is over: no item is left that the value has no place for.
    pub(super) fn close(&mut self, depth: u8, end: u8) -> Result<(), Why> {
        if self.depth == depth {
            self.go_to_item(end)?;
            if self.has_item {
                return Err(syntax("too many items"));
            }
        }
        Ok(())
    }

    /// The number that comes next, as it is written.
    fn number(&mut self, expected: &dyn Expected) -> Result<&'de str, Why> {
        self.peek();
        let start = self.at;
        self.eat("-");
        let first = self.text.as_bytes().get(self.at);
        match (first, self.digits()) {
            (_, 0) => {
                self.at = start;
                return Err(self.mistaken(expected));
            }
            (Some(b'0'), 2..) => return Err(syntax("invalid number")),
            _ => {}
        }
        if self.eat(".") && self.digits() == 0 {
            return Err(syntax("invalid number"));
        }
        if self.eat("e") || self.eat("E") {
            let _sign = self.eat("+") || self.eat("-");
            if self.digits() == 0 {
                return Err(syntax("invalid number"));
            }
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn digits(&mut self) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        digits
    }

    pub(super) fn integer(&mut self, expected: &dyn Expected) -> Result<Integer, Why> {
        let number = self.number(expected)?;
        if let Ok(natural) = number.parse() {
            return Ok(Integer::Natural(natural));
        }
        match number.parse() {
            // Minus zero.
            Ok(0) | Err(_) => Err(because(format!("invalid value: {number}, expected {expected}"))),
            Ok(negative) => Ok(Integer::Negative(negative)),
        }
    }

    /// The string that comes next, without its quotes, goes into `self.string`.
    pub(super) fn string(&mut self, expected: &dyn Expected) -> Result<(), Why> {
        if self.peek() != b'"' {
            return Err(self.mistaken(expected));
        }
        self.at += 1;
        self.string.clear();
        let mut start = self.at;
        loop {
            let byte = self.text.as_bytes().get(self.at);
            match byte {
                Some(b'"' | b'\\') => {
                    self.string.push_str(self.text.get(start..self.at).unwrap_or_default());
                    self.at += 1;
                    if byte == Some(&b'"') {
                        return Ok(());
                    }
                    let escaped = self.escaped()?;
                    self.string.push(escaped);
                    start = self.at;
                }
                Some(0..0x20) => return Err(syntax("control character in a string")),
                Some(_) => self.at += 1,
                None => return Err(syntax("the text ends too early")),
            }
        }
    }

    /// The character that stands behind a backslash.
    fn escaped(&mut self) -> Result<char, Why> {
        let byte = self.text.as_bytes().get(self.at);
        self.at += 1;
        Ok(match byte {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let unit = self.code_unit()?;
                let units = if (0xd800..0xdc00).contains(&unit) && self.eat("\\u") {
                    [unit, self.code_unit()?]
                } else {
                    [unit, 0]
                };
                match char::decode_utf16(units).next() {
                    Some(Ok(character)) => character,
                    Some(Err(_)) | None => return Err(syntax("half a character in a string")),
                }
            }
            Some(_) | None => return Err(syntax("invalid escape")),
        })
    }

    fn code_unit(&mut self) -> Result<u16, Why> {
        let mut unit = 0;
        for _ in 0..4 {
            let byte = self.text.as_bytes().get(self.at).copied().unwrap_or_default();
            let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok());
            unit = unit << 4 | digit.ok_or_else(|| syntax("invalid escape"))?;
            self.at += 1;
        }
        Ok(unit)
    }

    /// Passes a value that nobody asked for.
    pub(super) fn skip(&mut self) -> Result<(), Why> {
        let expected = &"a value";
        match self.peek() {
            b'"' => self.string(expected),
            bracket @ (b'[' | b'{') => {
                self.open(bracket, expected)?;
                loop {
                    if bracket == b'{' {
                        self.go_to_key()?
                    } else {
                        self.go_to_item(b']')?
                    }
                    if !self.has_item {
                        return Ok(());
                    }
                    self.skip()?;
                }
            }
            _ if ["true", "false", "null"].into_iter().any(|word| self.is_word(word)) => Ok(()),
            _ => self.number(expected).map(|_| ()),
        }
    }
}

pub(super) enum Integer {
    Natural(u64),
    Negative(i64),
}

/// What is wrong, and with which field.
pub(super) struct Wrong {
    pub(super) field: String,
    pub(super) why: String,
}

/// What is wrong; the place is where the reader stopped. One pointer, because every step of every type hands it on.
#[derive(Debug)]
pub(super) struct Why(Box<Message>);

#[derive(Debug)]
struct Message(String);

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.0)
    }
}

impl std::error::Error for Why {}

impl Error for Why {
    fn custom<T: fmt::Display>(why: T) -> Self {
        because(why.to_string())
    }

    // Serde's own words for these can say floats, bytes and more, all of which would be code that nobody needs.
    fn invalid_type(given: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("invalid type: {}, expected {expected}", name_of(given)))
    }

    fn invalid_value(given: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("invalid value: {}, expected {expected}", name_of(given)))
    }
}

fn name_of(given: Unexpected<'_>) -> Cow<'_, str> {
    if let Unexpected::Unsigned(number) = given {
        number.to_string().into()
    } else if let Unexpected::Signed(number) = given {
        number.to_string().into()
    } else if let Unexpected::Str(text) = given {
        text.into()
    } else {
        "another kind of value".into()
    }
}

fn because(why: String) -> Why {
    Why(Box::new(Message(why)))
}

pub(super) fn syntax(why: &str) -> Why {
    because(why.to_owned())
}
