//! A server that takes down what it is asked, for what a healthy S3 does not show: headers, and errors.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Answers the first requests with an error, the others with an empty 200. Ends with the process.
pub struct Recorder {
    pub url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    /// `errors`: status line and body of the answers to the first requests.
    pub fn start(errors: Vec<(&'static str, &'static str)>) -> Recorder {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (seen, errors) = (heads.clone(), Arc::new(errors));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, errors) = (seen.clone(), errors.clone());
                thread::spawn(move || while serve(&stream, &seen, &errors).is_some() {});
            }
        });
        Recorder { url, heads }
    }

    /// Request lines and headers so far, in lower case.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic").clone()
    }
}

fn serve(mut stream: &TcpStream, seen: &Mutex<Vec<String>>, errors: &[(&str, &str)]) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    reader.read_exact(&mut vec![0; length]).ok()?;
    let number = {
        let mut seen = seen.lock().expect("no panic");
        seen.push(head);
        seen.len() - 1
    };
    let (status, body) = errors.get(number).copied().unwrap_or(("200 OK", ""));
    write!(stream, "HTTP/1.1 {status}\r\netag: \"1\"\r\ncontent-length: {}\r\n\r\n{body}", body.len()).ok()
}
