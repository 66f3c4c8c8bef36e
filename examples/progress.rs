//! Shows the progress of a push: `cargo run --example progress DIRECTORY BASE DESTINATION`

use lbuild::image::{Arch, Platform};
use lbuild::recipe::{Add, Base, Recipe, Source, Step};
use lbuild::{Destination, Engine, Event};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, base, to] = &arguments[..] else {
        return Err("usage: progress DIRECTORY BASE DESTINATION".into());
    };
    let source = Source::Directory { path: directory.into(), ignore: true, without: Vec::new() };
    let step = Step::Add(Add { source, to: None });
    let recipe = Recipe::new(Platform::linux(Arch::Arm64), Base::Registry(base.parse()?), vec![step]);
    let to = to.parse::<Destination>()?.tagged(&[])?;
    let format = to.usual_format();

    // Events come from several threads, and later versions may add kinds.
    let engine = Engine::builder().on_event(|event| match event {
        Event::LayerProgress { layer, bytes } => eprintln!("packing {layer}: {bytes} bytes"),
        Event::BlobProgress { digest, sent, size, .. } => {
            eprintln!("sending {digest}: {sent} of {size} bytes")
        }
        Event::Warning { message, .. } => eprintln!("warning: {message}"),
        Event::Retry { cause, delay, .. } => eprintln!("again in {delay:?}: {cause}"),
        _ => {}
    });
    for published in engine.build()?.push(&recipe, &[(to, format)]).await? {
        println!("{}", published.image);
    }
    Ok(())
}
