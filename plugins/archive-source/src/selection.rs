use std::borrow::Cow;
use std::ops::Range;

use rayline_message::{Attributes, Line, Message, Partition, nanoseconds, transport};
use rayline_sdk::objects::Object;
use sha2::{Digest, Sha256};

use crate::Options;
use crate::mention::Mention;
use crate::object::Found;

/// Which objects and messages are replayed.
pub struct Selection {
    prefix: String,
    time: Range<u64>,
    account: Option<String>,
    execution: Option<Mention>,
    sha256: Option<String>,
}

/// A message that is replayed.
pub struct Selected<'a> {
    pub message: Message<'a>,
    pub attributes: Attributes,
}

impl Selection {
    /// # Errors
    ///
    /// A time that is none.
    pub fn new(options: &Options) -> Result<Self, String> {
        let time = |name: &str, text: &Option<String>, default| match text {
            None => Ok(default),
            Some(text) => nanoseconds(text)
                .ok_or_else(|| format!("{name} is {text:?}: write a time like \"2025-01-31T00:00:00Z\"")),
        };
        Ok(Self {
            prefix: options.prefix.clone(),
            time: time("from", &options.from, 0)?..time("to", &options.to, u64::MAX)?,
            account: options.account.clone(),
            execution: options.execution_arn.as_deref().map(Mention::new),
            sha256: options.sha256.as_deref().map(str::to_ascii_lowercase),
        })
    }

    /// What the keys of all objects begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The outermost folder of a key that, by its name, holds nothing that is selected.
    pub fn excluded<'a>(&self, key: &'a str) -> Option<&'a str> {
        let folders = key.match_indices('/').filter_map(|(end, _)| key.get(..=end));
        folders.into_iter().find(|folder| {
            let Partition { account, span, .. } = Partition::of(folder);
            let other_account = self.account.is_some() && account.is_some() && account != self.account;
            let other_time = span.is_some_and(|span| span.end <= self.time.start || span.start >= self.time.end);
            other_account || other_time
        })
    }

    /// Reads what was found in an object: a line of the archive, or a message as it came from a queue. `None`: it is
    /// not selected.
    pub fn select<'a>(&self, found: &Found<'a>, object: &Object) -> Option<Selected<'a>> {
        let Found { bytes, partition, .. } = *found;
        let (payload, attributes, sha256) = match Line::parse(bytes) {
            Some(line) => (line.raw, line.attributes, Some(line.sha256)),
            None => (transport::unpack(bytes), Attributes::default(), None),
        };
        if let Some(wanted) = &self.sha256 {
            let sha256 = sha256.unwrap_or_else(|| Cow::Owned(hash(&payload)));
            if !sha256.eq_ignore_ascii_case(wanted) {
                return None;
            }
        }
        if self.execution.as_ref().is_some_and(|execution| !execution.is_in(&payload)) {
            return None;
        }
        let (account, region) = (partition.account.as_deref(), partition.region.as_deref());
        let message = Message::new(payload, account, region, attributes.sent_at.as_deref());
        if self.account.is_some() && message.account != self.account {
            return None;
        }
        let time = if message.time == 0 { object.modified } else { message.time };
        let attributes = Attributes { object: Some(object.key.clone()), ..attributes };
        self.time.contains(&time).then_some(Selected { message, attributes })
    }
}

fn hash(payload: &[u8]) -> String {
    Sha256::digest(payload).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_excluded_by_their_names() {
        let options = Options {
            from: Some("2025-01-31T12:30:00Z".into()),
            to: Some("2025-02-01T00:00:00Z".into()),
            account: Some("1".into()),
            ..Options::default()
        };
        let selection = Selection::new(&options).unwrap();
        for (key, excluded) in [
            ("account=1/region=r/year=2025/month=01/day=31/hour=12/x", None),
            (
                "account=1/region=r/year=2025/month=01/day=31/hour=11/x",
                Some("account=1/region=r/year=2025/month=01/day=31/hour=11/"),
            ),
            ("account=1/region=r/year=2025/month=02/day=01/hour=00/x", Some("account=1/region=r/year=2025/month=02/")),
            ("account=1/region=r/year=2024/month=12/day=31/hour=00/x", Some("account=1/region=r/year=2024/")),
            ("old/account=2/year=2025/x", Some("old/account=2/")),
            ("account=unknown/year=2025/x", None),
            ("plain/x", None),
            ("x", None),
        ] {
            assert_eq!(selection.excluded(key), excluded, "{key}");
        }
    }

    #[test]
    fn a_time_that_is_none_says_so() {
        let options = Options { to: Some("tomorrow".into()), ..Options::default() };
        let error = Selection::new(&options).err();
        assert_eq!(error.as_deref(), Some("to is \"tomorrow\": write a time like \"2025-01-31T00:00:00Z\""));
    }
}
