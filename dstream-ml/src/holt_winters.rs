//! Holt-Winters: what a series is expected to be next, and how far it is from that.

use dstream_core::Record;
use serde::{Deserialize, Serialize};

/// Follows the level, the trend and the season of a series, and says how unusual each value is. It is a
/// record, to be the state of a key.
///
/// Each value is compared with the forecast that was made before it: the score is the distance in units of
/// what distances usually are, so about 1.0 of an ordinary value, and 4.0 and more of an anomaly. The first
/// season, and at least two values, are learned without a score.
///
/// ```
/// use dstream::{Str, ml::HoltWinters, prelude::*};
///
/// let load = |second| if second == 35 { 90.0 } else { 20.0 + f64::from(second % 4) };
/// let loads: Vec<_> = (0..40).map(|second| vec![("web", load(second))]).collect();
/// let alarms = Collected::new();
/// # let dir = tempfile::tempdir().unwrap();
/// # let checkpoint = dir.path();
/// let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint, {
///     let loads = queue_stream(loads);
///     let (scores, _) =
///         loads.map_with_state(|host: &Str, load: Option<f64>, state: &mut State<HoltWinters>| {
///         let mut series = state.get().cloned().unwrap_or_else(|| HoltWinters::new(4));
///         let score = series.observe(load?);
///         state.update(series);
///         Some((host.clone(), score?))
///     });
///     scores.filter(|(_, score)| *score > 4.0).collect_to(&alarms);
/// })?;
/// ssc.run_batches(40)?;
/// assert_eq!(alarms.values().concat().len(), 1);
/// # Ok::<(), dstream::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HoltWinters {
    /// How fast the level, the trend and the season follow.
    smoothing: [f64; 3],
    /// How many values a season has; up to 1, there is none.
    period: usize,
    seen: u64,
    level: f64,
    trend: f64,
    /// By place in the period: while the first one is learned, its values.
    season: Vec<f64>,
    /// What the absolute distance from the forecast usually is.
    distance: Option<f64>,
}

impl HoltWinters {
    /// A series with seasons of so many values, or, up to 1, without any. Level, trend and season follow by
    /// 0.3, 0.05 and 0.2.
    pub fn new(period: usize) -> HoltWinters {
        HoltWinters {
            smoothing: [0.3, 0.05, 0.2],
            period,
            seen: 0,
            level: 0.0,
            trend: 0.0,
            season: Vec::new(),
            distance: None,
        }
    }

    /// How fast the level, the trend and the season follow: from 0.0, not at all, to 1.0, at once. What is
    /// beyond these is taken as the nearer one.
    #[must_use]
    pub fn smoothing(mut self, level: f64, trend: f64, season: f64) -> HoltWinters {
        let within = |x: f64| if x.is_nan() { 0.0 } else { x.clamp(0.0, 1.0) };
        self.smoothing = [level, trend, season].map(within);
        self
    }

    /// What the next value is expected to be; `None` while the first season is learned.
    pub fn forecast(&self) -> Option<f64> {
        (self.seen >= self.learned_from()).then(|| self.level + self.trend + self.of_season())
    }

    /// Sees the next value. Returns how unusual it is; `None` while there is nothing to compare it with, and
    /// of a value that is no number, which is passed over.
    pub fn observe(&mut self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return None;
        }
        let Some(forecast) = self.forecast() else {
            self.begin(value);
            return None;
        };
        let [by_level, by_trend, by_season] = self.smoothing;
        let of_season = self.of_season();
        let apart = (value - forecast).abs();
        let score = self.distance.map(|usual| {
            // Of a series that is always as expected, the smallest distance would be endless.
            apart / usual.max(1e-9 * forecast.abs().max(1e-9))
        });
        // What is far off is not followed as far, so that an anomaly does not spoil the forecasts behind it.
        let limit = self.distance.map_or(f64::INFINITY, |usual| 4.0 * usual.max(0.01 * forecast.abs()));
        let value = forecast + (value - forecast).clamp(-limit, limit);
        let before = self.level;
        self.level = by_level * (value - of_season) + (1.0 - by_level) * (before + self.trend);
        self.trend = by_trend * (self.level - before) + (1.0 - by_trend) * self.trend;
        if self.period > 1
            && let Some(season) = self.season.get_mut((self.seen % self.period as u64) as usize)
        {
            *season = by_season * (value - self.level) + (1.0 - by_season) * *season;
        }
        let apart = apart.min(limit);
        self.distance = Some(self.distance.map_or(apart, |usual| 0.9 * usual + 0.1 * apart));
        self.seen += 1;
        score
    }

    fn learned_from(&self) -> u64 {
        (self.period as u64).max(2)
    }

    fn of_season(&self) -> f64 {
        if self.period < 2 {
            return 0.0;
        }
        self.season.get((self.seen % self.period as u64) as usize).copied().unwrap_or(0.0)
    }

    /// One value of the first season.
    fn begin(&mut self, value: f64) {
        self.season.push(value);
        self.seen += 1;
        if self.seen == self.learned_from() {
            if self.period < 2 {
                self.level = value;
                self.trend = value - self.season.first().copied().unwrap_or(value);
                self.season.clear();
            } else {
                self.level = self.season.iter().sum::<f64>() / self.season.len() as f64;
                self.season.iter_mut().for_each(|season| *season -= self.level);
            }
        }
    }
}

impl Record for HoltWinters {
    type Owned = HoltWinters;

    fn own(self) -> HoltWinters {
        self
    }
}
