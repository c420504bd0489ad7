//! Whether this machine has the same time as AWS. What was collected is dated by AWS's answers, but signatures are dated here.

use super::Finding;

/// Seconds. From then on work that waits is taken up noticeably early or late.
const NOTICEABLE: u64 = 60;

/// Seconds. AWS refuses signatures that are older, or of the future.
const REFUSED: u64 = 300;

const FIX: &str = "set this machine's clock, and let NTP keep it (Amazon Time Sync Service: 169.254.169.123)";

/// How far ahead of AWS the local clock is, in seconds, if any answer said so.
pub(super) fn judge(ahead_secs: Option<i64>) -> Option<Finding> {
    let ahead = ahead_secs?;
    let off = ahead.unsigned_abs();
    let way = if ahead < 0 { "behind" } else { "ahead of" };
    let words = format!("{off} s {way} AWS");
    Some(match off {
        0..=1 => Finding::ok("clock", "as AWS has it"),
        2..=NOTICEABLE => Finding::ok("clock", words),
        off if off <= REFUSED => {
            let words = format!("{words}: work that waits is taken up that much too early or late");
            Finding::warning("clock", words, FIX)
        }
        _ => Finding::failure("clock", format!("{words}: AWS refuses signatures of over {REFUSED} s"), FIX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn skews() {
        assert_eq!(judge(None), None);
        for (ahead, level, words) in [
            (0, Level::Ok, "as AWS has it"),
            (-1, Level::Ok, "as AWS has it"),
            (60, Level::Ok, "60 s ahead of AWS"),
            (61, Level::Warning, "61 s ahead of AWS"),
            (-300, Level::Warning, "300 s behind AWS"),
            (-301, Level::Failure, "301 s behind AWS"),
            (86_400, Level::Failure, "86400 s ahead of AWS"),
        ] {
            let found = judge(Some(ahead)).unwrap();
            assert_eq!(found.level, level, "{ahead}");
            assert!(found.words.starts_with(words), "{}", found.words);
        }
    }
}
