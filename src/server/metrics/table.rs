//! Counters and histograms whose label values are all known from the start: plain atomics, where
//! the ones of the metrics library take a lock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Counters, one for each row of label values.
#[derive(Clone, Debug)]
pub(super) struct Table(Arc<TableInner>);

#[derive(Debug)]
struct TableInner {
    names: &'static [&'static str],
    rows: Vec<(Vec<String>, AtomicU64)>,
}

impl Table {
    pub(super) fn new(
        names: &'static [&'static str],
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> Self {
        let rows = rows
            .into_iter()
            .map(|row| (row, AtomicU64::new(0)))
            .collect();
        Table(Arc::new(TableInner { names, rows }))
    }

    /// A table with one label.
    pub(super) fn one(name: &'static [&'static str; 1], values: &[&str]) -> Self {
        Table::new(name, values.iter().map(|value| vec![(*value).to_owned()]))
    }

    /// Adds one to a row; a row that does not exist is ignored.
    pub(super) fn add(&self, row: usize) {
        if let Some((_, value)) = self.0.rows.get(row) {
            value.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All rows together.
    pub(super) fn sum(&self) -> u64 {
        self.0
            .rows
            .iter()
            .map(|(_, value)| value.load(Ordering::Relaxed))
            .sum()
    }

    /// Sets the rows in order, for counts kept elsewhere.
    pub(super) fn set(&self, values: &[u64]) {
        for ((_, value), new) in self.0.rows.iter().zip(values) {
            value.store(*new, Ordering::Relaxed);
        }
    }
}

impl EncodeMetric for Table {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (labels, value) in &self.0.rows {
            let labels: Vec<(&str, &str)> = self
                .0
                .names
                .iter()
                .copied()
                .zip(labels.iter().map(String::as_str))
                .collect();
            encoder
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, u64>(&value.load(Ordering::Relaxed), None)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

/// Upper bounds in nanoseconds: from 25 us, below a plain allow, to 10 s, the API server's default
/// timeout.
const BOUNDS: [u64; 17] = [
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    3_000_000_000,
    10_000_000_000,
];

/// A histogram of durations for each value of one label.
#[derive(Clone, Debug)]
pub(super) struct Durations(Arc<DurationsInner>);

#[derive(Debug)]
struct DurationsInner {
    name: &'static str,
    rows: Vec<(&'static str, Histogram)>,
}

#[derive(Debug, Default)]
struct Histogram {
    nanos: AtomicU64,
    buckets: [AtomicU64; BOUNDS.len()],
    above: AtomicU64,
}

impl Durations {
    pub(super) fn new(name: &'static str, values: &[&'static str]) -> Self {
        let rows = values
            .iter()
            .map(|value| (*value, Histogram::default()))
            .collect();
        Durations(Arc::new(DurationsInner { name, rows }))
    }

    pub(super) fn observe(&self, row: usize, took: Duration) {
        let Some((_, histogram)) = self.0.rows.get(row) else {
            return;
        };
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        histogram.nanos.fetch_add(nanos, Ordering::Relaxed);
        BOUNDS
            .iter()
            .zip(&histogram.buckets)
            .find(|(bound, _)| nanos <= **bound)
            .map_or(&histogram.above, |(_, bucket)| bucket)
            .fetch_add(1, Ordering::Relaxed);
    }
}

// A count of nanoseconds loses nothing that a dashboard shows when it becomes an f64.
#[allow(clippy::cast_precision_loss)]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (value, histogram) in &self.0.rows {
            let buckets: Vec<(f64, u64)> = BOUNDS
                .iter()
                .map(|bound| seconds(*bound))
                .chain([f64::INFINITY])
                .zip(histogram.buckets.iter().chain([&histogram.above]))
                .map(|(bound, count)| (bound, count.load(Ordering::Relaxed)))
                .collect();
            let count = buckets.iter().map(|(_, count)| count).sum();
            let sum = seconds(histogram.nanos.load(Ordering::Relaxed));
            encoder
                .encode_family(&[(self.0.name, *value)])?
                .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}
