use super::*;
use crate::image::Digest;
use crate::source::zip::tests::made::{MadeMember, deflated, zip};
use crate::tree::EntryKind;

fn wheel() -> Wheel {
    Wheel {
        name: "my-demo".to_owned(),
        version: "1.0".to_owned(),
        file: "my_demo-1.0-py3-none-any.whl".to_owned(),
        url: "https://h.example/my_demo-1.0-py3-none-any.whl".to_owned(),
        sha256: Digest::of(b""),
        size: 1,
        requested: true,
        direct: true,
    }
}

/// The members of a valid wheel, with these files added or replaced.
fn parts(more: &[(&str, &str)]) -> Vec<MadeMember> {
    let own = [
        ("My_Demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n"),
        ("My_Demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: my.demo\n\nName: body\n"),
        ("My_Demo-1.0.dist-info/RECORD", "a.py,sha256=x,1\nMy_Demo-1.0.dist-info/RECORD,,\n"),
    ];
    let kept = own.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
    kept.chain(more).map(|(name, content)| deflated(name, content)).collect()
}

fn unpacked(wheel: &Wheel, parts: &[MadeMember], slim: bool) -> Result<Unpacked> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.whl");
    std::fs::write(&path, zip(parts)).unwrap();
    unpack(wheel, &zip::tests::open(&path, None)?, &Scheme::of_function(12), slim)
}

fn text(tree: &FileTree, path: &str) -> String {
    match &tree.get(path.as_bytes()).unwrap_or_else(|| panic!("no {path}")).kind {
        EntryKind::File(Content::Bytes(bytes)) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("{path} is not made here: {other:?}"),
    }
}

fn paths(tree: &FileTree) -> Vec<String> {
    tree.iter().map(|(path, _)| String::from_utf8(path.to_vec()).unwrap()).collect()
}

#[test]
fn each_member_goes_to_its_destination() {
    let data = "My_Demo-1.0.data";
    let parts = parts(&[
        ("a.py", "a"),
        (&format!("{data}/scripts/run"), "#!python\nx"),
        (&format!("{data}/scripts/sh"), "#!/bin/sh"),
        (&format!("{data}/headers/a.h"), "h"),
        (&format!("{data}/purelib/b.py"), "b"),
        (&format!("{data}/platlib/c.so"), "c"),
        (&format!("{data}/data/etc/d"), "d"),
        ("My_Demo-1.0.database/e", "e"),
    ]);
    let Unpacked { tree, dropped } = unpacked(&wheel(), &parts, false).unwrap();
    let own: Vec<_> = paths(&tree).into_iter().filter(|path| !path.contains("dist-info")).collect();
    let expected = [
        "My_Demo-1.0.database/e",
        "a.py",
        "b.py",
        "bin/run",
        "bin/sh",
        "c.so",
        "etc/d",
        "include/my-demo/a.h",
    ];
    assert_eq!((own, dropped), (expected.map(str::to_owned).to_vec(), (0, 0)));
    assert_eq!(text(&tree, "bin/run"), "#!/var/lang/bin/python3.12\nx");
    assert_eq!(tree.get(b"bin/sh").map(|entry| entry.mode), Some(0o755));
    let member = |path: &str| tree.get(path.as_bytes()).map(|entry| entry.kind.clone());
    assert!(matches!(member("a.py"), Some(EntryKind::File(Content::Zip(_)))), "it keeps its compression");
}

#[test]
fn the_metadata_name_the_installer_and_the_reason() {
    let dir = "My_Demo-1.0.dist-info";
    let parts = parts(&[
        ("a.py", "a"),
        (&format!("{dir}/INSTALLER"), "pip"),
        (&format!("{dir}/direct_url.json"), "x"),
    ]);
    let tree = unpacked(&wheel(), &parts, false).unwrap().tree;
    assert_eq!(text(&tree, &format!("{dir}/INSTALLER")), "lbuild");
    assert_eq!(text(&tree, &format!("{dir}/REQUESTED")), "");
    assert_eq!(
        text(&tree, &format!("{dir}/direct_url.json")),
        r#"{"url":"https://h.example/my_demo-1.0-py3-none-any.whl","archive_info":{}}"#
    );
    let record = text(&tree, &format!("{dir}/RECORD"));
    assert!(
        record.ends_with("a.py,sha256=x,1\n") && record.contains(&format!("{dir}/RECORD,,\n")),
        "{record}"
    );
    assert!(
        record.contains(&format!("{dir}/REQUESTED,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n"))
    );
    let indirect = Wheel { requested: false, direct: false, ..wheel() };
    let local =
        Wheel { direct: true, url: "file:///a/my_demo-1.0-py3-none-any.whl".to_owned(), ..indirect.clone() };
    for wheel in [indirect, local] {
        let paths = paths(&unpacked(&wheel, &parts, false).unwrap().tree);
        assert!(!paths.iter().any(|path| path.ends_with("REQUESTED") || path.ends_with("direct_url.json")));
    }
}

#[test]
fn large_entry_points_are_refused_and_useless_record_rows_are_skipped() {
    let dir = "My_Demo-1.0.dist-info";
    let text = format!("[console_scripts]\n{}", "a=b:c\n".repeat(50_000));
    let large = [(format!("{dir}/entry_points.txt"), text)];
    let more: Vec<_> = large.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let error = unpacked(&wheel(), &parts(&more), false).unwrap_err().to_string();
    assert!(error.contains("entry_points.txt is larger than 262144 bytes"), "{error}");

    let record = format!("a.py,sha256=x,1\n{}", "absent.py,,\n../b.py,,\n".repeat(10));
    let more = [("a.py", "a"), ("My_Demo-1.0.dist-info/RECORD", record.as_str())];
    let tree = unpacked(&wheel(), &parts(&more), false).unwrap().tree;
    let record = text_of_record(&tree);
    assert!(
        record.contains("a.py,sha256=x,1") && !record.contains("absent") && !record.contains("b.py"),
        "{record}"
    );
}

fn text_of_record(tree: &FileTree) -> String {
    text(tree, "My_Demo-1.0.dist-info/RECORD")
}

#[test]
fn slim_leaves_out_files_that_no_function_reads_and_counts_them() {
    let parts = parts(&[
        ("a.py", "a"),
        ("m/tests/b.py", "bb"),
        ("m/x.pyi", "ccc"),
        ("m/l.a", "dddd"),
        ("m/tests.py", "e"),
    ]);
    let Unpacked { tree, dropped } = unpacked(&wheel(), &parts, true).unwrap();
    let own: Vec<_> = paths(&tree).into_iter().filter(|path| !path.contains("dist-info")).collect();
    assert_eq!((own, dropped), (vec!["a.py".to_owned(), "m/tests.py".to_owned()], (3, 9)));
}

#[test]
fn what_uv_and_pip_install_is_taken() {
    let dir = "My_Demo-1.0.dist-info";
    for version in ["0.1", "1.0", "1.9"] {
        let about = format!("Wheel-Version: {version}\n");
        unpacked(&wheel(), &parts(&[(&format!("{dir}/WHEEL"), &about)]), false).unwrap();
    }
    let latin = b"Metadata-Version: 2.1\nName: my-demo\nAuthor: Ren\xe9\n";
    let mut odd = parts(&[]);
    odd.retain(|part| !part.name.ends_with(b"METADATA"));
    odd.push(deflated(format!("{dir}/METADATA"), latin));
    // A link to another file, one out of the wheel, and one that is a script.
    odd.push(deflated("lib.so", "lib.so.1").mode(0o120_777));
    odd.push(deflated("passwd", "/etc/passwd").mode(0o120_777));
    odd.push(deflated("My_Demo-1.0.data/scripts/run", "../run").mode(0o120_777));
    let tree = unpacked(&wheel(), &odd, false).unwrap().tree;
    for (path, content) in [("lib.so", "lib.so.1"), ("passwd", "/etc/passwd"), ("bin/run", "../run")] {
        let entry = tree.get(path.as_bytes()).unwrap();
        let EntryKind::File(Content::Zip(member)) = &entry.kind else { panic!("{path}: {:?}", entry.kind) };
        assert_eq!((member.size, entry.mode), (content.len() as u64, 0o755), "{path}");
    }
}

#[test]
fn an_archive_that_is_not_a_wheel_of_the_package_is_refused() {
    let dir = "My_Demo-1.0.dist-info";
    for (name, content, fault) in [
        (
            "Other-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\n",
            "it does not have exactly one .dist-info directory",
        ),
        (&format!("{dir}/WHEEL"), "Wheel-Version: 2.0\n", "its format is \"2.0\""),
        (&format!("{dir}/WHEEL"), "Wheel-Version: x\n", "its format is \"x\""),
        (&format!("{dir}/WHEEL"), "Generator: x\n", "its format is \"\""),
        (&format!("{dir}/METADATA"), "Name: other\n", "its metadata name the package other"),
        (&format!("{dir}/METADATA"), "\nName: my-demo\n", "its metadata name the package nothing"),
        (&format!("{dir}/RECORD"), "a,b,c,d\n", "its RECORD is missing"),
        (&format!("{dir}/entry_points.txt"), "[console_scripts]\n../x = a:b\n", "is not an entry point"),
        ("My_Demo-1.0.data/stdlib/x", "", "is in an unknown .data directory"),
    ] {
        let error = unpacked(&wheel(), &parts(&[(name, content)]), false).unwrap_err().to_string();
        assert!(error.contains(fault) && error.contains("my_demo-1.0"), "{name}: {error}");
    }
    let other = Wheel { name: "other".to_owned(), ..wheel() };
    let error = unpacked(&other, &parts(&[]), false).unwrap_err().to_string();
    assert!(error.contains("it holds My_Demo-1.0"), "{error}");
    for hostile in ["../a", "/a", "a\\b", "My_Demo-1.0.data/data/../../a", "My_Demo-1.0.data/scripts/../../x"]
    {
        assert!(unpacked(&wheel(), &parts(&[(hostile, "")]), false).is_err(), "{hostile}");
    }
}
