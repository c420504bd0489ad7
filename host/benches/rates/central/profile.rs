//! Where the host's CPU time goes, as `perf` sees it: from 499 looks a second at each of its stacks.
//!
//! A stack belongs to what its innermost function belongs to that says anything: `memcpy` called by the compressor is
//! compression. wasmtime tells `perf` nothing of what it compiles, so a guest is code that lies in no file; what called
//! it is not known, nor needed.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::account::Account;
use super::fake::Messages;
use super::flame;
use crate::Place;

/// What time is spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Compiled WebAssembly.
    Guest,
    /// Everything of the host's that is none of the others: wasmtime's side of each call, batches, hashes, the AWS SDK.
    Host,
    /// zstd and gzip.
    Compression,
    /// HTTP, TLS, the sockets, and the kernel's part of it.
    Network,
}

/// Where the time went.
pub struct Profile {
    /// How often each stack was seen; from the outermost function to the innermost.
    stacks: BTreeMap<(Class, Vec<String>), u64>,
}

/// A function on a stack.
struct Frame<'a> {
    name: &'a str,
    /// The file that its code lies in.
    file: &'a str,
}

impl Class {
    pub const ALL: [Class; 4] = [Class::Host, Class::Guest, Class::Compression, Class::Network];

    pub fn name(self) -> &'static str {
        match self {
            Class::Host => "host",
            Class::Guest => "guest",
            Class::Compression => "compression",
            Class::Network => "network",
        }
    }
}

/// The crates and C functions of compression and of the network, as their names begin.
const COMPRESSION: [&str; 10] =
    ["zstd", "ZSTD_", "HUF_", "FSE_", "HIST_", "XXH64", "flate2", "miniz_oxide", "zlib_rs", "crc32fast"];
const NETWORK: [&str; 12] = [
    "hyper",
    "h2",
    "httparse",
    "rustls",
    "reqwest",
    "tower",
    "mio",
    "tokio::net",
    "tokio::runtime::io",
    "tokio_rustls",
    "http",
    "socket2",
];
/// The kernel's.
const NETWORK_IN_KERNEL: [&str; 16] = [
    "tcp_",
    "__tcp_",
    "sock_",
    "__sock_",
    "inet_",
    "ip_",
    "__ip_",
    "skb_",
    "__skb_",
    "net_",
    "__netif",
    "loopback_",
    "ep_",
    "do_epoll",
    "__sys_send",
    "__sys_recv",
];
/// Functions that say nothing of what they are called for.
const NEUTRAL: [&str; 14] = [
    "core",
    "alloc",
    "std",
    "tokio",
    "futures",
    "hashbrown",
    "bytes",
    "tracing",
    "rustc",
    "rust_",
    "parking_lot",
    "crossbeam",
    "once_cell",
    "async_trait",
];

/// Runs the pipeline with the profiler on. `None` where there is none.
pub fn of(place: &Place, account: &Account<'_>, messages: &Messages) -> Result<Option<Profile>> {
    let data = place.folder("perf")?.join("perf.data");
    // Whether it may look at others' processes depends on the machine.
    let may = Command::new("perf").args(["record", "-q", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let mut perf: Option<Child> = None;
    account.run_with(messages, |process| {
        let mut record = Command::new("perf");
        record.args(["record", "-q", "-F", "499", "--call-graph", "dwarf,16384", "-o"]).arg(&data);
        record.args(["-p", &process.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        perf = Some(record.spawn()?);
        Ok(())
    })?;
    perf.context("the profiler was not started")?.wait()?;
    let output = Command::new("perf")
        .args(["script", "--no-inline", "-F", "comm,ip,sym,dso", "-i"])
        .arg(&data)
        .stderr(Stdio::null())
        .output()?;
    ensure!(output.status.success(), "`perf script` ended with {}", output.status);
    fs::remove_file(&data)?;
    Ok(Some(Profile::read(&String::from_utf8_lossy(&output.stdout))))
}

impl Profile {
    /// A stack is a line with the thread's name, a line for each function from the innermost on, and an empty line.
    fn read(script: &str) -> Profile {
        let mut stacks = BTreeMap::new();
        for stack in script.split("\n\n") {
            let frames: Vec<Frame<'_>> = stack.lines().filter_map(Frame::read).collect();
            if !frames.is_empty() {
                *stacks.entry((class(&frames), shown(&frames))).or_default() += 1;
            }
        }
        Profile { stacks }
    }

    /// In percent.
    pub fn share(&self, class: Class) -> f64 {
        let of_class = self.stacks.iter().filter(|((other, _), _)| *other == class);
        percent(of_class.map(|(_, count)| count).sum(), self.all())
    }

    /// Writes the picture and a table of the functions in which, or in what they call, most of the time is spent.
    pub fn write(&self, place: &Place) -> Result<()> {
        let stacks = self.stacks.iter().map(|((class, frames), count)| (class.name(), frames.as_slice(), *count));
        fs::write(place.target.join("flame.svg"), flame::picture(stacks))?;
        fs::write(place.target.join("bench-profile.txt"), self.text())?;
        eprintln!("where the time goes: flame.svg and bench-profile.txt in {}", place.target.display());
        Ok(())
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for class in Class::ALL {
            // Writing into memory does not fail.
            let _ = writeln!(text, "{}: {:.1} %", class.name(), self.share(class));
            let (mut own, mut with_called) = (BTreeMap::<&str, u64>::new(), BTreeMap::<&str, u64>::new());
            let mut crates = BTreeMap::<&str, u64>::new();
            for ((_, frames), count) in self.stacks.iter().filter(|((other, _), _)| *other == class) {
                *own.entry(frames.last().map_or("", String::as_str)).or_default() += count;
                let of_crate = frames.iter().rev().find_map(|frame| crate_of(frame)).unwrap_or("no crate");
                *crates.entry(of_crate).or_default() += count;
                let mut names: Vec<&str> = frames.iter().map(String::as_str).collect();
                names.sort_unstable();
                names.dedup();
                names.into_iter().for_each(|name| *with_called.entry(name).or_default() += count);
            }
            for (title, counts) in [("by crate", crates), ("itself", own), ("with what it calls", with_called)] {
                let _ = writeln!(text, "  {title}:");
                let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
                counts.sort_by_key(|(_, count)| Reverse(*count));
                for (name, count) in counts.into_iter().take(20) {
                    let _ = writeln!(text, "    {:5.1} %  {name}", percent(count, self.all()));
                }
            }
        }
        text
    }

    fn all(&self) -> u64 {
        self.stacks.values().sum()
    }
}

impl<'a> Frame<'a> {
    /// `    55d0c1 rayline::run::start (/target/release/rayline)`
    fn read(line: &'a str) -> Option<Frame<'a>> {
        let (_, rest) = line.strip_prefix([' ', '\t'])?.trim_start().split_once(' ')?;
        let (name, file) = rest.rsplit_once(" (")?;
        Some(Frame { name, file: file.trim_end_matches(')') })
    }

    fn is_kernel(&self) -> bool {
        self.file.starts_with("[kernel") || self.file == "[guest.kernel.kallsyms]"
    }

    fn is_guest(&self) -> bool {
        ["//anon", "[anon", "[JIT]", "/memfd", "/tmp/perf-"].iter().any(|start| self.file.starts_with(start))
    }

    /// What it belongs to, if it says anything.
    fn class(&self) -> Option<Class> {
        let begins = |starts: &[&str]| starts.iter().any(|start| path(self.name).starts_with(start));
        if self.is_guest() {
            Some(Class::Guest)
        } else if self.is_kernel() {
            NETWORK_IN_KERNEL.iter().any(|start| self.name.starts_with(start)).then_some(Class::Network)
        } else if begins(&COMPRESSION) {
            Some(Class::Compression)
        } else if begins(&NETWORK) {
            Some(Class::Network)
        } else if begins(&NEUTRAL) || !self.name.contains("::") {
            None
        } else {
            Some(Class::Host)
        }
    }

    /// For people.
    fn shown(&self) -> String {
        if self.is_guest() {
            return "guest".to_owned();
        }
        let name = match self.name.rsplit_once("::h") {
            Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
            _ => self.name,
        };
        name.replace("::{{closure}}", "").replace("::{closure#0}", "")
    }
}

/// A function's name from its crate on: what stands before that in `<&T as Trait>::f` says nothing of whose it is.
fn path(name: &str) -> &str {
    name.trim_start_matches(['<', '&', '_', '*', '(', '[']).trim_start_matches("mut ").trim_start_matches("dyn ")
}

/// The crate, of a function that says anything.
fn crate_of(name: &str) -> Option<&str> {
    let (name, _) = path(name).split_once("::")?;
    (!name.contains(' ') && !NEUTRAL.iter().any(|start| name.starts_with(start))).then_some(name)
}

fn class(frames: &[Frame<'_>]) -> Class {
    frames.iter().find_map(Frame::class).unwrap_or(Class::Host)
}

/// The innermost function, and around it those that say something; a function and its parts once.
fn shown(frames: &[Frame<'_>]) -> Vec<String> {
    let telling = |frame: &Frame<'_>| frame.class().is_some();
    let mut names: Vec<String> = Vec::new();
    for (depth, frame) in frames.iter().enumerate() {
        let name = frame.shown();
        if (depth == 0 || telling(frame)) && names.last() != Some(&name) {
            names.push(name);
        }
    }
    names.reverse();
    names
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64 * 100.0
}
