//! Prints what is in a checkpoint: `checkpoint_inspect DIR`.

use std::{
    env,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [dir] = &arguments[..] else {
        writeln!(io::stderr(), "usage: checkpoint_inspect DIR")?;
        return Ok(ExitCode::from(2));
    };
    dstream::inspect_checkpoint(Path::new(dir), &mut io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}
