//! The secrets and the SSH agent of an asset, as flags of a build. Their paths are relative to the asset's directory, in
//! which the CDK runs `docker build`.

use std::path::Path;

/// The flag of a secret: `src=FILE` or `env=NAME`, and perhaps `type=…`.
pub fn secret(id: &str, value: &str, dir: &Path) -> String {
    let fields: Vec<String> = value.split(',').map(|field| field_in(field, dir)).collect();
    format!("id={id},{}", fields.join(","))
}

fn field_in(field: &str, dir: &Path) -> String {
    match field.split_once('=') {
        Some((key @ ("src" | "source"), path)) => format!("{key}={}", dir.join(path).display()),
        _ => field.to_owned(),
    }
}

/// The flag of an SSH agent: `ID` or `ID=SOCKET`.
pub fn agent(value: &str, dir: &Path) -> String {
    match value.split_once('=') {
        Some((id, socket)) => format!("{id}={}", dir.join(socket).display()),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_in_the_directory_of_the_asset() {
        let dir = Path::new("cdk.out/asset.1");
        for (value, flag) in [
            ("src=token", "id=s,src=cdk.out/asset.1/token"),
            ("type=file,source=../token", "id=s,type=file,source=cdk.out/asset.1/../token"),
            ("src=/run/token", "id=s,src=/run/token"),
            ("env=TOKEN", "id=s,env=TOKEN"),
            ("type=env,env=src", "id=s,type=env,env=src"),
        ] {
            assert_eq!(secret("s", value, dir), flag, "{value}");
        }
        assert_eq!(agent("default", dir), "default");
        assert_eq!(agent("git=agent.sock", dir), "git=cdk.out/asset.1/agent.sock");
    }
}
