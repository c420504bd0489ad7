//! What a run needs in other programs, put there by `rayline setup`.

pub mod kibana;
pub mod mapping;
