//! What `flatten` makes of messages.
