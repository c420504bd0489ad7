//! Times as section 1 and the dates of section 5 have them.

use jiff::{Span, Timestamp, civil};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::json;

/// Microseconds since the epoch, in the years 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(pub i64);

impl Micros {
    /// 9999-12-31T23:59:59.999999Z
    const LAST: i64 = 253_402_300_799_999_999;

    pub fn new(micros: i64) -> Option<Self> {
        (0..=Self::LAST).contains(&micros).then_some(Micros(micros))
    }

    /// Rounded to the microsecond, halves away from zero.
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        Self::rounded(seconds * 1e6)
    }

    /// A date of an execution or an envelope: seconds; over 1e11 milliseconds; or ISO text.
    pub fn from_date(date: &Value) -> Option<Self> {
        if let Some(number) = json::number(date) {
            return if number > 1e11 { Self::rounded(number * 1e3) } else { Self::from_seconds(number) };
        }
        let timestamp: Timestamp = date.as_str()?.parse().ok()?;
        let nanos = timestamp.as_nanosecond();
        Self::new(((nanos + nanos.signum() * 500) / 1000) as i64)
    }

    fn rounded(micros: f64) -> Option<Self> {
        (micros.abs() < 1e18).then_some(micros.round() as i64).and_then(Self::new)
    }

    pub fn millis(self) -> i64 {
        self.0 / 1000
    }

    pub fn nanos(self) -> u64 {
        self.0 as u64 * 1000
    }

    pub fn date(self) -> String {
        self.format("%Y-%m-%d")
    }

    pub fn format(self, format: &str) -> String {
        // jiff's timestamps end a day before the year 9999 does, its civil times do not.
        let epoch = civil::date(1970, 1, 1).at(0, 0, 0, 0);
        let time = epoch.checked_add(Span::new().microseconds(self.0)).expect("within the years 1970 to 9999");
        time.strftime(format).to_string()
    }
}

/// RFC 3339 in UTC with six decimals.
impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.format("%Y-%m-%dT%H:%M:%S%.6fZ"))
    }
}
