//! Queries over random batches against the same queries in SQLite.

use dstream::{prelude::*, sql::SqlContext};
use rusqlite::{Connection, types::ValueRef};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Record, Serialize, Deserialize)]
struct Sale {
    shop: i64,
    item: String,
    amount: i64,
    price: f64,
    note: Option<String>,
}

#[derive(Debug, Clone, Record, Serialize, Deserialize)]
struct Shop {
    id: i64,
    town: String,
    open: bool,
}

/// What a query gives, whatever its columns: two of them, as text.
#[derive(Debug, Clone, PartialEq, PartialOrd, Record, Serialize, Deserialize)]
struct Row {
    a: Option<String>,
    b: Option<f64>,
}

/// A random number that follows from those before it.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn sales(numbers: &mut Numbers, n: u64) -> Vec<Sale> {
    const ITEMS: [&str; 6] = ["tea", "Coffee", "süß", "bread", "it's", ""];
    let sale = |_| Sale {
        shop: numbers.below(9) as i64,
        item: ITEMS[numbers.below(6) as usize].to_owned(),
        amount: numbers.below(200) as i64 - 100,
        // So that sums are exact, in whatever order.
        price: numbers.below(400) as f64 / 4.0,
        note: (numbers.below(3) > 0).then(|| format!("note {}", numbers.below(4))),
    };
    (0..n).map(sale).collect()
}

fn shops(numbers: &mut Numbers) -> Vec<Shop> {
    const TOWNS: [&str; 3] = ["Ulm", "Rom", "Köln"];
    let shop =
        |id| Shop { id, town: TOWNS[numbers.below(3) as usize].to_owned(), open: numbers.below(2) > 0 };
    (0..7).map(shop).collect()
}

fn in_sqlite(sales: &[Sale], shops: &[Shop]) -> Connection {
    let database = Connection::open_in_memory().unwrap();
    database
        .execute_batch(
            "CREATE TABLE sales (shop INTEGER, item TEXT, amount INTEGER, price REAL, note TEXT);
             CREATE TABLE shops (id INTEGER, town TEXT, open INTEGER);",
        )
        .unwrap();
    for Sale { shop, item, amount, price, note } in sales {
        let sale = (shop, item, amount, price, note);
        database.execute("INSERT INTO sales VALUES (?, ?, ?, ?, ?)", sale).unwrap();
    }
    for Shop { id, town, open } in shops {
        database.execute("INSERT INTO shops VALUES (?, ?, ?)", (id, town, open)).unwrap();
    }
    database
}

fn of_sqlite(database: &Connection, query: &str) -> Vec<Row> {
    let mut query = database.prepare(query).unwrap();
    let rows = query.query_map((), |row| {
        let a = match row.get_ref(0)? {
            ValueRef::Null => None,
            ValueRef::Text(text) => Some(String::from_utf8(text.to_vec()).unwrap()),
            ValueRef::Integer(n) => Some(n.to_string()),
            other => panic!("{other:?}"),
        };
        Ok(Row { a, b: row.get(1)? })
    });
    rows.unwrap().map(|row| row.unwrap()).collect()
}

/// The first column is a text, the second a number. In the dialect that both have.
const QUERIES: [&str; 60] = [
    "SELECT item AS a, CAST(amount AS DOUBLE) AS b FROM sales",
    "SELECT item AS a, price AS b FROM sales WHERE amount > 10",
    "SELECT item AS a, price * 2 AS b FROM sales WHERE price BETWEEN 10 AND 20",
    "SELECT item AS a, -price AS b FROM sales WHERE item IN ('tea', 'it''s')",
    "SELECT note AS a, price AS b FROM sales WHERE note IS NULL",
    "SELECT note AS a, price AS b FROM sales WHERE note IS NOT NULL AND NOT (amount < 0)",
    "SELECT item AS a, price AS b FROM sales WHERE item LIKE '%e%'",
    "SELECT item AS a, price AS b FROM sales WHERE item LIKE 'b_ead'",
    "SELECT upper(item) AS a, price AS b FROM sales WHERE item = 'tea'",
    "SELECT lower(item) AS a, price AS b FROM sales WHERE item <> 'süß'",
    "SELECT item || '!' AS a, price AS b FROM sales",
    "SELECT substr(item, 2, 3) AS a, price AS b FROM sales",
    "SELECT trim(item) AS a, CAST(length(item) AS DOUBLE) AS b FROM sales",
    "SELECT replace(item, 'e', 'E') AS a, price AS b FROM sales",
    "SELECT coalesce(note, item) AS a, price AS b FROM sales",
    "SELECT nullif(item, 'tea') AS a, price AS b FROM sales",
    "SELECT CASE WHEN amount > 0 THEN 'in' WHEN amount = 0 THEN 'none' ELSE 'out' END AS a, price AS b FROM sales",
    "SELECT CASE item WHEN 'tea' THEN 'leaf' END AS a, price AS b FROM sales",
    "SELECT item AS a, CAST(abs(amount) AS DOUBLE) AS b FROM sales",
    "SELECT item AS a, round(price) AS b FROM sales",
    "SELECT item AS a, CAST(amount % 7 AS DOUBLE) AS b FROM sales",
    "SELECT item AS a, CAST(amount / 7 AS DOUBLE) AS b FROM sales",
    "SELECT DISTINCT item AS a, CAST(shop AS DOUBLE) AS b FROM sales",
    "SELECT item AS a, CAST(count(*) AS DOUBLE) AS b FROM sales GROUP BY item",
    "SELECT item AS a, CAST(count(note) AS DOUBLE) AS b FROM sales GROUP BY item",
    "SELECT item AS a, CAST(count(DISTINCT shop) AS DOUBLE) AS b FROM sales GROUP BY item",
    "SELECT item AS a, sum(price) AS b FROM sales GROUP BY item",
    "SELECT item AS a, CAST(sum(amount) AS DOUBLE) AS b FROM sales GROUP BY item",
    "SELECT item AS a, avg(price) AS b FROM sales GROUP BY item",
    "SELECT item AS a, min(price) AS b FROM sales GROUP BY item",
    "SELECT item AS a, max(price) AS b FROM sales GROUP BY item HAVING count(*) > 3",
    "SELECT max(item) AS a, sum(price) AS b FROM sales GROUP BY shop",
    "SELECT min(note) AS a, sum(price) AS b FROM sales GROUP BY shop, item",
    "SELECT note AS a, CAST(count(*) AS DOUBLE) AS b FROM sales GROUP BY note",
    "SELECT 'all' AS a, sum(price) AS b FROM sales",
    "SELECT 'none' AS a, sum(price) AS b FROM sales WHERE amount > 1000",
    "SELECT 'none' AS a, CAST(count(*) AS DOUBLE) AS b FROM sales WHERE amount > 1000",
    "SELECT item AS a, sum(CASE WHEN amount > 0 THEN price ELSE 0.0 END) AS b FROM sales GROUP BY item",
    "SELECT item AS a, sum(price) FILTER (WHERE amount > 0) AS b FROM sales GROUP BY item",
    "SELECT item AS a, sum(price) AS b FROM sales GROUP BY 1 ORDER BY b DESC, a LIMIT 3",
    "SELECT item AS a, price AS b FROM sales ORDER BY price DESC, item, amount LIMIT 5 OFFSET 2",
    "SELECT town AS a, price AS b FROM sales JOIN shops ON shop = id",
    "SELECT town AS a, price AS b FROM sales LEFT JOIN shops ON shop = id",
    "SELECT town AS a, CAST(sum(s.amount) AS DOUBLE) AS b FROM shops LEFT JOIN sales AS s ON s.shop = id GROUP BY town",
    "SELECT town AS a, price AS b FROM sales, shops WHERE shop = id AND open",
    "SELECT x.town AS a, CAST(x.id + y.id AS DOUBLE) AS b FROM shops x JOIN shops y ON x.town = y.town AND x.id < y.id",
    "SELECT town AS a, CAST(id AS DOUBLE) AS b FROM shops WHERE id IN (SELECT shop FROM sales)",
    "SELECT town AS a, CAST(id AS DOUBLE) AS b FROM shops WHERE id NOT IN (SELECT shop FROM sales)",
    "SELECT town AS a, CAST(id AS DOUBLE) AS b FROM shops WHERE EXISTS (SELECT 1 FROM sales WHERE shop = id AND amount > 90)",
    "SELECT item AS a, price AS b FROM sales WHERE price = (SELECT max(price) FROM sales)",
    "SELECT item AS a, price AS b FROM sales UNION ALL SELECT town AS a, CAST(id AS DOUBLE) AS b FROM shops",
    "SELECT item AS a, CAST(shop AS DOUBLE) AS b FROM sales UNION SELECT town AS a, CAST(id AS DOUBLE) AS b FROM shops",
    "SELECT item AS a, CAST(shop AS DOUBLE) AS b FROM sales EXCEPT SELECT item, 3.0 FROM sales",
    "SELECT item AS a, CAST(shop AS DOUBLE) AS b FROM sales INTERSECT SELECT item, 3.0 FROM sales",
    "WITH big AS (SELECT * FROM sales WHERE price > 50) SELECT item AS a, sum(price) AS b FROM big GROUP BY item",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT 'n' AS a, CAST(i AS DOUBLE) AS b FROM n",
    "SELECT a, max(b) AS b FROM (SELECT item AS a, sum(price) AS b FROM sales GROUP BY item, shop) t GROUP BY a",
    "SELECT item AS a, CAST(row_number() OVER (PARTITION BY item ORDER BY price, amount, shop) AS DOUBLE) AS b FROM sales",
    "SELECT item AS a, CAST(rank() OVER (ORDER BY price) AS DOUBLE) AS b FROM sales",
    "SELECT item AS a, sum(price) OVER (PARTITION BY shop) AS b FROM sales",
];

fn sorted(mut rows: Vec<Row>, query: &str) -> Vec<Row> {
    if !query.contains(" LIMIT ") {
        rows.sort_by(|x, y| x.partial_cmp(y).unwrap());
    }
    rows
}

#[test]
fn queries_give_what_they_give_in_sqlite() {
    for threads in [1, 3] {
        let sql = SqlContext::new().threads(threads);
        let mut queries: Vec<_> = QUERIES
            .iter()
            .map(|query| {
                let built = sql.sql(*query).table::<Sale>("sales").table::<Shop>("shops").build::<Row>();
                built.unwrap_or_else(|error| panic!("{query}: {error}"))
            })
            .collect();
        let mut numbers = Numbers(threads as u64);
        for n in [0, 1, 40, 3_000, 7] {
            let (sales, shops) = (sales(&mut numbers, n), shops(&mut numbers));
            let database = in_sqlite(&sales, &shops);
            let (sales, shops) = (Rdd::parallelize(sales), Rdd::parallelize(shops));
            for (text, query) in QUERIES.iter().zip(&mut queries) {
                let found = query.run(&sales, &shops).unwrap_or_else(|error| panic!("{text}: {error}"));
                let expected = of_sqlite(&database, text);
                assert_eq!(sorted(found.collect(), text), sorted(expected, text), "{n} sales: {text}");
            }
        }
    }
}
