//! From nothing but keys to an image in ECR: lbuild in a world where AWS's names lead to servers of the test.

use crate::support::lbuild::Lbuild;
use crate::support::world::{OBJECTS, REGISTRY, World, decode};
use crate::support::{handmade, judges, run, tool};

/// Copies with skopeo in the world, as someone with this home.
fn skopeo(world: &World, home: &Lbuild, arguments: &[&str]) -> Result<String, String> {
    let mut command = world.command(&tool("skopeo"));
    // in the namespace everyone is root, and would look where only root may
    command.env("HOME", home.path("home")).env("_CONTAINERS_ROOTLESS_UID", "1");
    run(command.arg("copy").args(arguments))
}

#[test]
fn the_world_takes_a_token_and_redirects_to_a_host_that_wants_none() {
    let world = World::start();
    let (image, home) = (handmade::tiny(), Lbuild::new());
    let login = decode(&world.moto.token("eu-west-1"));
    let name = format!("docker://{REGISTRY}/hello:v7");
    skopeo(&world, &home, &["--dest-creds=AWS:wrong", &image.place().name, &name]).unwrap_err();
    skopeo(&world, &home, &[&format!("--dest-creds={login}"), &image.place().name, &name]).unwrap();

    let to = format!("oci:{}:it", home.text("image"));
    skopeo(&world, &home, &[&name, &to]).unwrap_err();
    let mark = world.mark();
    skopeo(&world, &home, &[&format!("--src-creds={login}"), &name, &to]).unwrap();
    judges::umoci_unpack(&judges::Place::layout(&home.path("image"), "it")).unwrap();

    let seen = world.log_since(mark);
    let objects: Vec<_> = seen.iter().filter(|seen| seen.host == OBJECTS).collect();
    assert_eq!(objects.len(), 3, "two layers and a config: {seen:?}");
    assert!(objects.iter().all(|seen| seen.status == 200 && seen.login.is_empty()), "{seen:?}");
    assert!(seen.iter().any(|seen| seen.host == REGISTRY && seen.status == 307 && seen.login == "Basic"));
    assert!(seen.iter().all(|seen| !seen.is_write()), "{seen:?}");

    // it would tell a login that is not for it
    let mut curl = world.command(&tool("python3"));
    let script = "import sys, urllib.request as r\n\
                  try: r.urlopen(r.Request(sys.argv[1], headers={'Authorization': 'Basic eDp5'}))\n\
                  except OSError as error: print(error.code)";
    let url = format!("https://{OBJECTS}{}", objects[0].path);
    assert_eq!(run(curl.args(["-c", script, &url])).unwrap().trim(), "400");
    assert_eq!(world.log().last().unwrap().login, "Basic");
}
