//! A server that a test plays. A binding is granted once a test has called [`serve`] for it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::CapabilityError;
use crate::bindings::capability::{Error, Temporary};
use crate::bindings::http::{Request, Response};

type Server = Rc<dyn Fn(&Request) -> Result<Response, CapabilityError>>;

thread_local! {
    static SERVERS: RefCell<BTreeMap<String, Server>> = const { RefCell::new(BTreeMap::new()) };
}

/// Grants the binding and lets this function answer its requests.
pub fn serve(binding: &str, server: impl Fn(&Request) -> Result<Response, CapabilityError> + 'static) {
    SERVERS.with_borrow_mut(|servers| servers.insert(binding.to_owned(), Rc::new(server)));
}

pub(crate) fn send(binding: &str, requests: &[Request]) -> Result<Vec<Result<Response, Error>>, Error> {
    let server = SERVERS.with_borrow(|servers| servers.get(binding).cloned());
    let server = server.ok_or_else(|| Error::NotGranted(format!("`grants.{binding}` is not there")))?;
    Ok(requests.iter().map(|request| server(request).map_err(error)).collect())
}

pub(super) fn error(error: CapabilityError) -> Error {
    match error {
        CapabilityError::NotGranted(text) => Error::NotGranted(text),
        CapabilityError::NotFound(text) => Error::NotFound(text),
        CapabilityError::Conflict(text) => Error::Conflict(text),
        CapabilityError::Temporary { reason, after } => {
            let after_ms = after.map(|after| after.as_millis().try_into().unwrap_or(u32::MAX));
            Error::Temporary(Temporary { reason, after_ms })
        }
        CapabilityError::Permanent(text) => Error::Permanent(text),
    }
}
