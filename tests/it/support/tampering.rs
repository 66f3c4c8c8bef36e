//! A proxy in front of a registry that changes what passes: it damages a request, answers in the registry's place, hides
//! a header, or closes the connection without an answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response, header};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

use super::proxy::listen::{Body, ConnectionClosed, Listener, full};

/// The change to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    Nothing,
    /// Reads the request, and ends the connection with a FIN.
    Close,
    /// Answers with this status, and forwards nothing.
    Answer(u16),
    /// Changes the byte of the request's body at this position.
    Damage(usize),
    /// Changes the last digit of the first size in a manifest, which docker-registry does not compare.
    DamageSize,
    /// Changes the byte of the answer's body at this position.
    DamageAnswer(usize),
    /// Removes the digest from the registry's answer.
    HideDigest,
    /// Answers 201 without a digest, and forwards nothing.
    Lie,
}

/// A running proxy; stops when dropped.
pub struct Tampering {
    listener: Listener,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Tampering {
    /// In front of the registry at `upstream`. `choose` gets the number of the request, from 1, and the request as
    /// `METHOD PATH`.
    pub fn of(upstream: &str, choose: impl Fn(usize, &str) -> Tamper + Send + Sync + 'static) -> Tampering {
        let (upstream, choose) = (upstream.to_owned(), Arc::new(choose));
        let (seen, number) = (Arc::<Mutex<Vec<String>>>::default(), Arc::new(AtomicUsize::new(0)));
        let log = seen.clone();
        let client: Client<HttpConnector, Body> =
            Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        let listener = Listener::start(move |request, _| {
            let line = format!("{} {}", request.method(), request.uri());
            let number = number.fetch_add(1, Ordering::SeqCst) + 1;
            let tamper = choose(number, &line);
            log.lock().unwrap().push(line);
            pass(client.clone(), upstream.clone(), request, tamper)
        });
        Tampering { listener, seen }
    }

    /// `127.0.0.1:PORT`, for image references.
    pub fn host(&self) -> String {
        self.listener.addr().to_string()
    }

    /// The number of requests whose `METHOD PATH` contains `text`.
    pub fn count(&self, text: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }
}

async fn pass(
    client: Client<HttpConnector, Body>,
    upstream: String,
    request: Request<Incoming>,
    tamper: Tamper,
) -> Result<Response<Body>, ConnectionClosed> {
    let (mut head, body) = request.into_parts();
    let mut body = body.collect().await.map_err(|_| ConnectionClosed)?.to_bytes().to_vec();
    let answer = |status: u16| Ok(Response::builder().status(status).body(full("")).expect("well-formed"));
    match tamper {
        Tamper::Close => return Err(ConnectionClosed),
        Tamper::Answer(status) => return answer(status),
        Tamper::Lie => return answer(201),
        Tamper::Damage(at) => body[at] ^= 1,
        Tamper::DamageSize => {
            let size = body.windows(7).position(|bytes| bytes == br#""size":"#).expect("a manifest");
            let end = body[size..].iter().position(|byte| *byte == b',').expect("a digest follows");
            body[size + end - 1] ^= 1;
        }
        Tamper::Nothing | Tamper::HideDigest | Tamper::DamageAnswer(_) => {}
    }
    // The Host header stays, so that the registry's URLs lead to this proxy.
    head.uri = format!("http://{upstream}{}", head.uri).parse().expect("a path");
    head.headers.remove(header::CONNECTION);
    let sent = client.request(Request::from_parts(head, full(body))).await;
    let (mut head, body) = sent.map_err(|_| ConnectionClosed)?.into_parts();
    if tamper == Tamper::HideDigest {
        head.headers.remove("docker-content-digest");
    }
    let mut body = body.collect().await.map_err(|_| ConnectionClosed)?.to_bytes().to_vec();
    if let Tamper::DamageAnswer(at) = tamper {
        body[at] ^= 1;
    }
    Ok(Response::from_parts(head, full(body)))
}
