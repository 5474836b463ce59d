//! Holds the loops of pipelines to a number of instructions a record. These do not depend on what else the
//! machine does, so a merge can be stopped by them: an allocation, a virtual call or a lost inlining a record
//! is seen at once.
//!
//! ```text
//! cargo run --release -p dstream-instructions                    fails if a loop takes too many
//! cargo run --release -p dstream-instructions -- LOOP BATCHES    runs that loop alone, to look into
//! ```
//!
//! It runs itself under `valgrind --tool=callgrind`, for a few batches and for a few more: the difference is
//! what the batches took, without the start of the program.

mod data;
mod loops;

use std::{
    env,
    error::Error,
    io::{self, ErrorKind, Write},
    process::{Child, Command, ExitCode, Stdio},
};

use dstream::StreamingContext;

/// Each guarded loop, and how many instructions it was found to take for one of its units. When a loop has
/// become faster, or has to become slower, put the number here that the first command above prints.
const LOOPS: &[Loop] = &[
    Loop { name: "fused", measured: 28.0, unit: PAIR, build: loops::fused },
    Loop { name: "split-count", measured: 28.1, unit: WORD, build: loops::split_count },
    Loop { name: "split-reduce", measured: 159.6, unit: WORD, build: loops::split_reduce },
    Loop { name: "closure-reduce", measured: 202.8, unit: WORD, build: loops::closure_reduce },
    Loop { name: "long-reduce", measured: 332.9, unit: WORD, build: loops::long_reduce },
    Loop { name: "filter-count", measured: 35.1, unit: LINE, build: loops::filter_count },
    Loop { name: "update-state", measured: 244.6, unit: WORD, build: loops::update_state },
    Loop { name: "map-state", measured: 255.2, unit: WORD, build: loops::map_state },
    Loop { name: "window-inverse", measured: 155.9, unit: WORD, build: loops::window_inverse },
    Loop { name: "join-count", measured: 340.3, unit: PAIR, build: loops::join_count },
    Loop { name: "empty", measured: 17193.0, unit: BATCH, build: loops::empty },
    // Those of all threads, so that it is never twice the same: 24,400 to 26,400.
    Loop { name: "listened", measured: 25400.0, unit: BATCH, build: loops::listened },
];

/// The batches that fill tables and windows, and are not counted.
const WARM_UP: usize = 4;

/// What may be added for a record, at most: less than a virtual call, which takes about 12 instructions, most
/// of them to save and restore what the loop had in registers.
const CALL: f64 = 10.0;

const WORD: Unit = Unit { name: "word", a_batch: data::LINES * data::WORDS_A_LINE, batches: 4, slack: CALL };
const LINE: Unit = Unit { name: "line", a_batch: data::LINES, batches: 4, slack: CALL };
const PAIR: Unit = Unit { name: "pair", a_batch: data::PAIRS, batches: 4, slack: CALL };
const BATCH: Unit = Unit { name: "batch", a_batch: 1, batches: 500, slack: f64::INFINITY };

struct Loop {
    name: &'static str,
    measured: f64,
    unit: Unit,
    build: fn() -> dstream::Result<StreamingContext>,
}

/// What the instructions are shared out among.
struct Unit {
    name: &'static str,
    /// How many a batch has.
    a_batch: usize,
    /// How many batches are counted.
    batches: usize,
    /// The most instructions that one may take beyond what was measured.
    slack: f64,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.as_slice() {
        [] => guard(),
        [name, batches] => {
            let found = LOOPS.iter().find(|l| l.name == name).ok_or_else(|| {
                let names: Vec<_> = LOOPS.iter().map(|l| l.name).collect();
                format!("there is no loop `{name}`: it is one of {}", names.join(", "))
            })?;
            let n = batches.parse().map_err(|_| format!("`{batches}` is no number of batches"))?;
            let ssc = (found.build)()?;
            ssc.run_batches(n)?;
            // What listeners are told is told when this returns.
            ssc.stop();
            Ok(ExitCode::SUCCESS)
        }
        _ => Err("expected no arguments, or a loop and a number of batches".into()),
    }
}

fn guard() -> Result<ExitCode, Box<dyn Error>> {
    let mut out = io::stdout();
    if let Some(why) = not_comparable() {
        writeln!(out, "SKIPPED: no instructions were counted, and no loop was guarded: {why}")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{:16}{:>12}{:>12}{:>12}", "instructions", "found", "measured", "limit")?;
    let mut slow = Vec::new();
    for l in LOOPS {
        let (found, limit) = (l.count()?, l.limit());
        let verdict = match () {
            () if found > limit => "TOO MANY",
            () if found < l.measured * 0.9 => "fewer: lower the limit in main.rs",
            () => "",
        };
        writeln!(
            out,
            "{:16}{found:12.1}{:12.1}{limit:12.1}  a {} {verdict}",
            l.name, l.measured, l.unit.name
        )?;
        if found > limit {
            slow.push((l, found, limit));
        }
    }
    let Some((first, ..)) = slow.first() else { return Ok(ExitCode::SUCCESS) };
    writeln!(out)?;
    for (l, found, limit) in &slow {
        writeln!(
            out,
            "{}: {found:.1} instructions a {}, where {limit:.1} are the limit",
            l.name, l.unit.name
        )?;
    }
    writeln!(
        out,
        "\nWhere they go:\n  \
         CARGO_PROFILE_RELEASE_DEBUG=line-tables-only cargo build --release -p dstream-instructions\n  \
         valgrind --tool=callgrind --callgrind-out-file=callgrind.out target/release/dstream-instructions {} \
         {}\n  callgrind_annotate callgrind.out | less\n\
         If they are worth it, put what was found into the table of benches/instructions/src/main.rs.",
        first.name,
        WARM_UP + first.unit.batches,
    )?;
    Ok(ExitCode::FAILURE)
}

/// Why the numbers of the table say nothing here.
fn not_comparable() -> Option<&'static str> {
    if cfg!(debug_assertions) {
        return Some("this is no release build, add `--release`");
    }
    if cfg!(not(all(target_arch = "x86_64", target_os = "linux"))) {
        return Some("the limits are those of Linux on x86-64");
    }
    #[cfg(target_arch = "x86_64")]
    if !std::is_x86_feature_detected!("avx2") {
        return Some("the limits are those of a processor with AVX2, with which searches take fewer steps");
    }
    match Command::new("valgrind").arg("--version").stdout(Stdio::null()).status() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Some("there is no `valgrind`; install it, for example with `apt-get install valgrind`")
        }
        _ => None,
    }
}

impl Loop {
    /// A tenth more than measured, which leaves room for another compiler, unless a call a record could hide
    /// in that.
    fn limit(&self) -> f64 {
        self.measured + (self.measured * 0.1).min(self.unit.slack)
    }

    /// The instructions for one unit. Both runs go at once.
    fn count(&self) -> Result<f64, Box<dyn Error>> {
        let [few, more] = [WARM_UP, WARM_UP + self.unit.batches].map(|batches| self.spawn(batches));
        let (few, more) = (collected(few?)?, collected(more?)?);
        Ok((more as f64 - few as f64) / (self.unit.a_batch * self.unit.batches) as f64)
    }

    fn spawn(&self, batches: usize) -> io::Result<Child> {
        Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(env::current_exe()?)
            .args([self.name, &batches.to_string()])
            .stderr(Stdio::piped())
            .spawn()
    }
}

/// Waits for a run, and reads how many instructions it took: `==12== Collected : 345`.
fn collected(run: Child) -> Result<u64, Box<dyn Error>> {
    let output = run.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    match count {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(format!("valgrind ended with {} and said:\n{said}", output.status).into()),
    }
}
