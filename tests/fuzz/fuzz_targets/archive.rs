//! A Docker archive.

#![no_main]

use lbuild::fuzzing;
use lbuild::image::{Config, Parsed, parse_manifest};
use lbuild_fuzz::with_checksums;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok((manifest, config)) = fuzzing::archive(lbuild_fuzz::file(&with_checksums(data))) else { return };
    let config = Config::parse("archive", &config).expect("it was parsed before");
    let manifest = manifest.expect("an archive has a manifest");
    let Ok(Parsed::Image { layers, .. }) = parse_manifest("archive", &manifest.bytes) else {
        panic!("not a manifest: {}", String::from_utf8_lossy(&manifest.bytes))
    };
    assert_eq!(layers.len(), config.diff_ids().len());
});
