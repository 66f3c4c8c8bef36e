//! The commands, one file each.

pub mod cache;
#[cfg(feature = "check")]
pub mod check;
#[cfg(feature = "aws")]
pub mod deploy;
pub mod diff;
#[cfg(feature = "aws")]
pub mod doctor;
pub mod init;
pub mod inspect;
#[cfg(target_os = "linux")]
pub mod invoke;
pub mod layer;
#[cfg(feature = "aws")]
pub mod login;
pub mod plan;
pub mod push;
#[cfg(feature = "aws")]
pub mod repo;
#[cfg(feature = "check")]
pub mod rules;
#[cfg(target_os = "linux")]
pub mod run;
pub mod sam;
#[cfg(feature = "aws")]
pub mod status;
