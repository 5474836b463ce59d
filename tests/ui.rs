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
