//! Durations as seconds with three decimals, the way JUnit has them.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1000.0).round() / 1000.0)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    checked(f64::deserialize(deserializer)?)
}

fn checked<E: serde::de::Error>(seconds: f64) -> Result<Duration, E> {
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration <= crate::moment::LONGEST => Ok(duration),
        Ok(_) => Err(E::custom("this takes longer than a hundred years")),
        Err(error) => Err(E::custom(error)),
    }
}

/// The same for what may not be known yet.
pub(crate) mod option {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(deserializer)?;
        seconds.map(super::checked).transpose()
    }
}
