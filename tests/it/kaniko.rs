//! lbuild as kaniko's `executor`: command lines of public pipelines, with the result of `lbuild build` and the files that
//! kaniko writes.

mod image;
mod lines;
mod refusals;
mod rig;
