//! Formats events and failures as lines of text for people.

use std::io::{self, Write};

use lbuild::Event;
pub use lbuild::error::text::one_line;
use lbuild::error::text::printable;
use lbuild::event::{Outcome, RepositoryChange};
use lbuild::image::Digest;

use super::arguments::hidden;
use super::digests;
use super::exit::Failure;

/// Writes the event's line, if it has one.
pub fn line(event: &Event) {
    if let Some(text) = text(event) {
        print_line(&printable(&digests::shown(&text)));
    }
}

/// Writes a line to standard error at once: other processes may write there too.
pub fn print_line(text: &str) {
    // Nobody could be told of a failure.
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Writes the text, unless it is empty.
#[cfg(feature = "check")]
pub fn say(text: &str) {
    if !text.is_empty() {
        print_line(&printable(&digests::shown(text.trim_end())));
    }
}

/// Writes the failure, its causes and its hint.
pub fn failure(failure: &Failure) {
    let chain = failure.chain();
    let mut causes = chain.iter();
    if let Some(message) = causes.next() {
        print_line(&format!("error: {}", shown(message)));
    }
    causes.for_each(|cause| print_line(&format!("  caused by: {}", shown(cause))));
    if let Some(hint) = failure.hint() {
        print_line(&format!("hint: {}", shown(&hint)));
    }
}

/// Writes the failure so that its last line is the message with its causes, which a tool may show alone.
pub fn failure_last(failure: &Failure) {
    if let Some(hint) = failure.hint() {
        print_line(&format!("hint: {}", shown(&hint)));
    }
    let mut last = Vec::new();
    for message in failure.chain() {
        // A message of several lines shows the line of a Dockerfile.
        let (first, lines) = message.split_once('\n').unwrap_or((&message, ""));
        lines.lines().for_each(|line| print_line(&shown(line)));
        last.push(shown(first));
    }
    // kaniko's messages begin as its own.
    let start = if matches!(failure, Failure::Kaniko { .. }) { "" } else { "error: " };
    print_line(&format!("{start}{}", last.join(": ")));
}

/// A message, which may repeat an argument.
pub fn shown(text: &str) -> String {
    printable(&digests::shown(&hidden(text))).into_owned()
}

/// The event's line, if it has one.
pub fn text(event: &Event) -> Option<String> {
    Some(match event {
        Event::Base { image, digest, platform } => {
            // A pinned name ends in the digest.
            let name = image.strip_suffix(&format!("@{digest}")).unwrap_or(image);
            format!("base     {name} {} {platform}", short(*digest))
        }
        Event::Layer { layer, digest, size, cached } => {
            let made = if *cached { "unchanged" } else { "made" };
            format!("layer    {layer} {} {} {made}", short(*digest), bytes(*size))
        }
        Event::LayerMended { layer, was, digest, size, compressed, directories, directory } => {
            let gzip = compressed.then(|| "as gzip".to_owned());
            let entries = directory.as_ref().map(|first| match directories {
                1 => format!("with an entry for the directory {first}"),
                _ => format!("with entries for the directories {first} and {} more", directories - 1),
            });
            let change: Vec<String> = gzip.into_iter().chain(entries).collect();
            let (digest, size, was) = (short(*digest), bytes(*size), short(*was));
            format!("mended   layer {layer} {digest} {size}, was {was}: {}", change.join(", "))
        }
        Event::Slimmed { layer, files, bytes: size } => {
            format!("slim     {layer} without {files} files, {}", bytes(*size))
        }
        Event::Blob { destination, digest, size, outcome } => {
            let verb = match outcome {
                Outcome::Existed => return None,
                Outcome::Sent => "sent",
                Outcome::Mounted => "mounted",
                Outcome::WouldSend => "would send",
                _ => "done",
            };
            format!("{verb:<8} {} {} to {destination}", short(*digest), bytes(*size))
        }
        Event::Manifest { image, digest, outcome, .. } => match outcome {
            Outcome::Existed => format!("exists   {image} {}", short(*digest)),
            Outcome::WouldSend => format!("would tag {image} {}", short(*digest)),
            _ => format!("pushed   {image} {}", short(*digest)),
        },
        Event::Repository { repository, change } => match change {
            RepositoryChange::Created => format!("created  {repository}"),
            RepositoryChange::LambdaAllowed => format!("allowed  Lambda to pull from {repository}"),
            _ => return None,
        },
        Event::Function { function, message } => format!("function {function}: {message}"),
        Event::Retry { cause, delay, .. } => format!("retry    in {:.1} s: {cause}", delay.as_secs_f64()),
        Event::Note { message } => format!("note: {message}"),
        Event::Warning { message, hint } => match hint {
            Some(hint) => format!("warning: {message}\nhint: {hint}"),
            None => format!("warning: {message}"),
        },
        _ => return None,
    })
}

/// The first 12 hexadecimal digits of a digest.
pub fn short(digest: Digest) -> String {
    digest.hex()[..12].to_owned()
}

/// A size in decimal units, as registries show it.
pub fn bytes(size: u64) -> String {
    match size {
        0..1_000 => format!("{size} B"),
        1_000..1_000_000 => format!("{:.1} kB", size as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", size as f64 / 1e6),
        _ => format!("{:.2} GB", size as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_decimal_units() {
        assert_eq!(
            [0, 999, 1_500, 12_345_678, 2_000_000_000].map(bytes),
            ["0 B", "999 B", "1.5 kB", "12.3 MB", "2.00 GB"]
        );
    }
}
