//! The screen.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Cell, Paragraph, Row as Cells, Sparkline, Table},
};

use crate::{
    Model,
    model::{App, Row},
};

/// How many sources and operators are shown at most; the others are counted.
const LINES: usize = 6;

/// Draws all that is known.
pub fn draw(frame: &mut Frame<'_>, model: &Model) {
    let lines = |count: usize| count.clamp(1, LINES + 1) as u16 + 3;
    let [head, charts, sources, kept, batches, foot] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(7),
        Constraint::Length(lines(model.sources.len())),
        Constraint::Length(if model.kept.is_empty() { 0 } else { lines(model.kept.len()) }),
        Constraint::Min(4),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_head(frame, head, model);
    if let Some(app) = &model.app {
        draw_charts(frame, charts, model, app);
        draw_sources(frame, sources, model);
        if !model.kept.is_empty() {
            draw_kept(frame, kept, model, app);
        }
        draw_batches(frame, batches, model, app);
    }
    let keys = "q: quit   ↑ ↓ PgUp PgDn Home: batches";
    frame.render_widget(Paragraph::new(keys).style(Style::new().add_modifier(Modifier::DIM)), foot);
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let bad = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
    let mut lines = Vec::new();
    match &model.app {
        None => lines.push(Line::from(format!("connecting to {} ..", model.host()))),
        Some(app) => {
            let state = if app.state == "running" { Style::new().fg(Color::Green) } else { bad };
            lines.push(Line::from(vec![
                Span::styled(app.name.clone(), Style::new().add_modifier(Modifier::BOLD)),
                Span::from("  "),
                Span::styled(app.state.clone(), state),
                Span::from(format!("  at {}, a batch every {}", model.host(), duration(app.batch_interval))),
            ]));
            lines.push(Line::from(format!(
                "{} batches, {} records, {} running, {} waiting",
                number(app.completed as f64),
                number(app.records as f64),
                u8::from(app.running),
                number(app.waiting as f64)
            )));
        }
    }
    let behind = model.app.as_ref().and_then(|app| app.behind.as_ref());
    let behind = behind.map(|behind| format!("batches are {} late", duration(behind.delay)));
    let dropped = model.app.as_ref().map_or(0, |app| app.dropped_events);
    let dropped = (dropped > 0).then(|| format!("{} events are missing here", number(dropped as f64)));
    let problem = model.problem.as_ref().map(|problem| format!("not connected: {problem}"));
    let error = model.app.as_ref().and_then(|app| app.error.clone());
    let said: Vec<String> = [problem, error, behind, dropped].into_iter().flatten().collect();
    if !said.is_empty() {
        lines.push(Line::styled(said.join("; "), bad));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_charts(frame: &mut Frame<'_>, area: Rect, model: &Model, app: &App) {
    let [left, middle, right] = Layout::horizontal([Constraint::Ratio(1, 3); 3]).areas(area);
    let seconds = (app.batch_interval / 1000.0).max(1e-3);
    let rate = |row: &Row| Some(row.1 as f64 / seconds);
    let rates = |n: f64| format!("{}/s", number(n));
    draw_chart(frame, left, "Input", model, rate, rates, None);
    draw_chart(frame, middle, "Processing time", model, |row| row.3, duration, Some(app.batch_interval));
    draw_chart(frame, right, "Total delay", model, |row| row.4, duration, None);
}

fn draw_chart(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    model: &Model,
    figure: impl Fn(&Row) -> Option<f64>,
    text: impl Fn(f64) -> String,
    limit: Option<f64>,
) {
    let width = usize::from(area.width.saturating_sub(2)).max(1);
    let shown = model.batches.iter().skip(model.batches.len().saturating_sub(width));
    let values: Vec<f64> = shown.map(|row| figure(row).unwrap_or(0.0).max(0.0)).collect();
    let most = values.iter().copied().fold(0.0, f64::max);
    let newest = values.last().map_or_else(|| "–".to_owned(), |newest| text(*newest));
    let of = limit.map_or_else(String::new, |limit| format!(" of {}", text(limit)));
    let title = format!(" {title}: {newest}{of}, at most {} ", text(most));
    // The heights are whole numbers.
    let scaled: Vec<u64> = values.iter().map(|value| (value * 1e3) as u64).collect();
    let late = limit.is_some_and(|limit| values.last().is_some_and(|newest| *newest > limit));
    let style = Style::new().fg(if late { Color::Red } else { Color::Cyan });
    frame.render_widget(
        Sparkline::default().data(scaled).style(style).block(Block::bordered().title(title)),
        area,
    );
}

fn draw_sources(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let rows = model.sources.iter().map(|source| {
        let state = if source.is_active { "active" } else { "inactive" };
        vec![
            source.stream_name.clone(),
            state.to_owned(),
            source.avg_event_rate.map_or_else(|| "–".to_owned(), number),
            source.last_error.clone().unwrap_or_else(|| "none".to_owned()),
        ]
    });
    let head = ["Source", "Status", "Records/s", "Last error"];
    let widths = [Constraint::Fill(2), Constraint::Length(8), Constraint::Length(12), Constraint::Fill(3)];
    draw_table(frame, area, "Sources", head, widths, some_of(rows));
}

fn draw_kept(frame: &mut Frame<'_>, area: Rect, model: &Model, app: &App) {
    let unknown = || "–".to_owned();
    let rows = model.kept.iter().map(|kept| {
        vec![
            kept.operator.clone(),
            kept.kind.clone().unwrap_or_default(),
            kept.keys.map_or_else(unknown, |keys| number(keys as f64)),
            kept.estimated_bytes.map_or_else(unknown, bytes),
            kept.oldest.map_or_else(unknown, |oldest| duration(app.now.saturating_sub(oldest) as f64)),
        ]
    });
    let head = ["Kept by", "Kind", "Keys", "Bytes, about", "Oldest, ago"];
    let widths = [
        Constraint::Fill(2),
        Constraint::Fill(2),
        Constraint::Length(12),
        Constraint::Length(12),
        Constraint::Length(12),
    ];
    draw_table(frame, area, "States and windows", head, widths, some_of(rows));
}

fn draw_batches(frame: &mut Frame<'_>, area: Rect, model: &Model, app: &App) {
    let figure = |millis: Option<f64>| millis.map_or_else(|| "–".to_owned(), duration);
    let room = usize::from(area.height.saturating_sub(3));
    let rows = model.batches.iter().rev().skip(model.first).take(room).map(|row| {
        let Row(time, records, scheduling, processing, total, failed, done, outputs) = row;
        vec![
            clock(*time, app.batch_interval),
            number(*records as f64),
            figure(*scheduling),
            figure(*processing),
            figure(*total),
            format!("{done}/{outputs}{}", if *failed == 0 { "" } else { " failed" }),
        ]
    });
    let head =
        ["Batch (UTC)", "Records", "Scheduling delay", "Processing time", "Total delay", "Outputs done"];
    let title = format!("Completed batches, from {} of {}", model.first + 1, model.batches.len());
    draw_table(frame, area, &title, head, [Constraint::Fill(1); 6], rows.collect());
}

/// The first rows, and how many more there are.
fn some_of(rows: impl ExactSizeIterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let more = rows.len().saturating_sub(LINES);
    let mut some: Vec<_> = rows.take(LINES).collect();
    if more > 0 {
        some.push(vec![format!("and {more} more")]);
    }
    some
}

fn draw_table<const N: usize>(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    head: [&'static str; N],
    widths: [Constraint; N],
    rows: Vec<Vec<String>>,
) {
    let bad = Style::new().fg(Color::Red);
    let rows = rows.into_iter().map(|row| {
        Cells::new(row.into_iter().map(|cell| {
            let style = if cell.ends_with(" failed") { bad } else { Style::new() };
            Cell::from(cell).style(style)
        }))
    });
    let head = Cells::new(head).style(Style::new().add_modifier(Modifier::BOLD));
    let block = Block::bordered().title(format!(" {title} "));
    frame.render_widget(Table::new(rows, widths).header(head).block(block), area);
}

/// A number as people read it.
fn number(n: f64) -> String {
    if n.abs() < 100.0 && n.fract() != 0.0 {
        return format!("{n:.1}");
    }
    let digits = format!("{:.0}", n.abs());
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|it| str::from_utf8(it).ok()).collect();
    format!("{}{}", if n < 0.0 { "-" } else { "" }, groups.join(","))
}

/// Milliseconds as people read them.
fn duration(millis: f64) -> String {
    match millis {
        _ if millis < 1e3 => format!("{} ms", number((millis * 10.0).round() / 10.0)),
        _ if millis < 60e3 => format!("{} s", number((millis / 100.0).round() / 10.0)),
        _ if millis < 3_600e3 => format!("{} min", number((millis / 6e3).round() / 10.0)),
        _ if millis < 48.0 * 3_600e3 => format!("{} h", number((millis / 360e3).round() / 10.0)),
        _ => format!("{} d", number((millis / 8_640e3).round() / 10.0)),
    }
}

fn bytes(n: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut n, mut unit) = (n as f64, 0);
    while n >= 1024.0 && unit + 1 < units.len() {
        n /= 1024.0;
        unit += 1;
    }
    format!("{} {}", number((n * 10.0).round() / 10.0), units[unit])
}

/// The time of a batch within its day, in UTC.
fn clock(millis: u64, interval: f64) -> String {
    let (seconds, rest) = (millis / 1000 % 86_400, millis % 1000);
    let time = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if interval % 1000.0 == 0.0 { time } else { format!("{time}.{rest:03}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_as_people_read_them() {
        assert_eq!([number(0.0), number(12.34), number(1_234_567.8)], ["0", "12.3", "1,234,568"]);
        assert_eq!([duration(12.0), duration(1_500.0), duration(90e3)], ["12 ms", "1.5 s", "1.5 min"]);
        assert_eq!([duration(7_200e3), duration(3.0 * 86_400e3)], ["2 h", "3 d"]);
        assert_eq!([bytes(512), bytes(1536), bytes(5 << 30)], ["512 B", "1.5 KiB", "5 GiB"]);
        assert_eq!([clock(3_661_500, 1000.0), clock(3_661_500, 100.0)], ["01:01:01", "01:01:01.500"]);
    }
}
