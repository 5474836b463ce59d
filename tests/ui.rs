//! What a user reads after each likely mistake: one error, at its token.

/// The compiler whose words the `.stderr` files hold; another says the same in its own.
const RUSTC: &str = "rustc 1.95.";

#[test]
fn mistakes() {
    let version =
        std::process::Command::new("rustc").arg("--version").output().map(|o| o.stdout).unwrap_or_default();
    if String::from_utf8_lossy(&version).starts_with(RUSTC) {
        trybuild::TestCases::new().compile_fail("tests/ui/*/*.rs");
    }
}

/// What expansions call is not part of the public interface, but messages name it: by a name that can be
/// read.
#[test]
fn no_message_names_what_is_private() {
    for topic in std::fs::read_dir("tests/ui").expect("the cases").map_while(Result::ok) {
        for case in std::fs::read_dir(topic.path()).expect("a topic").map_while(Result::ok) {
            let text = std::fs::read_to_string(case.path()).unwrap_or_default();
            assert!(!text.contains("__private"), "{}", case.path().display());
        }
    }
}
