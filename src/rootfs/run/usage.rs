//! The memory of processes, by looking at them.

use std::fs;

use rustix::process::Pid;

/// The memory that belongs to the descendants of the keeper `keeper`, in bytes: their own pages, and those of the largest
/// that others may share. Process 1, whose memory is a copy of lbuild's, does not count.
pub(crate) fn memory_below(keeper: Pid) -> u64 {
    let mut own = 0;
    let mut most_shared = 0;
    let mut next: Vec<u32> = Vec::new();
    for process_1 in children(keeper.as_raw_nonzero().get().unsigned_abs()) {
        next.extend(children(process_1));
    }
    // A process that ends meanwhile leaves its children to process 1; the next look finds them.
    while let Some(process) = next.pop() {
        if let Some((resident, shared)) = pages(process) {
            own += resident.saturating_sub(shared);
            most_shared = most_shared.max(shared);
        }
        next.extend(children(process));
    }
    (own + most_shared) * rustix::param::page_size() as u64
}

/// The children of all threads of a process.
fn children(process: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let of_thread = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("children")).ok();
    let lists: Vec<String> = threads.flatten().filter_map(of_thread).collect();
    lists.iter().flat_map(|list| list.split(' ').filter_map(|number| number.trim().parse().ok())).collect()
}

/// The resident pages of a process, and those of them that are of files or shared: proc_pid_statm(5).
fn pages(process: u32) -> Option<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    let mut numbers = text.split(' ').skip(1).map(str::parse::<u64>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}
