//! Forwards requests to the server, and responses to the client.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;

use super::Shared;
use super::faults::{ActiveFault, Fault, ProxiedBody};
use super::listen::{Body, full};

pub(super) async fn forward(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
    hit: Option<ActiveFault>,
) -> Response<Body> {
    let (in_request, in_response) = match hit {
        Some(hit) if matches!(hit.fault, Fault::CutRequestBody { .. } | Fault::CorruptRequestByte { .. }) => {
            (Some(hit), None)
        }
        hit => (None, hit),
    };
    if request.method() == Method::CONNECT {
        return tunnel(shared, request).await;
    }
    let front = host_of(&request);
    let (mut head, body) = request.into_parts();
    strip_hop_by_hop(&mut head.headers);
    let authority = match &shared.upstream {
        Some(upstream) => {
            head.headers.insert(header::HOST, HeaderValue::from_str(upstream).expect("host:port"));
            upstream.clone()
        }
        None => match shared.control().routes.get(&front) {
            Some(addr) => addr.to_string(),
            None => front.clone(),
        },
    };
    let uri = Uri::builder().scheme("http").authority(authority).path_and_query(target_of(&head.uri)).build();
    match uri {
        Ok(uri) => head.uri = uri,
        Err(error) => return failure(&error),
    }
    let body = ProxiedBody::new(body, shared.sent.clone(), in_request).boxed_unsync();
    let mut response = match shared.client.request(Request::from_parts(head, body)).await {
        Ok(response) => response,
        Err(error) => return failure(&error),
    };
    strip_hop_by_hop(response.headers_mut());
    if let Some(upstream) = &shared.upstream {
        rewrite_urls(response.headers_mut(), upstream, &front);
    }
    response.map(|body| ProxiedBody::new(body, shared.received.clone(), in_response).boxed_unsync())
}

async fn tunnel(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let host = host_of(&request);
    let route = shared.control().routes.get(&host).copied();
    let connected = match route {
        Some(addr) => tokio::net::TcpStream::connect(addr).await,
        None => tokio::net::TcpStream::connect(&host).await,
    };
    let mut upstream = match connected {
        Ok(stream) => stream,
        Err(error) => return failure(&error),
    };
    let shared = shared.clone();
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
        let copied = tokio::io::copy_bidirectional(&mut TokioIo::new(upgraded), &mut upstream).await;
        if let Ok((sent, received)) = copied {
            shared.sent.fetch_add(sent, Ordering::Relaxed);
            shared.received.fetch_add(received, Ordering::Relaxed);
        }
    });
    Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync())
}

fn failure(error: &dyn std::error::Error) -> Response<Body> {
    let mut text = format!("test proxy: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    let mut response = Response::new(full(text));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

pub(super) fn target_of(uri: &Uri) -> String {
    match (uri.path_and_query(), uri.authority()) {
        (Some(target), _) => target.to_string(),
        (None, Some(authority)) => authority.to_string(),
        (None, None) => "/".to_owned(),
    }
}

pub(super) fn host_of(request: &Request<Incoming>) -> String {
    let named = request.uri().authority().map(|authority| authority.to_string());
    let header = || request.headers().get(header::HOST)?.to_str().ok().map(str::to_owned);
    named.or_else(header).unwrap_or_default()
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // hyper answers `Expect: 100-continue` when the body is first read.
    for name in [header::CONNECTION, header::TE, header::TRANSFER_ENCODING, header::UPGRADE, header::EXPECT] {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "proxy-authorization"] {
        headers.remove(HeaderName::from_static(name));
    }
}

/// Replaces the server's address in URLs by that of the proxy, so that the client keeps using the proxy.
fn rewrite_urls(headers: &mut HeaderMap, upstream: &str, front: &str) {
    for name in [header::LOCATION, header::WWW_AUTHENTICATE] {
        let Some(value) = headers.get(&name).and_then(|value| value.to_str().ok()) else { continue };
        let moved = value.replace(&format!("http://{upstream}/"), &format!("http://{front}/"));
        headers.insert(name, HeaderValue::from_str(&moved).expect("a header made of a header"));
    }
}
