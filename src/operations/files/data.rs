//! [`Data`]: a file's content, of which nothing is read until the layer is written.

use std::sync::Arc;

use crate::image::Digest;

/// The content of a file: these pieces, one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Data(Vec<DataPiece>);

/// A piece of a file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DataPiece {
    /// These bytes.
    Text(Arc<[u8]>),
    /// The whole content of a file of the layers below.
    Lower(LowerFile),
}

/// A file of the layers below.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LowerFile {
    /// The number of its layer, from the lowest.
    pub layer: usize,
    /// Its path in the layer.
    pub path: Arc<[u8]>,
    /// Bytes.
    pub size: u64,
    /// The digest of its content, if it is known.
    pub sha256: Option<Digest>,
}

impl Data {
    /// The content of a file of the layers below.
    pub fn lower(file: LowerFile) -> Data {
        Data(vec![DataPiece::Lower(file)])
    }

    /// These bytes.
    pub fn text(bytes: impl Into<Arc<[u8]>>) -> Data {
        let mut data = Data::default();
        data.push(DataPiece::Text(bytes.into()));
        data
    }

    pub fn pieces(&self) -> &[DataPiece] {
        &self.0
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        let size = |piece: &DataPiece| match piece {
            DataPiece::Text(bytes) => bytes.len() as u64,
            DataPiece::Lower(file) => file.size,
        };
        self.0.iter().map(size).fold(0, u64::saturating_add)
    }

    /// Adds the other content at the end.
    pub fn append(&mut self, other: &Data) {
        other.0.iter().for_each(|piece| self.push(piece.clone()));
    }

    fn push(&mut self, piece: DataPiece) {
        let is_first = self.0.is_empty();
        match (self.0.last_mut(), piece) {
            (_, DataPiece::Text(bytes)) if bytes.is_empty() => {}
            (_, DataPiece::Lower(LowerFile { size: 0, .. })) if !is_first => {}
            (Some(DataPiece::Text(before)), DataPiece::Text(bytes)) => {
                *before = [&before[..], &bytes[..]].concat().into();
            }
            (_, piece) => self.0.push(piece),
        }
    }

    /// Whether both surely are the same bytes.
    pub fn is(&self, other: &Data) -> bool {
        self == other
            || match (&self.0[..], &other.0[..]) {
                ([one], [other]) => digest(one).is_some() && digest(one) == digest(other),
                _ => self.size() == 0 && other.size() == 0,
            }
    }
}

fn digest(piece: &DataPiece) -> Option<Digest> {
    match piece {
        DataPiece::Text(bytes) => Some(Digest::of(bytes)),
        DataPiece::Lower(file) => file.sha256,
    }
}
