//! The scope of a token.

/// Actions on one or two repositories, in the form that token services read:
/// <https://distribution.github.io/distribution/spec/auth/scope/>. A password's grant has the empty scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Scope(Vec<String>);

impl Scope {
    pub(super) fn pull(repository: &str) -> Scope {
        Scope(vec![format!("repository:{repository}:pull")])
    }

    /// The scope of a push; a mount needs one token for both repositories.
    pub(super) fn push(repository: &str, mount_from: Option<&str>) -> Scope {
        let mount = mount_from.filter(|from| *from != repository);
        let mut scope = vec![format!("repository:{repository}:pull,push")];
        scope.extend(mount.map(|from| format!("repository:{from}:pull")));
        Scope(scope)
    }

    pub(super) fn texts(&self) -> &[String] {
        &self.0
    }

    /// Whether no action writes.
    pub(super) fn only_pulls(&self) -> bool {
        self.0.iter().all(|scope| scope.ends_with(":pull"))
    }
}
