//! The same changes in an overlay and in a copied tree give the same layer, and the layer gives the same files.

use std::fs;

use super::inside::inside;
use super::layers::{base, second};
use super::rig::Rig;
use super::script;
use crate::rootfs::files::remove;

/// The variable with the only seed to run.
const SEED: &str = "LBUILD_TEST_SEED";

/// The variable with the number of seeds.
const COUNT: &str = "LBUILD_TEST_SEEDS";

#[test]
fn an_overlay_and_a_tree_give_the_same_layer() {
    inside("rootfs::files::tests::random::an_overlay_and_a_tree_give_the_same_layer", |owners| {
        let dir = tempfile::tempdir().unwrap();
        let number = |name| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
        for seed in number(SEED).map_or(0..number(COUNT).unwrap_or(20), |seed| seed..seed + 1) {
            let at = dir.path().join("r");
            fs::create_dir(&at).unwrap();
            let mut rig = Rig::new(&at, owners, &[base(), second()]);
            for seed in [seed, seed + 1000] {
                let settings = rig.settings();
                rig.run(&format!("seed {seed}"), &settings, &|root| script::run(root, seed, 50, owners));
            }
            remove(&at).unwrap();
        }
    });
}
