//! POSIX ACLs in the form of the attributes `system.posix_acl_*` (include/uapi/linux/posix_acl_xattr.h): a version and
//! entries of 8 bytes.

/// The attribute of the ACL that applies to a file itself. Its owner, mask and other entries are the file's mode.
pub(super) const ACCESS: &[u8] = b"system.posix_acl_access";
/// The attribute of the ACL that new files in a directory get.
pub(super) const DEFAULT: &[u8] = b"system.posix_acl_default";

/// The size of an attribute's value is limited by the kernel.
pub(super) const MAX_SIZE: u64 = 65536;

const VERSION: [u8; 4] = 2u32.to_le_bytes();
const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

struct Entry {
    tag: u16,
    permissions: u16,
    id: u32,
}

/// The entries of a value. `None`: it is not an ACL, and the kernel says so.
fn entries(value: &[u8]) -> Option<Vec<Entry>> {
    let rest = value.strip_prefix(&VERSION)?;
    let (entries, rest) = rest.as_chunks::<8>();
    let entry = |bytes: &[u8; 8]| {
        let [a, b, c, d, id @ ..] = *bytes;
        let (tag, permissions) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        Entry { tag, permissions, id: u32::from_le_bytes(id) }
    };
    rest.is_empty().then(|| entries.iter().map(entry).collect())
}

/// Whether an ACL names a user or group other than the mapped ones: the kernel would refuse it.
pub(super) fn names_others(value: &[u8], uid: u32, gid: u32) -> bool {
    let other = |entry: &Entry| match entry.tag {
        USER => entry.id != uid,
        GROUP => entry.id != gid,
        _ => false,
    };
    entries(value).is_some_and(|entries| entries.iter().any(other))
}

/// The permission bits that the kernel gives a file with an ACL: those of the owner, of the mask or else the group, and
/// of others. They stay when the ACL itself is not stored.
pub(super) fn mode(value: &[u8]) -> Option<u32> {
    let entries = entries(value)?;
    let permissions = |tag| entries.iter().find(|entry| entry.tag == tag).map(|found| found.permissions & 7);
    let group = permissions(MASK).or_else(|| permissions(GROUP_OBJ))?;
    let mode = [permissions(USER_OBJ)?, group, permissions(OTHER)?];
    Some(mode.iter().fold(0, |mode, bits| mode << 3 | u32::from(*bits)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut value = VERSION.to_vec();
        for (tag, permissions, id) in entries {
            value.extend(tag.to_le_bytes());
            value.extend(permissions.to_le_bytes());
            value.extend(id.to_le_bytes());
        }
        value
    }

    /// What systemd's package sets for the journal: `g:adm:r-x`.
    pub(in super::super) fn journal() -> Vec<u8> {
        let none = u32::MAX;
        acl(&[(USER_OBJ, 7, none), (GROUP_OBJ, 5, none), (GROUP, 5, 4), (MASK, 5, none), (OTHER, 0, none)])
    }

    #[test]
    fn only_ids_without_a_mapping_count() {
        assert!(names_others(&journal(), 0, 0));
        assert!(!names_others(&journal(), 0, 4));
        assert!(!names_others(&acl(&[(USER, 7, 0), (GROUP, 7, 0)]), 0, 0));
        assert!(names_others(&acl(&[(USER, 7, 1000)]), 0, 0));
        assert!(!names_others(b"", 0, 0));
        assert!(!names_others(&[3, 0, 0, 0, 2, 0, 7, 0, 9, 0, 0, 0], 0, 0));
        assert!(!names_others(&journal()[..20], 0, 0));
    }

    #[test]
    fn the_mask_is_the_groups_mode() {
        assert_eq!(mode(&journal()), Some(0o750));
        let none = u32::MAX;
        assert_eq!(mode(&acl(&[(USER_OBJ, 6, none), (GROUP_OBJ, 4, none), (OTHER, 4, none)])), Some(0o644));
        assert_eq!(mode(&acl(&[(USER_OBJ, 6, none)])), None);
    }
}
