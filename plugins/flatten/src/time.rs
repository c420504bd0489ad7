//! Points in time: integers of microseconds since 1970-01-01T00:00:00Z, within the years 1970 to 9999.

use crate::coerce::{self, Coerced, WrongType};
use crate::json::{Number, Shape, Value};

/// Microseconds since 1970-01-01T00:00:00Z, or a span of them.
pub type Micros = i64;

/// The first microsecond of the year 10000.
const END: f64 = 253_402_300_800e6;
const DAY: Micros = 86_400_000_000;

/// A time that was read, and whether it was text that is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    pub time: Micros,
    pub was_number_text: bool,
}

/// Reads seconds.
#[inline]
pub fn seconds(value: Value<'_>) -> Coerced<Read> {
    match coerce::number(value)? {
        Some((number, was_number_text)) => {
            let time = round(number.to_f64() * 1e6).ok_or(WrongType)?;
            Ok(Some(Read { time, was_number_text }))
        }
        None => Ok(None),
    }
}

/// Reads seconds, or milliseconds where the number is over 1e11, or an ISO 8601 text with an offset.
pub fn date(value: Value<'_>) -> Coerced<Read> {
    if let Shape::Text(text) = value.shape()
        && Number::parse(text).is_none()
    {
        let time = text.parse::<jiff::Timestamp>().map_err(|_| WrongType)?;
        // The fraction has at most nine digits: half a microsecond more, then cut, rounds.
        let time = (time.as_nanosecond() + 500).div_euclid(1000);
        let time = Micros::try_from(time).ok().filter(|time| (0..END as Micros).contains(time)).ok_or(WrongType)?;
        return Ok(Some(Read { time, was_number_text: false }));
    }
    match coerce::number(value)? {
        Some((number, was_number_text)) => {
            let scale = if is_milliseconds(number) { 1e3 } else { 1e6 };
            let time = round(number.to_f64() * scale).ok_or(WrongType)?;
            Ok(Some(Read { time, was_number_text }))
        }
        None => Ok(None),
    }
}

/// Whether a date is too large for seconds.
pub fn is_milliseconds(number: Number) -> bool {
    number.to_f64() > 1e11
}

/// The nearest integer, halves away from zero, if that is a time.
#[inline]
fn round(micros: f64) -> Option<Micros> {
    if !(micros > -0.5 && micros < END) {
        return None;
    }
    // f64::round is a slow library call in WebAssembly. The difference is exact.
    let whole = micros as Micros;
    let rounded = if micros - whole as f64 >= 0.5 { whole + 1 } else { whole };
    (rounded < END as Micros).then_some(rounded)
}

/// A length of time of so many seconds, in microseconds, if its nanoseconds are an integer of 64 bits.
pub fn span(seconds: f64) -> Option<Micros> {
    let micros = (seconds * 1e6).round();
    (micros.abs() < 9e15).then_some(micros as Micros)
}

/// The epoch second in an X-Ray trace id, `1-8hex-24hex`.
pub fn epoch(trace_id: &str) -> Option<Micros> {
    let (seconds, _) = parts(trace_id)?;
    Some(i64::from(u32::from_str_radix(seconds, 16).ok()?) * 1_000_000)
}

/// The two runs of hexadecimal digits of `1-8hex-24hex`.
pub fn parts(trace_id: &str) -> Option<(&str, &str)> {
    let (seconds, random) = trace_id.strip_prefix("1-")?.split_once('-')?;
    let is_hex = |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hex(seconds, 8) && is_hex(random, 24)).then_some((seconds, random))
}

/// The time that chooses the index of a node or trace: the trace id's epoch if it is within 31 days of the timestamp
/// (ids made by others than X-Ray are random).
pub fn index_time(timestamp: Micros, epoch: Option<Micros>) -> Micros {
    epoch.filter(|epoch| (epoch - timestamp).abs() <= 31 * DAY).unwrap_or(timestamp)
}

/// Writes times. It remembers the last minute, which most times of a message share, so that most of them need no more
/// than arithmetic of 32 bits.
pub struct Calendar {
    /// The first microsecond of the minute.
    minute: Micros,
    /// With quotes.
    text: [u8; 29],
}

impl Calendar {
    const MINUTE: Micros = 60_000_000;

    pub fn new() -> Calendar {
        Calendar { minute: 0, text: *b"\"1970-01-01T00:00:00.000000Z\"" }
    }

    /// `yyyy-MM-dd`.
    pub fn date(&self, time: Micros) -> [u8; 10] {
        date_text(time.div_euclid(DAY))
    }

    /// RFC 3339 in UTC with six decimals, in quotes.
    #[inline]
    pub fn quoted(&mut self, time: Micros) -> &[u8; 29] {
        if !(0..Calendar::MINUTE).contains(&time.wrapping_sub(self.minute)) {
            self.turn_to(time);
        }
        let within = (time - self.minute) as u32;
        let (second, micros) = (within / 1_000_000, within % 1_000_000);
        let [.., s0, s1, _, f0, f1, f2, f3, f4, f5, _, _] = &mut self.text;
        [*s0, *s1] = two(second);
        [*f0, *f1] = two(micros / 10_000);
        [*f2, *f3] = two(micros / 100 % 100);
        [*f4, *f5] = two(micros % 100);
        &self.text
    }

    #[cold]
    fn turn_to(&mut self, time: Micros) {
        let [y0, y1, y2, y3, _, m0, m1, _, d0, d1] = self.date(time);
        let minutes = (time.rem_euclid(DAY) / Calendar::MINUTE) as u32;
        let ([h0, h1], [n0, n1]) = (two(minutes / 60), two(minutes % 60));
        self.minute = time - time.rem_euclid(Calendar::MINUTE);
        self.text = [
            b'"', y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', b'0', b'0', b'.', b'0',
            b'0', b'0', b'0', b'0', b'0', b'Z', b'"',
        ];
    }
}

/// The date of a day since 1970-01-01, by Howard Hinnant's `civil_from_days`.
fn date_text(day: i64) -> [u8; 10] {
    let day = (day + 719_468) as u32;
    let era = day / 146_097;
    let of_era = day % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u32::from(month <= 2);
    let ([y0, y1], [y2, y3], [m0, m1], [d0, d1]) = (two(year / 100), two(year % 100), two(month), two(day));
    [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1]
}

/// Two decimal digits.
#[inline]
fn two(number: u32) -> [u8; 2] {
    [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding() {
        for (micros, expected) in [
            (0.0, Some(0)),
            (-0.4, Some(0)),
            (-0.5, None),
            (0.5, Some(1)),
            (0.499_999_999_999_999_94, Some(0)),
            (1.5, Some(2)),
            (1_710_276_830_199_999.8, Some(1_710_276_830_200_000)),
            (END - 32.0, Some(253_402_300_799_999_968)),
            (END, None),
            (f64::NAN, None),
        ] {
            assert_eq!(round(micros), expected, "{micros}");
        }
    }

    #[test]
    fn times_are_written_as_jiff_writes_them() {
        let mut calendar = Calendar::new();
        for second in
            [0, 68_169_599, 951_782_400, 951_868_800, 1_709_164_800, 1_710_276_830, 4_107_542_400, 253_402_200_000]
        {
            for micros in [1, 10_203_040, 59_999_999, 60_000_000, 3_599_999_999] {
                let time = jiff::Timestamp::from_microsecond(second * 1_000_000 + micros).unwrap();
                let written = calendar.quoted(time.as_microsecond());
                assert_eq!(std::str::from_utf8(written).unwrap(), format!("\"{time:.6}\""));
            }
        }
    }

    #[test]
    fn epochs() {
        for (id, expected) in [
            ("1-65f0c0de-5a1b2c3d4e5f60718293a4b5", Some(1_710_276_830_000_000)),
            ("1-65F0C0DE-5A1B2C3D4E5F60718293A4B5", Some(1_710_276_830_000_000)),
            ("65f0c0de5a1b2c3d4e5f60718293a4b5", None),
            ("1-65f0c0de-5a1b", None),
            ("1-+5f0c0de-5a1b2c3d4e5f60718293a4b5", None),
        ] {
            assert_eq!(epoch(id), expected, "{id}");
        }
    }
}
