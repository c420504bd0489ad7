use std::fmt::{self, Write};
use std::ops::Range;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Stands for a label that a message does not have.
const UNKNOWN: &str = "unknown";

/// What may stand in a folder's name as it is. Not `%`, so that reading is exact; not `.`, since `..` is no name.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// What the Hive-style folders of a key (`account=…/region=…/year=…/month=…/day=…/hour=…`) say, in any order and
/// number, among other folders.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// `account`.
    pub account: Option<String>,
    /// `region`.
    pub region: Option<String>,
    /// The year, month, day or hour, as far as the folders say, in nanoseconds since 1970-01-01T00:00:00Z.
    pub span: Option<Range<u64>>,
}

/// The archive's folder of a message, without `/` at its end. A time of 0 stands for unknown and lies in 1970.
pub fn hour_folder(account: Option<&str>, region: Option<&str>, time: u64) -> String {
    let mut folder = String::with_capacity(96);
    for (name, value) in [("account", account), ("region", region)] {
        let value = folder_name(value.unwrap_or(UNKNOWN));
        // Writing to memory does not fail.
        let _ = write!(folder, "{name}={value}/");
    }
    let hour = Timestamp::from_nanosecond(i128::from(time)).unwrap_or_default();
    let _ = write!(folder, "{}", hour.strftime("year=%Y/month=%m/day=%d/hour=%H"));
    folder
}

/// A label's value as a part of a key: `%XX` stands for what might be taken for something else there.
pub fn folder_name(value: &str) -> impl fmt::Display {
    utf8_percent_encode(value, ENCODED)
}

impl Partition {
    /// Reads the folders of a key: all before its last `/`.
    pub fn of(key: &str) -> Self {
        let mut partition = Self::default();
        let (mut year, mut month, mut day, mut hour) = (None, None, None, None);
        let folders = key.rsplit_once('/').map_or("", |(folders, _)| folders);
        for (name, value) in folders.split('/').filter_map(|folder| folder.split_once('=')) {
            match name {
                "account" => partition.account = decoded(value),
                "region" => partition.region = decoded(value),
                "year" => year = value.parse().ok(),
                "month" => month = value.parse().ok(),
                "day" => day = value.parse().ok(),
                "hour" => hour = value.parse().ok(),
                _ => {}
            }
        }
        partition.span = year.and_then(|year| span(year, month, day, hour));
        partition
    }
}

fn decoded(value: &str) -> Option<String> {
    let value = percent_decode_str(value).decode_utf8().ok()?;
    (value != UNKNOWN).then(|| value.into_owned())
}

/// The finest span that all of the parts before it are there for.
fn span(year: i16, month: Option<i8>, day: Option<i8>, hour: Option<i8>) -> Option<Range<u64>> {
    let day = month.and(day);
    let hour = day.and(hour);
    let start = DateTime::new(year, month.unwrap_or(1), day.unwrap_or(1), hour.unwrap_or(0), 0, 0, 0).ok()?;
    let length = match (month, day, hour) {
        (None, ..) => 1.year(),
        (_, None, _) => 1.month(),
        (_, _, None) => 1.day(),
        _ => 1.hour(),
    };
    let nanoseconds = |time: DateTime| {
        let time = TimeZone::UTC.to_timestamp(time).ok()?;
        u64::try_from(time.as_nanosecond()).ok()
    };
    Some(nanoseconds(start)?..nanoseconds(start.checked_add(length).ok()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nanoseconds;

    fn at(text: &str) -> u64 {
        nanoseconds(text).unwrap()
    }

    #[test]
    fn a_folder_says_what_it_was_made_of() {
        for (account, region, time, expected) in [
            (
                Some("111122223333"),
                Some("eu-west-1"),
                "2025-01-31T23:59:59.999Z",
                "account=111122223333/region=eu-west-1/year=2025/month=01/day=31/hour=23",
            ),
            (None, None, "1970-01-01T00:00:00Z", "account=unknown/region=unknown/year=1970/month=01/day=01/hour=00"),
            (
                Some("a/b %é"),
                Some(".."),
                "2025-12-31T00:00:00Z",
                "account=a%2Fb%20%25%C3%A9/region=%2E%2E/year=2025/month=12/day=31/hour=00",
            ),
        ] {
            let folder = hour_folder(account, region, at(time));
            assert_eq!(folder, expected);
            let partition = Partition::of(&format!("raw/{folder}/name.ndjson.zst"));
            assert_eq!((partition.account.as_deref(), partition.region.as_deref()), (account, region));
            let hour = partition.span.unwrap();
            assert!(hour.contains(&at(time)) && hour.end - hour.start == 3_600_000_000_000, "{hour:?}");
        }
    }

    #[test]
    fn the_span_is_as_fine_as_the_folders_say() {
        for (key, expected) in [
            ("year=2025/x", Some(("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"))),
            ("year=2025/month=2/x", Some(("2025-02-01T00:00:00Z", "2025-03-01T00:00:00Z"))),
            ("a/year=2024/month=02/day=29/b/x", Some(("2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"))),
            ("day=28/month=02/year=2025/x", Some(("2025-02-28T00:00:00Z", "2025-03-01T00:00:00Z"))),
            ("year=2025/day=1/hour=5/x", Some(("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"))),
            ("year=2025/month=13/x", None),
            ("year=1969/month=12/x", None),
            ("month=1/day=1/x", None),
            ("year=2025", None),
            ("plain/x", None),
            ("", None),
        ] {
            assert_eq!(Partition::of(key).span, expected.map(|(start, end)| at(start)..at(end)), "{key}");
        }
    }
}
