//! Values of fields that serde's own types read too strictly, or not strictly enough.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::VERSION;

/// The schema version of a message. There is one, so there is nothing in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Version;

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(VERSION)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Known;
        impl Visitor<'_> for Known {
            type Value = Version;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "the schema version \"{VERSION}\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Version, E> {
                if text == VERSION {
                    return Ok(Version);
                }
                Err(E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Known)
    }
}

/// An object or null. What serde derives would also take an array with the values in order.
pub(super) fn map<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_option(Maybe(Map(PhantomData)))
}

/// An object.
pub(super) fn required_map<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_map(Map(PhantomData))
}

/// An integer, which may be written with a fraction of zero, as languages do that know floating point numbers only.
pub(super) fn required_integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    deserializer.deserialize_any(Integer { flags: false })
}

/// An integer, null or nothing.
pub(super) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    deserializer.deserialize_option(Maybe(Integer { flags: false }))
}

/// The same, where true is 1 and false is 0.
pub(super) fn integer_or_flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    deserializer.deserialize_option(Maybe(Integer { flags: true }))
}

/// An array, as text.
pub(super) fn array<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Option::deserialize(deserializer)?
        .map(|text| beginning_with::<D>('[', "an array", text))
        .transpose()
}

/// An object, as text.
pub(super) fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Option::deserialize(deserializer)?
        .map(|text| beginning_with::<D>('{', "an object", text))
        .transpose()
}

/// An object, as text; not null.
pub(super) fn payload<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<RawValue>, D::Error> {
    beginning_with::<D>('{', "an object", Box::deserialize(deserializer)?)
}

/// The text is JSON already, so its first character says what it is.
fn beginning_with<'de, D: Deserializer<'de>>(
    first: char,
    expected: &str,
    text: Box<RawValue>,
) -> Result<Box<RawValue>, D::Error> {
    if text.get().starts_with(first) {
        return Ok(text);
    }
    let found = match text.get().as_bytes().first() {
        Some(b'{') => Unexpected::Map,
        Some(b'[') => Unexpected::Seq,
        Some(b'"') => Unexpected::Other("a string"),
        Some(b'n') => Unexpected::Other("null"),
        Some(b't' | b'f') => Unexpected::Other("a boolean"),
        _ => Unexpected::Other("a number"),
    };
    Err(D::Error::invalid_type(found, &expected))
}

struct Map<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Map<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields))
    }
}

struct Integer {
    flags: bool,
}

impl<'de> Visitor<'de> for Integer {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.flags {
            "an integer or a boolean"
        } else {
            "an integer"
        })
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<i64, E> {
        Ok(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<i64, E> {
        i64::try_from(value).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<i64, E> {
        // Up to 2⁵³, where every integer is a number of its own.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if value.fract() == 0.0 && value.abs() <= EXACT {
            return Ok(value as i64);
        }
        Err(E::invalid_value(Unexpected::Float(value), &self))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<i64, E> {
        if self.flags {
            return Ok(value.into());
        }
        Err(E::invalid_type(Unexpected::Bool(value), &self))
    }
}

/// What the visitor takes, or null.
struct Maybe<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Maybe<V> {
    type Value = Option<V::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self.0).map(Some)
    }
}
