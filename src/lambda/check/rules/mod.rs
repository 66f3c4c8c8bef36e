//! The rules, a file each.

use super::Rule;

mod architecture;
mod bootstrap;
mod cmd_count;
mod deleted_file;
mod duplicate_entry;
mod elf_machine;
mod entry_path;
mod extension_place;
mod fips_registry;
mod glibc_version;
mod image_index;
mod image_size;
mod interpreter;
mod layer_compression;
mod layer_count;
mod layer_descriptors;
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

/// All of them, in the order in which their findings are told.
pub const RULES: &[&Rule] = &[
    // The format.
    &image_index::RULE,
    &media_types::RULE,
    &layer_compression::RULE,
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
    &other_handler::RULE,
    &python_extension_version::RULE,
    &runtime_deprecated::RULE,
    // The files.
    &unreadable::RULE,
    &not_executable::RULE,
    &symlink_target::RULE,
    &pnpm_links::RULE,
    &extension_place::RULE,
    &write_outside_tmp::RULE,
    &user_set::RULE,
    &volume_set::RULE,
    // Secrets.
    &secret_config::RULE,
    &secret_file::RULE,
    // The place.
    &fips_registry::RULE,
    &registry_region::RULE,
    // Waste.
    &repeated_file::RULE,
    &deleted_file::RULE,
    &unused_files::RULE,
];
