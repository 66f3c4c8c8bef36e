//! The rules, one file each.

use super::rule::Rule;

mod architecture;
mod bootstrap;
mod cmd_count;
mod deleted_file;
mod descriptor_size;
mod duplicate_entry;
mod elf_machine;
mod entry_path;
mod extension_place;
mod fips_registry;
mod glibc_version;
mod image_index;
mod image_size;
mod interpreter;
mod java_handler;
mod layer_compression;
mod layer_content;
mod layer_count;
mod layer_descriptors;
mod layer_overlap;
mod libc_kind;
mod media_types;
mod node_handler;
mod not_executable;
mod operating_system;
mod other_handler;
mod parent_directory;
mod pnpm_links;
mod python_extension_version;
mod python_handler;
mod registry_region;
mod repeated_file;
mod runtime_client;
mod runtime_deprecated;
mod secret_config;
mod secret_file;
mod symlink_target;
mod unreadable;
mod unused_files;
mod user_set;
mod volume_set;
mod write_outside_tmp;

/// All rules, in the order of their findings.
pub const RULES: &[&Rule] = &[
    // The format.
    &image_index::RULE,
    &media_types::RULE,
    &layer_compression::RULE,
    &layer_content::RULE,
    &descriptor_size::RULE,
    &layer_descriptors::RULE,
    &layer_count::RULE,
    &image_size::RULE,
    &entry_path::RULE,
    &parent_directory::RULE,
    &duplicate_entry::RULE,
    // The platform.
    &operating_system::RULE,
    &architecture::RULE,
    &elf_machine::RULE,
    &glibc_version::RULE,
    &libc_kind::RULE,
    &interpreter::RULE,
    // The runtime.
    &cmd_count::RULE,
    &runtime_client::RULE,
    &bootstrap::RULE,
    &python_handler::RULE,
    &node_handler::RULE,
    &java_handler::RULE,
    &other_handler::RULE,
    &python_extension_version::RULE,
    &runtime_deprecated::RULE,
    // The files.
    &unreadable::RULE,
    &not_executable::RULE,
    &symlink_target::RULE,
    &pnpm_links::RULE,
    &extension_place::RULE,
    &layer_overlap::RULE,
    &write_outside_tmp::RULE,
    &user_set::RULE,
    &volume_set::RULE,
    // Secrets.
    &secret_config::RULE,
    &secret_file::RULE,
    // The destination.
    &fips_registry::RULE,
    &registry_region::RULE,
    // Waste.
    &repeated_file::RULE,
    &deleted_file::RULE,
    &unused_files::RULE,
];

/// The rule with this name.
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.name == name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::RULES;

    /// Users pass these names to `--allow`, and findings are reported in this order.
    #[test]
    fn every_rule_is_in_the_list() {
        let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        let expected = [
            "image-index",
            "media-types",
            "layer-compression",
            "layer-content",
            "descriptor-size",
            "layer-descriptors",
            "layer-count",
            "image-size",
            "entry-path",
            "parent-directory",
            "duplicate-entry",
            "operating-system",
            "architecture",
            "elf-machine",
            "glibc-version",
            "libc-kind",
            "interpreter",
            "cmd-count",
            "runtime-client",
            "bootstrap",
            "python-handler",
            "node-handler",
            "java-handler",
            "other-handler",
            "python-extension-version",
            "runtime-deprecated",
            "unreadable",
            "not-executable",
            "symlink-target",
            "pnpm-links",
            "extension-place",
            "layer-overlap",
            "write-outside-tmp",
            "user-set",
            "volume-set",
            "secret-config",
            "secret-file",
            "fips-registry",
            "registry-region",
            "repeated-file",
            "deleted-file",
            "unused-files",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn every_rule_has_a_file_and_well_formed_texts() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lambda/check/rules");
        for rule in RULES {
            let name = rule.name;
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
            assert!(dir.join(format!("{}.rs", name.replace('-', "_"))).is_file(), "{name} has no file");
            for sentence in [rule.what, rule.why] {
                assert!(sentence.ends_with('.'), "{name}: {sentence}");
            }
            let help = rule.help;
            assert!(help.starts_with(|first: char| first.is_lowercase()), "{name}: {help}");
            assert!(!help.ends_with('.'), "{name}: {help}");
            assert!(rule.source.starts_with("https://"), "{name}: {}", rule.source);
            for text in [rule.what, rule.why, rule.example, help] {
                assert!(!text.contains("  ") && !text.contains('\n'), "{name}: {text}");
            }
        }
    }
}
