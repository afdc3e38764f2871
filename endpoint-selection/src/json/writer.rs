//! Values into JSON text, below serde's derived code: the counterpart of [`super::reader`].
//!
//! `serde_json` writes the same texts, in pieces of one byte or two, each of which is a copy through four layers: in the module for
//! browsers that took a fifth of a decision's time, and two kilobytes more. A test holds this one against it.

use std::fmt::{self, Display, Write};

use serde::ser::{self, Serialize};

/// The text of a value, without white space.
pub(super) fn write(value: &impl Serialize) -> Result<String, Unwritable> {
    let mut writer = Writer(String::new());
    value.serialize(&mut writer)?;
    Ok(writer.0)
}

/// A value that our outputs do not consist of, such as a fraction, or a key that is no string.
#[derive(Debug)]
pub(super) struct Unwritable;

impl Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot be written")
    }
}

impl std::error::Error for Unwritable {}

impl ser::Error for Unwritable {
    fn custom<T: Display>(_why: T) -> Self {
        Self
    }
}

/// Those of the largest number.
const DIGITS_MAX: usize = 20;

type Written = Result<(), Unwritable>;

struct Writer(String);

impl Writer {
    #[inline(always)]
    fn byte(&mut self, byte: u8) {
        self.0.push(char::from(byte));
    }

    /// ASCII that needs no escapes.
    fn plain(&mut self, text: &[u8]) {
        self.0.extend(text.iter().map(|byte| char::from(*byte)));
    }

    /// The inside of a string.
    fn escaped(&mut self, text: &str) {
        if !text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
            return self.0.push_str(text);
        }
        for character in text.chars() {
            // One that is no byte needs no escape.
            let byte = u8::try_from(character).unwrap_or(b' ');
            let escape = match byte {
                b'"' | b'\\' => byte,
                8 => b'b',
                b'\t' => b't',
                b'\n' => b'n',
                12 => b'f',
                b'\r' => b'r',
                0..0x20 => {
                    let digit = b"0123456789abcdef"[usize::from(byte & 15)];
                    self.plain(&[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), digit]);
                    continue;
                }
                _ => {
                    self.0.push(character);
                    continue;
                }
            };
            self.plain(&[b'\\', escape]);
        }
    }

    fn string(&mut self, text: &str) {
        self.byte(b'"');
        self.escaped(text);
        self.byte(b'"');
    }

    fn natural(&mut self, mut number: u64) {
        let (mut digits, mut start) = ([0; DIGITS_MAX], DIGITS_MAX);
        while start > 0 {
            start -= 1;
            digits[start] = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.plain(digits.get(start..).unwrap_or_default());
    }

    /// Goes to the next item of the array or object that was opened last: a comma, unless it is the first. No value ends with a
    /// bracket that opens.
    fn go_to_item(&mut self) {
        if !matches!(self.0.as_bytes().last(), Some(b'[' | b'{')) {
            self.byte(b',');
        }
    }

    fn go_to_key(&mut self, key: &str) {
        self.go_to_item();
        self.string(key);
        self.byte(b':');
    }

    /// Begins an array or object; with the name of a variant, as its value.
    fn open(&mut self, variant: Option<&str>, bracket: u8) -> Items<'_> {
        if let Some(variant) = variant {
            self.byte(b'{');
            self.go_to_key(variant);
        }
        self.byte(bracket);
        // In ASCII, the bracket that closes lies two behind the one that opens.
        Items { writer: self, end: bracket + 2, is_in_variant: variant.is_some() }
    }
}

impl Write for Writer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.escaped(text);
        Ok(())
    }
}

/// An array or object that is open.
struct Items<'a> {
    writer: &'a mut Writer,
    end: u8,
    is_in_variant: bool,
}

impl Items<'_> {
    fn item(&mut self, value: &(impl Serialize + ?Sized)) -> Written {
        self.writer.go_to_item();
        value.serialize(&mut *self.writer)
    }

    fn field(&mut self, key: &str, value: &(impl Serialize + ?Sized)) -> Written {
        self.writer.go_to_key(key);
        value.serialize(&mut *self.writer)
    }

    fn close(self) {
        self.writer.byte(self.end);
        if self.is_in_variant {
            self.writer.byte(b'}');
        }
    }
}

macro_rules! arrays {
    ($($kind:ident $method:ident)*) => {$(
        impl ser::$kind for Items<'_> {
            type Ok = ();
            type Error = Unwritable;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
                self.item(value)
            }

            fn end(self) -> Written {
                self.close();
                Ok(())
            }
        }
    )*};
}

arrays! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

macro_rules! objects {
    ($($kind:ident)*) => {$(
        impl ser::$kind for Items<'_> {
            type Ok = ();
            type Error = Unwritable;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Written {
                self.field(key, value)
            }

            fn end(self) -> Written {
                self.close();
                Ok(())
            }
        }
    )*};
}

objects! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Items<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        self.writer.go_to_item();
        let start = self.writer.0.len();
        key.serialize(&mut *self.writer)?;
        if self.writer.0.as_bytes().get(start) != Some(&b'"') {
            return Err(Unwritable);
        }
        self.writer.byte(b':');
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Written {
        self.close();
        Ok(())
    }
}

macro_rules! naturals {
    ($($method:ident $kind:ty)*) => {$(
        fn $method(self, number: $kind) -> Written {
            self.serialize_u64(u64::from(number))
        }
    )*};
}

macro_rules! integers {
    ($($method:ident $kind:ty)*) => {$(
        fn $method(self, number: $kind) -> Written {
            self.serialize_i64(i64::from(number))
        }
    )*};
}

impl<'a> ser::Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Items<'a>;
    type SerializeStruct = Items<'a>;
    type SerializeStructVariant = Items<'a>;

    naturals! { serialize_u8 u8 serialize_u16 u16 serialize_u32 u32 }

    integers! { serialize_i8 i8 serialize_i16 i16 serialize_i32 i32 }

    fn serialize_u64(self, number: u64) -> Written {
        self.natural(number);
        Ok(())
    }

    fn serialize_i64(self, number: i64) -> Written {
        if number < 0 {
            self.byte(b'-');
        }
        self.serialize_u64(number.unsigned_abs())
    }

    fn serialize_f32(self, _number: f32) -> Written {
        Err(Unwritable)
    }

    fn serialize_f64(self, _number: f64) -> Written {
        Err(Unwritable)
    }

    fn serialize_bool(self, is_true: bool) -> Written {
        self.0.push_str(if is_true { "true" } else { "false" });
        Ok(())
    }

    fn serialize_char(self, character: char) -> Written {
        self.collect_str(&character)
    }

    fn serialize_str(self, text: &str) -> Written {
        self.string(text);
        Ok(())
    }

    fn serialize_bytes(self, _bytes: &[u8]) -> Written {
        Err(Unwritable)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Written {
        self.byte(b'"');
        write!(self, "{value}").map_err(|_| Unwritable)?;
        self.byte(b'"');
        Ok(())
    }

    fn serialize_none(self) -> Written {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        self.0.push_str("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Written {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Written {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        self.byte(b'{');
        self.go_to_key(variant);
        value.serialize(&mut *self)?;
        self.byte(b'}');
        Ok(())
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Items<'a>, Unwritable> {
        Ok(self.open(None, b'['))
    }

    fn serialize_tuple(self, _len: usize) -> Result<Items<'a>, Unwritable> {
        Ok(self.open(None, b'['))
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Items<'a>, Unwritable> {
        Ok(self.open(None, b'['))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Items<'a>, Unwritable> {
        Ok(self.open(Some(variant), b'['))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Items<'a>, Unwritable> {
        Ok(self.open(None, b'{'))
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Items<'a>, Unwritable> {
        Ok(self.open(None, b'{'))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Items<'a>, Unwritable> {
        Ok(self.open(Some(variant), b'{'))
    }
}

#[cfg(test)]
mod tests;
