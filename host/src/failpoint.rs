//! Named points at which the tests kill the process, as `FAILPOINTS=NAME=return` says; and `drain=return(SECONDS)`, the
//! time for draining, where a test's servers are slower than real ones.

/// Says on standard error that a point was reached, and stays there until the process is killed.
pub fn stay(name: &str) -> ! {
    eprintln!("reached {name}");
    loop {
        std::thread::park();
    }
}
