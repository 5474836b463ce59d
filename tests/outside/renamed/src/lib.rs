//! A library that builds pipelines for others, who don't depend on `dstream` themselves.

pub use ds as streams;

/// How often each word was there: a context, of `$lines`.
#[macro_export]
macro_rules! count_words {
    ($lines:expr, $out:expr) => {
        $crate::streams::stream!(batch = 1s, crate = $crate::streams, {
            let lines = $lines;
            lines.words().map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b).collect_to(&$out);
        })
    };
}
