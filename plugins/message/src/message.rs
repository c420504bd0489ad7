use std::borrow::Cow;

use crate::envelope::{Envelope, is_label};
use crate::time::nanoseconds;

/// One raw message as a source passes it on.
#[derive(Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The payload, byte for byte.
    pub payload: Cow<'a, [u8]>,
    /// The account that collected it.
    pub account: Option<String>,
    /// The region it was collected in.
    pub region: Option<String>,
    /// When it was collected, else when it was sent, in nanoseconds since 1970-01-01T00:00:00Z; 0 if neither is known.
    pub time: u64,
}

impl<'a> Message<'a> {
    /// Labels a payload that is no longer packed. What is said beside a message (attributes, the folder it lies in)
    /// comes before what it says of itself: the sender's queue policy or the archive vouches for it.
    pub fn new(payload: Cow<'a, [u8]>, account: Option<&str>, region: Option<&str>, sent_at: Option<&str>) -> Self {
        let envelope = Envelope::scan(&payload);
        let beside = |text: Option<&str>| text.filter(|text| is_label(text)).map(str::to_owned);
        Self {
            account: beside(account).or(envelope.account),
            region: beside(region).or(envelope.region),
            time: envelope.collected_at.or_else(|| sent_at.and_then(nanoseconds)).unwrap_or(0),
            payload,
        }
    }

    /// The labels of its event: `kind` = `raw`, `account` and `region` where known.
    pub fn labels(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let known = [("kind", Some("raw")), ("account", self.account.as_deref()), ("region", self.region.as_deref())];
        known.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_beside_a_message_comes_first() {
        let payload = br#"{"account":"1","region":"a","collected_at":"2025-01-01T12:00:00Z"}"#;
        let sent = Some("2025-01-02T00:00:00Z");
        let labels = |account, region| {
            let message = Message::new(Cow::Borrowed(payload), account, region, sent);
            message.labels().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(labels(None, None), "kind=raw account=1 region=a");
        assert_eq!(labels(Some("2"), Some("b")), "kind=raw account=2 region=b");
        assert_eq!(labels(Some("not a label"), Some("")), "kind=raw account=1 region=a");
    }

    #[test]
    fn the_time_is_when_it_was_collected_else_sent() {
        let time = |payload: &str, sent| Message::new(payload.as_bytes().into(), None, None, sent).time;
        let (noon, midnight) = (1_735_732_800_000_000_000, 1_735_776_000_000_000_000);
        let sent = Some("2025-01-02T00:00:00Z");
        assert_eq!(time(r#"{"collected_at":"2025-01-01T12:00:00Z"}"#, sent), noon);
        assert_eq!(time("{}", sent), midnight);
        assert_eq!(time("not JSON", None), 0);
    }
}
