//! Raw messages in any number.

use std::fs;
use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::workspace;

const REGIONS: [&str; 3] = ["eu-west-1", "us-east-1", "ap-southeast-2"];

/// That many different messages: the samples again and again, each time in other accounts, with other traces, partly in
/// other regions.
pub fn generated(count: usize) -> Vec<Vec<u8>> {
    let mut samples: Vec<_> =
        fs::read_dir(workspace("samples/messages")).expect("samples").map(|e| e.expect("a file").path()).collect();
    samples.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    samples.sort();
    let samples: Vec<String> = samples.iter().map(|path| fs::read_to_string(path).expect("a sample")).collect();
    (0..count)
        .map(|n| {
            let copy = n / samples.len();
            let text = renumbered(&samples[n % samples.len()], copy);
            text.replace("eu-west-1", REGIONS[copy % REGIONS.len()]).into_bytes()
        })
        .collect()
}

/// What no reader understands: no JSON, no UTF-8, a broken gzip, nothing at all of X-Ray.
pub fn malformed(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|n| match n % 4 {
            0 => format!("this is no JSON, {n}\r\n\t").into_bytes(),
            1 => [b"\xff\xfe\x00 no text ".as_slice(), n.to_string().as_bytes()].concat(),
            2 => format!("H4sI no gzip {n}").into_bytes(),
            _ => format!("{{\"account_id\":\"111122223333\",\"trace\":{{\"Id\":\"cut {n}").into_bytes(),
        })
        .collect()
}

/// `{"n":0}`, `{"n":1}` and so on.
pub fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{{\"n\":{n}}}")).collect()
}

/// gzip in base64, as large messages are sent.
pub fn packed(message: &[u8]) -> Vec<u8> {
    let mut zip = GzEncoder::new(Vec::new(), Compression::fast());
    zip.write_all(message).expect("in memory");
    BASE64_STANDARD.encode(zip.finish().expect("in memory")).into_bytes()
}

/// Another account for each of 12 digits, another trace for each id of 24 after the time.
fn renumbered(text: &str, copy: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let hex = rest.find(|c: char| !matches!(c, '0'..='9' | 'a'..='f')).unwrap_or(rest.len());
        let (run, after) = rest.split_at(hex);
        match (hex, run.parse::<u64>()) {
            (12, Ok(account)) => out.push_str(&format!("{:012}", account + copy as u64)),
            (24, _) => out.push_str(&format!("{copy:06x}{}", &run[6..])),
            _ => out.push_str(run),
        }
        let other = after.find(|c: char| matches!(c, '0'..='9' | 'a'..='f')).unwrap_or(after.len());
        let (skipped, after) = after.split_at(other);
        out.push_str(skipped);
        rest = after;
    }
    out
}
