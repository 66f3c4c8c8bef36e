//! Seccomp filters, in classic BPF.

use libc::sock_filter;

/// `AUDIT_ARCH_*` of linux/audit.h: the ELF machine, with bits for 64 bits and for little endian.
pub(super) const X86_64: u32 = 62 | 0xc000_0000;
pub(super) const I386: u32 = 3 | 0x4000_0000;
pub(super) const AARCH64: u32 = 183 | 0xc000_0000;
pub(super) const ARM: u32 = 40 | 0x4000_0000;

/// Set in the number of a call by the x32 ABI, which has the architecture of x86_64 and, for all calls that existed
/// when it was made, its numbers.
pub(super) const X32_BIT: u32 = 0x4000_0000;

pub(super) const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
/// The listener decides.
pub(super) const NOTIFY: u32 = libc::SECCOMP_RET_USER_NOTIF;
/// The call is not made and returns 0.
pub(super) const SUCCEED: u32 = libc::SECCOMP_RET_ERRNO;
/// The call fails as in a kernel that does not have it.
pub(super) const UNKNOWN: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// What happens to the calls of one ABI, by number. All others are allowed.
pub(super) struct Rules {
    pub(super) arch: u32,
    pub(super) actions: Vec<(u32, u32)>,
}

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// The filter with these rules. The calls of other ABIs are allowed.
///
/// The kernel remembers which calls a filter always allows (Linux 5.11), so a long list does not slow the others down.
pub(super) fn program(abis: &[Rules]) -> Vec<sock_filter> {
    let mut program = vec![statement(LOAD, ARCH)];
    for rules in abis {
        let block = block(rules);
        // A conditional jump has an 8-bit offset, which the block may exceed.
        program.push(equal(rules.arch, 1, 0));
        program.push(statement(JUMP, block.len() as u32));
        program.extend(block);
    }
    program.push(statement(RETURN, ALLOW));
    program
}

/// The instructions for one ABI; all paths through them return.
fn block(rules: &Rules) -> Vec<sock_filter> {
    let mut block = vec![statement(LOAD, NUMBER)];
    if rules.arch == X86_64 {
        block.push(statement(AND, !X32_BIT));
    }
    for (number, action) in &rules.actions {
        block.push(equal(*number, 0, 1));
        block.push(statement(RETURN, *action));
    }
    block.push(statement(RETURN, ALLOW));
    block
}

fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

/// Skips `jt` instructions if the loaded word is `k`, else `jf`.
fn equal(k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: EQUAL, jt, jf, k }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Runs a filter as the kernel does.
    pub(in super::super) fn run(program: &[sock_filter], arch: u32, number: u32) -> u32 {
        let (mut at, mut loaded) = (0, 0);
        loop {
            let line = program[at];
            at += 1;
            match line.code {
                LOAD if line.k == ARCH => loaded = arch,
                LOAD if line.k == NUMBER => loaded = number,
                AND => loaded &= line.k,
                EQUAL => at += usize::from(if loaded == line.k { line.jt } else { line.jf }),
                JUMP => at += line.k as usize,
                RETURN => return line.k,
                code => panic!("instruction {code:#x} with {:#x}", line.k),
            }
        }
    }

    #[test]
    fn long_blocks_are_jumped_over() {
        let long = Rules { arch: X86_64, actions: (0..300).map(|number| (number, NOTIFY)).collect() };
        let program = program(&[long, Rules { arch: ARM, actions: vec![(5, UNKNOWN)] }]);
        assert_eq!(run(&program, X86_64, 299), NOTIFY);
        assert_eq!(run(&program, X86_64, 300), ALLOW);
        assert_eq!(run(&program, ARM, 5), UNKNOWN);
        assert_eq!(run(&program, ARM, 6), ALLOW);
        assert_eq!(run(&program, AARCH64, 5), ALLOW);
    }
}
