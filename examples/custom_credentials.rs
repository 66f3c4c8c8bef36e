//! Takes a registry's password from a custom source: `cargo run --example custom_credentials IMAGE`

use lbuild::recipe::Base;
use lbuild::{Credential, Credentials, DockerConfig, Engine, Inspected, Later};

/// A stand-in for a vault: three environment variables.
struct Vault;

impl Credentials for Vault {
    fn get<'a>(&'a self, registry: &'a str, _renew: bool) -> Later<'a, lbuild::Result<Option<Credential>>> {
        Box::pin(async move {
            let vault = |key: &str| std::env::var(format!("VAULT_{key}")).ok();
            // The password is for one registry. For others, the engine uses the next source.
            let ours = vault("REGISTRY").is_some_and(|ours| ours == registry);
            let Some((username, password)) = vault("USER").zip(vault("PASSWORD")).filter(|_| ours) else {
                return Ok(None);
            };
            Ok(Some(Credential::Password { username, password: password.into() }))
        })
    }

    fn describe(&self) -> String {
        "from the vault".into()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let image = std::env::args().nth(1).ok_or("usage: custom_credentials IMAGE")?;
    let engine = Engine::builder().credentials(Vault).credentials(DockerConfig).build()?;
    match engine.inspect(&Base::Registry(image.parse()?), None).await? {
        Inspected::Image(found) => println!("{} {}", found.manifest.digest, found.config.platform()),
        Inspected::Index { index, .. } => {
            index.platforms().iter().for_each(|platform| println!("{platform}"))
        }
    }
    Ok(())
}
