//! The scheme of a registry on loopback, which is plain HTTP or HTTPS and is not named by the user.
//!
//! Plain HTTP is tried first. Only while the registry has not answered in either scheme, an answer that may come from a
//! TLS port leads to one attempt with HTTPS. A connection that closes without an answer is a broken connection unless
//! that attempt shows that the registry speaks HTTPS.

use reqwest::StatusCode;
use reqwest::header::HeaderValue;

use super::addresses::Scheme;
use super::request::{Answer, Request};
use super::transport::Transport;
use crate::error::{Error, Result};

/// The conclusion about the scheme from the answer to plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    /// It is an answer of HTTP.
    Http,
    /// It may come from a TLS port: Go's servers answer 400 in HTTP/1.0, nginx answers 400 with an HTML page, others
    /// send an alert or close the connection.
    PerhapsTls,
    /// It is a failure that says nothing.
    Nothing,
}

impl Transport {
    /// Sends the request once, to the registry's URL.
    pub(super) async fn once(&self, request: &Request, grant: Option<HeaderValue>) -> Result<Answer> {
        let url = self.addresses.url(&request.host, &request.path, &request.operation)?;
        let guessed = self.addresses.guesses(&request.host, &url);
        let plain = self.once_at(url.clone(), request, grant.clone()).await;
        if !guessed {
            return plain;
        }
        match evidence(&plain) {
            Evidence::Http => self.addresses.speaks(&request.host, Scheme::Http),
            Evidence::Nothing => {}
            Evidence::PerhapsTls => {
                let mut url = url;
                // This call cannot fail for a URL with a host.
                let _ = url.set_scheme("https");
                let secure = self.once_at(url, request, grant).await;
                if shows_tls(&secure) {
                    self.addresses.speaks(&request.host, Scheme::Https);
                    return secure;
                }
            }
        }
        plain
    }
}

fn evidence(plain: &Result<Answer>) -> Evidence {
    match plain {
        Ok(Answer { response, .. }) => {
            let header = response.headers().get(reqwest::header::CONTENT_TYPE);
            let page = header.is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
            let old = response.version() == reqwest::Version::HTTP_10;
            match response.status() == StatusCode::BAD_REQUEST && (old || page) {
                true => Evidence::PerhapsTls,
                false => Evidence::Http,
            }
        }
        Err(error @ Error::Connection { .. }) => {
            let text = error.with_causes();
            match text.contains("invalid HTTP version") || text.contains("before message completed") {
                true => Evidence::PerhapsTls,
                false => Evidence::Nothing,
            }
        }
        Err(_) => Evidence::Nothing,
    }
}

/// Whether an attempt with HTTPS reached a server that speaks it: it answered, or sent a certificate or an alert.
fn shows_tls(secure: &Result<Answer>) -> bool {
    match secure {
        Ok(_) => true,
        Err(error @ Error::Connection { .. }) => {
            let text = error.with_causes();
            text.contains("certificate") || text.contains("fatal alert")
        }
        // After a refused login, for example.
        Err(error) => !matches!(error, Error::Stalled { .. }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(text: &str) -> Result<Answer> {
        let (operation, host) = ("read".to_owned(), "127.0.0.1:5000".to_owned());
        Err(Error::Connection { operation, host, source: text.into() })
    }

    fn answered(status: u16, version: reqwest::Version, kind: &'static str) -> Result<Answer> {
        let response = http::Response::builder().status(status).version(version).header("content-type", kind);
        Ok(Answer { response: response.body("").unwrap().into(), grant: None })
    }

    #[test]
    fn only_an_answer_decides_the_scheme() {
        let (old, new) = (reqwest::Version::HTTP_10, reqwest::Version::HTTP_11);
        for (plain, expected) in [
            (answered(200, new, "application/json"), Evidence::Http),
            (answered(404, new, "text/html"), Evidence::Http),
            (answered(400, new, "application/json"), Evidence::Http),
            (answered(400, new, "text/html; charset=utf-8"), Evidence::PerhapsTls),
            (answered(400, old, "text/plain"), Evidence::PerhapsTls),
            (failed("connection closed before message completed"), Evidence::PerhapsTls),
            (failed("invalid HTTP version parsed"), Evidence::PerhapsTls),
            (failed("connection reset by peer"), Evidence::Nothing),
            (failed("connection refused"), Evidence::Nothing),
        ] {
            assert_eq!(evidence(&plain), expected, "{:?}", plain.err());
        }
    }

    #[test]
    fn a_failed_handshake_shows_no_https() {
        for (text, tls) in [
            ("received corrupt message of type InvalidContentType", false),
            ("tls handshake eof", false),
            ("connection closed before message completed", false),
            ("invalid peer certificate: UnknownIssuer", true),
            ("received fatal alert: HandshakeFailure", true),
        ] {
            assert_eq!(shows_tls(&failed(text)), tls, "{text}");
        }
    }
}
