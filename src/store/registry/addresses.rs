//! Endpoints of registries: the URL for a registry's name.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use reqwest::Url;

use crate::error::{Error, Result};
use crate::store::http::is_loopback;
use crate::store::lock::lock;

/// The registries whose URLs differ from `https://NAME`.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    insecure: HashSet<String>,
    /// Registries whose endpoint differs from their name.
    endpoints: HashMap<String, Url>,
    /// The schemes in which loopback registries have answered.
    answered: Mutex<HashMap<String, Scheme>>,
}

/// The scheme of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Addresses {
    /// Uses plain HTTP for this registry.
    pub(crate) fn insecure(&mut self, registry: String) {
        self.insecure.insert(registry);
    }

    /// Sends requests for this registry to `endpoint`, `https://HOST[:PORT]`.
    ///
    /// # Errors
    /// When `endpoint` is not such a URL. Credentials are sent to it, so plain HTTP is allowed for loopback only.
    pub(crate) fn endpoint(&mut self, registry: &str, endpoint: &str) -> Result<()> {
        // A password in the endpoint must not appear in the message.
        let shown = endpoint.rsplit_once('@').map_or(endpoint, |(_, after)| after);
        let fail =
            |fault| Error::Endpoint { registry: registry.to_owned(), endpoint: shown.to_owned(), fault };
        let url = Url::parse(endpoint).map_err(|_| fail("it is not a URL, as https://HOST[:PORT]"))?;
        match (url.scheme(), url.host_str()) {
            ("https", Some(_)) => {}
            ("http", Some(host)) if is_loopback(host) => {}
            ("http", Some(_)) => return Err(fail("plain HTTP would show credentials to the network")),
            _ => return Err(fail("it is not a URL, as https://HOST[:PORT]")),
        }
        if url.path() != "/"
            || url.query().is_some()
            || !url.username().is_empty()
            || url.password().is_some()
        {
            return Err(fail("it has more than a host and a port"));
        }
        self.endpoints.insert(registry.to_owned(), url);
        Ok(())
    }

    /// The URL of a path on a registry: HTTPS, except for loopback and for registries that the user marked insecure.
    pub(super) fn url(&self, host: &str, path: &str, operation: &str) -> Result<Url> {
        let url = match self.endpoints.get(host) {
            Some(endpoint) => endpoint.join(path),
            None => {
                let https = lock(&self.answered).get(host) == Some(&Scheme::Https);
                let plain = self.insecure.contains(host) || (is_loopback(host) && !https);
                let scheme = if plain { "http" } else { "https" };
                // The host of Docker Hub's registry differs from the registry's name in references.
                let address = if host == "docker.io" { "registry-1.docker.io" } else { host };
                Url::parse(&format!("{scheme}://{address}{path}"))
            }
        };
        url.map_err(|error| Error::Connection {
            operation: operation.to_owned(),
            host: host.to_owned(),
            source: error.into(),
        })
    }

    /// The error with the registry's name instead of its endpoint.
    pub(super) fn named(&self, mut error: Error, host: &str) -> Error {
        if let (Error::Registry { answer, .. }, Some(endpoint)) = (&mut error, self.endpoints.get(host))
            && answer.host == endpoint.authority()
        {
            answer.host = host.to_owned();
        }
        error
    }

    /// Whether plain HTTP is only assumed, because `host` is a loopback address that has not answered yet.
    pub(super) fn guesses(&self, host: &str, url: &Url) -> bool {
        url.scheme() == "http"
            && !self.insecure.contains(host)
            && !self.endpoints.contains_key(host)
            && !lock(&self.answered).contains_key(host)
    }

    /// Records the scheme in which a loopback registry has answered. The first one stays: an answer of one request
    /// must not change the scheme of the others.
    pub(super) fn speaks(&self, host: &str, scheme: Scheme) {
        lock(&self.answered).entry(host.to_owned()).or_insert(scheme);
    }

    /// A URL that the registry sent; if its host is the registry's name, the endpoint replaces the host.
    pub(super) fn reached(&self, mut url: Url, host: &str) -> Url {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let own = url.host_str().is_some_and(|name| format!("{name}{port}") == host);
        if let Some(endpoint) = self.endpoints.get(host).filter(|_| own) {
            // These calls cannot fail, because the endpoint is a URL with a host.
            let _ = url.set_scheme(endpoint.scheme());
            let _ = url.set_host(endpoint.host_str());
            let _ = url.set_port(endpoint.port());
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

    #[test]
    fn an_endpoint_applies_to_its_registry_only() {
        let mut addresses = Addresses::default();
        addresses.endpoint(ECR, "http://127.0.0.1:5000").unwrap();
        let url = |host, path| addresses.url(host, path, "test").unwrap().to_string();
        assert_eq!(
            url(ECR, "/v2/a/blobs/uploads/?mount=b"),
            "http://127.0.0.1:5000/v2/a/blobs/uploads/?mount=b"
        );
        assert_eq!(url("r.example", "/v2/"), "https://r.example/v2/");
        let given: Url = format!("https://{ECR}/v2/a?state=x").parse().unwrap();
        assert_eq!(addresses.reached(given, ECR).as_str(), "http://127.0.0.1:5000/v2/a?state=x");
        let elsewhere: Url = "https://bucket.example/a".parse().unwrap();
        assert_eq!(addresses.reached(elsewhere.clone(), ECR), elsewhere);
    }

    #[test]
    fn an_endpoint_that_would_expose_credentials_is_refused() {
        for endpoint in [
            "http://10.0.0.1:5000",
            "r.example",
            "ftp://r.example",
            "https://r.example/v2",
            "https://u:p@r.example",
        ] {
            assert!(Addresses::default().endpoint(ECR, endpoint).is_err(), "{endpoint}");
        }
    }
}
