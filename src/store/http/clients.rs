//! The HTTP clients, created on first use.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use super::no_proxy::NoProxy;
use crate::error::{Error, Result};
use crate::store::lock::lock;

/// The HTTP clients. They do not follow redirects: for a HEAD the redirect is the answer, a POST must not be sent
/// elsewhere, and a GET continues without the grant.
///
/// Each client is created on first use, because reading the system's certificates takes as long as a round trip.
#[derive(Clone, Default)]
pub(in crate::store) struct Clients {
    proxied: Arc<Mutex<Option<Client>>>,
    /// The client without a proxy. Loopback uses it, because a proxy cannot reach it.
    direct: Arc<Mutex<Option<Client>>>,
    /// The client without a proxy for plain HTTP, which trusts no certificate. That of loopback must not leave the machine.
    plain: Arc<Mutex<Option<Client>>>,
    no_proxy: Arc<OnceLock<NoProxy>>,
}

impl Clients {
    /// The client for a URL.
    pub(in crate::store) fn at(&self, url: &Url) -> Result<Client> {
        let loopback = url.host_str().is_some_and(is_loopback);
        // The client itself knows NO_PROXY too, but not all its forms: no ports, for example.
        let direct = loopback || self.no_proxy.get_or_init(NoProxy::from_env).excludes(url);
        // A proxy may be reached by HTTPS whatever the URL.
        let plain = direct && url.scheme() == "http";
        let mut held = lock(match (direct, plain) {
            (_, true) => &self.plain,
            (true, false) => &self.direct,
            (false, false) => &self.proxied,
        });
        if let Some(client) = &*held {
            return Ok(client.clone());
        }
        let builder = Client::builder()
            .user_agent(concat!("lbuild/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(15))
            .http2_adaptive_window(true)
            .redirect(Policy::none());
        let builder = if direct { builder.no_proxy() } else { builder };
        let builder = if plain { builder.tls_certs_only([]) } else { builder };
        let client = builder.build().map_err(|error| Error::Tls { source: error.into() })?;
        Ok(held.insert(client).clone())
    }
}

/// Whether the host is in `127.0.0.0/8`, `[::1]` or `localhost`, with or without a port.
pub(in crate::store) fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_looks_like_loopback_is_not_loopback() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:1", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["127.0.0.1.example", "localhost.example:5000", "10.0.0.1:5000", "[fe80::1]:5000", "r.example"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
