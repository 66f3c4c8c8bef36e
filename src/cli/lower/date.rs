//! Dates in images and in messages.

use lbuild::recipe::DEFAULT_EPOCH;

use crate::cli::output::exit::Failure;

/// The time of the image's files and of its config, in seconds since 1970.
///
/// <https://reproducible-builds.org/specs/source-date-epoch/>
pub fn epoch() -> Result<u64, Failure> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) if !text.is_empty() => text.trim().parse().map_err(|_| {
            Failure::usage(
                format!("SOURCE_DATE_EPOCH is `{text}`"),
                "set it to a number of seconds since 1970",
            )
        }),
        _ => Ok(DEFAULT_EPOCH),
    }
}

/// Today's date in UTC, as `2025-06-30`.
pub fn today() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let date =
        i64::try_from(now.as_secs()).ok().and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
    date.unwrap_or_default().format("%Y-%m-%d").to_string()
}
