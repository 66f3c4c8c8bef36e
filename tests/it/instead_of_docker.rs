//! lbuild in Docker's place: the real tools that call `docker`, with moto as AWS and a registry that wants ECR's password.

mod cdk;
mod cdk_publish;
mod osls;
mod python_function;
mod rig;
mod sam;
