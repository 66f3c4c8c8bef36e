//! Lines with installs, beside the real programs: what a translated line leaves is what the program leaves in the same
//! image, except for what `real_installs/differences.md` lists.
//!
//! A table has a line in each row; a new program is a table, and perhaps files of the [`world`].

mod pip;
mod rules;
mod tree;
mod uv;
mod world;

use self::world::World;
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs every line of a table with lbuild and with the real programs. A line that is left a command, or that one of the two
/// cannot run, is a fault like a difference.
fn compare(table: &[&str]) {
    let world = World::new();
    let next = AtomicUsize::new(0);
    let faults_of = || {
        let mut faults = String::new();
        while let Some(line) = table.get(next.fetch_add(1, Ordering::Relaxed)) {
            let started = std::time::Instant::now();
            let found = beside(&world, line);
            eprintln!("{:5} ms  {line}", started.elapsed().as_millis());
            if let Err(fault) = found {
                writeln!(faults, "{line}:\n{fault}").unwrap();
            }
        }
        faults
    };
    let faults = std::thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(faults_of));
        threads.map(|thread| thread.join().unwrap()).concat()
    });
    assert!(faults.is_empty(), "{faults}");
    world.check();
}

fn beside(world: &World, line: &str) -> Result<(), String> {
    let line = line.replace("INDEX", &world.index.host());
    let ours = world.built(&line)?;
    let real = world.real(&line)?;
    let difference = tree::difference(&ours, &real);
    match difference.is_empty() {
        true => Ok(()),
        false => Err(difference),
    }
}
