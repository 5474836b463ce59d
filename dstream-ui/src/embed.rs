//! Which sites may show dashboards in a frame.

use axum::http::HeaderValue;
use dstream_core::{Error, Result};

/// Nothing is loaded from elsewhere, nothing runs that is not in the files of the page, and nobody frames it.
pub(crate) const POLICY: &str =
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The policy of dashboards, where it is not that of the other pages.
#[derive(Debug, Clone)]
pub(crate) struct Embed(Option<HeaderValue>);

impl Embed {
    /// Sites are as in `https://host` or `http://host:8080`.
    pub(crate) fn new(sites: &[String]) -> Result<Embed> {
        if sites.is_empty() {
            return Ok(Embed(None));
        }
        sites.iter().try_for_each(|site| check(site))?;
        let policy = POLICY.replace("'none'; base-uri", &format!("{}; base-uri", sites.join(" ")));
        let policy = HeaderValue::from_str(&policy).map_err(|error| Error::Invalid(error.to_string()))?;
        Ok(Embed(Some(policy)))
    }

    pub(crate) fn policy(&self) -> Option<HeaderValue> {
        self.0.clone()
    }
}

/// Anything else would be another rule of the policy, or none.
fn check(site: &str) -> Result<()> {
    let host = site.strip_prefix("https://").or_else(|| site.strip_prefix("http://"));
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:[]*".contains(c);
    if host.is_some_and(|host| !host.is_empty() && host.chars().all(fits)) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "`{site}` is no site that could embed a dashboard: `Ui::embed_in` takes a scheme, a host and maybe a \
         port, as in `https://intranet.example` or `http://localhost:8080`, without a path"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_are_the_ancestors_of_dashboards_alone() {
        let policy = |sites: &[&str]| {
            let sites: Vec<String> = sites.iter().map(|site| (*site).to_owned()).collect();
            Embed::new(&sites).map(|embed| embed.policy().map(|it| it.to_str().unwrap().to_owned()))
        };
        assert_eq!(policy(&[]).unwrap(), None);
        let two = policy(&["https://a.example", "http://localhost:8080"]).unwrap().unwrap();
        assert!(
            two.contains("frame-ancestors https://a.example http://localhost:8080; base-uri 'none';"),
            "{two}"
        );
        for wrong in
            ["", "*", "a.example", "https://", "https://a/b", "https://a; script-src *", "http://a b"]
        {
            let error = policy(&[wrong]).unwrap_err().to_string();
            assert!(error.contains(&format!("`{wrong}` is no site")), "{error}");
        }
    }
}
