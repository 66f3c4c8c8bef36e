//! The command of the CDK's `TarballImageAsset`, which loads an archive and prints the name of its image.

/// The archive that the command loads; `None` for any other command.
///
/// It is `sh -c '… load -i FILE | tail -n 1 | sed "s/Loaded image…"'`, where FILE is written out, or the argument `$1`
/// of the script.
pub(super) fn archive(words: &[String]) -> Option<&str> {
    let [shell, flag, script, arguments @ ..] = words else { return None };
    let parts: Vec<&str> = script.split('|').map(str::trim).collect();
    let [load, "tail -n 1", name] = parts[..] else { return None };
    if !matches!(&**shell, "sh" | "/bin/sh") || flag != "-c" || !name.starts_with("sed \"s/Loaded image") {
        return None;
    }
    let (_, file) = load.split_once(" load -i ")?;
    match unquoted(file) {
        // The word after the script is `$0`.
        "$1" => arguments.get(1).map(String::as_str),
        file if file.contains(['$', '`', '\\', '"', '\'']) => None,
        file => Some(file),
    }
}

fn unquoted(word: &str) -> &str {
    let inside = |quote: char| word.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'').filter(|word| *word != "$1")).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::archive;

    #[test]
    fn the_commands_of_all_versions_are_recognised() {
        let found = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            archive(&words).map(str::to_owned)
        };
        let tar = Some("asset.3c5a.tar".to_owned());
        let newest = "docker load -i \"$1\" | tail -n 1 | sed \"s/Loaded image[^:]*: //g\"";
        assert_eq!(found(&["sh", "-c", newest, "cdk-tarball-image-asset", "asset.3c5a.tar"]), tar);
        for script in [
            "docker load -i asset.3c5a.tar | tail -n 1 | sed \"s/Loaded image: //g\"",
            "/usr/local/bin/finch load -i asset.3c5a.tar | tail -n 1 | sed \"s/Loaded image[^:]*: //g\"",
            "docker load -i 'asset.3c5a.tar' | tail -n 1 | sed \"s/Loaded image: //g\"",
        ] {
            assert_eq!(found(&["sh", "-c", script]), tar, "{script}");
        }
        for words in [
            &["sh", "-c", newest][..],
            &["sh", "-c", "make image", "x", "asset.3c5a.tar"],
            &["sh", "-c", "docker load -i $(ls *.tar) | tail -n 1 | sed \"s/Loaded image: //g\""],
            &["python3", "build.py"],
            &[],
        ] {
            assert_eq!(found(words), None, "{words:?}");
        }
    }
}
