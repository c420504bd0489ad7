//! Where traces are: with X-Ray, or in CloudWatch Logs by Transaction Search.

use super::Finding;
use crate::grant::xray::look::Destination;

/// `finds_by_summaries`: something is looked for by summaries of traces, EXPRESS executions or filters.
pub(super) fn judge(subject: &str, destination: &Destination, finds_by_summaries: bool) -> Finding {
    let pending = if destination.is_pending() { ", and about to change" } else { "" };
    match (destination.is_elsewhere(), finds_by_summaries) {
        (false, _) => Finding::ok(subject, format!("traces are in X-Ray (no Transaction Search){pending}")),
        (true, false) => Finding::ok(
            subject,
            format!(
                "traces are in CloudWatch Logs (Transaction Search){pending}: they are searched for, which takes longer"
            ),
        ),
        (true, true) => Finding::warning(
            subject,
            format!(
                "traces are in CloudWatch Logs (Transaction Search){pending}, and X-Ray has summaries of the indexed share only: \
                 `sweep.express` and `sweep.filters` find no others"
            ),
            "raise the share of spans that Transaction Search indexes (CloudWatch, Settings, X-Ray traces), or look only for \
             STANDARD executions",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn destinations() {
        let read = |json: &str| serde_json::from_str::<Destination>(json).unwrap();
        let x_ray = read(r#"{"Destination":"XRay","Status":"ACTIVE"}"#);
        let logs = read(r#"{"Destination":"CloudWatchLogs","Status":"PENDING"}"#);
        assert_eq!(judge("a", &x_ray, true).words, "traces are in X-Ray (no Transaction Search)");
        let found = judge("a", &logs, false);
        assert!(found.level == Level::Ok && found.words.contains("about to change: they are searched for"), "{found}");
        assert_eq!(judge("a", &logs, true).level, Level::Warning);
    }
}
