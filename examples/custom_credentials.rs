//! Takes a registry's password from a place of one's own: `cargo run --example custom_credentials IMAGE`

use lbuild::recipe::Base;
use lbuild::{Credential, Credentials, DockerConfig, Engine, Inspected, Later};

/// A vault, as far as this example goes: two variables of the environment.
struct Vault;

impl Credentials for Vault {
    fn get<'a>(&'a self, _registry: &'a str, _renew: bool) -> Later<'a, lbuild::Result<Option<Credential>>> {
        Box::pin(async {
            let (Ok(username), Ok(password)) = (std::env::var("VAULT_USER"), std::env::var("VAULT_PASSWORD"))
            else {
                return Ok(None); // the next in line is asked
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
        _ => {}
    }
    Ok(())
}
