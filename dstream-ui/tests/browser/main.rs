//! The page of a running program in a real browser: Debian's packages `chromium` and `chromium-driver`.
//! `UPDATE_DOCS=1` writes the pictures of `docs/images/`.

mod driver;

use std::{fs, io::Write, path::Path, process::Command};

use driver::Browser;
use dstream::{prelude::*, testing::ManualClock};
use dstream_ui::Ui;
use serde_json::Value;

/// What a stream may have as text, and must stay text.
const EVIL: &str = "<img src=x onerror=document.title='hit'>";

const PAGES: [&str; 5] = ["/", "/graph", "/state", "/dashboard", "/settings"];

/// What the checker of accessibility finds.
const VIOLATIONS: &str = "const text = v => \
    v.impact + ' ' + v.id + ' ' + v.nodes[0].html + v.nodes[0].failureSummary; \
    axe.run().then(r => arguments[0](r.violations.map(text)))";

fn program(page: &Ui, batches: &Collected<u64>, odd: &'static str) -> dstream::Result<StreamingContext> {
    let conf = Config::new().volatile_state(true).threads(1).listener(page.clone());
    let words = ["to", "be", "or", "not", odd, "that", "is", "the", "question", "whether", "nobler"];
    let ssc = dstream::stream!(batch = 100ms, name = "shop", conf = conf, {
        let sold = rate_stream(5_000).map(move |n| (words[(n * n % 1009 % 11) as usize], 1u64));
        let counts = sold.reduce_by_key(|a, b| a + b);
        let recent = counts.reduce_by_key_and_window(|a, b| a + b, 2s, 100ms);
        let totals = sold.update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.len() as u64));
        counts.dashboard("Top words", Chart::bar().top(8).unit("words"));
        recent.dashboard("Of the last two seconds", Chart::line().top(4));
        sold.count().dashboard("Words", Chart::number().unit("a batch"));
        totals
            .map(|(word, n)| (word.clone(), *n))
            .top_by_key(5)
            .dashboard("Totals", Chart::table().columns(["word", "total"]));
        rate_stream(200)
            .map(|n| ((n * 37 % 140) as f64 - 60.0, (n * 101 % 360) as f64 - 180.0))
            .dashboard("Places", Chart::map());
        sold.count().dashboard("A line alone", Chart::line());
        sold.count().collect_to(batches);
    })?;
    ssc.start()?;
    Ok(ssc)
}

fn picture(browser: &Browser, name: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/images");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(format!("{name}.png")), decode(&browser.picture())).expect("a picture");
    }
}

/// Base64.
fn decode(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => u32::from(c - b'A'),
        b'a'..=b'z' => u32::from(c - b'a') + 26,
        b'0'..=b'9' => u32::from(c - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|c| !c.is_ascii_whitespace() && *c != b'=').collect();
    let groups = digits.chunks(4).map(|four| {
        let bits = four.iter().fold(0, |bits, c| bits << 6 | value(*c)) << (6 * (4 - four.len()));
        bits.to_be_bytes()[1..four.len()].to_vec()
    });
    groups.flatten().collect()
}

/// The checker of accessibility, from npm, into the target folder.
fn axe() -> Option<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("axe");
    let file = folder.join("node_modules/axe-core/axe.min.js");
    if !file.exists() {
        fs::create_dir_all(&folder).ok()?;
        let arguments = ["install", "--no-audit", "--no-fund", "--silent", "axe-core@4"];
        let _ = Command::new("npm").args(arguments).current_dir(&folder).output();
    }
    fs::read_to_string(file).ok()
}

/// Says so past the harness, which shows nothing of a test that passes.
fn left_out(what: &str) {
    let _ = writeln!(std::io::stderr(), "LEFT OUT: {what}");
}

#[test]
fn a_program_is_watched_in_a_browser() -> dstream::Result<()> {
    let Some(browser) = Browser::start() else {
        left_out(
            "the page in a browser, since there is no `chromedriver` (Debian: apt install chromium-driver)",
        );
        return Ok(());
    };
    let (page, batches) = (Ui::new("127.0.0.1:0"), Collected::new());
    let pictures = std::env::var_os("UPDATE_DOCS").is_some();
    let ssc = program(&page, &batches, if pictures { "fortune" } else { EVIL })?;
    let address = page.address().expect("it is served");
    let at = |path: &str| format!("http://{address}{path}");
    let ready =
        "document.querySelector('#connection').textContent == 'live' && document.querySelector('main h1')";
    let text =
        |selector: &str| browser.run(&format!("return document.querySelector('{selector}').innerText"));
    browser.size(1280, 1000);

    // Live: the number of completed batches rises by itself.
    browser.open(&at("/"));
    browser.wait(ready);
    browser.wait("document.querySelectorAll('main table tbody tr').length > 20");
    assert_eq!(text("h1"), "Streaming");
    browser.run("window.before = document.querySelector('.lead').innerText");
    browser.wait("document.querySelector('.lead').innerText != window.before");
    assert!(
        text(".lead").as_str().is_some_and(|lead| lead.starts_with("Running batches of 100 ms for")),
        "{}",
        text(".lead")
    );
    assert_eq!(browser.run("return document.querySelectorAll('.figure canvas').length"), 4);
    // Where the interval is: a line, or words where the line would be far above.
    let processing = "document.querySelector('.figure[aria-label=\"Processing time\"] .note').innerText";
    let note = browser.run(&format!("return {processing}"));
    assert!(note.as_str().is_some_and(|note| note.to_lowercase().contains("interval, 100 ms")), "{note}");
    picture(&browser, "streaming");

    // Each source by itself.
    browser.run("document.querySelector('details summary').click()");
    browser.wait("document.querySelectorAll('details .figure canvas').length == 2");

    // A batch: what it shows is what the API says of it.
    browser.run("[...document.querySelectorAll('main td a')].at(-1).click()");
    browser.wait(
        "location.pathname.startsWith('/batches/') && document.querySelectorAll('main h2').length == 3",
    );
    let time = browser.run("return location.pathname.split('/')[2]");
    let time = time.as_str().unwrap_or_default();
    let shown = browser.run(
        "const rows = t => [...t.querySelectorAll('tbody tr')].map(r => [...r.cells].map(c => c.innerText)); \
         return [...document.querySelectorAll('table')].map(rows)",
    );
    let batch =
        browser.run_async(&format!("fetch('/api/v1/batches/{time}').then(r => r.json()).then(arguments[0])"));
    assert_eq!(shown[0][0][0], batch["inputs"][0]["source"]);
    assert_eq!(shown[0][0][1], "500");
    assert_eq!(batch["inputs"][0]["records"], 500);
    assert_eq!(shown[1].as_array().map(Vec::len), batch["outputs"].as_array().map(Vec::len));
    assert_eq!(shown[2].as_array().map(Vec::len), batch["stages"].as_array().map(Vec::len));
    picture(&browser, "batch");

    // Back, by the browser's own button.
    browser.run("history.back()");
    browser.wait("location.pathname == '/' && document.querySelector('h1').innerText == 'Streaming'");

    // The graph has all operators, and live figures.
    browser.open(&at("/graph"));
    browser.wait(ready);
    let operators: usize = ssc.plan().pipelines.iter().map(|pipeline| pipeline.operators.len()).sum();
    assert_eq!(browser.run("return document.querySelectorAll('.graph g.operator').length"), operators);
    let stages = "document.querySelectorAll('.graph g.stage').length";
    assert!(browser.run(&format!("return {stages}")).as_u64().is_some_and(|stages| stages >= 2));
    browser
        .wait("[...document.querySelectorAll('.graph text')].some(t => t.textContent.includes('5,000/s'))");
    picture(&browser, "pipeline");

    browser.open(&at("/state"));
    browser.wait("[...document.querySelectorAll('td.n')].some(cell => cell.innerText == '11')");
    // What is kept of one key.
    browser.run("document.querySelector('.lookup input').value = 'question'");
    browser.run("document.querySelector('.lookup button').click()");
    browser.wait("Number(document.querySelector('.found')?.innerText) > 0");
    picture(&browser, "state");

    // Charts; text of the stream stays text.
    browser.open(&at("/dashboard"));
    browser.wait("document.querySelectorAll('.chart').length == 6");
    browser.wait("document.querySelectorAll('.chart canvas').length == 3");
    if !pictures {
        browser.wait("[...document.querySelectorAll('.label')].some(l => l.textContent.startsWith('<img'))");
    }
    browser.wait("document.querySelectorAll('.map circle').length > 5");
    assert_eq!(browser.run("return document.querySelectorAll('main img').length"), 0);
    assert_eq!(browser.run("return document.title"), "shop");
    // A while, so that there are lines to see.
    let so_far = batches.values().len();
    assert!(batches.wait_for(so_far + 20, std::time::Duration::from_secs(20)));
    picture(&browser, "dashboard");
    browser.open(&at("/dashboard/Top%20words?embed"));
    browser.wait("document.querySelectorAll('.bars .bar').length == 8");
    browser.wait("!document.querySelector('header').offsetHeight");

    browser.open(&at("/settings"));
    browser.wait("[...document.querySelectorAll('dt')].some(name => name.innerText == 'threads')");
    browser.open(&at("/batches/1"));
    browser.wait("document.querySelector('.problem')?.innerText.includes('there is no batch 1')");
    // It was asked for: the browser says so.
    browser.errors();

    // Every page, light and dark, on a desk and on a phone: nothing sticks out, and all can use it.
    let axe = axe();
    if axe.is_none() {
        left_out("the check of accessibility, since `npm install axe-core` failed");
    }
    for (width, height) in [(1280, 1000), (500, 900)] {
        browser.size(width, height);
        for theme in ["light", "dark"] {
            for path in PAGES {
                browser.open(&at(path));
                browser.wait(ready);
                browser.run(&format!("localStorage.setItem('theme', '{theme}')"));
                browser.open(&at(path));
                browser.wait(ready);
                assert_eq!(browser.run("return document.documentElement.dataset.theme"), theme);
                let wide = browser.run(
                    "return document.documentElement.scrollWidth - document.documentElement.clientWidth",
                );
                assert!(wide.as_i64().is_some_and(|wide| wide <= 0), "{path} is {wide} too wide at {width}");
                if let Some(axe) = &axe {
                    browser.run(axe);
                    let found = browser.run_async(VIOLATIONS);
                    let serious = |found: &&Value| {
                        found.as_str().is_none_or(|f| f.starts_with("serious") || f.starts_with("critical"))
                    };
                    let serious: Vec<_> = found.as_array().into_iter().flatten().filter(serious).collect();
                    assert!(
                        found.is_array() && serious.is_empty(),
                        "{path} {theme} {width}: {serious:#?} {found}"
                    );
                }
                if (theme, width, path) == ("dark", 500, "/dashboard") {
                    browser.wait("document.querySelectorAll('.chart').length == 6");
                    picture(&browser, "phone");
                }
            }
        }
    }
    // The switch.
    browser.run("document.querySelector('#theme').click()");
    browser.wait("document.documentElement.dataset.theme == 'light'");
    assert_eq!(browser.errors(), Vec::<String>::new());

    // A program that stops, and one that is gone.
    ssc.stop();
    browser.wait("document.querySelector('#connection').innerText == 'stopped'");
    drop((ssc, page));
    browser.wait("document.querySelector('#connection').innerText == 'not connected'");
    Ok(())
}

/// The page of a batch follows it until it is done, and then stays as it is.
#[test]
fn the_page_of_a_running_batch_is_live() -> dstream::Result<()> {
    // The other test says it.
    let Some(browser) = Browser::start() else { return Ok(()) };
    let page = Ui::new("127.0.0.1:0");
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let conf = Config::new().clock(ManualClock::default()).listener(page.clone());
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        let numbers = queue_stream(vec![vec![1u64], vec![2, 3]]);
        numbers.foreach_rdd(move |_| {
            let _ = gate.lock().map(|gate| gate.recv());
        });
        numbers.map(|n| n + 1).foreach_rdd(|_| ());
    })?;
    let _ = open.send(());
    ssc.run_batches(1)?;
    let address = page.address().expect("it is served");
    std::thread::scope(|scope| {
        let runs = scope.spawn(|| ssc.run_batches(1));
        browser.open(&format!("http://{address}/"));
        browser.wait("document.querySelector('#connection').textContent == 'live'");
        let time = browser.run_async(
            "const ask = () => fetch('/api/v1/streaming/batches?status=processing').then(r => r.json())\
             .then(found => found.length ? arguments[0](found[0].batchId) : setTimeout(ask, 20)); ask()",
        );
        browser.open(&format!("http://{address}/batches/{time}"));
        browser.wait("document.querySelector('dd')?.innerText == 'processing'");
        browser.wait("document.querySelector('#connection').textContent == 'live'");
        browser.run("window.here = true");
        drop(open);
        browser.wait("document.querySelector('dd').innerText == 'completed'");
        let rows = browser.run("return document.querySelectorAll('table')[1].tBodies[0].rows.length");
        assert_eq!((browser.run("return window.here"), rows), (true.into(), 2.into()));
        runs.join().expect("no panic")
    })?;
    assert_eq!(browser.errors(), Vec::<String>::new());
    Ok(())
}
