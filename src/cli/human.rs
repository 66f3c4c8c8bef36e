//! Events for people: a line for each that matters, and bars on a terminal.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lbuild::Event;
use lbuild::event::{Outcome, RepositoryChange};
use lbuild::image::Digest;

use super::exit::Failure;

/// Writes the event's line, if it has one.
pub fn line(event: &Event) {
    if let Some(text) = text(event) {
        eprintln!("{text}");
    }
}

/// Writes the failure, its causes and the way out.
pub fn failure(failure: &Failure) {
    let chain = failure.chain();
    let mut causes = chain.iter();
    if let Some(message) = causes.next() {
        eprintln!("error: {message}");
    }
    causes.for_each(|cause| eprintln!("  caused by: {cause}"));
    if let Some(hint) = failure.hint() {
        eprintln!("hint: {hint}");
    }
}

fn text(event: &Event) -> Option<String> {
    Some(match event {
        Event::Base { image, digest, platform } => format!("base     {image} {} {platform}", short(*digest)),
        Event::Layer { layer, digest, size, cached } => {
            let made = if *cached { "unchanged" } else { "made" };
            format!("layer    {layer} {} {} {made}", short(*digest), bytes(*size))
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
        Event::Manifest { image, digest, outcome } => match outcome {
            Outcome::Existed => format!("there    {image} {}", short(*digest)),
            Outcome::WouldSend => format!("would tag {image} {}", short(*digest)),
            _ => format!("pushed   {image} {}", short(*digest)),
        },
        Event::Repository { repository, change } => match change {
            RepositoryChange::Created => format!("created  {repository}"),
            RepositoryChange::LambdaAllowed => format!("allowed  Lambda to pull from {repository}"),
            _ => return None,
        },
        Event::Retry { cause, delay, .. } => format!("retry    in {:.1} s: {cause}", delay.as_secs_f64()),
        Event::Warning { message, hint } => match hint {
            Some(hint) => format!("warning: {message}\nhint: {hint}"),
            None => format!("warning: {message}"),
        },
        _ => return None,
    })
}

fn short(digest: Digest) -> String {
    digest.hex()[..12].to_owned()
}

/// Bytes in the units that registries' pages use.
pub fn bytes(size: u64) -> String {
    match size {
        0..1_000 => format!("{size} B"),
        1_000..1_000_000 => format!("{:.1} kB", size as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", size as f64 / 1e6),
        _ => format!("{:.2} GB", size as f64 / 1e9),
    }
}

/// A bar for each blob on its way and each layer in the making; lines go above them.
pub struct Bars {
    screen: MultiProgress,
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    pub fn new() -> Bars {
        Bars { screen: MultiProgress::new(), bars: Mutex::default() }
    }

    pub fn event(&self, event: &Event) {
        match event {
            Event::LayerProgress { layer, bytes } => self.bar(layer, layer, None).set_position(*bytes),
            Event::BlobProgress { destination, digest, sent, size } => {
                self.bar(&format!("{destination} {digest}"), &short(*digest), Some(*size))
                    .set_position(*sent);
            }
            Event::Layer { layer, .. } => self.end(layer),
            Event::Blob { destination, digest, .. } => self.end(&format!("{destination} {digest}")),
            _ => {}
        }
        if let Some(text) = text(event) {
            // Without a terminal that can be drawn on, the line is all the same worth having.
            if self.screen.println(&text).is_err() {
                eprintln!("{text}");
            }
        }
    }

    pub fn clear(&self) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        bars.drain().for_each(|(_, bar)| bar.finish_and_clear());
    }

    fn bar(&self, key: &str, label: &str, size: Option<u64>) -> ProgressBar {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = bars.get(key) {
            return bar.clone();
        }
        let (bar, template) = match size {
            Some(size) => (
                ProgressBar::new(size),
                "{prefix:>12} [{bar:30}] {bytes:>10}/{total_bytes} {binary_bytes_per_sec}",
            ),
            None => (ProgressBar::new_spinner(), "{prefix:>12} {spinner} {bytes:>10} {binary_bytes_per_sec}"),
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self.screen.add(bar.with_style(style.progress_chars("=> ")).with_prefix(label.to_owned()));
        bars.insert(key.to_owned(), bar.clone());
        bar
    }

    fn end(&self, key: &str) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = bars.remove(key) {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(
            [0, 999, 1_500, 12_345_678, 2_000_000_000].map(bytes),
            ["0 B", "999 B", "1.5 kB", "12.3 MB", "2.00 GB"]
        );
    }
}
