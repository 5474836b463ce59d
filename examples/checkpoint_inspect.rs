//! Prints what is in a checkpoint: `checkpoint_inspect DIR`.

use std::{env, io, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [dir] = &arguments[..] else {
        eprintln!("usage: checkpoint_inspect DIR");
        return ExitCode::from(2);
    };
    match dstream::inspect_checkpoint(Path::new(dir), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
