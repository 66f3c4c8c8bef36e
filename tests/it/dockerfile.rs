//! Dockerfiles, from text to recipe. The numbers of rules are those of the facts that the guide page names.

mod buildah;
mod buildah_cases;
mod built;
mod cases;
mod command;
mod config;
mod copy;
mod goldens;
mod installs;
mod invocation;
mod local_packages;
mod locks;
mod lowering;
mod messages;
mod node;
mod node_layers;
mod operations;
mod real_installs;
mod run;
mod speed;
mod stages;
mod text;
mod tools;
mod unchanged;
mod variables;
