//! A transform for `wasm32-wasip2` that tries what each event names, with all that WASI has for it, and says what came of
//! it.

use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;
use std::{env, fs, thread};

use rayline_sdk::{Context, Event, Failure, NewEvent, NoOptions, Output, Transform};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, OutgoingRequest, Scheme};

struct Reach;

impl Transform for Reach {
    type Options = NoOptions;
    const SUMMARY: &'static str = "Tries to reach what each event names";

    fn open(_: NoOptions, _: &Context) -> Result<Reach, Failure> {
        Ok(Reach)
    }

    fn process(&mut self, event: &Event<'_>, out: &mut Output) -> Result<(), Failure> {
        let Some((what, place)) =
            std::str::from_utf8(event.body).ok().and_then(|body| body.trim_matches('"').split_once(' '))
        else {
            return Err(Failure::reject("no place"));
        };
        let reached = match what {
            "read" => fs::read(place).is_ok(),
            "write" => fs::write(place, "x").is_ok(),
            "connect" => TcpStream::connect(place).is_ok(),
            "bind" => UdpSocket::bind(place).is_ok(),
            "look-up" => place.to_socket_addrs().is_ok(),
            "environment" => env::var_os(place).is_some() || env::args_os().len() > 0,
            "request" => request(place),
            "sleep" => {
                thread::sleep(Duration::from_secs(place.parse().unwrap_or(0)));
                true
            }
            _ => return Err(Failure::reject("nothing to try")),
        };
        let verdict = if reached { "reached" } else { "refused" };
        out.push(&NewEvent::like(event), format!(r#"{{"{what}":"{verdict}"}}"#).as_bytes());
        Ok(())
    }
}

/// Whether a server answers.
fn request(authority: &str) -> bool {
    let request = OutgoingRequest::new(Fields::new());
    let is_set = request.set_scheme(Some(&Scheme::Http)).is_ok() && request.set_authority(Some(authority)).is_ok();
    let Ok(answer) = outgoing_handler::handle(request, None) else { return false };
    answer.subscribe().block();
    is_set && matches!(answer.get(), Some(Ok(Ok(_))))
}

rayline_sdk::export_transform!(Reach);
