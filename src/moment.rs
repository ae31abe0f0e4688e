//! Times from outside: a record, a lease, a version, a database. Only those pass that every format and every sum in this
//! program can hold.

use std::time::Duration;

use time::OffsetDateTime;
use time::macros::datetime;

/// What is earlier or later is a slip or a trick.
pub(crate) const FIRST: OffsetDateTime = datetime!(1970-01-01 00:00 UTC);
pub(crate) const LAST: OffsetDateTime = datetime!(9000-01-01 00:00 UTC);

/// Nothing that is measured takes longer: a hundred years. A time that passes, and this, are a time that can be written.
pub(crate) const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

/// The time in UTC, where it is one that passes.
pub(crate) fn checked(time: OffsetDateTime) -> Option<OffsetDateTime> {
    (FIRST..=LAST).contains(&time).then(|| time.to_offset(time::UtcOffset::UTC))
}

/// Times as RFC 3339 has them, `2026-11-01T23:05:00Z`.
pub(crate) mod rfc3339 {
    use serde::de::Error as _;
    use serde::{Deserializer, Serializer};
    use time::OffsetDateTime;

    pub(crate) fn serialize<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
        time::serde::rfc3339::serialize(time, serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
        let time = time::serde::rfc3339::deserialize(deserializer)?;
        super::checked(time).ok_or_else(|| D::Error::custom("this is not a time between 1970 and 9000"))
    }

    /// The same for what may not be known.
    pub(crate) mod option {
        use serde::de::Error as _;
        use serde::{Deserializer, Serializer};
        use time::OffsetDateTime;

        pub(crate) fn serialize<S: Serializer>(
            time: &Option<OffsetDateTime>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            time::serde::rfc3339::option::serialize(time, serializer)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<OffsetDateTime>, D::Error> {
            let Some(time) = time::serde::rfc3339::option::deserialize(deserializer)? else { return Ok(None) };
            let checked = super::super::checked(time);
            checked.map(Some).ok_or_else(|| D::Error::custom("this is not a time between 1970 and 9000"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_passes_can_be_written_also_after_the_longest_duration() {
        for time in [FIRST, LAST, datetime!(2026-11-01 23:05 +23:59)] {
            let checked = checked(time).expect("it passes");
            for time in [checked, checked + LONGEST] {
                time.format(&time::format_description::well_known::Rfc3339).expect("it can be written");
            }
        }
    }

    #[test]
    fn a_time_that_nobody_means_does_not_pass() {
        for text in
            ["0000-01-01T00:00:00+23:59", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"]
        {
            let format = &time::format_description::well_known::Rfc3339;
            assert_eq!(checked(OffsetDateTime::parse(text, format).expect(text)), None, "{text}");
        }
    }
}
