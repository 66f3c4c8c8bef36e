//! Registries, over the [distribution protocol](https://github.com/opencontainers/distribution-spec/blob/main/spec.md).
//!
//! Every request of a run goes through the same [`Registries`], so all share the HTTP clients, the tokens and the rule
//! for retries. A [`Repository`] is the handle to one repository.

mod addresses;
mod auth;
mod call;
mod guess;
mod probe;
mod progress;
mod repository;
mod request;
mod scope;
mod start;
mod stored;
mod transport;
mod upload;

use std::sync::Arc;

pub(crate) use self::addresses::Addresses;
use self::call::Call;
pub(crate) use self::repository::Repository;
use self::request::Request;
use self::scope::Scope;
use self::transport::Transport;
pub(crate) use self::upload::Upload;
use super::credentials::Credentials;
use super::http::{Patience, Retry};
use crate::error::{Error, Result};
use crate::event::Events;
use crate::image::Reference;

/// The client of all registries. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Registries {
    transport: Arc<Transport>,
}

impl Registries {
    /// A client that requests a credential from `credentials`, first to last, if a registry requires one.
    pub(crate) fn new(
        credentials: Vec<Arc<dyn Credentials>>,
        addresses: Addresses,
        events: Events,
    ) -> Result<Registries> {
        Ok(Registries { transport: Arc::new(Transport::new(credentials, addresses, events)?) })
    }

    /// The repository of `name`, to read from.
    pub(crate) fn source(&self, name: &Reference) -> Repository {
        self.repository(name, Scope::pull(name.repository()))
    }

    /// The repository of `name`, to write to. Blobs may be mounted from `mount_from`, another repository of the same
    /// registry.
    pub(crate) fn destination(&self, name: &Reference, mount_from: Option<&str>) -> Repository {
        self.repository(name, Scope::push(name.repository(), mount_from))
    }

    /// Asks a registry for nothing, with the credentials for it.
    ///
    /// # Errors
    /// When it refuses the credentials.
    pub(crate) async fn log_in(&self, registry: &str) -> Result<()> {
        let operation = format!("log in to {registry}");
        let request = Request::new(Call::LogIn, registry, "/v2/".to_owned(), Scope::none(), operation);
        let response = self.transport.send(&request).await?;
        match response.status().is_success() {
            true => Ok(()),
            // A server that is no registry takes any password.
            false => {
                let (operation, host) = (format!("log in to {registry}"), registry.to_owned());
                Err(Error::Protocol { operation, host, fault: "has no /v2/, as registries have" })
            }
        }
    }

    /// The retries of an operation on these registries.
    pub(crate) fn retry(&self) -> Retry {
        self.transport.retry(&Patience::default())
    }

    fn repository(&self, name: &Reference, scope: Scope) -> Repository {
        Repository::new(self.transport.clone(), name.clone(), scope)
    }
}
