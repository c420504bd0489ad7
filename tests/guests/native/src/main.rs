//! The native twins of two transforms: the same code, the same optimisation, no wasm. For the benches.
//!
//! `guest-native FILE` reads messages from a file, a line each. For each line on standard input, `flatten` or `lean`, it
//! works through all messages once and answers with a line: nanoseconds of CPU, documents, bytes of documents.

use std::io::{BufRead, Error, Result, stdin};
use std::{env, fs};

use cpu_time::ThreadTime;
use flatten::{Flattener, Head, Input, Options, Output};
use guest_lean::{Documents, Lean};

fn main() -> Result<()> {
    let file = env::args_os().nth(1).ok_or_else(|| Error::other("say which file holds the messages"))?;
    let text = fs::read(file)?;
    let messages: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let mut flattener = Flattener::new(Options::default());
    let mut lean = Lean::new();
    for command in stdin().lock().lines() {
        let mut kept = Kept::default();
        let begin = ThreadTime::try_now()?;
        match command?.as_str() {
            "flatten" => messages.iter().for_each(|payload| {
                let input = Input { payload, sha256: ID, ..Input::default() };
                flattener.flatten(&input, &mut kept);
            }),
            "lean" => messages.iter().try_for_each(|message| lean.keep(message, &mut kept)).map_err(Error::other)?,
            other => return Err(Error::other(format!("there is no {other}"))),
        }
        let nanos = begin.try_elapsed()?.as_nanos();
        println!("{nanos} {} {}", kept.ends.len(), kept.bodies.len());
    }
    Ok(())
}

/// A SHA-256, as the host gives it to each message.
const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The documents of one round, laid out as a guest lays them out.
#[derive(Default)]
struct Kept {
    bodies: Vec<u8>,
    ids: String,
    ends: Vec<(usize, usize)>,
    rejected: u64,
}

impl Kept {
    fn end(&mut self, id: &str) {
        self.ids.push_str(id);
        self.ends.push((self.ids.len(), self.bodies.len()));
    }
}

impl Output for Kept {
    fn body(&mut self) -> &mut Vec<u8> {
        &mut self.bodies
    }

    fn finish(&mut self, head: &Head<'_>) {
        self.end(head.id);
    }

    fn reject(&mut self, _: &str, _: Option<&[u8]>) {
        self.rejected += 1;
    }
}

impl Documents for Kept {
    fn body(&mut self) -> &mut Vec<u8> {
        &mut self.bodies
    }

    fn finish(&mut self, id: &str) {
        self.end(id);
    }
}
