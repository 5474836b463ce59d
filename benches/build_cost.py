#!/usr/bin/env python3
"""How long a program of 40 pipelines of 12 operators takes to build in release, against the same loops written by hand.

Usage: benches/build_cost.py [PIPELINES]. Prints the seconds of rustc for both, three builds each in turn, and the ratio of the medians.
"""
import pathlib, statistics, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 40

PIPELINE = """
fn pipeline_{i}(out: &Collected<(Str, u64)>) -> dstream::Result<()> {{
    let ssc = dstream::stream!(batch = 1s, {{
        let lines = queue_stream(vec![vec!["a b c".to_owned()]]);
        let words = lines.filter(|l| l.len() > {i}).flat_map(|l| l.split(' ')).map(|w| w.trim());
        let long = words.filter(|w| w.len() < {i} + 9).map(|w| (w, w.len() as u64)).map_values(|n| n + {i});
        let flat = long.flat_map_values(|n| [n, n + 1]).filter(|(_, n)| n % 7 != {i}).map(|(w, n)| (w, n * 3));
        let counts = flat.map_values(|n| n ^ {i}).reduce_by_key(|a, b| a + b);
        counts.collect_to(out);
    }})?;
    ssc.run_batches(1)
}}
"""

HAND = """
fn pipeline_{i}(out: &std::sync::Mutex<Vec<(CompactString, u64)>>) {{
    let batch: Vec<String> = vec!["a b c".to_owned()];
    let parts: Vec<hashbrown::HashMap<CompactString, u64>> = batch.par_chunks(1024).map(|lines| {{
        let mut table: hashbrown::HashMap<CompactString, u64> = hashbrown::HashMap::new();
        for l in lines {{
            if l.len() > {i} {{ for w in l.split(' ') {{
                let w = w.trim();
                if w.len() < {i} + 9 {{
                    let n = w.len() as u64 + {i};
                    for n in [n, n + 1] {{ if n % 7 != {i} {{
                        let n = (n * 3) ^ {i};
                        match table.get_mut(w) {{ Some(held) => *held += n, None => {{ table.insert(w.into(), n); }} }}
                    }} }}
                }}
            }} }}
        }}
        table
    }}).collect();
    let mut total: hashbrown::HashMap<CompactString, u64> = hashbrown::HashMap::new();
    for part in parts {{ for (w, n) in part {{ *total.entry(w).or_default() += n; }} }}
    out.lock().unwrap().extend(total);
}}
"""


def crate(folder, name, deps, prelude, body, main):
    source = prelude + "".join(body.format(i=i) for i in range(COUNT)) + main
    (folder / name / "src").mkdir(parents=True)
    (folder / name / "src/main.rs").write_text(source)
    (folder / name / "Cargo.toml").write_text(
        f'[package]\nname = "{name}"\nversion = "0.0.0"\nedition = "2024"\n[dependencies]\n{deps}\n'
        "[profile.release]\ncodegen-units = 1\n"
    )


def build(folder, name):
    (folder / name / "src/main.rs").touch()
    start = time.monotonic()
    target = ["--target-dir", str(folder / "target")]
    subprocess.run(["cargo", "build", "--release", "--quiet", *target], cwd=folder / name, check=True)
    return time.monotonic() - start


with tempfile.TemporaryDirectory() as tmp:
    folder = pathlib.Path(tmp)
    calls = "".join(f"    pipeline_{i}(&out)?;\n" for i in range(COUNT))
    crate(folder, "macro", f'dstream = {{ path = "{ROOT}" }}', "use dstream::{Str, prelude::*};\n", PIPELINE,
          f"fn main() -> dstream::Result<()> {{\n    let out = Collected::new();\n{calls}    println!(\"{{}}\", out.values().len());\n    Ok(())\n}}\n")
    calls = "".join(f"    pipeline_{i}(&out);\n" for i in range(COUNT))
    crate(folder, "hand", 'hashbrown = "0.16"\nrayon = "1"\ncompact_str = "0.9"',
          "use compact_str::CompactString;\nuse rayon::prelude::*;\n", HAND,
          f"fn main() {{\n    let out = Default::default();\n{calls}    println!(\"{{}}\", out.lock().unwrap().len());\n}}\n")
    for name in ("macro", "hand"):
        build(folder, name)
    times = [(build(folder, "macro"), build(folder, "hand")) for _ in range(3)]
    macro, hand = (statistics.median(column) for column in zip(*times))
    print(f"{COUNT} pipelines of 12 operators: stream! {macro:.1f} s, by hand {hand:.1f} s, ratio {macro / hand:.2f}")
