//! What a run needs outside of Rayline, put there by `rayline setup`.

pub mod kibana;
