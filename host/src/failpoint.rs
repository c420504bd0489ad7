//! Named points at which the tests kill the process, as `FAILPOINTS=NAME=return` says.

/// Says on standard error that a point was reached, and stays there until the process is killed.
pub fn stay(name: &str) -> ! {
    eprintln!("reached {name}");
    loop {
        std::thread::park();
    }
}
