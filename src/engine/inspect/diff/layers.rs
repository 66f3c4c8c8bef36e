//! Which layer of one image stands for which of the other.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;

use serde::Serialize;

use super::files::{FileDifference, compare};
use crate::engine::find::StoredImage;
use crate::image::Digest;
use crate::scan::{LayerScan, NoFact};

/// A layer that is otherwise, elsewhere, or in one image only.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LayerDifference {
    /// Its numbers in the first and in the second image, from the lowest, which is 0.
    pub numbers: [Option<usize>; 2],
    /// Its digests there.
    pub digests: [Option<Digest>; 2],
    /// What made it, as the second image's history says, or else the first's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Whether it stands in another order among the layers that both have.
    pub moved: bool,
    /// Whether the tar is the same, and only its compressed form differs.
    pub recompressed: bool,
    /// The files that differ. None at all in a layer of another tar means that only the order of its members does, or
    /// what tar says of them besides.
    pub files: Vec<FileDifference>,
}

/// A layer of either image, or of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    pub from: Option<usize>,
    pub to: Option<usize>,
    same: Same,
    moved: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Same {
    Bytes,
    Tar,
    Nothing,
}

impl Pair {
    /// Whether its files must be compared.
    pub fn is_changed(&self) -> bool {
        self.same == Same::Nothing
    }
}

/// The layers of two images.
pub struct Layers<'a> {
    images: [&'a StoredImage; 2],
    /// What made each, by the history.
    made_by: [Vec<String>; 2],
}

impl<'a> Layers<'a> {
    pub fn of(images: [&'a StoredImage; 2]) -> Layers<'a> {
        Layers { images, made_by: images.map(created_by) }
    }

    /// Every layer of both images, in the order of the second's, those that are gone last.
    ///
    /// What is equal belongs together; of the rest, what the same command made, and then what is left, in order.
    pub fn pairs(&self) -> Vec<Pair> {
        let [from, to] = self.images;
        let diff_ids = self.images.map(|image| image.config.diff_ids());
        let mut matched = Matched::none(from.layers.len(), to.layers.len());
        matched.by(Same::Bytes, |a| Some(from.layers[a].digest), |b| Some(to.layers[b].digest));
        matched.by(Same::Tar, |a| diff_ids[0].get(a), |b| diff_ids[1].get(b));
        matched.by(Same::Nothing, |a| self.made_by[0].get(a), |b| self.made_by[1].get(b));
        matched.by(Same::Nothing, |_| Some(()), |_| Some(()));
        matched.pairs()
    }

    /// What is to be told of a pair, if anything is; `scans` are what its layers hold, where that is known.
    pub fn difference(&self, pair: &Pair, scans: &[Option<LayerScan<NoFact>>; 2]) -> Option<LayerDifference> {
        if pair.same == Same::Bytes && !pair.moved {
            return None;
        }
        let [from, to] = scans.each_ref().map(|scan| match scan {
            Some(scan) => scan.members.as_slice(),
            None => &[],
        });
        let numbers = [pair.from, pair.to];
        let digest = |side: usize| numbers[side].map(|number| self.images[side].layers[number].digest);
        let made_by = |side: usize| numbers[side].and_then(|number| self.made_by[side].get(number));
        Some(LayerDifference {
            numbers,
            digests: [digest(0), digest(1)],
            created_by: made_by(1).or_else(|| made_by(0)).cloned(),
            moved: pair.moved,
            recompressed: pair.same == Same::Tar,
            files: compare(from, to),
        })
    }
}

/// What made each layer, by the history.
fn created_by(image: &StoredImage) -> Vec<String> {
    let history = image.config.history().into_iter().filter(|entry| !entry.empty_layer);
    history.map(|entry| entry.created_by).collect()
}

/// Which layers belong together, as far as it is known.
struct Matched {
    /// For each layer of the second image, the one of the first.
    partner: Vec<Option<(usize, Same)>>,
    /// Which of the first are nobody's partner.
    free: Vec<bool>,
}

impl Matched {
    fn none(from: usize, to: usize) -> Matched {
        Matched { partner: vec![None; to], free: vec![true; from] }
    }

    /// Brings together those of one key that have no partner yet, in their order.
    fn by<K: Hash + Eq>(
        &mut self,
        same: Same,
        from: impl Fn(usize) -> Option<K>,
        to: impl Fn(usize) -> Option<K>,
    ) {
        let mut waiting: HashMap<K, VecDeque<usize>> = HashMap::new();
        for a in (0..self.free.len()).filter(|&a| self.free[a]) {
            if let Some(key) = from(a) {
                waiting.entry(key).or_default().push_back(a);
            }
        }
        for (b, partner) in self.partner.iter_mut().enumerate().filter(|(_, partner)| partner.is_none()) {
            let Some(key) = to(b) else { continue };
            if let Some(a) = waiting.get_mut(&key).and_then(VecDeque::pop_front) {
                self.free[a] = false;
                *partner = Some((a, same));
            }
        }
    }

    fn pairs(&self) -> Vec<Pair> {
        let order: Vec<usize> = self.partner.iter().flatten().map(|(a, _)| *a).collect();
        let kept: HashSet<usize> = in_order(&order).into_iter().collect();
        let mut pairs: Vec<Pair> = self
            .partner
            .iter()
            .enumerate()
            .map(|(b, partner)| {
                let moved = partner.is_some_and(|(a, _)| !kept.contains(&a));
                let (from, same) = partner.map_or((None, Same::Nothing), |(a, same)| (Some(a), same));
                Pair { from, to: Some(b), same, moved }
            })
            .collect();
        let gone = (0..self.free.len()).filter(|&a| self.free[a]);
        pairs.extend(gone.map(|a| Pair { from: Some(a), to: None, same: Same::Nothing, moved: false }));
        pairs
    }
}

/// The layers that both have and that keep their order, as many as can be, from the last; the others have moved.
fn in_order(order: &[usize]) -> Vec<usize> {
    // The places by how long the longest run is that ends there. Of those of one length, a later one has a lower
    // layer: with a higher one, its run would be longer.
    let mut ends: Vec<Vec<usize>> = Vec::new();
    // For each place, the one before it in such a run.
    let mut before: Vec<Option<usize>> = Vec::with_capacity(order.len());
    for (place, &layer) in order.iter().enumerate() {
        let shorter = ends.partition_point(|ends| ends.last().is_some_and(|&end| order[end] < layer));
        before.push(shorter.checked_sub(1).map(|length| {
            let ends = &ends[length];
            ends[ends.partition_point(|&end| order[end] > layer)]
        }));
        match ends.get_mut(shorter) {
            Some(ends) => ends.push(place),
            None => ends.push(vec![place]),
        }
    }
    let mut place = ends.last().and_then(|ends| ends.first()).copied();
    let mut kept = Vec::new();
    while let Some(now) = place {
        kept.push(order[now]);
        place = before[now];
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn as_few_as_possible_have_moved() {
        for (order, kept) in [
            (&[0, 1, 2][..], &[2, 1, 0][..]),
            (&[0, 2], &[2, 0]),
            (&[1, 0, 2], &[2, 1]),
            (&[2, 0, 1], &[1, 0]),
            // Of several ways, the one that ends first, by what stands first.
            (&[2, 3, 0, 1], &[3, 2]),
            (&[3, 1, 2, 0, 4], &[4, 2, 1]),
            (&[3, 2, 1, 0], &[3]),
            (&[], &[]),
        ] {
            assert_eq!(in_order(order), kept, "{order:?}");
        }
    }
}
