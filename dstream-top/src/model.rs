//! What is known of the program.

use std::collections::VecDeque;

use serde::Deserialize;

use crate::Client;

/// How many batches are kept.
const KEPT: usize = 1_000;

/// A program that is watched.
#[derive(Debug)]
pub struct Model {
    client: Client,
    pub(crate) app: Option<App>,
    /// Oldest first.
    pub(crate) batches: VecDeque<Row>,
    pub(crate) sources: Vec<Source>,
    pub(crate) kept: Vec<Kept>,
    /// Why the last question has had no answer.
    pub(crate) problem: Option<String>,
    /// How many batches from the newest one on are scrolled away.
    pub(crate) first: usize,
}

#[derive(Debug, Deserialize)]
pub(crate) struct App {
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) started_at: Option<u64>,
    pub(crate) now: u64,
    pub(crate) error: Option<String>,
    pub(crate) batch_interval: f64,
    pub(crate) completed: u64,
    pub(crate) records: u64,
    pub(crate) running: bool,
    pub(crate) waiting: u64,
    pub(crate) behind: Option<Behind>,
    #[serde(default)]
    pub(crate) dropped_events: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Behind {
    pub(crate) delay: f64,
}

/// A batch: time, records, scheduling delay, processing time, total delay, whether it failed, outputs done,
/// outputs.
#[derive(Debug, Deserialize)]
pub(crate) struct Row(
    pub(crate) u64,
    pub(crate) u64,
    pub(crate) Option<f64>,
    pub(crate) Option<f64>,
    pub(crate) Option<f64>,
    pub(crate) u8,
    pub(crate) u64,
    pub(crate) u64,
);

#[derive(Debug, Deserialize)]
struct Timeline {
    batches: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Source {
    pub(crate) stream_name: String,
    pub(crate) is_active: bool,
    pub(crate) avg_event_rate: Option<f64>,
    pub(crate) last_error: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Kept {
    pub(crate) operator: String,
    pub(crate) kind: Option<String>,
    pub(crate) keys: Option<u64>,
    #[serde(default)]
    pub(crate) estimated_bytes: Option<u64>,
    #[serde(default)]
    pub(crate) oldest: Option<u64>,
}

impl Model {
    /// Nothing is known yet.
    pub fn new(client: Client) -> Model {
        Model {
            client,
            app: None,
            batches: VecDeque::new(),
            sources: Vec::new(),
            kept: Vec::new(),
            problem: None,
            first: 0,
        }
    }

    pub(crate) fn host(&self) -> &str {
        self.client.host()
    }

    /// How many batches the program has done, as far as is known.
    pub fn completed(&self) -> u64 {
        self.app.as_ref().map_or(0, |app| app.completed)
    }

    /// What is asked for next.
    pub fn question(&self) -> Question {
        Question {
            client: self.client.clone(),
            started_at: self.app.as_ref().and_then(|app| app.started_at),
            after: self.batches.back().map(|row| row.0),
        }
    }

    /// Takes in what the program has answered. Without an answer, what was known before stays.
    pub fn update(&mut self, answer: Result<Answer, String>) {
        match answer {
            Ok(Answer { app, batches, sources, kept, anew }) => {
                if anew {
                    self.batches.clear();
                }
                self.batches.extend(batches);
                let surplus = self.batches.len().saturating_sub(KEPT);
                self.batches.drain(..surplus);
                (self.app, self.sources, self.kept, self.problem) = (Some(app), sources, kept, None);
                self.first = self.first.min(self.batches.len().saturating_sub(1));
            }
            Err(problem) => self.problem = Some(problem),
        }
    }

    /// Shows older batches, or newer ones where `by` is negative.
    pub fn scroll(&mut self, by: isize) {
        self.first = self.first.saturating_add_signed(by).min(self.batches.len().saturating_sub(1));
    }
}

/// What the program is asked for.
#[derive(Debug)]
pub struct Question {
    client: Client,
    started_at: Option<u64>,
    after: Option<u64>,
}

/// What it has answered.
#[derive(Debug)]
pub struct Answer {
    app: App,
    batches: Vec<Row>,
    sources: Vec<Source>,
    kept: Vec<Kept>,
    /// Whether it is another program than before, or the same once more.
    anew: bool,
}

impl Question {
    /// Asks; it takes some seconds at most for each of four resources.
    pub fn ask(&self) -> Result<Answer, String> {
        let app: App = self.client.get("app")?;
        let anew = app.started_at != self.started_at;
        let after = self.after.filter(|_| !anew).map_or_else(String::new, |at| format!("?after={at}"));
        let Timeline { batches } = self.client.get(&format!("timeline{after}"))?;
        let sources = self.client.get("streaming/receivers")?;
        let kept = self.client.get("kept")?;
        Ok(Answer { app, batches, sources, kept, anew })
    }
}
