//! Appends a layer made in memory to an image: `cargo run --example append_layer BASE DESTINATION`

use lbuild::image::{Arch, Platform};
use lbuild::recipe::{Base, DEFAULT_EPOCH, Recipe};
use lbuild::tree::{Content, Entry, FileTree};
use lbuild::{Destination, Engine};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(base), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: append_layer BASE DESTINATION".into());
    };
    let base = Base::Registry(base.parse()?);
    let to = to.parse::<Destination>()?.tagged(&[])?;

    // A recipe without steps gives the base unchanged.
    let engine = Engine::builder().build()?;
    let image = engine.build(&Recipe::new(Platform::linux(Arch::Arm64), base, Vec::new())).await?;

    let mut files = FileTree::new();
    let text =
        format!("built from {}\n", image.config().label("org.opencontainers.image.base.name").unwrap_or("?"));
    files.insert("opt/build-info", Entry::file(Content::Bytes(text.into_bytes().into()), false))?;
    let layer = engine.layer(&files, DEFAULT_EPOCH).await?;

    let image = image.append(layer, "append_layer: build info");
    let published = engine.publish(&image, to.usual_format(), &to).await?;
    println!("{}", published.image);
    Ok(())
}
