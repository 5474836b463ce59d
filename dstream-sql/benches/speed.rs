//! What a query costs: against the same by operators, and against DataFusion used directly.
//! `cargo bench -p dstream-sql`

#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use dstream::{
    prelude::*,
    sql::{
        SqlContext,
        datafusion::{
            arrow::{
                array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray},
                datatypes::{DataType, Field, Schema},
            },
            prelude::{SessionConfig, SessionContext},
        },
    },
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Record, Serialize, Deserialize)]
struct Word {
    word: String,
}

#[derive(Debug, Clone, Record, Serialize, Deserialize)]
struct Total {
    word: String,
    n: u64,
}

#[derive(Debug, Clone, Record, Serialize, Deserialize)]
struct Order {
    user: i64,
    amount: f64,
}

#[derive(Debug, Clone, Record, Serialize, Deserialize)]
struct User {
    id: i64,
    name: String,
}

#[derive(Debug, Clone, Record, Serialize, Deserialize)]
struct Spent {
    name: String,
    amount: f64,
}

const ROUNDS: usize = 7;

/// The middle of several runs of each, in turns.
fn in_turns<const N: usize>(mut runs: [&mut dyn FnMut() -> Duration; N]) -> [Duration; N] {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for (times, run) in times.iter_mut().zip(&mut runs) {
            times.push(run());
        }
    }
    times.map(|mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    })
}

fn batches(of: usize, n: usize) -> Vec<Vec<Word>> {
    let word = |i: usize| Word { word: format!("word{}", i.wrapping_mul(2_654_435_761) % 5_000) };
    (0..n).map(|batch| (0..of).map(|i| word(batch * of + i)).collect()).collect()
}

fn word_count(of: usize, n: usize) {
    let mut by_operators = || {
        let words = batches(of, n);
        let ssc = dstream::stream!(batch = 1s, conf = Config::new().threads(1), {
            let pairs = queue_stream(words).map(|word| (word.word, 1u64));
            pairs.reduce_by_key(|a, b| a + b).foreach_rdd(|counts| assert!(counts.count() > 0));
        })
        .unwrap();
        timed(|| ssc.run_batches(n).unwrap())
    };
    let mut by_sql = || {
        let words = batches(of, n);
        let text = "SELECT word, count(*) AS n FROM words GROUP BY word";
        let mut totals = SqlContext::new().sql(text).table::<Word>("words").build::<Total>().unwrap();
        let ssc = dstream::stream!(batch = 1s, conf = Config::new().threads(1), {
            let counts = queue_stream(words).transform(move |words| totals.run(&words));
            counts.foreach_rdd(|counts| assert!(counts.count() > 0));
        })
        .unwrap();
        timed(|| ssc.run_batches(n).unwrap())
    };
    let [operators, sql] = in_turns([&mut by_operators, &mut by_sql]);
    let each = |time: Duration| time / n as u32;
    println!(
        "word count, {of} words a batch: operators {:?}, SQL {:?} ({:.2} times)",
        each(operators),
        each(sql),
        sql.as_secs_f64() / operators.as_secs_f64()
    );
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let began = Instant::now();
    black_box(work());
    began.elapsed()
}

fn join(n: i64) {
    let text = "SELECT name, amount FROM orders JOIN users ON id = user WHERE amount > 10";
    let orders: Vec<Order> =
        (0..n).map(|i| Order { user: i * 7 % 50_000, amount: (i % 100) as f64 }).collect();
    let users: Vec<User> = (0..50_000).map(|id| User { id, name: format!("user {id}") }).collect();

    let ints = |values: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
    let order_columns = vec![
        ints(orders.iter().map(|order| order.user).collect()),
        Arc::new(Float64Array::from_iter_values(orders.iter().map(|order| order.amount))) as ArrayRef,
    ];
    let user_columns = vec![
        ints(users.iter().map(|user| user.id).collect()),
        Arc::new(StringArray::from_iter_values(users.iter().map(|user| &user.name))) as ArrayRef,
    ];
    let schema = |a: &str, b: &str, kind: DataType| {
        Arc::new(Schema::new(vec![Field::new(a, DataType::Int64, false), Field::new(b, kind, false)]))
    };
    let orders_table =
        RecordBatch::try_new(schema("user", "amount", DataType::Float64), order_columns).unwrap();
    let users_table = RecordBatch::try_new(schema("id", "name", DataType::Utf8), user_columns).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let mut directly = || {
        let (orders, users) = (orders_table.clone(), users_table.clone());
        timed(|| {
            let rows = runtime.block_on(async move {
                let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
                session.register_batch("orders", orders).unwrap();
                session.register_batch("users", users).unwrap();
                session.sql(text).await.unwrap().collect().await.unwrap()
            });
            rows.iter().map(RecordBatch::num_rows).sum::<usize>()
        })
    };
    let (orders, users) = (Rdd::parallelize(orders), Rdd::parallelize(users));
    let context = SqlContext::new();
    let query = context.sql(text).table::<Order>("orders").table::<User>("users");
    let mut query = query.build::<Spent>().unwrap();
    let mut of_records = || timed(|| query.run(&orders, &users).unwrap().count());
    let mut sql = SqlContext::new();
    sql.register("users", &users).unwrap();
    let mut standing = sql.sql(text).table::<Order>("orders").build::<Spent>().unwrap();
    let mut with_table = || timed(|| standing.run(&orders).unwrap().count());
    let [directly, records, table] = in_turns([&mut directly, &mut of_records, &mut with_table]);
    let times = |time: Duration| time.as_secs_f64() / directly.as_secs_f64();
    println!(
        "join of {n} rows with 50000: DataFusion on columns {directly:?}; records in and out {records:?} ({:.2} \
         times); users as a table that stays {table:?} ({:.2} times)",
        times(records),
        times(table)
    );
}

fn main() {
    word_count(1, 200);
    word_count(1_000, 50);
    word_count(200_000, 5);
    join(200_000);
}
