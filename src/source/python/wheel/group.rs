//! The grouping of wheels into layers: a pure function of the list, so that all machines form the same groups.

use crate::recipe::Wheel;

/// A wheel of at least this many bytes gets its own layer, so that its upgrade uploads no other wheel.
const LARGE: u64 = 1 << 20;

/// Upper bound on layers of wheels. Some runtimes allow 127 layers per image; this leaves room for the base and for the
/// function.
pub(in crate::source::python) const MOST: usize = 80;

/// The wheels of each layer, `most` layers at most: each large wheel by itself, by name, then all others together.
pub(in crate::source::python) fn group(wheels: &[Wheel], most: usize) -> Vec<Vec<Wheel>> {
    let mut large: Vec<&Wheel> = wheels.iter().filter(|wheel| wheel.size >= LARGE).collect();
    let mut small: Vec<&Wheel> = wheels.iter().filter(|wheel| wheel.size < LARGE).collect();
    let room = if small.is_empty() && large.len() <= most { most } else { most - 1 };
    if large.len() > room {
        large.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(&b.name)));
        small.extend(large.split_off(room));
    }
    large.sort_by(|a, b| a.name.cmp(&b.name));
    small.sort_by(|a, b| a.name.cmp(&b.name));
    let own = large.into_iter().map(|wheel| vec![wheel.clone()]);
    let shared: Vec<Wheel> = small.into_iter().cloned().collect();
    own.chain((!shared.is_empty()).then_some(shared)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Digest;

    fn wheel(name: &str, size: u64) -> Wheel {
        Wheel {
            name: name.to_owned(),
            version: "1".to_owned(),
            file: format!("{name}-1-py3-none-any.whl"),
            url: format!("https://h/{name}"),
            sha256: Digest::of(name.as_bytes()),
            size,
            requested: false,
            direct: false,
        }
    }

    fn names(groups: &[Vec<Wheel>]) -> Vec<String> {
        let names =
            |group: &Vec<Wheel>| group.iter().map(|wheel| wheel.name.as_str()).collect::<Vec<_>>().join(" ");
        groups.iter().map(names).collect()
    }

    #[test]
    fn each_large_wheel_is_alone_and_small_wheels_share_a_layer_in_any_order() {
        let mut wheels = vec![wheel("d", LARGE), wheel("b", LARGE - 1), wheel("c", 9 * LARGE), wheel("a", 1)];
        for _ in 0..wheels.len() {
            wheels.rotate_left(1);
            assert_eq!(names(&group(&wheels, MOST)), ["c", "d", "a b"]);
        }
        assert_eq!(names(&group(&[wheel("a", LARGE)], MOST)), ["a"]);
        assert!(group(&[], MOST).is_empty());
    }

    #[test]
    fn the_smallest_of_too_many_large_wheels_share_a_layer() {
        let many = |count: u64| (0..count).map(|n| wheel(&format!("w{n:03}"), LARGE + n)).collect::<Vec<_>>();
        assert_eq!(group(&many(80), MOST).len(), 80);
        let groups = group(&many(100), MOST);
        assert_eq!(groups.len(), 80);
        assert_eq!(names(&groups)[79].split(' ').count(), 21);
        assert_eq!((names(&groups)[0].as_str(), names(&groups)[79].starts_with("w000 w001")), ("w021", true));
        let mut with_small = many(80);
        with_small.push(wheel("a", 1));
        assert_eq!(names(&group(&with_small, MOST))[79], "a w000");
    }
}
