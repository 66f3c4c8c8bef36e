//! The figures of an invocation, and the lines about it in Lambda's logs.

use std::fmt;
use std::time::Duration;

/// What an invocation took; displayed as the REPORT line of Lambda's logs.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct InvocationReport {
    /// The id of the request.
    pub request_id: String,
    /// The time of the invocation, in milliseconds.
    pub duration_ms: f64,
    /// The time that Lambda bills, in milliseconds: with the init phase, and rounded up.
    pub billed_duration_ms: u64,
    /// The memory of the function, in MiB.
    pub memory_size_mb: u32,
    /// The most memory that was in use, in MiB.
    pub max_memory_used_mb: u64,
    /// The time of the init phase, in milliseconds, if there was one before this invocation.
    pub init_duration_ms: Option<f64>,
    /// `timeout` or `error`; `None` for a success and for an error that the function's own code told of.
    pub status: Option<&'static str>,
    /// Lambda's name of the error, with a status `error`.
    pub error_type: Option<String>,
}

pub(super) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

impl InvocationReport {
    pub(super) fn new(
        request_id: &str,
        duration: Duration,
        init: Option<Duration>,
        memory: (u32, u64),
    ) -> InvocationReport {
        let billed = duration + init.unwrap_or_default();
        InvocationReport {
            request_id: request_id.to_owned(),
            duration_ms: milliseconds(duration),
            billed_duration_ms: billed.as_nanos().div_ceil(1_000_000) as u64,
            memory_size_mb: memory.0,
            // Between two looks, more may have been in use.
            max_memory_used_mb: memory.1.div_ceil(1 << 20).min(memory.0.into()),
            init_duration_ms: init.map(milliseconds),
            status: None,
            error_type: None,
        }
    }
}

impl fmt::Display for InvocationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "REPORT RequestId: {}\t", self.request_id)?;
        write!(f, "Duration: {:.2} ms\tBilled Duration: {} ms\t", self.duration_ms, self.billed_duration_ms)?;
        write!(
            f,
            "Memory Size: {} MB\tMax Memory Used: {} MB",
            self.memory_size_mb, self.max_memory_used_mb
        )?;
        if let Some(init) = self.init_duration_ms {
            write!(f, "\tInit Duration: {init:.2} ms")?;
        }
        if let Some(status) = self.status {
            write!(f, "\tStatus: {status}")?;
        }
        if let Some(error_type) = &self.error_type {
            write!(f, "\tError Type: {error_type}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_lambdas() {
        let (duration, init) = (Duration::from_micros(12_341), Duration::from_micros(100_900));
        let report = InvocationReport::new("id", duration, Some(init), (128, (40 << 20) + 1));
        let line = "REPORT RequestId: id\tDuration: 12.34 ms\tBilled Duration: 114 ms\tMemory Size: 128 MB\t\
                    Max Memory Used: 41 MB\tInit Duration: 100.90 ms";
        assert_eq!(report.to_string(), line);
    }
}
