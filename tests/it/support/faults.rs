//! Samples of faults, and the state of a registry and a cache after one.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Whether to try all faults (`tests/run --faults`) instead of a sample.
pub fn all() -> bool {
    std::env::var("LBUILD_TEST_FAULTS").is_ok_and(|value| value == "all")
}

/// Pseudorandom numbers, which differ in each run unless `LBUILD_TEST_SEED` is set.
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    pub fn seeded() -> Random {
        let given = std::env::var("LBUILD_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
        let seed = given.unwrap_or_else(now);
        Random { seed, state: seed | 1 }
    }

    /// The value of `LBUILD_TEST_SEED` that repeats this run.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}

/// Some of these, which differ in each run, in their order; all with `tests/run --faults`.
pub fn sample<T>(items: impl IntoIterator<Item = T>, count: usize) -> Vec<T> {
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    let mut numbers: Vec<usize> = (0..items.len()).collect();
    if !all() {
        let mut random = Random::seeded();
        println!("LBUILD_TEST_SEED={}", random.seed());
        random.shuffle(&mut numbers);
        numbers.truncate(count);
        numbers.sort_unstable();
    }
    numbers.into_iter().filter_map(|number| items[number].take()).collect()
}

/// The digest that a tag names, in the storage of a registry.
#[track_caller]
pub fn tag_in(storage: &Path, repository: &str, tag: &str) -> Option<String> {
    let path = repository_in(storage, repository).join(format!("_manifests/tags/{tag}/current/link"));
    let begun = Instant::now();
    loop {
        let digest = std::fs::read_to_string(&path).ok()?;
        // The registry empties the file before it writes the new digest, also after the client's end.
        if !digest.is_empty() {
            return Some(digest);
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{} stays empty", path.display());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Fails unless the repository has the manifest and all its blobs, and each matches its digest.
pub fn verify_in(storage: &Path, repository: &str, manifest: &str) -> Result<(), String> {
    let read = |digest: &str| {
        let hex = digest.trim_start_matches("sha256:");
        let path = storage.join("docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data");
        let bytes = std::fs::read(path).map_err(|error| format!("{digest}: {error}"))?;
        let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        if sum == hex { Ok(bytes) } else { Err(format!("{digest} is damaged")) }
    };
    let json: Value = serde_json::from_slice(&read(manifest)?).map_err(|error| error.to_string())?;
    let layers = json["layers"].as_array().ok_or("a manifest without layers")?;
    for descriptor in layers.iter().chain([&json["config"]]) {
        let digest = descriptor["digest"].as_str().ok_or("a descriptor without a digest")?;
        let size = read(digest)?.len();
        if descriptor["size"] != size {
            return Err(format!("{digest} has {size} bytes, and the manifest says {}", descriptor["size"]));
        }
        let link =
            repository_in(storage, repository).join("_layers").join(digest.replace(':', "/")).join("link");
        if !link.is_file() {
            return Err(format!("{digest} is not in the repository"));
        }
    }
    Ok(())
}

fn repository_in(storage: &Path, repository: &str) -> PathBuf {
    storage.join("docker/registry/v2/repositories").join(repository)
}

/// A temporary file or directory that is left in a cache.
pub fn left_over(cache: &Path) -> Option<String> {
    let mut dirs = vec![cache.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(".lbuild-") {
                return Some(entry.path().display().to_string());
            }
            if entry.path().is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    None
}
