//! Programs of a few instructions.

/// Jumps to address 0.
pub(super) fn faults() -> Vec<u8> {
    if cfg!(target_arch = "aarch64") {
        // mov x0, #0; br x0
        elf(&[0x00, 0x00, 0x80, 0xd2, 0x00, 0x00, 0x1f, 0xd6])
    } else {
        // xor eax, eax; jmp rax
        elf(&[0x31, 0xc0, 0xff, 0xe0])
    }
}

/// Exits with the lowest byte of its effective user id.
pub(super) fn exits_with_its_user() -> Vec<u8> {
    if cfg!(target_arch = "aarch64") {
        // mov x8, #175; svc #0; mov x8, #93; svc #0
        let words = [0xd28015e8u32, 0xd4000001, 0xd2800ba8, 0xd4000001];
        elf(&words.map(u32::to_le_bytes).concat())
    } else {
        // mov eax, 107; syscall; mov edi, eax; mov eax, 60; syscall
        elf(&[0xb8, 107, 0, 0, 0, 0x0f, 0x05, 0x89, 0xc7, 0xb8, 60, 0, 0, 0, 0x0f, 0x05])
    }
}

/// An executable of this machine with one segment.
fn elf(code: &[u8]) -> Vec<u8> {
    const HEADERS: u64 = 64 + 56;
    let machine: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    let (start, size) = (0x400000u64, HEADERS + code.len() as u64);
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([2, machine].map(u16::to_le_bytes).concat());
    file.extend(1u32.to_le_bytes());
    file.extend([start + HEADERS, 64, 0].map(u64::to_le_bytes).concat());
    file.extend(0u32.to_le_bytes());
    file.extend([64u16, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    file.extend([1u32, 5].map(u32::to_le_bytes).concat());
    file.extend([0, start, start, size, size, 0x1000].map(u64::to_le_bytes).concat());
    file.extend(code);
    file
}
