//! Events for people: a line for each that matters, and bars on a terminal.

use std::borrow::Cow;
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
        eprintln!("{}", printable(&text));
    }
}

/// Writes lines, if there are any.
#[cfg(feature = "check")]
pub fn say(text: &str) {
    if !text.is_empty() {
        eprintln!("{}", printable(text.trim_end()));
    }
}

/// Writes the failure, its causes and the way out.
pub fn failure(failure: &Failure) {
    let chain = failure.chain();
    let mut causes = chain.iter();
    if let Some(message) = causes.next() {
        eprintln!("error: {}", printable(message));
    }
    causes.for_each(|cause| eprintln!("  caused by: {}", printable(cause)));
    if let Some(hint) = failure.hint() {
        eprintln!("hint: {}", printable(&hint));
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

/// What others have written is not trusted with the terminal.
pub fn printable(text: &str) -> Cow<'_, str> {
    let bad = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    match text.contains(bad) {
        true => Cow::Owned(text.replace(bad, "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}

/// The same for what has to stay on its line: with an end of its own, it could pass for words of lbuild's.
pub fn one_line(text: &str) -> Cow<'_, str> {
    match text.contains(char::is_control) {
        true => Cow::Owned(text.replace(char::is_control, "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}

/// Reads a size as people write it: `500MB`, `2GiB`, `1000000`.
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match text[digits..].trim_start() {
        "" | "B" => 1,
        "kB" | "KB" | "k" | "K" => 1000,
        "MB" | "M" => 1_000_000,
        "GB" | "G" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err("write it as 500MB or 2GiB".to_owned()),
    };
    let number: u64 = text[..digits].parse().map_err(|_| "write it as 500MB or 2GiB".to_owned())?;
    number.checked_mul(unit).ok_or_else(|| "that is more than any disk has".to_owned())
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
            self.say(&text);
        }
    }

    /// Writes lines above the bars.
    pub fn say(&self, text: &str) {
        // Without a terminal that can be drawn on, the line is all the same worth having.
        let text = printable(text.trim_end());
        if self.screen.println(&text).is_err() {
            eprintln!("{text}");
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
    fn escapes_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\u{9b}c\n\td\r"), "a\u{fffd}[31mb\u{fffd}c\n\td\u{fffd}");
        assert!(matches!(printable("plain"), Cow::Borrowed(_)));
        assert_eq!(one_line("a\u{9b}\nerror: b\tc"), "a\u{fffd}\u{fffd}error: b\u{fffd}c");
    }

    #[test]
    fn sizes_are_read() {
        let all = ["0", "12B", "500MB", "2 GiB", "1k"].map(|text| size(text).unwrap());
        assert_eq!(all, [0, 12, 500_000_000, 2 << 30, 1000]);
        for text in ["", "MB", "-1", "1.5GB", "1TB", "99999999999GB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(
            [0, 999, 1_500, 12_345_678, 2_000_000_000].map(bytes),
            ["0 B", "999 B", "1.5 kB", "12.3 MB", "2.00 GB"]
        );
    }
}
