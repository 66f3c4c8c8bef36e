//! `docker push`.

use lbuild::image::{Format, Reference};
use lbuild::lambda::is_for_lambda;
use lbuild::recipe::Base;
use lbuild::{Destination, LocalImage, Recipe};

use super::args::Push;
use super::engine;
use super::names::{familiar, familiar_repository};
use crate::cli::commands::push::job::Job;
use crate::cli::commands::push::results;
#[cfg(feature = "check")]
use crate::cli::commands::push::tool;
use crate::cli::context::Context;
use crate::cli::destination;
use crate::cli::lower::Lowered;
use crate::cli::lower::config_file::ConfigFile;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::print;

/// Sends an image to the registry of its name. The last line has the digest of its manifest, which tools read: no other
/// digest is printed in full.
pub async fn run(args: &Push, context: &Context) -> Result<(), Failure> {
    let name: Reference = args.name.parse()?;
    let engine = engine::new(context)?;
    let images = engine.images();
    let image = images.find(&args.name)?.filter(|image| image.names.contains(&name)).ok_or_else(|| {
        let message = format!("An image does not exist locally with the tag: {}", familiar_repository(&name));
        Failure::docker(1, message, "build it with this name, or give it the name with `docker tag`")
    })?;
    if !args.quiet {
        print(&format!("The push refers to repository [{}]", name.repository_name()))?;
    }
    let lowered = lowered(&image, &name);
    let tag = name.tag().unwrap_or("latest").to_owned();
    let to = [(Destination::Registry { repository: name.clone(), tags: vec![tag.clone()] }, Format::Docker)];
    if lowered.for_lambda {
        destination::refuse_unpullable(&to)?;
    }
    let job = Job {
        engine: &engine,
        lowered: &lowered,
        to: &to,
        #[cfg(feature = "check")]
        check: &tool::check_args(true),
        dry_run: false,
    };
    let in_dockers_words = |failure| in_dockers_words(failure, &[name.registry()]);
    let sent = job.send(None, &context.report).await.map_err(in_dockers_words)?;
    let Some(published) = sent.published.first().cloned() else {
        return results::print(sent, &context.report).map_err(in_dockers_words);
    };
    images.pushed(&image, &published.image.parse()?)?;
    match args.quiet {
        true => print(&familiar(&name)),
        false => print(&format!("{tag}: digest: {} size: {}", published.digest, published.size)),
    }
}

/// A stored image.
fn lowered(image: &LocalImage, name: &Reference) -> Lowered {
    let config = image.image().config();
    // By digest: the name may move to another image meanwhile.
    let digest = image.image().manifest(Format::Docker).digest;
    let base = Base::Local { name: name.to_string(), digest: Some(digest) };
    Lowered {
        recipe: Recipe::finished(config.platform(), base),
        config: ConfigFile::default(),
        remarks: Vec::new(),
        handler: None,
        own_entrypoint: false,
        for_lambda: is_for_lambda(config),
    }
}

/// The failure with the words that tools look for before they log in to one of these registries and push again.
pub fn in_dockers_words(failure: Failure, registries: &[&str]) -> Failure {
    let causes = match &failure {
        Failure::Library(lbuild::Error::Unauthorized { credential, host, .. })
            if credential == "anonymous access" && registries.contains(&host.as_str()) =>
        {
            failure.chain().join(": ")
        }
        // Where AWS's libraries have looked for them is of no use to a user of `docker login`.
        Failure::Library(lbuild::Error::NoAwsCredentials { .. }) => failure.to_string(),
        _ => return failure,
    };
    let hint =
        "log in with `docker login`; for ECR, credentials of AWS in the environment or a profile do as well";
    Failure::docker(1, format!("no basic auth credentials: {causes}"), hint)
}
