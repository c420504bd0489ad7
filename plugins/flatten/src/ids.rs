//! Document ids, and the order in which documents that share one are numbered.

use std::cmp::Ordering;
use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::time::Micros;

/// The longest id that Elasticsearch takes, in bytes.
const LONGEST: usize = 512;

/// An id as it is used: of several documents of one id the first (0) has it as it is, the others get `:2`, `:3`, …
/// One that is too long is replaced by its SHA-256.
pub fn finish(id: &mut String, number: u32) {
    if number > 0 {
        // Writing to a String cannot fail.
        let _ = write!(id, ":{}", number + 1);
    }
    if id.len() > LONGEST {
        *id = sha256_hex(id);
    }
}

/// Stands in for the id that a node lacks.
pub fn instead_of_node_id(parent: Option<&str>, name: Option<&str>, start: Option<Micros>) -> String {
    let start = start.map(|start| start.to_string()).unwrap_or_default();
    let text = format!("{}\n{}\n{start}", parent.unwrap_or_default(), name.unwrap_or_default());
    let mut hex = sha256_hex(&text);
    hex.truncate(16);
    hex
}

/// A number by which ids are sorted: different ids may share one, though not those of sixteen hexadecimal digits.
#[inline]
pub fn sort_key(id: &str) -> u64 {
    let mut key = 0u64;
    for byte in id.bytes() {
        // Hexadecimal digits, lower case, in four bits each; what else there is just mixes in.
        let digit = if byte.is_ascii_digit() { byte - b'0' } else { byte.wrapping_sub(b'a').wrapping_add(10) };
        key = key.rotate_left(4) ^ u64::from(digit);
    }
    key
}

/// What documents of one id are sorted by before they are numbered.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank<'a> {
    pub start: Option<Micros>,
    pub name: Option<&'a str>,
    pub end: Option<Micros>,
    /// `execution`, `segment`, …
    pub kind: &'static str,
}

/// Numbers documents: `items` come in the order of their ids, `id` tells ids apart, `rank` orders within one.
pub fn number<T: Copy>(
    items: &mut [T],
    same: impl Fn(T, T) -> bool,
    rank: impl Fn(T, T) -> Ordering,
    mut set: impl FnMut(T, u32),
) {
    for group in items.chunk_by_mut(|a, b| same(*a, *b)) {
        if group.len() > 1 {
            group.sort_by(|a, b| rank(*a, *b));
            for (number, item) in (0..).zip(group) {
                set(*item, number);
            }
        }
    }
}

fn sha256_hex(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_without_an_id() {
        // printf 'p\nn\n1000000' | sha256sum
        assert_eq!(instead_of_node_id(Some("p"), Some("n"), Some(1_000_000)), "98a160d1a55042ba");
        // printf '\n\n' | sha256sum
        assert_eq!(instead_of_node_id(None, None, None), "75a11da44c802486");
    }

    #[test]
    fn long_ids() {
        let mut id = "x".repeat(512);
        finish(&mut id, 0);
        assert_eq!(id.len(), 512);
        finish(&mut id, 1);
        assert_eq!(id.len(), 64);
        let mut id = String::from("a:b");
        finish(&mut id, 2);
        assert_eq!(id, "a:b:3");
    }

    #[test]
    fn sort_keys_of_hexadecimal_ids_are_their_values() {
        assert_eq!(sort_key("209fc228b26e3f95"), 0x209f_c228_b26e_3f95);
    }
}
