//! Progress bars on a terminal.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lbuild::Event;
use lbuild::error::text::printable;

use super::digests;
use super::human::{print_line, short, text};

/// A bar for each blob in transfer and each layer in progress; lines go above them.
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
        self.show(&printable(&digests::shown(text.trim_end())));
    }

    /// Writes lines that are printable above the bars.
    pub fn show(&self, text: &str) {
        // If drawing fails, the line is still printed.
        if self.screen.println(text).is_err() {
            print_line(text);
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
