//! Points in time, as people write them.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toml::value::{Datetime, Offset};

/// When something ends: milliseconds since 1970-01-01T00:00:00Z.
///
/// Read from such a number, from a text as in RFC 3339 (`"2027-01-31T12:00:00+01:00"`), or from a date and time of TOML,
/// which must have an offset. Written as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry(u64);

impl Expiry {
    /// So many milliseconds after the beginning of 1970.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Later than all others.
    pub(super) const NEVER: Self = Self(u64::MAX);

    /// How long it is until it comes, rounded up to milliseconds, so that it has come then.
    pub(super) fn after(self, now: SystemTime) -> Duration {
        let passed = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Duration::from_millis(
            self.0
                .saturating_sub(passed.as_millis().try_into().unwrap_or(u64::MAX)),
        )
    }

    /// Whether it has come.
    #[must_use]
    pub fn is_past(self, now: SystemTime) -> bool {
        SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_millis(self.0))
            .is_some_and(|end| now >= end)
    }

    /// Nothing if there is no offset, or if it is before 1970.
    fn from_datetime(datetime: &Datetime) -> Option<Self> {
        let (date, time) = (datetime.date?, datetime.time?);
        let offset = match datetime.offset? {
            Offset::Z => 0,
            Offset::Custom { minutes } => i64::from(minutes),
        };
        let days = days_since_1970(i64::from(date.year), i64::from(date.month), i64::from(date.day));
        let minutes = (days * 24 + i64::from(time.hour)) * 60 + i64::from(time.minute) - offset;
        let seconds = minutes * 60 + i64::from(time.second.unwrap_or(0));
        let millis = seconds * 1000 + i64::from(time.nanosecond.unwrap_or(0) / 1_000_000);
        u64::try_from(millis).ok().map(Self)
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
///
/// Years begin in March, so that the leap day is their last: then `(153 m + 2) / 5` days lie before the month `m`, and
/// 365 and a quarter days in a year, with the exceptions of centuries.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    const BEFORE_1970: i64 = 719_468;
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - BEFORE_1970
}

impl Serialize for Expiry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Expiry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Expiry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a time after 1970, as 2027-01-31T12:00:00Z with its offset, or as milliseconds since 1970",
                )
            }

            fn visit_u64<E: Error>(self, millis: u64) -> Result<Expiry, E> {
                Ok(Expiry(millis))
            }

            fn visit_i64<E: Error>(self, millis: i64) -> Result<Expiry, E> {
                u64::try_from(millis)
                    .map(Expiry)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(millis), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Expiry, E> {
                text.parse()
                    .ok()
                    .and_then(|datetime| Expiry::from_datetime(&datetime))
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Expiry, A::Error> {
                // How TOML hands out its dates.
                let datetime = Datetime::deserialize(MapAccessDeserializer::new(fields))?;
                self.visit_str(&datetime.to_string())
            }
        }
        deserializer.deserialize_any(Written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<u64, serde_json::Error> {
        serde_json::from_value::<Expiry>(text.into()).map(|expiry| expiry.0)
    }

    #[test]
    fn a_time_may_be_a_number_of_milliseconds() {
        assert_eq!(
            serde_json::from_str::<Expiry>("1795177519270").unwrap(),
            Expiry(1_795_177_519_270)
        );
        assert!(serde_json::from_str::<Expiry>("-1").is_err());
        assert!(serde_json::from_str::<Expiry>("1.5").is_err());
    }

    #[test]
    fn a_time_may_be_a_date_with_an_offset() {
        // As Python's datetime.fromisoformat(…).timestamp() has them.
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799_000),
            ("2000-03-01T00:00:00Z", 951_868_800_000),
            ("2026-11-21T02:28:33.250Z", 1_795_228_113_250),
            ("2027-01-31T12:00:00+01:00", 1_801_393_200_000),
            ("2027-01-31 12:00:00-05:30", 1_801_416_600_000),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000),
        ] {
            assert_eq!(read(text).unwrap(), millis, "{text}");
        }
    }

    #[test]
    fn a_time_without_an_offset_is_refused_as_nobody_knows_when_it_is() {
        for text in [
            "2027-01-31T12:00:00",
            "2027-01-31",
            "12:00:00",
            "1969-12-31T23:59:59Z",
            "tomorrow",
            "",
        ] {
            assert!(
                read(text).unwrap_err().to_string().contains("with its offset"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_date_of_toml_is_the_same_as_its_text() {
        #[derive(Deserialize)]
        struct File {
            at: Expiry,
        }
        let at = |text: &str| toml::from_str::<File>(text).map(|file| file.at.0);
        assert_eq!(at("at = 2027-01-31T12:00:00+01:00").unwrap(), 1_801_393_200_000);
        assert_eq!(
            at("at = \"2027-01-31T12:00:00+01:00\"").unwrap(),
            1_801_393_200_000
        );
        assert_eq!(at("at = 1801393200000").unwrap(), 1_801_393_200_000);
        assert!(at("at = 2027-01-31").is_err());
    }

    #[test]
    fn a_time_is_past_from_its_millisecond_on() {
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        assert!(!Expiry(1000).is_past(at(999)));
        assert!(Expiry(1000).is_past(at(1000)));
        assert!(!Expiry(u64::MAX).is_past(at(u64::from(u32::MAX) * 1000)));
    }
}
