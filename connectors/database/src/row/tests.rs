//! Records of every form, as rows.

use std::collections::BTreeMap;

use super::*;

/// Cells as text, for people.
#[derive(Default)]
struct Text(String);

impl Cells for Text {
    fn null(&mut self) {
        self.0 += "null ";
    }

    fn boolean(&mut self, value: bool) {
        self.0 += &format!("{value} ");
    }

    fn integer(&mut self, value: i128) {
        self.0 += &format!("{value} ");
    }

    fn float(&mut self, value: f64) {
        self.0 += &format!("{value:?} ");
    }

    fn text(&mut self, value: &str) {
        self.0 += &format!("'{value}' ");
    }

    fn bytes(&mut self, value: &[u8]) {
        self.0 += &format!("{value:02x?} ");
    }

    fn end(&mut self) {
        self.0.push(';');
    }
}

fn rows<T: Serialize>(records: &[T]) -> Result<Rows<Text>, String> {
    let mut rows = Rows::default();
    records.iter().try_for_each(|record| rows.push(record)).map(|()| rows)
}

#[derive(Serialize)]
enum Colour {
    Red,
    Mixed(u8, u8),
}

#[derive(Serialize)]
struct Order {
    id: u64,
    price: Option<f32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<&'static str>,
    colour: Colour,
}

#[test]
fn a_struct_is_a_row_by_names() {
    let orders = [
        Order { id: 1, price: None, tags: vec![], colour: Colour::Red },
        Order { id: u64::MAX, price: Some(0.5), tags: vec!["a", "b"], colour: Colour::Red },
    ];
    let rows = rows(&orders).unwrap();
    assert_eq!(rows.cells.0, "1 null null 'Red' ;18446744073709551615 0.5 '[\"a\",\"b\"]' 'Red' ;");
    assert_eq!(rows.names(), ["id", "price", "tags", "colour"]);
    assert_eq!(rows.kinds, [Kind::Integer, Kind::Float, Kind::Json, Kind::Text]);
    let mixed = [Order { id: 1, price: None, tags: vec![], colour: Colour::Mixed(1, 2) }];
    assert!(super::tests::rows(&mixed).unwrap().cells.0.contains(r#"'{"Mixed":[1,2]}'"#));
}

#[test]
fn a_tuple_is_a_row_by_positions_and_a_value_is_one_cell() {
    let pairs = rows(&[("be", 2u64, true, 'x')]).unwrap();
    assert_eq!((pairs.cells.0.as_str(), pairs.names()), ("'be' 2 true 'x' ;", &[][..]));
    assert_eq!(rows(&["a", "b"]).unwrap().cells.0, "'a' ;'b' ;");
    assert_eq!(rows(&[Some(1), None]).unwrap().cells.0, "1 ;null ;");
    let bytes = dstream_core::Bytes::from_static(b"\x00a");
    assert_eq!(rows(&[(bytes,)]).unwrap().cells.0, "[00, 61] ;");
}

#[test]
fn what_has_no_fixed_fields_is_refused() {
    let refusal = |outcome: Result<Rows<Text>, String>| outcome.err().unwrap();
    assert!(refusal(rows(&[BTreeMap::from([("a", 1)])])).contains("has no fixed fields"));
    assert!(refusal(rows(&[Colour::Mixed(1, 2)])).contains("the enum `Colour`"));
    assert!(refusal(rows(&[()])).contains("has no fields"));
    assert!(refusal(rows(&[vec![1], vec![1, 2]])).contains("have the same fields"));
    assert!(refusal(rows(&[vec![1, 2], vec![1]])).contains("has 1 fields, and others have 2"));
}
