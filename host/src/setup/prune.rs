//! Deletes monthly indices whose month is over for long enough. Needs no plugin of the server.

use anyhow::bail;
use http::Method;
use jiff::civil::Date;
use jiff::{Span, ToSpan as _};

use super::elasticsearch::find;
use super::mapping::Index;
use crate::grant::http::Client;
use crate::pipeline::HttpGrant;

/// What was found on one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Product and version.
    pub server: String,
    /// Indices that are deleted, or would be, by name.
    pub old: Vec<String>,
    /// How many stay.
    pub kept: usize,
}

/// Deletes the indices of the three kinds whose last day is more than `days` before `today`; with `is_rehearsal`, says
/// only which.
///
/// # Errors
/// When there is no answer, or a refusal.
pub async fn prune(
    grant: &HttpGrant,
    prefix: &str,
    today: Date,
    days: u32,
    is_rehearsal: bool,
) -> anyhow::Result<Report> {
    let client = Client::open(grant).await?;
    let server = find(grant, &client).await?;
    let patterns = Index::ALL.map(|index| index.pattern(prefix)).join(",");
    let path = format!("/{patterns}/_settings?expand_wildcards=open,closed&filter_path=*.settings.index.uuid");
    let answer = server.call(Method::GET, &path, None).await?;
    if !answer.is_ok() && answer.status != 404 {
        bail!("the server does not list its indices: {}", answer.reason());
    }
    let indices = answer.body.as_object().filter(|_| answer.is_ok());
    let names = indices.into_iter().flat_map(|indices| indices.keys());
    let (mut old, kept): (Vec<&String>, Vec<_>) = names.partition(|name| is_old(name, prefix, today, days));
    old.sort();
    for name in &old {
        if is_rehearsal {
            continue;
        }
        let deleted = server.call(Method::DELETE, &format!("/{name}"), None).await?;
        if !deleted.is_ok() && deleted.status != 404 {
            bail!("the server does not delete {name}: {}", deleted.reason());
        }
    }
    Ok(Report { server: server.title(), old: old.into_iter().cloned().collect(), kept: kept.len() })
}

/// Whether every day of the index's month is more than `days` before `today`. A name that ends in no month is nobody's
/// here.
fn is_old(name: &str, prefix: &str, today: Date, days: u32) -> bool {
    let month = Index::ALL.iter().find_map(|index| month(name.strip_prefix(&index.name(prefix))?.strip_prefix('-')?));
    let next_month = month.and_then(|first| first.checked_add(1.month()).ok());
    let limit = Span::new().try_days(days).ok().and_then(|days| today.checked_sub(days).ok());
    matches!((next_month, limit), (Some(next_month), Some(limit)) if next_month <= limit)
}

/// The first day of `YYYY.MM`.
fn month(text: &str) -> Option<Date> {
    let (year, month) = text.split_once('.')?;
    if year.len() != 4 || month.len() != 2 || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn which_indices_are_old() {
        let table = [
            ("xray-spans-2026.10", 0, true),
            ("xray-spans-2026.10", 14, true),
            ("xray-spans-2026.10", 15, false),
            ("xray-executions-2025.12", 300, true),
            ("xray-traces-2026.11", 0, false),
            ("xray-traces-2027.01", 0, false),
            ("xray-spans-2026.13", 0, false),
            ("xray-spans-26.1", 0, false),
            ("xray-spans-2026.10-copy", 0, false),
            ("xray-other-2020.01", 0, false),
            ("logs-2020.01", 0, false),
            ("xray-spans-2020.01", u32::MAX, false),
        ];
        for (name, days, expected) in table {
            assert_eq!(is_old(name, "xray", date(2026, 11, 15), days), expected, "{name}, {days} days");
        }
    }
}
