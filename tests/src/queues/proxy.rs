//! A way to a server on which some requests meet an error, as they do on the way to AWS.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Passes requests on. Ends with the process.
pub struct Proxy {
    pub url: String,
    faults: Arc<Mutex<Vec<Fault>>>,
}

/// What the next requests of an action are answered with.
pub struct Fault {
    pub action: &'static str,
    pub status: &'static str,
    pub code: &'static str,
    pub times: usize,
}

impl Proxy {
    pub fn start(server: &str, faults: Vec<Fault>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = server.strip_prefix("http://").expect("an address").to_owned();
        let faults = Arc::new(Mutex::new(faults));
        let shared = faults.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, faults) = (server.clone(), shared.clone());
                thread::spawn(move || serve(&stream, &server, &faults));
            }
        });
        Proxy { url, faults }
    }

    /// How many errors are still to come.
    pub fn left(&self) -> usize {
        self.faults.lock().expect("no panic").iter().map(|fault| fault.times).sum()
    }
}

/// One request for each connection.
fn serve(mut client: &TcpStream, server: &str, faults: &Mutex<Vec<Fault>>) -> Option<()> {
    let mut reader = BufReader::new(client);
    let mut head = String::new();
    let (mut action, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        match line.trim_end().to_lowercase().split_once(": ") {
            Some(("x-amz-target", value)) => action = value.to_owned(),
            Some(("content-length", value)) => length = value.parse().ok()?,
            Some(("connection", _)) => continue,
            _ => {}
        }
        head += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let fault = {
        let mut faults = faults.lock().expect("no panic");
        let is_next =
            |fault: &&mut Fault| fault.times > 0 && action == format!("amazonsqs.{}", fault.action.to_lowercase());
        faults.iter_mut().find(is_next).map(|fault| {
            fault.times -= 1;
            (fault.status, fault.code)
        })
    };
    if let Some((status, code)) = fault {
        let body = format!(r#"{{"__type":"com.amazonaws.sqs#{code}","message":"asked to fail"}}"#);
        let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        return client.write_all((head + &body).as_bytes()).ok();
    }
    let mut upstream = TcpStream::connect(server).ok()?;
    upstream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).ok()?;
    upstream.write_all(&body).ok()?;
    std::io::copy(&mut upstream, &mut client).ok().map(drop)
}
