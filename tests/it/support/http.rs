//! Minimal HTTP/1.1 for the test support: a server for tokens and redirected blobs, a client for the emulator.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Every value of a query parameter, percent-decoded.
    pub fn query(&self, name: &str) -> Vec<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        parameters(query, name)
    }

    /// Every value of a field of a form in the body.
    pub fn form(&self, name: &str) -> Vec<String> {
        parameters(&String::from_utf8_lossy(&self.body), name)
    }
}

fn parameters(text: &str, name: &str) -> Vec<String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| decode(value)).collect()
}

fn decode(value: &str) -> String {
    let (mut out, bytes, mut at) = (Vec::new(), value.as_bytes(), 0);
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| value.get(at + 1..at + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The status of an answer that is none: the connection is closed.
pub const CLOSED: u16 = 0;

/// Answers requests until dropped, each connection on its own thread.
pub struct Server {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Server {
    /// Listens on a free port of `ip`, a loopback address.
    pub fn start(ip: &str, answer: impl Fn(Request) -> Response + Send + Sync + 'static) -> Server {
        Server::with_headers(ip, move |request| (answer(request), Vec::new()))
    }

    /// As [`start`](Server::start), for answers with headers.
    pub fn with_headers(
        ip: &str,
        answer: impl Fn(Request) -> (Response, Vec<(String, String)>) + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind((ip, 0)).expect("a loopback port is free");
        let address = listener.local_addr().expect("bound");
        let (stop, answer) = (Arc::new(AtomicBool::new(false)), Arc::new(answer));
        let stopped = stop.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), answer) = (stream, answer.clone()) else { continue };
                std::thread::spawn(move || serve(&stream, &*answer));
            }
        });
        Server { address, stop }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address); // wakes the listener
    }
}

fn serve(stream: &TcpStream, answer: &dyn Fn(Request) -> (Response, Vec<(String, String)>)) {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    while let Some((start, headers)) = head(&mut reader) {
        let mut words = start.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut request = Request { method: method.into(), target: target.into(), headers, body: Vec::new() };
        let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        request.body.resize(length, 0);
        if reader.read_exact(&mut request.body).is_err() {
            return;
        }
        let (response, headers) = answer(request.clone());
        if response.status == CLOSED {
            return;
        }
        let (status, length) = (response.status, response.body.len());
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let _ = write!(writer, "HTTP/1.1 {status} -\r\nContent-Length: {length}\r\n{headers}\r\n");
        if request.method != "HEAD" && writer.write_all(&response.body).is_err() {
            return;
        }
    }
}

type Head = (String, Vec<(String, String)>);

fn head(reader: &mut impl BufRead) -> Option<Head> {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&count| count > 0)?;
        Some(line.trim_end().to_owned())
    };
    let (start, mut headers) = (line()?, Vec::new());
    loop {
        let header = line()?;
        match header.split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => return Some((start, headers)),
        }
    }
}

const TIMEOUT: Option<Duration> = Some(Duration::from_secs(60));

/// Sends one request on its own connection and reads the whole response.
pub fn send(address: &str, request: &Request) -> Result<Response, String> {
    let failed = |error: std::io::Error| format!("{} {address}{}: {error}", request.method, request.target);
    let stream = TcpStream::connect(address).map_err(failed)?;
    stream.set_read_timeout(TIMEOUT).map_err(failed)?;
    exchange(stream, address, request)
}

/// Like [`send`], over a Unix socket, which also reaches a server in another network namespace.
pub fn send_to_socket(socket: &Path, request: &Request) -> Result<Response, String> {
    let failed = |error: std::io::Error| format!("{} {}: {error}", request.method, socket.display());
    let stream = UnixStream::connect(socket).map_err(failed)?;
    stream.set_read_timeout(TIMEOUT).map_err(failed)?;
    exchange(stream, "localhost", request)
}

fn exchange(mut stream: impl Read + Write, address: &str, request: &Request) -> Result<Response, String> {
    let failed = |error: std::io::Error| format!("{} {address}{}: {error}", request.method, request.target);
    let mut text =
        format!("{} {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += &format!("Content-Length: {}\r\n\r\n", request.body.len());
    stream.write_all(text.as_bytes()).map_err(failed)?;
    stream.write_all(&request.body).map_err(failed)?;

    let mut reader = BufReader::new(stream);
    let (start, headers) = head(&mut reader).ok_or_else(|| format!("{address}: no answer"))?;
    let status = start.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| format!("{address}: not HTTP: {start}"))?;
    let mut body = Vec::new();
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    match length.and_then(|(_, value)| value.parse::<u64>().ok()) {
        Some(length) => reader.take(length).read_to_end(&mut body),
        None => reader.read_to_end(&mut body),
    }
    .map_err(failed)?;
    Ok(Response { status, body })
}
