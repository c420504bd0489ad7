use jiff::Timestamp;

/// Nanoseconds since 1970-01-01T00:00:00Z of an RFC 3339 text; `None` for other text and for times before 1970.
pub fn nanoseconds(text: &str) -> Option<u64> {
    let time: Timestamp = text.trim().parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok()
}

/// The same of a number in JSON: seconds, or milliseconds where it is over 1e11. `None` for other text, for times before
/// 1970 and for those that nanoseconds do not reach.
pub fn nanoseconds_of_number(text: &str) -> Option<u64> {
    let number: f64 = serde_json::from_str(text).ok()?;
    let micros = (number * if number > 1e11 { 1e3 } else { 1e6 }).round();
    (0.0..u64::MAX as f64 / 1e3).contains(&micros).then_some(micros as u64 * 1000)
}

/// RFC 3339 in UTC with as many decimals as the time has. `None` for 0, which stands for unknown.
pub fn rfc3339(nanoseconds: u64) -> Option<String> {
    timestamp(nanoseconds).map(|time| time.to_string())
}

/// The second in ISO 8601's basic form, `20250131T235959Z`, for the names of files: no colons, sorts by time. `None` for
/// 0, which stands for unknown.
pub fn basic(nanoseconds: u64) -> Option<String> {
    timestamp(nanoseconds).map(|time| time.strftime("%Y%m%dT%H%M%SZ").to_string())
}

fn timestamp(nanoseconds: u64) -> Option<Timestamp> {
    if nanoseconds == 0 {
        return None;
    }
    Timestamp::from_nanosecond(i128::from(nanoseconds)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_text() {
        for (text, expected) in [
            ("2025-01-31T23:59:59Z", Some(1_738_367_999_000_000_000)),
            ("2025-01-31T23:59:59.000000001Z", Some(1_738_367_999_000_000_001)),
            ("2025-02-01T00:59:59+01:00", Some(1_738_367_999_000_000_000)),
            (" 2025-01-31T23:59:59Z\n", Some(1_738_367_999_000_000_000)),
            ("1969-12-31T23:59:59Z", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(nanoseconds(text), expected, "{text}");
        }
    }

    #[test]
    fn times_written() {
        assert_eq!(rfc3339(1_738_367_999_000_000_000).as_deref(), Some("2025-01-31T23:59:59Z"));
        assert_eq!(rfc3339(1_738_367_999_123_000_000).as_deref(), Some("2025-01-31T23:59:59.123Z"));
        assert_eq!(basic(1_738_367_999_999_999_999).as_deref(), Some("20250131T235959Z"));
        assert_eq!((rfc3339(0), basic(0)), (None, None));
    }
}
