//! Matches the layers of two images.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;

use serde::Serialize;

use super::files::FileDifferences;
use crate::engine::find::StoredImage;
use crate::image::Digest;
use crate::scan::{LayerScan, MemoryBudget, NoFact};

/// A layer that differs, has moved, or is in one image only.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LayerDifference {
    /// Its numbers in the first and in the second image; the lowest layer is 0.
    pub numbers: [Option<usize>; 2],
    /// Its digests in the first and in the second image.
    pub digests: [Option<Digest>; 2],
    /// The command that created it, by the history of the second image, or else of the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Whether its position among the layers that both images have differs.
    pub moved: bool,
    /// Whether the tar is the same, and only the compressed bytes differ.
    pub recompressed: bool,
    /// Whether its files were compared. They are not for a layer that is not a tar, or that is in one image only.
    pub compared: bool,
    /// The differing files. If it is empty for a different tar that was compared, only the order of the members or other fields of the
    /// tar headers differ.
    pub files: FileDifferences,
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
    /// Whether its files must be compared. Equal diff ids only pair two layers: a config may have wrong ones.
    pub fn is_changed(&self) -> bool {
        self.same != Same::Bytes
    }
}

/// The layers of two images.
pub struct Layers<'a> {
    images: [&'a StoredImage; 2],
    /// The command that created each layer, by the history.
    made_by: [Vec<String>; 2],
}

impl<'a> Layers<'a> {
    pub fn of(images: [&'a StoredImage; 2]) -> Layers<'a> {
        Layers { images, made_by: images.map(created_by) }
    }

    /// The layers of both images as pairs, in the order of the second image, removed layers last.
    ///
    /// Equal layers are matched first, then layers that the same command created, then the remaining ones in order.
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

    /// The difference of a pair, if any; `scans` are the scans of its layers, if known.
    pub fn difference(
        &self,
        pair: &Pair,
        scans: [Option<LayerScan<NoFact>>; 2],
        budget: &MemoryBudget<NoFact>,
    ) -> Option<LayerDifference> {
        if pair.same == Same::Bytes && !pair.moved {
            return None;
        }
        let (compared, recompressed) = match &scans {
            [Some(from), Some(to)] => (true, from.diff_id == to.diff_id),
            _ => (false, false),
        };
        let numbers = [pair.from, pair.to];
        // The files of only one of two layers would look new, or gone.
        let is_one = numbers.contains(&None);
        let members = scans
            .map(|scan| scan.filter(|_| compared || is_one).map(|scan| scan.members).unwrap_or_default());
        let digest = |side: usize| numbers[side].map(|number| self.images[side].layers[number].digest);
        let made_by = |side: usize| numbers[side].and_then(|number| self.made_by[side].get(number));
        Some(LayerDifference {
            numbers,
            digests: [digest(0), digest(1)],
            created_by: made_by(1).or_else(|| made_by(0)).cloned(),
            moved: pair.moved,
            recompressed,
            compared,
            files: FileDifferences::of(members, budget),
        })
    }
}

/// The command that created each layer, by the history.
fn created_by(image: &StoredImage) -> Vec<String> {
    let history = image.config.history().into_iter().filter(|entry| !entry.empty_layer);
    history.map(|entry| entry.created_by).collect()
}

/// The layers matched so far.
struct Matched {
    /// For each layer of the second image, its match in the first.
    partner: Vec<Option<(usize, Same)>>,
    /// Whether each layer of the first image is unmatched.
    free: Vec<bool>,
}

impl Matched {
    fn none(from: usize, to: usize) -> Matched {
        Matched { partner: vec![None; to], free: vec![true; from] }
    }

    /// Matches unmatched layers with equal keys, in their order.
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

/// The longest increasing subsequence, last element first. The layers outside it have moved.
fn in_order(order: &[usize]) -> Vec<usize> {
    // Positions by the length of the longest increasing subsequence that ends there. Among positions with the same
    // length, a later one has a lower layer: with a higher layer, its subsequence would be longer.
    let mut ends: Vec<Vec<usize>> = Vec::new();
    // For each position, its predecessor in such a subsequence.
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
    fn as_few_layers_as_possible_have_moved() {
        for (order, kept) in [
            (&[0, 1, 2][..], &[2, 1, 0][..]),
            (&[0, 2], &[2, 0]),
            (&[1, 0, 2], &[2, 1]),
            (&[2, 0, 1], &[1, 0]),
            // Among several longest subsequences, the one that ends first is chosen.
            (&[2, 3, 0, 1], &[3, 2]),
            (&[3, 1, 2, 0, 4], &[4, 2, 1]),
            (&[3, 2, 1, 0], &[3]),
            (&[], &[]),
        ] {
            assert_eq!(in_order(order), kept, "{order:?}");
        }
    }
}
