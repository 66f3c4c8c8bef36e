use super::*;
use crate::recipe::{AccountTool, AddGroup, AddUser};

const PASSWD: &str = "etc/passwd: root:x:0:0:root:/root:/bin/sh\nold:x:1000:1000::/home/old:/bin/sh\nsys:x:998:998::/:/bin/false\n";
const GROUP: &str = "etc/group: root:x:0:\nold:x:1000:\nsys:x:998:\nstaff:x:50:old\nnogroup:x:65533:\n";
const COMMON: [&str; 7] = [
    "etc/",
    PASSWD,
    GROUP,
    "etc/shadow: root:*:1:0:99999:7:::\n",
    "home/",
    "etc/skel/",
    "etc/skel/.profile: hello\n",
];

fn user(tool: AccountTool, name: &str) -> AddUser {
    AddUser {
        tool,
        name: name.to_owned(),
        uid: None,
        group: None,
        groups: Vec::new(),
        own_group: None,
        system: false,
        home: None,
        make_home: None,
        shell: None,
        comment: None,
        no_password: true,
    }
}

fn group(tool: AccountTool, name: &str) -> AddGroup {
    AddGroup { tool, name: name.to_owned(), gid: None, system: false, force: false, member: None }
}

/// What is new in the image, without the directories that it had.
fn added(more: &[&str], operations: &[Operation]) -> String {
    let layer = members(&[&COMMON[..], more, &["work/"]].concat());
    let changes = match run(&layer, &line(&[operations])) {
        Ok(changes) => changes,
        Err(fault) => return fault,
    };
    let is_new =
        |line: &String| !["etc/ 755", "home/ 755", "var/ 755", "var/mail/ 755"].contains(&line.as_str());
    let mut lines: Vec<String> = shown(&layer, &changes).into_iter().filter(is_new).collect();
    for line in &mut lines {
        // Of a file with lines only the new ones.
        let Some((name, text)) = line.split_once(" 644 \"") else { continue };
        let text = text.trim_end_matches('"').replace("\\n", "\n");
        let old: Vec<String> = layer
            .iter()
            .filter(|member| member.path.as_bytes() == name.as_bytes())
            .filter_map(|member| match &member.entry.kind {
                EntryKind::File(content) => Some(content.lines().map(str::to_owned).collect::<Vec<_>>()),
                _ => None,
            })
            .flatten()
            .collect();
        let new: Vec<&str> = text.lines().filter(|line| !old.iter().any(|old| old == line)).collect();
        *line = format!("{name}: {}", new.join(" "));
    }
    lines.join("\n")
}

#[test]
fn busybox_adds_users_and_groups() {
    let busybox = [
        "bin/",
        "bin/busybox: program",
        "etc/alpine-release: 3",
        "usr/",
        "usr/sbin/",
        "usr/sbin/adduser -> /bin/busybox",
        "usr/sbin/addgroup -> /bin/busybox",
    ];
    let tool = AccountTool::Adduser;
    let system = AddUser { uid: Some(1001), system: true, ..user(tool, "nextjs") };
    assert_eq!(
        added(&busybox, &[Operation::AddUser(system)]),
        "etc/group: nogroup:x:65533:nextjs\n\
         etc/passwd: nextjs:x:1001:65533:Linux User,,,:/home/nextjs:/sbin/nologin\n\
         etc/shadow: nextjs:!:3652:0:99999:7:::\n\
         home/nextjs/ 2755 1001:65533\n\
         home/nextjs/.profile 644 1001:65533 \"hello\\n\""
    );
    let plain = AddUser { make_home: Some(false), ..user(tool, "app") };
    assert_eq!(
        added(&busybox, &[Operation::AddUser(plain)]),
        "etc/group: app:x:1001:\n\
         etc/passwd: app:x:1001:1001:Linux User,,,:/home/app:/bin/sh\n\
         etc/shadow: app:!:3652:0:99999:7:::"
    );
    let nodejs = AddGroup { gid: Some(1001), system: true, ..group(tool, "nodejs") };
    let member = AddGroup { member: Some("old".to_owned()), ..group(tool, "nodejs") };
    let both = [Operation::AddGroup(nodejs.clone()), Operation::AddGroup(member)];
    assert_eq!(added(&busybox, &both), "etc/group: nodejs:x:1001:old");
    assert_eq!(
        added(&busybox, &[Operation::AddGroup(AddGroup { gid: Some(50), ..nodejs })]),
        "tool: gid '50' in use"
    );
}

#[test]
fn shadow_utils_add_users_and_groups() {
    let shadow = [
        "etc/debian_version: 12",
        "etc/gshadow: root:*::\n",
        "etc/subuid: old:100000:65536\n",
        "usr/",
        "usr/sbin/",
        "usr/sbin/useradd: elf",
        "usr/sbin/groupadd: elf",
        "etc/default/",
        "etc/default/useradd: SHELL=/bin/sh\n",
        "etc/login.defs: UMASK\t022\nUID_MIN 1000\nUID_MAX 60000\nUSERGROUPS_ENAB yes\n",
    ];
    let tool = AccountTool::Shadow;
    let with_home = AddUser { make_home: Some(true), groups: vec!["staff".into()], ..user(tool, "app") };
    assert_eq!(
        added(&shadow, &[Operation::AddUser(with_home)]),
        "etc/group: staff:x:50:old,app app:x:1001:\n\
         etc/gshadow: app:!::\n\
         etc/passwd: app:x:1001:1001::/home/app:/bin/sh\n\
         etc/shadow: app:!:3652:0:99999:7:::\n\
         etc/subuid: app:165536:65536\n\
         home/app/ 755 1001:1001\n\
         home/app/.profile 644 1001:1001 \"hello\\n\""
    );
    let system = AddUser { system: true, ..user(tool, "daemon1") };
    assert_eq!(
        added(&shadow, &[Operation::AddUser(system)]),
        "etc/group: daemon1:x:997:\n\
         etc/gshadow: daemon1:!::\n\
         etc/passwd: daemon1:x:997:997::/home/daemon1:/bin/sh\n\
         etc/shadow: daemon1:!:3652::::::"
    );
    let known = [Operation::AddGroup(group(tool, "staff"))];
    assert_eq!(added(&shadow, &known), "tool: group 'staff' already exists");
    assert_eq!(added(&[], &known), "tool: not found");
}

#[test]
fn the_script_of_debian_adds_users_and_groups() {
    let script = "usr/sbin/adduser: #! /usr/bin/perl\n$home_dir = $x || '/nonexistent';\n";
    let debian = [
        "etc/debian_version: 12",
        "usr/",
        "usr/sbin/",
        script,
        "usr/sbin/addgroup -> adduser",
        "usr/share/perl5/Debian/AdduserCommon.pm:         dir_mode => \"0700\",\n",
    ];
    let tool = AccountTool::Adduser;
    let operations = [
        Operation::AddGroup(AddGroup { gid: Some(1001), system: true, ..group(tool, "nodejs") }),
        Operation::AddUser(AddUser { uid: Some(1001), system: true, ..user(tool, "nextjs") }),
        Operation::AddUser(AddUser { comment: Some(String::new()), ..user(tool, "app") }),
    ];
    assert_eq!(
        added(&debian, &operations),
        "etc/group: nodejs:x:1001: app:x:1002:\n\
         etc/passwd: nextjs:x:1001:65533::/nonexistent:/usr/sbin/nologin app:x:1002:1002:,,,:/home/app:/bin/bash\n\
         etc/shadow: nextjs:!:3652:::::: app:!:3652:0:99999:7:::\n\
         home/app/ 700 1002:1002\n\
         home/app/.profile 644 1002:1002 \"hello\\n\""
    );
}

#[test]
fn owners_are_looked_up_in_the_image() {
    let chown = |user: &str, group: Option<&str>| Operation::SetOwner {
        paths: vec![path("/etc/skel")],
        user: Some(user.to_owned()).filter(|user| !user.is_empty()),
        group: group.map(str::to_owned),
        recursive: false,
        no_dereference: false,
    };
    for (user, group, expected) in [
        ("old", None, "etc/skel/ 755 1000:0"),
        ("old", Some("staff"), "etc/skel/ 755 1000:50"),
        ("old", Some(""), "etc/skel/ 755 1000:1000"),
        ("7", Some("8"), "etc/skel/ 755 7:8"),
        ("", Some("staff"), "etc/skel/ 755 0:50"),
        ("none", None, "tool: invalid user: 'none'"),
        ("", Some("none"), "tool: invalid group: ':none'"),
    ] {
        assert_eq!(added(&[], &[chown(user, group)]), expected, "{user}:{group:?}");
    }
}
