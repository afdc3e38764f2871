//! JSON text into values: a strict reader below serde's derived code.
//!
//! `serde_json` reads the same texts, but its code exists once for each type, and for each way in which a type might be
//! written: in the module for browsers that was twice as much as the whole selection. This one knows only what the inputs
//! consist of: objects, arrays, strings, whole numbers, booleans and null. A test holds it against `serde_json`, which accepts
//! and gives the same.

use serde::de::{self, DeserializeOwned, DeserializeSeed, Visitor};
use serde::forward_to_deserialize_any;

use super::text::{Integer, Text, Why, Wrong, syntax};

/// The value that the whole text is.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Wrong> {
    let mut text = Text::new(text);
    let value = T::deserialize(&mut text);
    value.and_then(|value| text.end().map(|()| value)).map_err(|why| text.wrong(why))
}

/// The items of the array or object that was opened last, up to its `end`.
struct Items<'a, 'de> {
    text: &'a mut Text<'de>,
    end: u8,
}

impl<'de> de::SeqAccess<'de> for Items<'_, 'de> {
    type Error = Why;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Why> {
        self.text.go_to_item(self.end)?;
        if self.text.has_item { seed.deserialize(&mut *self.text).map(Some) } else { Ok(None) }
    }
}

impl<'de> de::MapAccess<'de> for Items<'_, 'de> {
    type Error = Why;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Why> {
        self.text.go_to_key()?;
        if self.text.has_item { seed.deserialize(Name(&self.text.string)).map(Some) } else { Ok(None) }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Why> {
        seed.deserialize(&mut *self.text)
    }
}

/// A key or the name of a variant, which is already read.
struct Name<'a>(&'a str);

impl<'de> de::Deserializer<'de> for Name<'_> {
    type Error = Why;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Why> {
        visitor.visit_str(self.0)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A variant of an enum: its name alone, or an object with its name as the only key.
struct Variant<'a, 'de> {
    text: &'a mut Text<'de>,
    has_value: bool,
}

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Why;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Why> {
        let name = seed.deserialize(Name(&self.text.string))?;
        Ok((name, self))
    }
}

impl Variant<'_, '_> {
    fn must_have_value(&self) -> Result<(), Why> {
        if self.has_value { Ok(()) } else { Err(syntax("this variant needs a value")) }
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Why;

    fn unit_variant(self) -> Result<(), Why> {
        if !self.has_value || self.text.is_word("null") {
            Ok(())
        } else {
            Err(syntax("this variant has no value"))
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Why> {
        self.must_have_value()?;
        seed.deserialize(self.text)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Why> {
        self.must_have_value()?;
        de::Deserializer::deserialize_seq(self.text, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Why> {
        self.must_have_value()?;
        de::Deserializer::deserialize_map(self.text, visitor)
    }
}

/// Reads an integer of any width: serde's visitor looks that it fits.
macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Why> {
            match self.integer(&visitor)? {
                Integer::Natural(number) => visitor.visit_u64(number),
                Integer::Negative(number) => visitor.visit_i64(number),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &mut Text<'de> {
    type Error = Why;

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Why> {
        match self.peek() {
            b'"' => self.deserialize_str(visitor),
            b'{' => self.deserialize_map(visitor),
            b'[' => self.deserialize_seq(visitor),
            b't' | b'f' => self.deserialize_bool(visitor),
            b'n' => self.deserialize_unit(visitor),
            _ => self.deserialize_u64(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Why> {
        if self.is_word("true") {
            visitor.visit_bool(true)
        } else if self.is_word("false") {
            visitor.visit_bool(false)
        } else {
            Err(self.mistaken(&visitor))
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Why> {
        self.string(&visitor)?;
        visitor.visit_str(&self.string)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Why> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Why> {
        self.deserialize_str(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Why> {
        if self.is_word("null") { visitor.visit_unit() } else { Err(self.mistaken(&visitor)) }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Why> {
        if self.is_word("null") { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Why> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Why> {
        let depth = self.open(b'[', &visitor)?;
        let value = visitor.visit_seq(Items { text: self, end: b']' })?;
        self.close(depth, b']')?;
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Why> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Why> {
        let depth = self.open(b'{', &visitor)?;
        let value = visitor.visit_map(Items { text: self, end: b'}' })?;
        self.close(depth, b'}')?;
        Ok(value)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Why> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Why> {
        if self.peek() == b'"' {
            self.string(&visitor)?;
            return visitor.visit_enum(Variant { text: self, has_value: false });
        }
        let depth = self.open(b'{', &visitor)?;
        self.go_to_key()?;
        if !self.has_item {
            return Err(syntax("a variant is missing"));
        }
        let value = visitor.visit_enum(Variant { text: self, has_value: true })?;
        self.close(depth, b'}')?;
        Ok(value)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Why> {
        self.skip()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit_struct tuple_struct
    }
}

#[cfg(test)]
mod tests;
