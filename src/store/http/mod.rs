//! HTTP for every request of a run: clients, time limits, retries, refusals.

mod answer;
mod clients;
mod no_proxy;
mod pace;
mod refusal;
mod retry;

pub(in crate::store) use self::answer::{answered, limited_bytes, sent, stalled, watched};
pub(in crate::store) use self::clients::{Clients, is_loopback};
pub(in crate::store) use self::pace::{LEAST, Patience, STALL};
pub(in crate::store) use self::refusal::{read_refusal, refusal};
pub(crate) use self::retry::Retry;
pub(in crate::store) use self::retry::{passing_status, retry_after};
