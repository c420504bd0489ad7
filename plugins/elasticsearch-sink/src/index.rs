//! Which index a document goes to.

use jiff::Timestamp;

const DAY: u64 = 24 * 60 * 60 * 1_000_000_000;

/// Names of indexes: `xray-spans-2026.01`.
pub struct Indexes {
    prefix: String,
    /// The day asked for last, in days since 1970-01-01, and its month: most documents are of the day of the one before.
    day: Option<u64>,
    month: String,
}

impl Indexes {
    /// Names that begin with `prefix`.
    pub fn new(prefix: String) -> Indexes {
        Indexes { prefix, day: None, month: String::new() }
    }

    /// Appends the name of the index for a family and a time in nanoseconds since 1970-01-01T00:00:00Z. It has no
    /// character that JSON would escape: the options' schema sees to the prefix.
    pub fn write(&mut self, family: &str, time: u64, out: &mut Vec<u8>) {
        let day = time / DAY;
        if self.day != Some(day) {
            let time = Timestamp::from_nanosecond(i128::from(time)).unwrap_or_default();
            (self.day, self.month) = (Some(day), time.strftime("%Y.%m").to_string());
        }
        for part in [&self.prefix, "-", family, "-", &self.month] {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

/// The indexes that hold documents of a kind; `None` for kinds that have none.
pub fn family(kind: Option<&str>) -> Option<&'static str> {
    match kind? {
        "execution" => Some("executions"),
        "trace" => Some("traces"),
        "segment" | "subsegment" => Some("spans"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_for_each_kind_and_month() {
        let mut indexes = Indexes::new("xray".to_owned());
        for (kind, seconds, expected) in [
            ("execution", 1_738_367_999, Some("xray-executions-2025.01")),
            ("execution", 1_738_368_000, Some("xray-executions-2025.02")),
            ("trace", 1_738_368_000, Some("xray-traces-2025.02")),
            ("segment", 0, Some("xray-spans-1970.01")),
            ("subsegment", u64::MAX / 1_000_000_000, Some("xray-spans-2554.07")),
            ("raw", 0, None),
        ] {
            let name = family(Some(kind)).map(|family| {
                let mut name = Vec::new();
                indexes.write(family, seconds * 1_000_000_000, &mut name);
                String::from_utf8(name).unwrap()
            });
            assert_eq!(name.as_deref(), expected, "{kind} {seconds}");
        }
        assert_eq!(family(None), None);
    }
}
