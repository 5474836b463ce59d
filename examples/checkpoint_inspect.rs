//! Prints what is in a checkpoint: `checkpoint_inspect DIR`.

use std::{
    env,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let (code, message) = match &arguments[..] {
        [dir] => match dstream::checkpoint::inspect_checkpoint(Path::new(dir), &mut io::stdout().lock()) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (1, error.to_string()),
        },
        _ => (2, "usage: checkpoint_inspect DIR".to_owned()),
    };
    // If nobody reads the message, there is nobody to tell.
    let _ = writeln!(io::stderr(), "{message}");
    ExitCode::from(code)
}
