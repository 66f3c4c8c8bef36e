//! The arguments of `cache`.

use clap::Subcommand;

#[derive(Subcommand)]
pub enum CacheCommand {
    /// Print the path and the size of the cache
    Info,
    /// Remove the entries that were not used lately
    Prune {
        /// Remove entries that were not used for this many days; 0 empties the cache
        #[arg(long, value_name = "N", default_value_t = 30)]
        days: u32,
        /// Then remove the least recently used entries down to SIZE (500MB, 2GiB)
        #[arg(long, value_name = "SIZE", value_parser = size)]
        max_size: Option<u64>,
    },
}

/// Reads a size: `500MB`, `2GiB`, `1000000`.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match text[digits..].trim_start() {
        "" | "B" => 1,
        "kB" | "KB" | "k" | "K" => 1000,
        "MB" | "M" => 1_000_000,
        "GB" | "G" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err("expected a size such as 500MB or 2GiB".to_owned()),
    };
    let number: u64 =
        text[..digits].parse().map_err(|_| "expected a size such as 500MB or 2GiB".to_owned())?;
    number.checked_mul(unit).ok_or_else(|| "the size does not fit into 64 bits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn a_size_is_a_number_with_a_unit() {
        let all = ["0", "12B", "500MB", "2 GiB", "1k"].map(|text| size(text).unwrap());
        assert_eq!(all, [0, 12, 500_000_000, 2 << 30, 1000]);
        for text in ["", "MB", "-1", "1.5GB", "1TB", "99999999999GB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
