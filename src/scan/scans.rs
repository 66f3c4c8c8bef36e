//! [`Scans`]: what the scans of an image's layers gave.

use super::layer_scan::LayerScan;
use crate::error::{Error, Result};

/// The scans of an image's layers.
#[derive(Debug)]
pub struct Scans<F> {
    /// Each layer's scan, lowest first; `None` for a layer that is faulty, foreign or was not read.
    pub layers: Vec<Option<LayerScan<F>>>,
    /// The faults of layers, lowest first.
    pub faults: Vec<LayerFault>,
}

/// The fault of a layer that cannot be scanned.
#[derive(Debug)]
pub struct LayerFault {
    /// The layer's number, from 0 for the lowest.
    pub layer: usize,
    /// What is wrong with it, see [`Error::is_of_layer`].
    pub error: Error,
}

impl<F> Scans<F> {
    /// The scans in the order of the layers.
    ///
    /// # Errors
    /// The first one that does not come from the layer itself, for example that of a connection.
    pub(crate) fn of(scans: Vec<Result<Option<LayerScan<F>>>>) -> Result<Scans<F>> {
        let (mut layers, mut faults) = (Vec::with_capacity(scans.len()), Vec::new());
        for (layer, scan) in scans.into_iter().enumerate() {
            match scan {
                Err(error) if error.is_of_layer() => {
                    faults.push(LayerFault { layer, error });
                    layers.push(None);
                }
                scan => layers.push(scan?),
            }
        }
        Ok(Scans { layers, faults })
    }

    /// The scans, if no layer has a fault.
    ///
    /// # Errors
    /// The fault of the lowest faulty layer.
    pub fn complete(self) -> Result<Vec<Option<LayerScan<F>>>> {
        match self.faults.into_iter().next() {
            Some(fault) => Err(fault.error),
            None => Ok(self.layers),
        }
    }

    /// The numbers of the layers that were not read, lowest first. A faulty layer was.
    pub fn unread(&self) -> impl Iterator<Item = usize> {
        let is_faulty = |number: usize| self.faults.iter().any(|fault| fault.layer == number);
        let unread = self.layers.iter().enumerate().filter(|(_, scan)| scan.is_none());
        unread.map(|(number, _)| number).filter(move |number| !is_faulty(*number))
    }
}
