//! The scope of a token.

/// Actions on one or two repositories, in the form that token services read:
/// <https://distribution.github.io/distribution/spec/auth/scope/>.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Scope(Vec<String>);

impl Scope {
    pub(super) fn pull(repository: &str) -> Scope {
        Scope(vec![format!("repository:{repository}:pull")])
    }

    /// The scope of a login, which asks for no action.
    pub(super) fn none() -> Scope {
        Scope(Vec::new())
    }

    /// The scope of a push; a mount needs one token for both repositories.
    pub(super) fn push(repository: &str, mount_from: Option<&str>) -> Scope {
        let mount = mount_from.filter(|from| *from != repository);
        let mut scope = vec![format!("repository:{repository}:pull,push")];
        scope.extend(mount.map(|from| format!("repository:{from}:pull")));
        Scope(scope)
    }

    /// The scope of a password's grant, which is valid for every action on the repository.
    pub(super) fn of_password(&self) -> Scope {
        Scope(vec![format!("repository:{}", self.repository())])
    }

    /// The repository, or the first of two.
    pub(super) fn repository(&self) -> &str {
        let first = self.0.first().map(String::as_str).unwrap_or_default();
        first.split(':').nth(1).unwrap_or_default()
    }

    pub(super) fn texts(&self) -> &[String] {
        &self.0
    }

    /// Whether it reads, and no action writes.
    pub(super) fn only_pulls(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|scope| scope.ends_with(":pull"))
    }
}
