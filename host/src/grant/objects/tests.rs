//! Stores in folders.

use super::{Compression, Store, StoreError};
use crate::pipeline::ObjectsGrant;

async fn store(folder: &tempfile::TempDir) -> Store {
    Store::open(&ObjectsGrant::Folder(folder.path().join("objects"))).await.unwrap()
}

async fn keys(store: &Store, prefix: &str, start_after: Option<&str>, max: usize) -> Vec<String> {
    store.list(prefix, start_after, max).await.unwrap().into_iter().map(|object| object.key).collect()
}

#[tokio::test]
async fn a_list_is_in_byte_order_of_whole_keys() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    // `-` and `.` come before `/`, digits after it.
    let sorted = ["a-b", "a.txt", "a/b/c", "a/z", "a0", "account=1/x", "b", "é"];
    for key in sorted.iter().rev() {
        store.put(key, b"content".to_vec()).await.unwrap();
    }
    let cases: [(&str, Option<&str>, usize, &[&str]); 8] = [
        ("", None, 100, &sorted),
        ("", None, 3, &sorted[..3]),
        ("", Some("a/b/c"), 2, &sorted[3..5]),
        ("", Some("a/m"), 1, &["a/z"]),
        ("a/", None, 100, &["a/b/c", "a/z"]),
        ("a", Some("a/z"), 100, &["a0", "account=1/x"]),
        ("acc", None, 100, &["account=1/x"]),
        ("nothing/here", None, 100, &[]),
    ];
    for (prefix, start_after, max, expected) in cases {
        assert_eq!(keys(&store, prefix, start_after, max).await, expected, "{prefix} {start_after:?} {max}");
    }
}

#[tokio::test]
async fn pages_make_the_whole_list() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let mut expected = Vec::new();
    for number in 0..60 {
        let key = format!("day={}/part-{number}", number % 7);
        store.put(&key, Vec::new()).await.unwrap();
        expected.push(key);
    }
    expected.sort_unstable();
    for size in [1, 7, 20, 60, 61] {
        let mut pages: Vec<String> = Vec::new();
        loop {
            let page = keys(&store, "day=", pages.last().map(String::as_str), size).await;
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= size);
            pages.extend(page);
        }
        assert_eq!(pages, expected, "pages of {size}");
    }
}

#[tokio::test]
async fn an_upload_that_is_not_committed_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let mut upload = store.create(Compression::Zstd).unwrap();
    upload.write(vec![7; 20_000_000]).await.unwrap();
    drop(upload);
    assert_eq!(std::fs::read_dir(folder.path().join("objects")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_a_crash_left_is_not_listed() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    std::fs::write(folder.path().join("objects/half.zst#1"), b"half").unwrap();
    assert_eq!(keys(&store, "", None, 10).await, Vec::<String>::new());
    assert!(matches!(store.put("half.zst#1", Vec::new()).await, Err(StoreError::Permanent(_))));
}

#[tokio::test]
async fn content_comes_back_whatever_the_compression() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let line = b"{\"sha256\":\"...\",\"raw\":\"...\"}\n";
    let content: Vec<u8> = line.repeat(100_000);
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut upload = store.create(compression).unwrap();
        for part in content.chunks(700_001) {
            upload.write(part.to_vec()).await.unwrap();
        }
        let key = upload.commit("x/part-{hash}.ndjson").await.unwrap();
        assert_eq!(key, format!("x/part-{}.ndjson", expected_hash(&content)));
        assert_eq!(store.get(&key).await.unwrap(), content, "{compression:?}");
        assert!(upload.commit("x/again").await.is_err(), "only once");
    }
    assert_eq!(keys(&store, "", None, 10).await.len(), 1, "the same content has the same key");
}

#[tokio::test]
async fn several_members_are_read_as_one() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let mut gzip = Vec::new();
    let mut zst = Vec::new();
    for part in ["one ", "two"] {
        let mut encoder = flate2::write::GzEncoder::new(&mut gzip, flate2::Compression::fast());
        encoder.write_all(part.as_bytes()).unwrap();
        encoder.finish().unwrap();
        zst.extend(zstd::encode_all(part.as_bytes(), 1).unwrap());
    }
    store.put("a.gz", gzip.clone()).await.unwrap();
    store.put("a.zst", zst).await.unwrap();
    store.put("short", b"x".to_vec()).await.unwrap();
    store.put("cut.gz", gzip[..gzip.len() - 3].to_vec()).await.unwrap();
    assert_eq!(store.get("a.gz").await.unwrap(), b"one two");
    assert_eq!(store.get("a.zst").await.unwrap(), b"one two");
    assert_eq!(store.get("short").await.unwrap(), b"x");
    assert!(matches!(store.get("cut.gz").await, Err(StoreError::Permanent(_))));
    assert!(matches!(store.get("none").await, Err(StoreError::NotFound(_))));
}

#[tokio::test]
async fn a_key_stays_within_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    for key in ["", "/etc/passwd", "../outside", "a/../../outside", "a//b", "a/./b", "a/", "a\nb"] {
        assert!(matches!(store.put(key, Vec::new()).await, Err(StoreError::Permanent(_))), "{key:?}");
        assert!(matches!(store.get(key).await, Err(StoreError::Permanent(_))), "{key:?}");
    }
    assert!(!folder.path().join("outside").exists());
}

#[tokio::test]
async fn deleting_what_is_not_there_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    store.put("a", b"1".to_vec()).await.unwrap();
    store.delete("a").await.unwrap();
    store.delete("a").await.unwrap();
    assert!(matches!(store.get("a").await, Err(StoreError::NotFound(_))));
}

#[tokio::test]
async fn of_many_that_are_deleted_those_that_failed_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    store.put("a", b"1".to_vec()).await.unwrap();
    store.put("b/c", b"1".to_vec()).await.unwrap();
    let keys = ["a", "../outside", "none", "b", "b/c"].map(str::to_owned);
    let failed: Vec<usize> = store.delete_all(&keys).await.into_iter().map(|(index, _)| index).collect();
    assert_eq!(failed, [1, 3], "a key that cannot be, and a folder");
    assert_eq!(self::keys(&store, "", None, 10).await, [] as [&str; 0]);
}

fn expected_hash(content: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(content).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
