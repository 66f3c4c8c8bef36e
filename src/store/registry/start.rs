//! The first bytes of a blob, without the rest.

use futures_util::TryStreamExt;
use reqwest::StatusCode;
use reqwest::header::RANGE;

use super::call::Call;
use super::repository::Repository;
use crate::error::Result;
use crate::image::Digest;
use crate::store::http::{refusal, watched};

impl Repository {
    /// At least the first `count` bytes of a blob, if it has as many; `None` without the blob. They are not verified.
    pub(crate) async fn blob_start(&self, digest: Digest, count: usize) -> Result<Option<Vec<u8>>> {
        let operation = format!("read the start of blob {digest} of {}", self.name().repository_name());
        let request = self
            .request(Call::ReadBlob, format!("blobs/{digest}"), operation.clone())
            .header(RANGE, format!("bytes=0-{}", count.saturating_sub(1)));
        let response = self.transport.send(&request).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        // A registry may ignore the range and send the whole blob, which is not read further.
        if !matches!(response.status(), StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
            return Err(refusal(response, request.operation).await);
        }
        let mut pieces = watched(response, operation, self.name().registry().to_owned());
        let mut start = Vec::new();
        while start.len() < count {
            match pieces.try_next().await? {
                Some(piece) => start.extend_from_slice(&piece),
                None => break,
            }
        }
        Ok(Some(start))
    }
}
