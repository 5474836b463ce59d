//! `dstream-top URL`: watches a program in the terminal.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    sync::mpsc,
    thread,
    time::Duration,
};

use dstream_top::{Client, Model, Question, draw};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

const USAGE: &str = "usage: dstream-top [--token TOKEN] [URL]

Watches a program that uses dstream and serves its page (`Config::ui`) at URL; without one, at
http://localhost:4040. The token of the page may also be in the variable DSTREAM_TOKEN.
";

/// How often the program is asked.
const INTERVAL: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let said = match run() {
        Ok(None) => return ExitCode::SUCCESS,
        Ok(Some(usage)) => return write(io::stdout(), usage, ExitCode::SUCCESS),
        Err(error) => format!("dstream-top: {error}\n"),
    };
    write(io::stderr(), &said, ExitCode::FAILURE)
}

fn write(mut to: impl Write, text: &str, code: ExitCode) -> ExitCode {
    // Nobody can be told if nobody reads.
    let _ = to.write_all(text.as_bytes());
    code
}

/// What is asked for on the command line: `None` for help.
fn arguments(mut given: impl Iterator<Item = String>) -> Result<Option<Client>, String> {
    let (mut url, mut token) = (None, std::env::var("DSTREAM_TOKEN").ok());
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "-h" | "--help" => return Ok(None),
            "--token" => token = Some(given.next().ok_or("`--token` needs a value")?),
            option if option.starts_with('-') => {
                return Err(format!("there is no option `{option}`\n{USAGE}"));
            }
            _ if url.is_some() => {
                return Err(format!("one URL is expected, found `{argument}` too\n{USAGE}"));
            }
            _ => url = Some(argument),
        }
    }
    Client::new(url.as_deref().unwrap_or("http://localhost:4040"), token).map(Some)
}

fn run() -> Result<Option<&'static str>, String> {
    let Some(client) = arguments(std::env::args().skip(1))? else { return Ok(Some(USAGE)) };
    if !io::stdout().is_terminal() {
        return Err("standard output is no terminal: the same figures are at /api/v1/app as JSON".to_owned());
    }
    let mut terminal = ratatui::try_init().map_err(|error| format!("the terminal can't be used: {error}"))?;
    let ended = watch(&mut terminal, Model::new(client));
    ratatui::restore();
    ended.map(|()| None).map_err(|error| format!("the terminal can't be used any more: {error}"))
}

/// Draws until somebody quits. A thread of its own asks, so that keys work while nobody answers.
fn watch(terminal: &mut ratatui::DefaultTerminal, mut model: Model) -> io::Result<()> {
    let (ask, asked) = mpsc::channel::<Question>();
    let (answer, answers) = mpsc::channel();
    thread::Builder::new().name("asks".to_owned()).spawn(move || {
        for question in asked {
            if answer.send(question.ask()).is_err() {
                return;
            }
        }
    })?;
    let mut asks = false;
    loop {
        if !asks {
            asks = ask.send(model.question()).is_ok();
        }
        terminal.draw(|frame| draw(frame, &model))?;
        if event::poll(INTERVAL)?
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
        {
            match key.code {
                KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(()),
                KeyCode::Down => model.scroll(1),
                KeyCode::Up => model.scroll(-1),
                KeyCode::PageDown => model.scroll(20),
                KeyCode::PageUp => model.scroll(-20),
                KeyCode::Home => model.scroll(isize::MIN),
                _ => {}
            }
        }
        while let Ok(answer) = answers.try_recv() {
            model.update(answer);
            asks = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_command_line_is_told_what_is_expected() {
        let read = |given: &[&str]| arguments(given.iter().map(|it| (*it).to_owned()));
        assert_eq!(read(&[]).unwrap().unwrap().host(), "localhost:4040");
        assert_eq!(read(&["--token", "t", "a:1"]).unwrap().unwrap().host(), "a:1");
        assert!(read(&["--help"]).unwrap().is_none());
        assert!(read(&["--what"]).unwrap_err().contains("no option `--what`"));
        assert!(read(&["a:1", "b:1"]).unwrap_err().contains("found `b:1` too"));
        assert!(read(&["--token"]).unwrap_err().contains("needs a value"));
    }
}
