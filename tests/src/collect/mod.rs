//! Collection: X-Ray and Step Functions of several accounts to the queue of the log account.
//!
//! - `fake`: an endpoint that stands for X-Ray and Step Functions. `protocol`: AWS's own SDK asks it.

mod fake;
mod protocol;
