//! CPU time: what else runs on the machine does not count, as far as caches and memory allow.

use std::fs;
use std::process::{Child, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cpu_time::ProcessTime;

/// CPU seconds of this process, all threads, and what the work returns.
pub fn cpu<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let begin = ProcessTime::try_now()?;
    let result = work()?;
    Ok((begin.try_elapsed()?.as_secs_f64(), result))
}

/// What a process used until it ended.
pub struct Used {
    /// CPU seconds of all its threads.
    pub cpu: f64,
    /// The most memory that was resident at once, in bytes.
    pub peak: f64,
    /// Seconds from `begin` to its end.
    pub wall: f64,
    /// How it ended.
    pub status: ExitStatus,
}

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// Ticks of the CPU times in `/proc`: 100 a second on every Linux.
const TICKS: f64 = 100.0;

/// Follows a process to its end.
pub fn follow(mut child: Child, begin: Instant) -> Result<Used> {
    let id = child.id();
    let mut peak = 0.0;
    loop {
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        if let Some(kib) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
            peak = kib.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0;
        }
        let (is_over, cpu) = state(id)?;
        if is_over {
            let wall = begin.elapsed().as_secs_f64();
            return Ok(Used { cpu, peak, wall, status: child.wait()? });
        }
        sleep(LOOK);
    }
}

/// CPU seconds of a process so far, all threads.
pub fn cpu_of(process: u32) -> Result<f64> {
    state(process).map(|(_, cpu)| cpu)
}

/// Whether a process is over and waits to be asked for its end, and its CPU seconds.
fn state(process: u32) -> Result<(bool, f64)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Behind the name in parentheses: the state, and 11 and 12 fields later the user's and the system's time.
    let (_, fields) = stat.rsplit_once(") ").context("/proc has another form here")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    let cpu = ticks(11).zip(ticks(12)).map(|(user, system)| (user + system) / TICKS);
    Ok((fields.first() == Some(&"Z"), cpu.context("/proc has another form here")?))
}

/// The smallest.
pub fn least(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(f64::INFINITY, f64::min)
}

/// The one in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
