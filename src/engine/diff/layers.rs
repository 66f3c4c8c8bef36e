//! Which layer of one image stands for which of the other.

use serde::Serialize;

use super::files::{FileDifference, compare};
use crate::engine::base::Found;
use crate::image::Digest;
use crate::layer::Survey;

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

/// Whether two layers, by their numbers, belong together.
type Belong<'a> = &'a dyn Fn(usize, usize) -> bool;

/// Every layer of both images, in the order of the second's, those that are gone last.
///
/// What is equal belongs together; of the rest, what the same command made, and then what is left, in order.
pub fn pair(images: [&Found; 2]) -> Vec<Pair> {
    let [from, to] = images;
    let diff_ids = images.map(|image| image.config.diff_ids());
    let made_by = images.map(created_by);
    let mut partner: Vec<Option<(usize, Same)>> = vec![None; to.layers.len()];
    let mut free: Vec<bool> = vec![true; from.layers.len()];
    let rules: [(Same, Belong<'_>); 4] = [
        (Same::Bytes, &|a, b| from.layers[a].digest == to.layers[b].digest),
        (Same::Tar, &|a, b| diff_ids[0].get(a).is_some_and(|id| diff_ids[1].get(b) == Some(id))),
        (Same::Nothing, &|a, b| made_by[0].get(a).is_some_and(|made| made_by[1].get(b) == Some(made))),
        (Same::Nothing, &|_, _| true),
    ];
    for (same, belong) in rules {
        for (b, partner) in partner.iter_mut().enumerate().filter(|(_, partner)| partner.is_none()) {
            let found = (0..free.len()).find(|&a| free[a] && belong(a, b));
            if let Some(a) = found {
                free[a] = false;
                *partner = Some((a, same));
            }
        }
    }
    let order: Vec<usize> = partner.iter().flatten().map(|(a, _)| *a).collect();
    let kept = in_order(&order);
    let mut pairs: Vec<Pair> = partner
        .iter()
        .enumerate()
        .map(|(b, partner)| {
            let moved = partner.is_some_and(|(a, _)| !kept.contains(&a));
            let (from, same) = partner.map_or((None, Same::Nothing), |(a, same)| (Some(a), same));
            Pair { from, to: Some(b), same, moved }
        })
        .collect();
    let gone = (0..free.len()).filter(|&a| free[a]);
    pairs.extend(gone.map(|a| Pair { from: Some(a), to: None, same: Same::Nothing, moved: false }));
    pairs
}

/// The layers that both have and that keep their order, as many as can be; the others have moved.
fn in_order(order: &[usize]) -> Vec<usize> {
    // For each place, the longest run that ends there: how long it is, and the place before.
    let mut runs: Vec<(usize, Option<usize>)> = Vec::with_capacity(order.len());
    for place in 0..order.len() {
        let before = (0..place).filter(|&before| order[before] < order[place]);
        let best = before.max_by_key(|&before| (runs[before].0, std::cmp::Reverse(before)));
        runs.push((best.map_or(1, |best| runs[best].0 + 1), best));
    }
    let mut place = (0..order.len()).max_by_key(|&place| (runs[place].0, std::cmp::Reverse(place)));
    let mut kept = Vec::new();
    while let Some(now) = place {
        kept.push(order[now]);
        place = runs[now].1;
    }
    kept
}

/// What made each layer, by the history.
fn created_by(image: &Found) -> Vec<String> {
    let history = image.config.history().into_iter().filter(|entry| !entry.empty_layer);
    history.map(|entry| entry.created_by).collect()
}

/// What is to be told of a pair, if anything is.
pub fn difference(
    images: [&Found; 2],
    pair: &Pair,
    surveys: Option<[Option<Survey>; 2]>,
) -> Option<LayerDifference> {
    if pair.same == Same::Bytes && !pair.moved {
        return None;
    }
    let empty = |like: &Survey| Survey { members: Vec::new(), ..like.clone() };
    let files = match surveys {
        Some([Some(from), Some(to)]) => compare(&from, &to),
        Some([Some(from), None]) => compare(&from, &empty(&from)),
        Some([None, Some(to)]) => compare(&empty(&to), &to),
        Some([None, None]) | None => Vec::new(),
    };
    let numbers = [pair.from, pair.to];
    let digest = |side: usize| numbers[side].map(|number| images[side].layers[number].digest);
    let made = |side: usize| created_by(images[side]).into_iter().nth(numbers[side]?);
    Some(LayerDifference {
        numbers,
        digests: [digest(0), digest(1)],
        created_by: made(1).or_else(|| made(0)),
        moved: pair.moved,
        recompressed: pair.same == Same::Tar,
        files,
    })
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
            (&[], &[]),
        ] {
            assert_eq!(in_order(order), kept, "{order:?}");
        }
    }
}
